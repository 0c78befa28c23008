//! Portcullis and its peers, started on the same routes.

mod envoy;
mod envoy_filters;
mod haproxy;
mod nginx;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use harness::{Authority, Gateway, Pair, gateway, ingress, secret};
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::{PROXY_CORE, process};

/// What all proxies serve: for each route a host, a path, and which backend answers.
pub(crate) struct Site {
    pub(crate) routes: Vec<(String, String, usize)>,
    pub(crate) backends: Vec<SocketAddr>,
    pub(crate) pair: Pair,
    pub(crate) roots: RootCertStore,
}

impl Site {
    pub(crate) fn new(routes: Vec<(String, String, usize)>, backends: Vec<SocketAddr>) -> Self {
        let authority = Authority::create();
        Self {
            routes,
            backends,
            pair: authority.issue(&["a.test"]),
            roots: authority.roots(),
        }
    }
}

/// A running proxy; it ends with this value.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    running: Running,
}

enum Running {
    Portcullis(Box<Gateway>),
    Peer(Peer),
}

/// A process that is not ours, with the folder of its configuration.
struct Peer {
    child: Child,
    _folder: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // nginx's and HAProxy's workers leave with their master only when it is asked.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
    }
}

impl Proxy {
    pub(crate) fn id(&self) -> u32 {
        match &self.running {
            Running::Portcullis(gateway) => gateway.id(),
            Running::Peer(peer) => peer.child.id(),
        }
    }
}

/// Starts Portcullis, and of the peers those that are installed.
pub(crate) async fn all(site: &Site) -> Vec<Proxy> {
    let mut proxies = vec![portcullis(site).await];
    let peers: [(_, Describe); 3] = [
        ("nginx", nginx::command),
        ("haproxy", haproxy::command),
        ("envoy", envoy::command),
    ];
    for (name, describe) in peers {
        match peer(name, describe, site).await {
            Some(proxy) => proxies.push(proxy),
            None => println!("{name} is not installed: left out."),
        }
    }
    proxies
}

/// Starts Envoy without filters, with one and with three, if it is installed.
pub(crate) async fn envoys(site: &Site) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    let chains: [(_, Describe); 3] = [
        ("envoy, none", envoy::command),
        ("envoy, 1", envoy_filters::one),
        ("envoy, 3", envoy_filters::three),
    ];
    for (name, describe) in chains {
        proxies.extend(peer(name, describe, site).await);
    }
    proxies
}

/// Portcullis as it was started by someone else.
pub(crate) fn ours(name: &'static str, gateway: Gateway) -> Proxy {
    process::pin(gateway.id(), PROXY_CORE);
    Proxy {
        name,
        http: gateway.http(),
        https: gateway.https(),
        running: Running::Portcullis(Box::new(gateway)),
    }
}

/// Writes a configuration into a folder, and says how to start the program on it.
type Describe = fn(&Site, &Path, Ports) -> Command;

#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
}

async fn portcullis(site: &Site) -> Proxy {
    let mut builder = gateway().file("routes.yaml", &documents(site));
    for (index, address) in site.backends.iter().enumerate() {
        builder = builder.service_at(&format!("s{index}"), 80, &[*address]);
    }
    let gateway = builder.manifest(secret("tls", &site.pair)).start().await;
    ours("portcullis", gateway)
}

/// The Ingresses of a site: one for each host.
pub(crate) fn documents(site: &Site) -> String {
    let mut documents: Vec<String> = Vec::new();
    let mut routes = site.routes.iter().peekable();
    while let Some((host, path, backend)) = routes.next() {
        let mut object = ingress(&host.replace('.', "-"))
            .annotation("portcullis.dev/ssl-redirect", "false")
            .host(host)
            .path(path, &format!("s{backend}"), 80);
        while let Some((_, path, backend)) = routes.next_if(|route| route.0 == *host) {
            object = object.path(path, &format!("s{backend}"), 80);
        }
        if host == "a.test" {
            object = object.tls(&["a.test"], "tls");
        }
        documents.push(object.object().0.to_string());
    }
    documents.join("\n---\n")
}

async fn peer(name: &'static str, describe: Describe, site: &Site) -> Option<Proxy> {
    let folder = TempDir::new().expect("a temporary folder");
    let both = format!("{}{}", site.pair.chain, site.pair.key);
    fs::write(folder.path().join("tls.pem"), both).expect("a writable folder");
    let ports = Ports {
        http: free_port(),
        https: free_port(),
    };
    let mut command = describe(site, folder.path(), ports);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let [http, https] =
        [ports.http, ports.https].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    harness::until(&format!("{name} listens"), async || {
        tokio::net::TcpStream::connect(https).await.is_ok()
    })
    .await;
    // Its threads and workers begin one after the other.
    harness::pause(Duration::from_secs(1)).await;
    for id in process::family(child.id()) {
        process::pin(id, PROXY_CORE);
    }
    let running = Running::Peer(Peer {
        child,
        _folder: folder,
    });
    Some(Proxy {
        name,
        http,
        https,
        running,
    })
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address").port()
}
