//! A gateway in memory: one worker, one client, backends that a test writes; no socket, and a clock that jumps to
//! the next timer when nobody has anything left to do. The same input always takes the same way.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use proxy::{
    AccessLog, Gateway, Settings,
    filter::{Filters, OfIngress},
    testing::{InMemory, Wire},
};
use route::{
    Backend, Cluster, ClusterId, Config, Endpoint, EndpointState, HostPattern, IngressName,
    PathPattern, Route, Rule, Target,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::{Builder, LocalOptions},
    task::spawn_local,
    time::{sleep, timeout},
};

/// A gateway that sends everything to one backend, through filters where there are some.
pub fn gateway(filters: &[route::FilterRef], published: &Filters) -> Arc<Gateway> {
    let gateway = Gateway::new(Settings::default(), AccessLog::off(), || ()).expect("a gateway");
    let problems = gateway.publish(&Arc::new(config(filters)), published);
    assert!(problems.is_empty(), "{problems:?}");
    gateway
}

/// Puts other filters in place.
pub fn publish(
    gateway: &Arc<Gateway>,
    chain: &[route::FilterRef],
    filters: HashMap<IngressName, OfIngress>,
) {
    static GENERATION: AtomicU64 = AtomicU64::new(1);
    let filters = Filters::new(GENERATION.fetch_add(1, Relaxed), filters);
    let problems = gateway.publish(&Arc::new(config(chain)), &filters);
    assert!(problems.is_empty(), "{problems:?}");
}

/// The Ingress of all routes.
pub fn ingress() -> IngressName {
    IngressName {
        namespace: "ns".to_owned(),
        name: "web".to_owned(),
    }
}

fn config(filters: &[route::FilterRef]) -> Config {
    let id = ClusterId {
        namespace: "ns".to_owned(),
        service: "svc".to_owned(),
        port: 80,
    };
    let endpoint = Endpoint {
        address: SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 80)),
        state: EndpointState::Ready,
        uid: None,
    };
    let route = Route {
        ingress: ingress(),
        rule_path: "/".to_owned(),
        backend: Backend {
            service: "svc".to_owned(),
            port: "80".to_owned(),
            target: Target::Cluster(id.clone()),
        },
        filters: filters.into(),
        ..Route::default()
    };
    let rule = Rule {
        host: HostPattern::Any,
        path: PathPattern::Prefix("/".to_owned()),
        route: Arc::new(route),
    };
    Config {
        rules: vec![rule],
        clusters: [(
            id,
            Cluster {
                endpoints: vec![endpoint],
                external: None,
            },
        )]
        .into(),
        ..Config::default()
    }
}

/// Serves one client; each connection to the backend is given to `backend`, with its number. Returns what the client
/// makes of it, once the gateway is done with its connection.
pub fn serve<B, C, F>(gateway: &Arc<Gateway>, backend: B, client: C) -> F::Output
where
    B: AsyncFn(usize, Wire) + 'static,
    C: FnOnce(Wire) -> F,
    F: Future,
{
    // Which request id and which endpoint: the same in every run.
    fastrand::seed(7);
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        let backend = Rc::new(backend);
        let count = std::cell::Cell::new(0);
        let dial = move |_| {
            let (near, far) = duplex(PIPE);
            let (backend, number) = (Rc::clone(&backend), count.replace(count.get() + 1));
            spawn_local(async move { backend(number, far).await });
            Ok::<_, io::Error>(near)
        };
        let worker = InMemory::new(gateway, dial);
        let (near, far) = duplex(PIPE);
        let serving = spawn_local(async move { worker.serve(far).await });
        let outcome = client(near).await;
        timeout(FOREVER, serving)
            .await
            .expect("the connection ends")
            .expect("no panic");
        // Tunnels and connections to backends may outlive it.
        idle().await;
        outcome
    })
}

/// Waits until nobody has anything left to do.
pub async fn idle() {
    sleep(Duration::from_millis(1)).await;
}

/// Sends these pieces, each when nobody has anything left to do, then says that it is all, and reads to the end.
pub async fn exchange<'p>(wire: Wire, pieces: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(wire);
    let write = async {
        for piece in pieces {
            if writer.write_all(piece).await.is_err() {
                return;
            }
            idle().await;
        }
        // The gateway may have closed before.
        drop(writer.shutdown().await);
    };
    let mut read = Vec::new();
    let reading = timeout(FOREVER, reader.read_to_end(&mut read));
    let (ended, ()) = tokio::join!(reading, write);
    ended
        .expect("the gateway ends the connection")
        .expect("a pipe does not fail");
    read
}

/// More than any timeout of the gateway.
const FOREVER: Duration = Duration::from_secs(4 * 3600);
const PIPE: usize = 64 * 1024;
