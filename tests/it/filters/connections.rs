//! At most so many requests at once: natively and by `limit-connections`.

use harness::{Gate, Gateway, IngressBuilder, Reply, Upstream, gateway, get, until, upstream};
use http::Request;

use super::{filtered, is_refusal, nginx, passing, retry_after, root};

/// A backend that answers `/hold` only when the gate is open.
struct Held {
    gw: Gateway,
    up: Upstream,
    gate: Gate,
}

async fn held(ingress: IngressBuilder) -> Held {
    let gate = Gate::closed();
    let holds = gate.clone();
    let answer = move |seen: &harness::Seen| match seen.target.as_str() {
        "/hold" => Reply::echo().after(&holds),
        _ => Reply::echo(),
    };
    let up = upstream().name("web").answer(answer).start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(ingress)
        .flag("--trusted-proxies", "127.0.0.1")
        .start()
        .await;
    Held { gw, up, gate }
}

fn hold() -> harness::Request {
    get("/hold").host("a.test")
}

impl Held {
    /// Requests that are held, each on a connection of its own.
    async fn hold(&self, number: usize) -> Vec<harness::Connection> {
        let mut connections = Vec::new();
        for _ in 0..number {
            let mut connection = self.gw.connect().await;
            connection.send(hold().bytes()).await;
            connections.push(connection);
        }
        self.until_held(number).await;
        connections
    }

    async fn until_held(&self, number: usize) {
        until("the requests are held", async || {
            self.up
                .seen()
                .iter()
                .filter(|seen| seen.target == "/hold")
                .count()
                == number
        })
        .await;
    }
}

#[tokio::test]
async fn so_many_requests_run_at_once_and_no_burst_more() {
    for (ingress, status) in [
        (filtered("rate-limit", "{connections: 3}"), 429),
        (nginx(&[("limit-connections", "3")]), 503),
    ] {
        let held = held(ingress).await;
        let mut running = held.hold(3).await;
        let refusal = held.gw.send(&root()).await;
        assert!(is_refusal(&refusal, status), "{refusal:?}");
        assert_eq!(retry_after(&refusal), 1);
        assert_eq!(
            refusal.header("ratelimit-policy"),
            Some("\"connections\";q=3")
        );
        assert_eq!(
            held.gw.send(&super::by("192.0.2.1")).await.status,
            200,
            "another client"
        );
        held.gate.open();
        for connection in &mut running {
            assert_eq!(
                connection.answer("GET").await.expect("an answer").status,
                200
            );
        }
        assert_eq!(
            passing(&held.gw, &root(), 9, status).await,
            9,
            "one after the other"
        );
    }
}

