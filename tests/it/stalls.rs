//! Peers that stall: each of fourteen ways is cut, and others do not notice.

mod patience;

use std::time::{Duration, Instant};

use harness::{
    Connection, Frame, Gateway, Kind, Payload, Reply, TlsOptions, Upstream, get, until, upstream,
};

const LIMITS: [&str; 7] = [
    "--handshake-timeout",
    "--head-timeout",
    "--client-idle-timeout",
    "--body-stall-timeout",
    "--write-stall-timeout",
    "--h2-preface-timeout",
    "--h2-idle-timeout",
];
const OK: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];
const TICK: Duration = Duration::from_millis(200);

async fn start() -> (Gateway, Upstream) {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/big" => Reply::of(200, Payload::Many(64 << 20)),
            _ => Reply::echo(),
        })
        .start()
        .await;
    (limited(&up).start().await, up)
}

/// In front of a backend, with every limit at one second.
fn limited(up: &Upstream) -> harness::GatewayBuilder {
    let builder = crate::in_front_of(up);
    LIMITS
        .iter()
        .fold(builder, |builder, flag| builder.flag(flag, "1s"))
}

/// Sends a piece every tick until the connection is closed.
async fn drips(connection: &mut Connection, piece: &str) {
    let started = Instant::now();
    loop {
        connection.send(piece).await;
        if let Ok(rest) = tokio::time::timeout(TICK, connection.rest()).await {
            assert!(
                !rest.starts_with(b"HTTP/1.1 2"),
                "{:?}",
                String::from_utf8_lossy(&rest)
            );
            return;
        }
        assert!(started.elapsed() < harness::DEADLINE, "not cut");
    }
}

/// The connection is closed, perhaps after an answer that says why.
async fn is_cut(mut connection: Connection) {
    let rest = connection.rest().await;
    assert!(
        !rest.starts_with(b"HTTP/1.1 2"),
        "{:?}",
        String::from_utf8_lossy(&rest)
    );
}

#[tokio::test]
async fn connections_that_say_nothing_are_cut() {
    let (gw, _up) = start().await;
    is_cut(gw.connect().await).await;
    is_cut(Connection::open(gw.https()).await).await;
    let mut half = Connection::open(gw.https()).await;
    // The first bytes of a ClientHello.
    half.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .await;
    is_cut(half).await;
    let silent = gw.tls(&TlsOptions::lenient(), "a.test").await.http1();
    is_cut(silent).await;
}

#[tokio::test]
async fn heads_that_drip_are_cut() {
    let (gw, up) = start().await;
    let mut connection = gw.connect().await;
    connection.send("GET / HTTP/1.1\r\nHost: a.test\r\n").await;
    drips(&mut connection, "X: 1\r\n").await;
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (gw, _up) = start().await;
    let mut connection = gw.connect().await;
    assert_eq!(connection.ask(&get("/").host("a.test")).await.status, 200);
    assert!(connection.rest().await.is_empty());
}

