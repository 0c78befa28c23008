//! HTTP/2 and TLS backends that break the protocol.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use harness::{
    Broken, Frame, Gateway, Kind, Upstream, Wire, flag, gateway, get, ingress, upstream,
};
use tokio::net::TcpStream;

/// What a backend sends once it has seen a request, and what becomes of it.
type Case = (&'static str, fn() -> Vec<u8>, Outcome);

#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// No answer of the backend's.
    Refused,
    /// An answer that ends too early.
    Cut,
}

fn reset(code: u32) -> Vec<u8> {
    Frame::of(Kind::Reset, 0, 1, code.to_be_bytes()).bytes()
}

fn head(fields: &[(&str, &str)], end: bool) -> Vec<u8> {
    Frame::headers(1, fields, end).bytes()
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("HTTP/1.1", || b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(), Outcome::Refused),
    ("an internal error", || reset(2), Outcome::Refused),
    ("a refused stream", || reset(7), Outcome::Refused),
    ("HTTP/1.1 required", || reset(13), Outcome::Refused),
    ("GOAWAY", || Frame::of(Kind::GoAway, 0, 0, [0, 0, 0, 0, 0, 0, 0, 2]).bytes(), Outcome::Refused),
    ("no status", || head(&[("x", "1")], true), Outcome::Refused),
    ("a status of letters", || head(&[(":status", "abc")], true), Outcome::Refused),
    ("a status of two digits", || head(&[(":status", "20")], true), Outcome::Refused),
    ("two statuses", || head(&[(":status", "200"), (":status", "204")], true), Outcome::Refused),
    ("upper case in a name", || head(&[(":status", "200"), ("X-Bad", "1")], true), Outcome::Refused),
    ("a quote in a name", || head(&[(":status", "200"), ("x\"y", "1")], true), Outcome::Refused),
    ("a line end in a value", || head(&[(":status", "200"), ("x", "1\r\ny: 2")], true), Outcome::Refused),
    ("a field of HTTP/1.1", || head(&[(":status", "200"), ("connection", "close")], true), Outcome::Refused),
    ("a coding", || head(&[(":status", "200"), ("transfer-encoding", "chunked")], true), Outcome::Refused),
    ("a broken field block", || Frame::of(Kind::Headers, flag::END_HEADERS, 1, [0xff, 0xff]).bytes(), Outcome::Refused),
    ("a body without a head", || Frame::data(1, "x", true).bytes(), Outcome::Refused),
    ("an answer to nobody", || Frame::headers(7, &[(":status", "200")], true).bytes(), Outcome::Refused),
    ("a huge frame", || Frame::of(Kind::Headers, flag::END_HEADERS, 1, vec![0; 1 << 20]).bytes(), Outcome::Refused),
    ("a switch of protocols", || head(&[(":status", "101")], true), Outcome::Refused),
    ("a length and no body", || head(&[(":status", "200"), ("content-length", "5")], true), Outcome::Cut),
    ("half of a length", || [head(&[(":status", "200"), ("content-length", "9")], false), Frame::data(1, "half", true).bytes()].concat(), Outcome::Cut),
    ("more than a length", || [head(&[(":status", "200"), ("content-length", "2")], false), Frame::data(1, "more", true).bytes()].concat(), Outcome::Cut),
    ("a reset within the body", || [head(&[(":status", "200")], false), Frame::data(1, "half", false).bytes(), reset(2)].concat(), Outcome::Cut),
];

/// Answers the first request of each connection with these bytes, then waits for its end.
async fn playing(bytes: Vec<u8>) -> Upstream {
    let up = upstream().raw(move |stream, _| {
        let bytes = bytes.clone();
        async move {
            let mut wire = Wire::over(stream);
            let _preface = wire.exactly(24).await;
            let _sent = wire
                .write(&Frame::of(Kind::Settings, 0, 0, []).bytes())
                .await;
            while let Ok(frame) = wire.exactly(9).await {
                let length = usize::from(frame[1]) << 8 | usize::from(frame[2]);
                let _payload = wire.exactly(length).await;
                if frame[3] == Kind::Headers as u8 {
                    let _sent = wire.write(&bytes).await;
                }
            }
        }
    });
    up.start().await
}

