//! Bodies of responses, piece by piece: what a filter drops, replaces and breaks off.

use harness::{Connection, Framing, Gateway, Reply, Upstream, get, plugin, upstream};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    beside,
    parts::{DROP_BOTH, KEEP, Kit, VERDICT, when},
    web,
};
use crate::guests::Guest;

/// Does as `{"do": N}` says: 1 takes the last byte off each piece, 2 drops all pieces with the second,
/// 3 breaks off with the third, 4 traps with the third, 5 drops every piece.
fn pieces() -> Vec<u8> {
    let third = |mode: u8, steps: &str| {
        when(
            mode,
            &format!("(if (i32.ge_u (i32.load (i32.const 6300)) (i32.const 3)) (then {steps}))"),
        )
    };
    let case = |number: u8| format!("(i32.store8 (i32.const 640) (i32.const {number}))");
    let body = [
        "(i32.store (i32.const 6300) (i32.add (i32.load (i32.const 6300)) (i32.const 1)))"
            .to_owned(),
        case(0),
        when(
            1,
            &format!(
                "(if (local.get $size) (then {} (i32.store (i32.const 644) (local.get $body))
            (i32.store (i32.const 648) (i32.sub (local.get $size) (i32.const 1)))))",
                case(1)
            ),
        ),
        when(
            2,
            &format!(
                "(if (i32.eq (i32.load (i32.const 6300)) (i32.const 2)) (then {}))",
                case(2)
            ),
        ),
        third(3, &case(3)),
        third(4, "unreachable"),
        when(5, &case(2)),
        // The next response begins anew.
        "(if (local.get $last) (then (i32.store (i32.const 6300) (i32.const 0))))".to_owned(),
        format!("{DROP_BOTH} {VERDICT}"),
    ];
    Kit::default().build(Guest {
        on_request: None,
        on_chunk: Some(body.concat()),
        configure: KEEP.to_owned(),
        ..Guest::default()
    })
}

struct Streaming {
    gw: Gateway,
    _up: Upstream,
    senders: Arc<Mutex<Vec<UnboundedSender<Vec<u8>>>>>,
}

/// A gateway in front of a backend that sends what the test sends.
async fn streaming(mode: u8, on_error: &str) -> Streaming {
    let senders: Arc<Mutex<Vec<_>>> = Arc::default();
    let slot = senders.clone();
    let up = upstream()
        .answer(move |seen| {
            let length = (seen.target == "/sized").then_some(9);
            let (reply, sender) = Reply::stream(length);
            slot.lock().expect("a slot").push(sender);
            reply
        })
        .start()
        .await;
    let config = format!("{{\"do\": {mode}}}");
    let gw = beside(&up, web("pieces", &[("pieces", &config)]))
        .plugin(plugin("pieces", &pieces()).with("onError", json!(on_error)))
        .start()
        .await;
    Streaming {
        gw,
        _up: up,
        senders,
    }
}

impl Streaming {
    /// Begins a download: its connection, after the head, and what feeds it.
    async fn begin(&self, path: &str) -> (Connection, UnboundedSender<Vec<u8>>) {
        let mut connection = self.gw.connect().await;
        connection.send(get(path).host("a.test").bytes()).await;
        let head = connection.head("GET").await.expect("a head");
        assert_eq!((head.status, head.framing), (200, Framing::Chunked));
        let sender = self
            .senders
            .lock()
            .expect("a slot")
            .pop()
            .expect("a request");
        (connection, sender)
    }
}

fn send(sender: &UnboundedSender<Vec<u8>>, piece: &str) {
    sender.send(piece.into()).expect("an open download");
}

async fn next(connection: &mut Connection) -> Option<String> {
    let chunk = connection.chunk().await.expect("a chunk");
    chunk.map(|chunk| String::from_utf8(chunk).expect("text"))
}

#[tokio::test]
async fn pieces_are_replaced_as_they_come() {
    let streaming = streaming(1, "closed").await;
    for path in ["/", "/sized"] {
        let (mut connection, sender) = streaming.begin(path).await;
        for (piece, shorter) in [("one", "on"), ("two", "tw"), ("six", "si")] {
            send(&sender, piece);
            assert_eq!(next(&mut connection).await.as_deref(), Some(shorter));
        }
        drop(sender);
        assert_eq!(next(&mut connection).await, None);
        connection
            .exactly(2)
            .await
            .expect("the end of the trailers");
        // Complete: the connection goes on.
        connection
            .send(get("/none").host("nowhere.test").bytes())
            .await;
        assert_eq!(
            connection.answer("GET").await.expect("an answer").status,
            404
        );
    }
}

#[tokio::test]
async fn a_dropped_piece_is_not_there_and_the_rest_is() {
    let streaming = streaming(2, "closed").await;
    let (mut connection, sender) = streaming.begin("/").await;
    send(&sender, "one");
    assert_eq!(next(&mut connection).await.as_deref(), Some("one"));
    send(&sender, "two");
    send(&sender, "six");
    let rest = next(&mut connection).await.expect("a piece");
    // Two pieces that arrive together are one.
    assert!(rest == "six" || rest.is_empty(), "{rest}");
    drop(sender);
    assert_eq!(next(&mut connection).await, None);
}

