//! Choosing an endpoint, keeping connections, retrying, ejecting.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use harness::{Gate, Gateway, Reply, Upstream, Wire, gateway, get, ingress, post, upstream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

fn web() -> harness::GatewayBuilder {
    gateway().manifest(ingress("web").host("a.test").path("/", "svc", 80))
}

async fn many(count: usize) -> Vec<Upstream> {
    let mut backends = Vec::new();
    for number in 0..count {
        backends.push(upstream().name(&number.to_string()).start().await);
    }
    backends
}

/// An address where nobody listens.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound socket")
}

/// A backend that reads each request and then closes without a word.
async fn silent() -> Upstream {
    let play = |stream: TcpStream, _| async move {
        let _head = Wire::over(stream).head().await;
    };
    upstream().raw(play).start().await
}

async fn states(gw: &Gateway) -> BTreeMap<String, String> {
    let routes = gw.routes().await;
    let endpoints = routes
        .iter()
        .flat_map(|route| route["endpoints"].as_array().cloned().unwrap_or_default());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    endpoints
        .map(|endpoint| (text(&endpoint["address"]), text(&endpoint["state"])))
        .collect()
}

#[tokio::test]
async fn so_many_requests_meet_so_many_endpoints() {
    for workers in ["1", "2"] {
        let backends = many(7).await;
        let gw = web()
            .service("svc", 80, &backends.iter().collect::<Vec<_>>())
            .flag("--workers", workers)
            .start()
            .await;
        for round in 1..=3 {
            for _ in 0..7 {
                assert_eq!(gw.get("a.test", "/").await.status, 200);
            }
            let counts: Vec<_> = backends.iter().map(|up| up.seen().len()).collect();
            assert_eq!(counts, vec![round; 7], "{workers} workers");
        }
    }
}

#[tokio::test]
async fn connections_to_backends_are_kept() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for _ in 0..20 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
        assert_eq!(gw.send(&post("/", "x").host("a.test")).await.status, 200);
    }
    assert_eq!(up.connections(), 1);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_ejected_and_nobody_notices() {
    let up = upstream().start().await;
    let dead = refusing().await;
    let gw = web()
        .service_at("svc", 80, &[up.address(), dead])
        .start()
        .await;
    for _ in 0..30 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
        // No byte was sent: even this may go to the other endpoint.
        assert_eq!(gw.send(&post("/", "x").host("a.test")).await.status, 200);
    }
    let states = states(&gw).await;
    assert_eq!(states[&dead.to_string()], "ejected", "{states:?}");
    assert_eq!(states[&up.address().to_string()], "ready", "{states:?}");
    assert_eq!(up.complete(), 60);
}

#[tokio::test]
async fn the_only_endpoint_is_502_when_it_refuses_and_used_again_when_it_is_back() {
    let address = refusing().await;
    let gw = web().service_at("svc", 80, &[address]).start().await;
    for _ in 0..10 {
        let answer = gw.get("a.test", "/").await;
        assert_eq!((answer.status, answer.reason()), (502, Some("connect")));
    }
    let _up = upstream().at(address).start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let (up, silent) = (upstream().start().await, silent().await);
    let gw = web().service("svc", 80, &[&up, &silent]).start().await;
    let mut broken = 0;
    for number in 0..10 {
        let answer = gw
            .send(&post(&format!("/{number}"), "x").host("a.test"))
            .await;
        match answer.status {
            200 => {}
            502 => {
                assert_eq!(answer.reason(), Some("bad-response"));
                broken += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(broken > 0);
    assert_eq!(
        (up.seen().len(), silent.connections()),
        (10 - broken, broken)
    );
}

#[tokio::test]
async fn a_get_goes_to_another_endpoint_when_one_hangs_up() {
    let (up, silent) = (upstream().start().await, silent().await);
    let gw = web().service("svc", 80, &[&up, &silent]).start().await;
    for _ in 0..10 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
}

#[tokio::test]
async fn a_backend_that_closes_after_each_answer_loses_no_request() {
    let up = upstream().answer(|_| Reply::echo().close()).start().await;
    let gw = crate::in_front_of(&up).start().await;
    for _ in 0..50 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
}

#[tokio::test]
async fn a_backend_that_restarts_loses_no_get() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.connect().await;
    for _ in 0..3 {
        assert_eq!(client.ask(&get("/").host("a.test")).await.status, 200);
    }
    let address = up.stop().await;
    let _up = upstream().at(address).start().await;
    assert_eq!(client.ask(&get("/").host("a.test")).await.status, 200);
}

/// An address that takes no more connections: its queue is full, and SYNs are dropped.
async fn blackhole() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .expect("a free port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("a bound socket");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue has no end");
    }
    (address, listener, waiting)
}

