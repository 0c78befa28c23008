//! WebSocket and other upgrades: bytes both ways after 101, and not before.

use harness::{
    Connection, Gateway, Http2, Payload, Reply, Request, Stream, TlsOptions, Upstream, get,
    upstream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn handshake() -> Request {
    get("/chat")
        .host("a.test")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

async fn parrot() -> (Gateway, Upstream) {
    let answer = |_: &harness::Seen| {
        Reply::upgrade("websocket").header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    };
    let up = upstream().answer(answer).start().await;
    (crate::in_front_of(&up).start().await, up)
}

/// Sends bytes and expects them back.
async fn echoes(stream: &mut (impl Stream + ?Sized), bytes: &[u8]) {
    let mut back = vec![0; bytes.len()];
    let exchange = async {
        stream.write_all(bytes).await.expect("an open tunnel");
        stream.flush().await.expect("an open tunnel");
        stream.read_exact(&mut back).await.expect("an echo");
    };
    harness::within("an echo", exchange).await;
    assert!(back == bytes, "the echo differs");
}

#[tokio::test]
async fn a_websocket_passes_bytes_both_ways() {
    let (gw, up) = parrot().await;
    for over_tls in [false, true] {
        let mut connection = match over_tls {
            false => gw.connect().await,
            true => gw
                .tls(&TlsOptions::lenient().alpn(&["http/1.1"]), "a.test")
                .await
                .http1(),
        };
        let answer = connection.ask(&handshake()).await;
        assert_eq!(
            (answer.status, answer.header("upgrade")),
            (101, Some("websocket"))
        );
        assert_eq!(
            answer.header("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        assert!(
            answer
                .header("connection")
                .is_some_and(|c| c.eq_ignore_ascii_case("upgrade"))
        );
        let mut stream = connection.into_stream();
        for size in [1, 5, 100, 30_000] {
            echoes(&mut *stream, &vec![7; size]).await;
        }
    }
    let saw = &up.seen()[0];
    assert_eq!(
        (saw.header("upgrade"), saw.header("sec-websocket-version")),
        (Some("websocket"), Some("13"))
    );
    assert!(
        saw.header("connection")
            .is_some_and(|c| c.to_lowercase().contains("upgrade"))
    );
}

#[tokio::test]
async fn the_end_of_a_tunnel_reaches_the_other_side() {
    let (gw, _up) = parrot().await;
    let mut connection = gw.connect().await;
    assert_eq!(connection.ask(&handshake()).await.status, 101);
    let mut stream = connection.into_stream();
    echoes(&mut *stream, b"last words").await;
    stream.shutdown().await.expect("an open tunnel");
    let mut rest = Vec::new();
    harness::within("the end", stream.read_to_end(&mut rest))
        .await
        .expect("a clean end");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn other_protocols_upgrade_too() {
    let up = upstream()
        .answer(|_| Reply::upgrade("my-protocol/2"))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let asked = get("/")
        .host("a.test")
        .header("Connection", "upgrade")
        .header("Upgrade", "my-protocol/2");
    let answer = connection.ask(&asked).await;
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (101, Some("my-protocol/2"))
    );
    echoes(&mut *connection.into_stream(), b"hello").await;
}

/// HTTP behind an upgrade would be requests that no route has decided on.
#[tokio::test]
async fn only_what_is_a_protocol_and_not_http_is_asked_for() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    for (wish, passed) in [
        ("websocket, h2c", Some("websocket")),
        ("H2C,my/1 , HTTP/2.0, other", Some("my/1, other")),
        ("h2c,", None),
        ("", None),
        ("a b", None),
        ("a/b/c", None),
        (",", None),
        ("\u{e9}", None),
    ] {
        let asked = get("/").host("a.test").header("Connection", "Upgrade");
        let saw = gw.send(&asked.header("Upgrade", wish)).await.saw();
        assert_eq!(saw.header("upgrade"), passed, "{wish:?}");
    }
}

#[tokio::test]
async fn a_switch_to_http_or_to_nothing_is_a_bad_response() {
    for given in ["h2c", ""] {
        let up = upstream()
            .answer(move |_| Reply::upgrade(given))
            .start()
            .await;
        let gw = crate::in_front_of(&up).start().await;
        for wish in ["websocket, h2c", "h2c", ""] {
            let asked = get("/").host("a.test").header("Connection", "Upgrade");
            let answer = gw.send(&asked.header("Upgrade", wish)).await;
            assert_eq!(answer.status, 502, "{given:?} to {wish:?}");
        }
        assert_eq!(gw.metric("portcullis_tunnels_open").await, 0.0);
    }
}

#[tokio::test]
async fn bytes_after_an_upgrade_that_is_refused_are_the_next_request() {
    let up = upstream()
        .answer(|seen| Reply::of(400, Payload::Sized(seen.target.clone().into_bytes())))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    connection
        .send([handshake().bytes(), get("/next").host("b.test").bytes()].concat())
        .await;
    let refused = connection.answer("GET").await.expect("an answer");
    assert_eq!((refused.status, refused.text().as_str()), (400, "/chat"));
    // If the connection goes on, the second request was routed by its own host: to nobody.
    if let Ok(next) = connection.answer("GET").await {
        assert_eq!((next.status, next.reason()), (404, Some("no-route")));
    }
    assert_eq!(up.seen().len(), 1, "{:?}", up.seen());
    assert!(up.violations().is_empty(), "{:?}", up.violations());
}

/// The answer to a request before it on the connection is not the answer to the upgrade.
#[tokio::test]
async fn bytes_behind_a_pipelined_upgrade_wait_for_its_own_answer() {
    let up = upstream()
        .answer(|seen| match seen.target.as_str() {
            "/chat" => Reply::upgrade("websocket"),
            _ => Reply::of(200, Payload::Sized(b"first".to_vec())),
        })
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut connection = gw.connect().await;
    let behind = b"\rno request\n";
    let first = get("/first").host("a.test").bytes();
    connection
        .send([first, handshake().bytes(), behind.to_vec()].concat())
        .await;
    let answer = connection.answer("GET").await.expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "first"));
    assert_eq!(connection.answer("GET").await.expect("one").status, 101);
    let mut back = vec![0; behind.len()];
    let mut stream = connection.into_stream();
    harness::within("an echo", stream.read_exact(&mut back))
        .await
        .expect("an echo");
    assert!(back == behind, "{}", back.escape_ascii());
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_bad_response() {
    let up = upstream()
        .answer(|_| Reply::upgrade("websocket"))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (502, Some("bad-response"))
    );
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_framed() {
    let (gw, up) = parrot().await;
    let mut connection = gw.connect().await;
    let head = handshake().header("Content-Length", "5");
    connection
        .send([head.bytes(), b"hello".to_vec()].concat())
        .await;
    let answer = connection.answer("GET").await;
    // RFC 9110 section 7.8 lets the backend read the body first; refusing is fine as well.
    if let Ok(answer) = answer {
        assert!(
            matches!(answer.status, 101 | 400 | 200),
            "{}",
            answer.status
        );
    }
    assert!(up.violations().is_empty(), "{:?}", up.violations());
}

async fn tunnel(client: &mut Http2) {
    let (status, mut tunnel) = client.websocket("a.test", "/chat").await;
    assert_eq!(status, 200);
    for size in [1, 500, 30_000] {
        tunnel.send(&vec![9; size]).await;
        assert!(tunnel.exactly(size).await == vec![9; size]);
    }
    tunnel.finish();
    assert!(tunnel.some().await.is_empty());
}

#[tokio::test]
async fn a_websocket_over_http2_reaches_an_http1_backend() {
    let (gw, up) = parrot().await;
    let mut plain = gw.http2().await;
    // The setting that allows it comes with the server's first frame.
    assert_eq!(plain.get("b.test", "/").await.status, 404);
    assert!(plain.allows_tunnels());
    tunnel(&mut plain).await;
    let saw = up.only();
    assert_eq!(
        (
            saw.method.as_str(),
            saw.target.as_str(),
            saw.version.as_str()
        ),
        ("GET", "/chat", "HTTP/1.1")
    );
    assert_eq!(
        (saw.header("upgrade"), saw.header("host")),
        (Some("websocket"), Some("a.test"))
    );
    assert!(
        saw.header("sec-websocket-key")
            .is_some_and(|key| key.len() == 24),
        "{:?}",
        saw.fields
    );

    let mut secure = gw.http2_tls("a.test").await;
    assert_eq!(secure.get("b.test", "/").await.status, 404);
    tunnel(&mut secure).await;
}

#[tokio::test]
async fn two_tunnels_share_a_connection_without_mixing() {
    let (gw, _up) = parrot().await;
    let mut client = gw.http2().await;
    assert_eq!(client.get("b.test", "/").await.status, 404);
    let (_, mut one) = client.websocket("a.test", "/1").await;
    let (_, mut two) = client.websocket("a.test", "/2").await;
    one.send(b"one").await;
    two.send(b"two").await;
    assert_eq!(
        (two.exactly(3).await, one.exactly(3).await),
        (b"two".to_vec(), b"one".to_vec())
    );
}

#[tokio::test]
async fn a_plain_request_after_a_tunnel_needs_another_connection() {
    let (gw, up) = parrot().await;
    let mut connection: Connection = gw.connect().await;
    assert_eq!(connection.ask(&handshake()).await.status, 101);
    // What looks like a request is the tunnel's payload now.
    let bytes = get("/x").host("a.test").bytes();
    echoes(&mut *connection.into_stream(), &bytes).await;
    assert_eq!(up.seen().len(), 1);
}

#[tokio::test]
async fn a_websocket_that_is_refused_over_http2_is_refused() {
    let up = upstream()
        .answer(|_| Reply::of(403, Payload::Sized(b"no".to_vec())))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut client = gw.http2().await;
    assert_eq!(client.get("b.test", "/").await.status, 404);
    let (status, _tunnel) = client.websocket("a.test", "/chat").await;
    assert_eq!(status, 403);
    let (lost, _tunnel) = client.websocket("b.test", "/chat").await;
    assert_eq!(lost, 404);
}

#[tokio::test]
async fn a_switch_to_something_else_is_a_bad_response() {
    let cases: [&[u8]; 3] = [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    ];
    for bytes in cases {
        let up = upstream().bytes(bytes).start().await;
        let gw = crate::in_front_of(&up).start().await;
        let mut connection = gw.connect().await;
        let answer = connection.ask(&handshake()).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (502, Some("bad-response")),
            "{bytes:?}"
        );
    }
}