#[tokio::test]
async fn a_body_of_which_nothing_is_left_ends_well() {
    let streaming = streaming(5, "closed").await;
    let (mut connection, sender) = streaming.begin("/").await;
    send(&sender, "one");
    send(&sender, "two");
    drop(sender);
    assert_eq!(next(&mut connection).await, None);
    connection
        .exactly(2)
        .await
        .expect("the end of the trailers");
}

/// Sends pieces until the client has got two and the third is on its way.
async fn broken_off(streaming: &Streaming, path: &str) {
    let (mut connection, sender) = streaming.begin(path).await;
    for piece in ["one", "two"] {
        send(&sender, piece);
        assert_eq!(next(&mut connection).await.as_deref(), Some(piece));
    }
    send(&sender, "six");
    let end = connection.chunk().await;
    assert!(end.is_err(), "no chunk ends it, but {end:?}");

    let mut http2 = streaming.gw.http2().await;
    let asked = http::Request::get(format!("http://a.test{path}"))
        .body(())
        .expect("a request");
    let (_tunnel, response) = http2.begin(asked, true).await;
    let response = harness::within("a head", response).await.expect("a head");
    assert_eq!(response.status(), 200);
    let sender = streaming
        .senders
        .lock()
        .expect("a slot")
        .pop()
        .expect("a request");
    let mut body = response.into_body();
    for piece in ["one", "two"] {
        send(&sender, piece);
        let got = harness::within("a piece", body.data())
            .await
            .expect("a piece")
            .expect("a piece");
        assert_eq!(&got[..], piece.as_bytes());
    }
    send(&sender, "six");
    let end = harness::within("the end", body.data())
        .await
        .expect("an error");
    let error = end.expect_err("the stream is reset");
    assert!(error.is_reset(), "{error}");
    // Only that stream: the connection goes on.
    assert_eq!(http2.get("nowhere.test", "/").await.status, 404);
}

#[tokio::test]
async fn a_body_that_a_filter_breaks_off_is_never_taken_for_whole() {
    let streaming = streaming(3, "closed").await;
    broken_off(&streaming, "/").await;
    broken_off(&streaming, "/sized").await;
}

#[tokio::test]
async fn a_trap_in_the_third_piece_breaks_the_body_off() {
    let streaming = streaming(4, "closed").await;
    broken_off(&streaming, "/").await;
    let failures = "portcullis_filter_failures_total{namespace=\"default\",ingress=\"web\",filter=\"pieces\",reason=\"plugin-trap\"}";
    assert!(streaming.gw.metric(failures).await >= 2.0);
    harness::until("the instances of the streams are gone", async || {
        streaming
            .gw
            .metric("portcullis_plugin_instances{plugin=\"default/pieces\"}")
            .await
            == 0.0
    })
    .await;
}

#[tokio::test]
async fn with_on_error_open_the_rest_passes_unseen() {
    let streaming = streaming(4, "open").await;
    let (mut connection, sender) = streaming.begin("/").await;
    for piece in ["one", "two", "six", "ten"] {
        send(&sender, piece);
        assert_eq!(next(&mut connection).await.as_deref(), Some(piece));
    }
    drop(sender);
    assert_eq!(next(&mut connection).await, None);
}

#[tokio::test]
async fn an_instance_ends_with_the_client_that_leaves() {
    let streaming = streaming(0, "closed").await;
    let gauge = "portcullis_plugin_instances{plugin=\"default/pieces\"}";
    let mut open = Vec::new();
    for _ in 0..5 {
        let (mut connection, sender) = streaming.begin("/").await;
        send(&sender, "one");
        assert_eq!(next(&mut connection).await.as_deref(), Some("one"));
        open.push((connection, sender));
    }
    assert!(streaming.gw.metric(gauge).await >= 5.0);
    let senders: Vec<_> = open.into_iter().map(|(_, sender)| sender).collect();
    harness::until("the instances are gone", async || {
        // The gateway notices when it writes.
        for sender in &senders {
            let _gone = sender.send(b"more".to_vec());
        }
        streaming.gw.metric(gauge).await == 0.0
    })
    .await;
}

#[tokio::test]
async fn one_plugin_never_takes_all_instances_for_bodies() {
    let streaming = streaming(0, "closed").await;
    let mut open = Vec::new();
    for _ in 0..256 {
        let (mut connection, sender) = streaming.begin("/").await;
        send(&sender, "one");
        assert_eq!(next(&mut connection).await.as_deref(), Some("one"));
        open.push((connection, sender));
    }
    let (mut late, sender) = streaming.begin("/").await;
    send(&sender, "one");
    assert!(late.chunk().await.is_err(), "it is cut, never whole");
    let (first, sender) = open.first_mut().expect("a download");
    send(sender, "two");
    assert_eq!(next(first).await.as_deref(), Some("two"));
    // One that ends makes room for another.
    let (mut ended, sender) = open.pop().expect("a download");
    drop(sender);
    assert_eq!(next(&mut ended).await, None);
    let (mut another, sender) = streaming.begin("/").await;
    send(&sender, "one");
    assert_eq!(next(&mut another).await.as_deref(), Some("one"));
}