#[tokio::test]
async fn a_connection_that_is_not_taken_in_time_is_tried_elsewhere() {
    let (address, _listener, _waiting) = blackhole().await;
    let up = upstream().start().await;
    let gw = web()
        .service_at("svc", 80, &[address, up.address()])
        .flag("--connect-timeout", "300ms")
        .start()
        .await;
    for _ in 0..4 {
        assert_eq!(gw.send(&post("/", "x").host("a.test")).await.status, 200);
    }
    gw.endpoints("svc", &[address]);
    gw.until_status("a.test", "/", 502).await;
    assert_eq!(gw.get("a.test", "/").await.reason(), Some("connect"));
}

#[tokio::test]
async fn a_removed_endpoint_finishes_what_it_has_and_gets_nothing_new() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let old = upstream()
        .name("old")
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let new = upstream().name("new").start().await;
    let gw = web().service("svc", 80, &[&old]).start().await;
    let mut slow = gw.connect().await;
    slow.send(get("/slow").host("a.test").bytes()).await;
    harness::until("the request is with the backend", async || {
        old.complete() == 1
    })
    .await;
    gw.endpoints("svc", &[new.address()]);
    harness::until("the new endpoint is known", async || {
        states(&gw).await.contains_key(&new.address().to_string())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(gw.get("a.test", "/").await.backend(), "new");
    }
    gate.open();
    assert_eq!(
        slow.answer("GET").await.expect("an answer").backend(),
        "old"
    );
    assert_eq!(old.seen().len(), 1);
}

#[tokio::test]
async fn a_deleted_route_finishes_what_it_has() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let up = upstream()
        .answer(move |seen| match seen.target.as_str() {
            "/slow" => Reply::echo().after(&opened),
            _ => Reply::echo(),
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut slow = gw.connect().await;
    slow.send(get("/slow").host("a.test").bytes()).await;
    harness::until("the request is with the backend", async || {
        up.complete() == 1
    })
    .await;
    gw.delete(ingress("web"));
    gw.until_status("a.test", "/", 404).await;
    gate.open();
    assert_eq!(slow.answer("GET").await.expect("an answer").status, 200);
}

#[tokio::test]
async fn of_two_endpoints_the_busy_one_is_spared() {
    let gate = Gate::closed();
    let opened = gate.clone();
    let slow = upstream()
        .name("slow")
        .answer(move |_| Reply::echo().after(&opened))
        .start()
        .await;
    let fast = upstream().name("fast").start().await;
    let gw = web().service("svc", 80, &[&slow, &fast]).start().await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut connection = gw.connect().await;
        connection.send(get("/").host("a.test").bytes()).await;
        waiting.push(connection);
        let count = waiting.len();
        harness::until("it is with a backend", async || {
            slow.seen().len() + fast.seen().len() == count
        })
        .await;
    }
    assert!(slow.seen().len() <= 3, "{} of 20 wait", slow.seen().len());
    gate.open();
}

#[tokio::test]
async fn a_small_put_goes_to_another_endpoint_when_one_hangs_up() {
    let (up, silent) = (upstream().start().await, silent().await);
    let gw = web().service("svc", 80, &[&up, &silent]).start().await;
    for _ in 0..10 {
        let asked = harness::request("PUT", "/").host("a.test");
        let answer = gw.send(&asked.header("Content-Length", "0")).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn two_endpoints_that_hang_up_leave_a_third_to_a_get() {
    let (up, one, two) = (upstream().start().await, silent().await, silent().await);
    let gw = web().service("svc", 80, &[&one, &two, &up]).start().await;
    for _ in 0..9 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
}