async fn speaking(protocol: &str, up: &Upstream) -> Gateway {
    gateway()
        .manifest(
            ingress("web")
                .annotation("portcullis.dev/backend-protocol", protocol)
                .host("a.test")
                .path("/", "svc", 80),
        )
        .service("svc", 80, &[up])
        .flag("--response-timeout", "1s")
        .start()
        .await
}

#[tokio::test]
async fn broken_http2_of_a_backend_is_502_or_looks_cut() {
    let mut wrong = Vec::new();
    for (what, bytes, outcome) in CASES {
        let up = playing(bytes()).await;
        let gw = speaking("H2C", &up).await;
        let answer = gw.connect().await.try_ask(&get("/").host("a.test")).await;
        let fine = match (outcome, &answer) {
            (_, Ok(answer)) => matches!(answer.status, 502 | 504) && answer.reason().is_some(),
            (Outcome::Cut, Err(Broken::Truncated | Broken::Closed)) => true,
            (_, Err(_)) => false,
        };
        if !fine {
            wrong.push(format!("{what}: {answer:?}"));
        }
        let answer = gw.http2().await.get("a.test", "/").await;
        let fine = matches!(answer.status, 502 | 504) || answer.error.is_some();
        if !fine {
            wrong.push(format!("{what} over HTTP/2: {answer:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "of {}:\n{}",
        CASES.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn a_backend_without_tls_where_tls_is_asked_for_is_502() {
    let up = upstream().start().await;
    let gw = speaking("HTTPS", &up).await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (502, Some("connect")));
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn a_backend_that_never_shakes_hands_is_502() {
    let up = upstream().raw(|stream, _| async move {
        let mut wire = Wire::over(stream);
        while wire.some().await.is_ok_and(|piece| !piece.is_empty()) {}
    });
    let up = up.start().await;
    let gw = gateway()
        .manifest(
            ingress("web")
                .annotation("portcullis.dev/backend-protocol", "HTTPS")
                .annotation("portcullis.dev/connect-timeout", "500ms")
                .host("a.test")
                .path("/", "svc", 80),
        )
        .service("svc", 80, &[&up])
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (502, Some("connect")));
}

#[tokio::test]
async fn a_connection_that_goes_away_takes_no_stream_with_it() {
    // Each connection serves one request and says GOAWAY after it.
    let ok = Frame::headers(1, &[(":status", "204")], true).bytes();
    let goaway = Frame::of(Kind::GoAway, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0]).bytes();
    let up = playing([ok, goaway].concat()).await;
    let gw = speaking("H2C", &up).await;
    for _ in 0..10 {
        assert_eq!(gw.get("a.test", "/").await.status, 204);
    }
}

/// Resets each stream with this code, and counts them.
async fn resets(stream: TcpStream, code: u32, seen: Arc<AtomicUsize>) {
    let mut connection = h2::server::handshake(stream).await.expect("a client");
    while let Some(Ok((_, mut answer))) = connection.accept().await {
        seen.fetch_add(1, Relaxed);
        answer.send_reset(h2::Reason::from(code));
    }
}

/// A backend that resets its streams lives on: nothing but the number of tries ends that.
#[tokio::test]
async fn a_backend_that_resets_every_stream_sees_no_more_than_the_tries() {
    for code in [2, 7] {
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        let up = upstream().raw(move |stream, _| resets(stream, code, Arc::clone(&counted)));
        let up = up.start().await;
        let gw = speaking("H2C", &up).await;
        for round in 1..=3 {
            let answer = gw.get("a.test", "/").await;
            assert_eq!(answer.status, 502, "{:?}", answer.reason());
            assert!(
                seen.load(Relaxed) <= 3 * round,
                "{} in {round}",
                seen.load(Relaxed)
            );
        }
        assert!(gw.metric("portcullis_upstream_retries_total").await >= 1.0);
    }
}
