//! How often a plain request allocates. The count is exact: one more is a change to explain.

use std::{
    alloc::System,
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use proxy::{AccessLog, Gateway, Listeners, Settings, filter::Filters};
use route::{Backend, Cluster, ClusterId, Config, Endpoint, EndpointState, Route, Target};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A request of a browser, of which nothing is kept apart from the parser's buffers.
const REQUEST: &[u8] = b"GET /some/path?and=query HTTP/1.1\r\nhost: a.test\r\n\
    user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    accept: text/html,application/xhtml+xml\r\naccept-language: en-US,en;q=0.5\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
const REQUESTS: usize = 1000;

#[tokio::test]
async fn a_plain_request_allocates_fifteen_times() {
    // Client and backend allocate nothing once they run; they share the process.
    let backend = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = backend.local_addr().expect("an address");
    thread::spawn(move || {
        while let Ok((mut stream, _)) = backend.accept() {
            thread::spawn(
                move || while read_head(&mut stream) && stream.write_all(ANSWER).is_ok() {},
            );
        }
    });
    let settings = Settings {
        http: ([127, 0, 0, 1], 0).into(),
        https: ([127, 0, 0, 1], 0).into(),
        workers: 1,
        ..Settings::default()
    };
    let listeners = Listeners::bind(&settings).expect("free ports");
    let http = listeners.http();
    let gateway = Gateway::new(settings, AccessLog::off(), || {}).expect("a gateway");
    gateway.publish(&Arc::new(config(address)), &Filters::default());
    let workers = gateway.start(listeners).expect("a worker");

    let counted = tokio::task::spawn_blocking(move || {
        let mut client = TcpStream::connect(http).expect("it listens");
        client.set_nodelay(true).expect("a socket");
        let mut ask = |count| {
            for _ in 0..count {
                client.write_all(REQUEST).expect("it listens");
                assert!(read_head(&mut client), "it answers");
            }
        };
        ask(100);
        let before = ALLOCATOR.stats();
        ask(REQUESTS);
        ALLOCATOR.stats() - before
    });
    let counted = counted.await.expect("it answers");
    let each = |count: usize| count as f64 / REQUESTS as f64;
    println!(
        "a request allocates {:.2} times, grows {:.2} times, and takes {:.0} bytes in all",
        each(counted.allocations),
        each(counted.reallocations),
        each(counted.bytes_allocated)
    );
    // Seven of them are the parsers'. The sweep and the clock allocate a little beside.
    assert!(each(counted.allocations) < 15.5, "{counted:?}");
    workers.drain().await;
}

/// Reads what one head and its few bytes of body arrive in; false at the end.
fn read_head(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 2048];
    let mut filled = 0;
    loop {
        match stream.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) | Err(_) => return false,
            Ok(some) => filled += some,
        }
        let read = buffer.get(..filled).unwrap_or_default();
        if read.ends_with(b"\r\n\r\n") || read.ends_with(b"\r\n\r\nhello") {
            return true;
        }
    }
}

fn config(address: std::net::SocketAddr) -> Config {
    let id = ClusterId {
        namespace: "default".to_owned(),
        service: "svc".to_owned(),
        port: 80,
    };
    let endpoint = Endpoint {
        address,
        state: EndpointState::Ready,
        uid: None,
    };
    let cluster = Cluster {
        endpoints: vec![endpoint],
        external: None,
    };
    let route = Route {
        rule_path: "/".to_owned(),
        backend: Backend {
            service: "svc".to_owned(),
            port: "80".to_owned(),
            target: Target::Cluster(id.clone()),
        },
        ..Route::default()
    };
    Config {
        catch_all: Some(Arc::new(route)),
        clusters: BTreeMap::from([(id, cluster)]),
        ..Config::default()
    }
}