#[tokio::test]
async fn bodies_that_stall_or_drip_are_cut() {
    let (gw, up) = start().await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nhello";
    let mut stalled = gw.connect().await;
    stalled.send(head).await;
    is_cut(stalled).await;
    let mut dripping = gw.connect().await;
    dripping.send(head).await;
    drips(&mut dripping, "x").await;
    assert_eq!(up.complete(), 0);
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut() {
    let (gw, _up) = start().await;
    let mut connection = gw.connect().await;
    connection.send(get("/big").host("a.test").bytes()).await;
    assert_eq!(connection.head("GET").await.expect("a head").status, 200);
    // Only time can tell: what was cut meanwhile is found when reading on.
    harness::pause(Duration::from_secs(5)).await;
    let rest = connection.rest().await;
    assert!(rest.len() < 64 << 20, "the whole body came");
}

#[tokio::test]
async fn http2_without_a_preface_or_with_half_of_it_is_cut() {
    let (gw, _up) = start().await;
    let silent = gw
        .tls(&TlsOptions::lenient().alpn(&["h2"]), "a.test")
        .await
        .http1();
    is_cut(silent).await;
    let mut half = gw.connect().await;
    half.send("PRI * HTTP/2.0\r\n\r\n").await;
    is_cut(half).await;
}

#[tokio::test]
async fn http2_without_streams_is_closed_pings_or_not() {
    let (gw, _up) = start().await;
    let mut idle = gw.frames().await;
    while idle.next().await.is_some() {}

    let mut pinging = gw.frames().await;
    pinging.send(&Frame::get(1, "a.test", "/")).await;
    let started = Instant::now();
    loop {
        pinging.send(&Frame::of(Kind::Ping, 0, 0, [0; 8])).await;
        let gone = async { while pinging.next().await.is_some() {} };
        if tokio::time::timeout(TICK, gone).await.is_ok() {
            return;
        }
        assert!(started.elapsed() < harness::DEADLINE, "not cut");
    }
}

/// Reads until the stream or the connection ends with an error.
async fn ends(frames: &mut harness::Frames, what: &str) {
    while let Some(frame) = frames.next().await {
        if frame.kind == Kind::Reset as u8 || frame.kind == Kind::GoAway as u8 {
            return;
        }
        let answered = frame.kind == Kind::Headers as u8;
        assert!(!answered || what == "a window of 0", "{what} was answered");
        // An answer of the gateway itself ends the stream as well.
    }
}

#[tokio::test]
async fn http2_heads_that_never_end_are_cut() {
    let (gw, up) = start().await;
    let mut frames = gw.frames().await;
    frames
        .send(&Frame::of(Kind::Headers, 1, 1, &harness::block(&OK)[..20]))
        .await;
    ends(&mut frames, "half a head").await;
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn http2_bodies_that_stall_are_cut() {
    let (gw, up) = start().await;
    let mut frames = gw.frames().await;
    frames.send(&Frame::headers(1, &OK, false)).await;
    frames.send(&Frame::data(1, "hello", false)).await;
    let verdict = frames.verdict(1).await;
    assert!(
        !matches!(verdict, harness::Verdict::Status(200)),
        "{verdict:?}"
    );
    assert_eq!(up.complete(), 0);
}

#[tokio::test]
async fn http2_readers_that_stall_are_cut() {
    let (gw, _up) = start().await;
    let mut frames = gw.frames().await;
    // INITIAL_WINDOW_SIZE of 0.
    frames
        .send(&Frame::of(Kind::Settings, 0, 0, [0, 4, 0, 0, 0, 0]))
        .await;
    frames.send(&Frame::get(1, "a.test", "/big")).await;
    ends(&mut frames, "a window of 0").await;
}

#[tokio::test]
async fn stalled_peers_do_not_disturb_others() {
    let (gw, _up) = start().await;
    let mut stalled = Vec::new();
    for number in 0..60 {
        let mut connection = gw.connect().await;
        match number % 3 {
            0 => {}
            1 => connection.send("GET / HTTP/1.1\r\nHost: a").await,
            _ => {
                connection
                    .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nx")
                    .await;
            }
        }
        stalled.push(connection);
    }
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(gw.get("a.test", "/").await.status, 200);
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{:?}",
            started.elapsed()
        );
    }
    for connection in stalled {
        is_cut(connection).await;
    }
}

/// An idle connection gives back what its parser held, and takes it again with the next request.
#[tokio::test]
async fn idle_connections_hold_at_most_12_kib_each_and_serve_again() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let ask = get("/").host("a.test");
    let mut connections = Vec::new();
    let mut open = async |count: usize| {
        while connections.len() < count {
            let mut connection = gw.connect().await;
            assert_eq!(connection.ask(&ask).await.status, 200);
            connections.push(connection);
        }
    };
    // What the process itself grows to comes first.
    open(200).await;
    let before = gw.resident();
    open(1200).await;
    until(
        "1,000 idle connections hold at most 12 KiB each",
        async || gw.resident().saturating_sub(before) <= 1000 * 12 * 1024,
    )
    .await;
    for connection in &mut connections {
        assert_eq!(connection.ask(&ask).await.status, 200);
    }
}