#[tokio::test]
async fn each_stream_of_an_http2_connection_counts() {
    let held = held(nginx(&[("limit-connections", "2")])).await;
    let mut http2 = held.gw.http2().await;
    let request = || {
        let builder = Request::builder().uri("http://a.test/hold");
        builder.body(()).expect("a request")
    };
    let first = http2.begin(request(), true).await;
    let second = http2.begin(request(), true).await;
    held.until_held(2).await;
    let third = http2.get("a.test", "/").await;
    assert_eq!((third.status, third.reason()), (503, Some("rate-limit")));
    assert_eq!(third.header("retry-after"), Some("1"));

    // A stream that the client ends gives its permit back, though the backend goes on.
    drop(first);
    until("a permit is back", async || {
        http2.get("a.test", "/").await.status == 200
    })
    .await;
    held.gate.open();
    let answer = second.1.await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_client_that_resets_its_connection_gives_its_permit_back() {
    let held = held(filtered("rate-limit", "{connections: 1}")).await;
    // Who only ends its own direction may still read the answer, and counts until it came.
    let stream = tokio::net::TcpStream::connect(held.gw.http()).await;
    let stream = stream.expect("the listener accepts");
    stream.set_zero_linger().expect("a TCP socket");
    let mut waiting = harness::Connection::over(stream);
    waiting.send(hold().bytes()).await;
    held.until_held(1).await;
    assert_eq!(held.gw.send(&root()).await.status, 429);
    drop(waiting);
    held.gw.until_status("a.test", "/", 200).await;
}

#[tokio::test]
async fn a_client_that_goes_within_its_body_gives_its_permit_back() {
    let held = held(filtered("rate-limit", "{connections: 1}")).await;
    let mut connection = held.gw.connect().await;
    connection
        .send("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nfive!")
        .await;
    until("the backend has its head", async || {
        !held.up.seen().is_empty()
    })
    .await;
    assert_eq!(held.gw.send(&root()).await.status, 429);
    drop(connection);
    held.gw.until_status("a.test", "/", 200).await;
}

#[tokio::test]
async fn a_response_that_still_comes_holds_its_permit() {
    let (reply, pieces) = Reply::stream(None);
    let once = std::sync::Mutex::new(Some(reply));
    let answer = move |_: &harness::Seen| {
        let first = once.lock().expect("no test failed").take();
        first.unwrap_or_else(Reply::echo)
    };
    let up = upstream().answer(answer).start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{connections: 1}"))
        .start()
        .await;
    let mut first = gw.connect().await;
    first.send(root().bytes()).await;
    pieces.send(b"piece".to_vec()).expect("a backend");
    assert_eq!(first.head("GET").await.expect("a head").status, 200);
    assert_eq!(gw.send(&root()).await.status, 429);
    drop(pieces);
    while first.chunk().await.expect("a chunk").is_some() {}
    gw.until_status("a.test", "/", 200).await;
}

#[tokio::test]
async fn an_upgraded_connection_holds_its_permit_until_it_ends() {
    let answer = |seen: &harness::Seen| match seen.header("upgrade") {
        Some(_) => Reply::upgrade("websocket"),
        None => Reply::echo(),
    };
    let up = upstream().answer(answer).start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{connections: 1}"))
        .start()
        .await;
    let mut socket = gw.connect().await;
    let upgrade = root()
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    socket.send(upgrade.bytes()).await;
    assert_eq!(socket.head("GET").await.expect("a head").status, 101);
    socket.send("ping").await;
    assert_eq!(socket.exactly(4).await.expect("an echo"), b"ping");
    assert_eq!(gw.send(&root()).await.status, 429);
    drop(socket);
    gw.until_status("a.test", "/", 200).await;
}

#[tokio::test]
async fn what_finds_no_permit_has_been_charged() {
    for (ingress, status) in [
        (
            filtered(
                "rate-limit",
                "{requests: 1, per: 1h, burst: 3, connections: 1}",
            ),
            429,
        ),
        (
            nginx(&[
                ("limit-rpm", "1"),
                ("limit-burst-multiplier", "2"),
                ("limit-connections", "1"),
            ]),
            503,
        ),
    ] {
        let held = held(ingress).await;
        let mut running = held.hold(1).await;
        for _ in 0..2 {
            let refusal = held.gw.send(&root()).await;
            assert!(is_refusal(&refusal, status), "{refusal:?}");
            assert_eq!(refusal.header("ratelimit"), Some("\"connections\";r=0;t=1"));
        }
        held.gate.open();
        assert_eq!(
            running[0].answer("GET").await.expect("an answer").status,
            200
        );
        let refusal = held.gw.send(&root()).await;
        assert!(is_refusal(&refusal, status), "{refusal:?}");
        let told = refusal.header("ratelimit").expect("a limit");
        assert!(
            told.starts_with("\"default\";r=0;"),
            "no token is left: {told}"
        );
    }
}

#[tokio::test]
async fn connections_count_by_the_key_and_not_for_exempt_clients() {
    let config = "{connections: 1, key: 'header:K', exempt: [10.0.0.0/8]}";
    let held = held(filtered("rate-limit", config)).await;
    let mut one = held.gw.connect().await;
    one.send(hold().header("K", "1").bytes()).await;
    held.until_held(1).await;
    assert_eq!(held.gw.send(&root().header("K", "1")).await.status, 429);
    assert_eq!(held.gw.send(&root().header("K", "2")).await.status, 200);
    assert_eq!(held.gw.send(&root()).await.status, 200, "by the address");
    let exempt = super::by("10.1.2.3").header("K", "1");
    assert_eq!(held.gw.send(&exempt).await.status, 200);
}

#[tokio::test]
async fn permits_survive_a_change_of_the_configuration() {
    let held = held(filtered("rate-limit", "{connections: 1}")).await;
    let mut running = held.hold(1).await;
    held.gw
        .apply(filtered("rate-limit", "{connections: 1, status: 420}"));
    held.gw.until_status("a.test", "/", 420).await;
    held.gate.open();
    assert_eq!(
        running[0].answer("GET").await.expect("an answer").status,
        200
    );
    held.gw.until_status("a.test", "/", 200).await;
}
