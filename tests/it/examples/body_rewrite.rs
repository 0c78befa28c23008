//! Bodies that are rewritten while they stream.

use std::sync::Mutex;

use harness::{Gateway, Payload, PluginBuilder, Reply, Upstream, get, upstream, within};
use serde_json::json;

use super::through;

fn plugin() -> PluginBuilder {
    harness::plugin("body-rewrite", super::body_rewrite())
}

/// A gateway that writes `https://new` for `http://old`.
async fn in_front_of(up: &Upstream) -> Gateway {
    let config = json!({"replace": [{"find": "http://old", "with": "https://new"}]});
    let gateway = through(plugin(), "body-rewrite", &config, up);
    gateway.start().await
}

fn html(payload: Payload) -> Reply {
    Reply::of(200, payload).header("Content-Type", "text/html; charset=utf-8")
}

/// A backend that sends this text, cut after every so many bytes.
async fn sending(text: &'static str, size: usize) -> Upstream {
    let pieces = move || text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
    let reply = move || html(Payload::Chunked(pieces(), Vec::new()));
    upstream().answer(move |_| reply()).start().await
}

const PAGE: &str = "<a href=http://old/1>http://old</a> http://ol http://http://old/";
const REWRITTEN: &str = "<a href=https://new/1>https://new</a> http://ol http://https://new/";

#[tokio::test]
async fn what_is_found_is_replaced_wherever_the_chunks_end() {
    for size in [1, 2, 3, 7, 16, PAGE.len()] {
        let up = sending(PAGE, size).await;
        let gw = in_front_of(&up).await;
        let answer = gw.get("a.test", "/").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, REWRITTEN),
            "{size}"
        );
        let mut http2 = gw.http2().await;
        let answer = http2.get("a.test", "/").await;
        assert_eq!(answer.body, REWRITTEN.as_bytes(), "{size} over HTTP/2");
    }
}

#[tokio::test]
async fn a_body_of_known_length_may_become_longer() {
    let up = upstream()
        .answer(|_| html(Payload::Sized(PAGE.into())).header("ETag", "\"old\""))
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let mut connection = gw.connect().await;
    for _ in 0..2 {
        let answer = connection.ask(&get("/").host("a.test")).await;
        assert_eq!(answer.text(), REWRITTEN);
        // It is that of the other body.
        assert_eq!(answer.header("etag"), None);
    }
    let answer = gw.http2().await.get("a.test", "/").await;
    assert_eq!((answer.error, answer.body), (None, REWRITTEN.into()));
}

#[tokio::test]
async fn a_large_body_is_rewritten_throughout() {
    let page: Vec<u8> = PAGE.bytes().cycle().take(PAGE.len() * 30_000).collect();
    let up = upstream()
        .answer(move |_| html(Payload::Sized(page.clone())))
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.body, REWRITTEN.repeat(30_000).as_bytes());
}

#[tokio::test]
async fn a_piece_goes_on_before_the_next_has_come() {
    let (reply, pieces) = Reply::stream(None);
    let reply = Mutex::new(Some(reply.header("Content-Type", "text/plain")));
    let up = upstream()
        .answer(move |_| {
            let mut reply = reply.lock().expect("no other test");
            reply.take().expect("one request")
        })
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let mut connection = gw.connect().await;
    connection.send(get("/").host("a.test").bytes()).await;
    let head = connection.head("GET").await.expect("a head");
    assert_eq!(head.status, 200);
    let send = |text: &str| pieces.send(text.into()).expect("a backend that sends");
    send("first http://old, then http:");
    let mut sent = Vec::new();
    while sent.len() < "first https://new, then ".len() {
        let chunk = connection.chunk().await.expect("a chunk");
        sent.extend(chunk.expect("more to come"));
    }
    // What may be the beginning of something waits for the next piece.
    assert_eq!(sent, b"first https://new, then ");
    send("//old");
    drop(pieces);
    let mut rest = Vec::new();
    while let Some(chunk) = connection.chunk().await.expect("a chunk") {
        rest.extend(chunk);
    }
    assert_eq!(rest, b"https://new");
}

#[tokio::test]
async fn what_is_compressed_or_no_text_passes_untouched() {
    let up = upstream()
        .answer(|seen| {
            let reply = Reply::of(200, Payload::Sized(PAGE.into())).header("ETag", "\"same\"");
            match seen.target.as_str() {
                "/gzip" => reply
                    .header("Content-Type", "text/html")
                    .header("Content-Encoding", "gzip"),
                "/image" => reply.header("Content-Type", "image/png"),
                _ => reply,
            }
        })
        .start()
        .await;
    let gw = in_front_of(&up).await;
    for path in ["/gzip", "/image", "/untyped"] {
        let answer = gw.get("a.test", path).await;
        assert_eq!(answer.text(), PAGE, "{path}");
        assert_eq!(answer.header("etag"), Some("\"same\""), "{path}");
    }
}

#[tokio::test]
async fn backends_are_asked_for_whole_bodies_without_compression() {
    let up = upstream().start().await;
    let gw = in_front_of(&up).await;
    let request = get("/")
        .host("a.test")
        .header("Accept-Encoding", "gzip, br")
        .header("Range", "bytes=0-9")
        .header("If-Range", "\"e\"");
    let seen = gw.send(&request).await.saw();
    for name in ["accept-encoding", "range", "if-range"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_made_whole() {
    let up = upstream()
        .bytes("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nhttp://old and")
        .start()
        .await;
    let gw = in_front_of(&up).await;
    let mut connection = gw.connect().await;
    let request = get("/").host("a.test");
    let answer = within("an answer or none", connection.try_ask(&request)).await;
    assert!(answer.is_err(), "{answer:?}");
}
