//! An API server of Kubernetes, as far as its clients can tell: it lists and watches, takes patches and
//! server-side apply, keeps leases apart by their versions, denies what it is told to deny, and fails on
//! demand. `kubectl` works with it.

mod apply;
mod events;
mod faults;
mod nested;
mod pod;
mod read;
mod resources;
mod server;
mod store;
mod write;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
    task::JoinHandle,
};

use tokio_rustls::TlsAcceptor;

use crate::{Authority, Object, Upstream, endpoint, service, slice};
use faults::Denial;
pub use faults::{Fault, Replacement};
pub use nested::nested;
use pod::Secured;
pub use pod::pods;
use resources::Resource;
use store::Store;

/// A running API server.
pub struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    stop: watch::Sender<u64>,
    running: Option<JoinHandle<()>>,
    folder: TempDir,
}

/// Whether it streams lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// As servers do since 1.34.
    Known,
    /// It says that it does not.
    Refused,
    /// It does not know the word, as before 1.27.
    Unknown,
}

/// What becomes of the watches that are open.
#[derive(Clone, Debug)]
enum Cut {
    Middle,
    End,
    Line(String),
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    cuts: broadcast::Sender<Cut>,
    /// Told when the connections that are open fall silent.
    silence: watch::Sender<u64>,
}

struct State {
    store: Store,
    faults: Vec<Fault>,
    denials: Vec<Denial>,
    /// Namespaces that are being deleted.
    terminating: Vec<String>,
    absent: Vec<String>,
    log: Vec<String>,
    lists: BTreeMap<&'static str, usize>,
    streaming: Streaming,
    bookmarks: Duration,
    duplicates: bool,
    /// The one that requests must have, if any.
    token: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the watches that something changed.
    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// Starts an API server with an IngressClass of ours.
pub async fn api() -> Api {
    start(None).await
}

/// Starts one that speaks TLS, with a certificate of this authority, and takes only the token of a
/// ServiceAccount.
pub async fn tls_api(authority: &Authority) -> Api {
    start(Some(Secured::new(authority))).await
}

async fn start(secured: Option<Secured>) -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let state = State {
        store: Store::default(),
        faults: Vec::new(),
        denials: Vec::new(),
        terminating: Vec::new(),
        absent: Vec::new(),
        log: Vec::new(),
        lists: BTreeMap::new(),
        streaming: Streaming::Known,
        bookmarks: Duration::from_secs(60),
        duplicates: false,
        token: None,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        changed: watch::Sender::new(0),
        cuts: broadcast::Sender::new(16),
        silence: watch::Sender::new(0),
    });
    let stop = watch::Sender::new(0);
    let acceptor = secured.as_ref().map(|secured| secured.acceptor.clone());
    let serving = server::serve(
        listener,
        acceptor.clone(),
        Arc::clone(&shared),
        stop.subscribe(),
    );
    let running = tokio::spawn(serving);
    let api = Api {
        shared,
        address,
        acceptor,
        stop,
        running: Some(running),
        folder: TempDir::new().expect("a temporary folder"),
    };
    let plain = || {
        let cluster = json!({"server": format!("http://{address}")});
        (cluster, json!({"token": "secret"}))
    };
    let (cluster, user) = secured.map_or_else(plain, |secured| api.give_account(&secured));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "ingress"}}],
    });
    std::fs::write(api.kubeconfig(), config.to_string()).expect("a file");
    api.apply(crate::ingress_class(
        "portcullis",
        "portcullis.dev/ingress-controller",
        false,
    ));
    api
}

impl Api {
    /// The kubeconfig that leads to it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Adds or changes an object.
    pub fn apply(&self, object: impl Into<Object>) {
        let Object(object) = object.into();
        let resource = Resource::of(&object).expect("a resource of the server");
        let of = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let key = Store::key(resource, &of("namespace"), &of("name"));
        let mut state = self.shared.state();
        let mut object = object;
        if let Some(old) = state.store.find(&key)
            && object["status"].is_null()
            && resource.status
        {
            object["status"] = old["status"].clone();
        }
        state.store.put(key, object);
        drop(state);
        self.shared.tell();
    }

    /// Deletes an object.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let key = key(plural, namespace, name);
        self.shared
            .state()
            .store
            .remove(&key)
            .expect("an object to delete");
        self.shared.tell();
    }

    /// An object as it is now.
    pub fn find(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared
            .state()
            .store
            .find(&key(plural, namespace, name))
            .cloned()
    }

    /// A condition in the status of an object: its status and reason.
    pub fn condition(
        &self,
        (plural, namespace, name): (&str, &str, &str),
        kind: &str,
    ) -> Option<(String, String)> {
        let object = self.find(plural, namespace, name)?;
        let mut all = object["status"]["conditions"].as_array()?.iter();
        let own = all.find(|one| one["type"] == kind)?;
        let text = |field: &str| own[field].as_str().map(str::to_owned);
        Some((text("status")?, text("reason")?))
    }

    /// All objects of a resource.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let state = self.shared.state();
        state
            .store
            .list(plural, None)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Adds a Service with one port named `http`, and these backends as its endpoints.
    pub fn service(&self, name: &str, port: u16, backends: &[&Upstream]) {
        self.apply(service(name, &[("http", port)]));
        let addresses: Vec<_> = backends.iter().map(|up| up.address()).collect();
        self.endpoints(name, &addresses);
    }

    /// Sets the endpoints of a Service, one slice an address.
    pub fn endpoints(&self, service: &str, addresses: &[SocketAddr]) {
        let ready = json!({"ready": true});
        let mut wanted = Vec::new();
        for address in addresses {
            let suffix = address.port().to_string();
            wanted.push(format!("{service}-{suffix}"));
            let endpoints = [endpoint(*address, &ready)];
            self.apply(slice(
                service,
                &suffix,
                ("http", address.port()),
                &endpoints,
            ));
        }
        let own = format!("{service}-");
        for old in self.all("endpointslices") {
            let name = old["metadata"]["name"].as_str().expect("a name").to_owned();
            if name.starts_with(&own) && !wanted.contains(&name) {
                self.delete("endpointslices", "default", &name);
            }
        }
    }

    /// What was asked so far: `VERB RESOURCE NAMESPACE/NAME`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().log.clone()
    }

    /// How often all objects of a resource were asked for.
    pub fn lists(&self, plural: &str) -> usize {
        let state = self.shared.state();
        state.lists.get(plural).copied().unwrap_or_default()
    }

    /// Stops; connections break, and no new ones are taken.
    pub async fn stop(&mut self) {
        self.stop.send_modify(|count| *count += 1);
        if let Some(running) = self.running.take() {
            running.await.expect("a server that stops");
        }
        let _nobody = self.shared.cuts.send(Cut::End);
    }

    /// Starts again, where it was.
    pub async fn start(&mut self) {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket");
        socket.bind(self.address).expect("the same port");
        let listener = socket.listen(64).expect("a listener");
        let stop = self.stop.subscribe();
        let serving = server::serve(
            listener,
            self.acceptor.clone(),
            Arc::clone(&self.shared),
            stop,
        );
        self.running = Some(tokio::spawn(serving));
    }
}

fn key(plural: &str, namespace: &str, name: &str) -> store::Key {
    let resource = resources::RESOURCES.iter().find(|r| r.plural == plural);
    Store::key(resource.expect("a resource"), namespace, name)
}
