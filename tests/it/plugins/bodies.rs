//! Whole bodies before filters: within their limit, beyond it, and with the right framing.

use harness::{
    Framing, Gateway, GatewayBuilder, Payload, Reply, Request, Upstream, get, plugin, post,
    request, upstream,
};
use serde_json::json;

use super::{
    beside,
    parts::{DROP, DROP_BOTH, KEEP, Kit, VERDICT, when},
    web,
};
use crate::guests::Guest;

/// A verdict that puts these bytes of the body in its place.
const SHORTER: &str =
    "(i32.store8 (i32.const 640) (i32.const 1)) (i32.store (i32.const 644) (local.get $body))
    (i32.store (i32.const 648) (i32.sub (local.get $size) (i32.const 2)))";
/// The same with nothing.
const NOTHING: &str =
    "(i32.store8 (i32.const 640) (i32.const 1)) (i32.store (i32.const 644) (i32.const 0))
    (i32.store (i32.const 648) (i32.const 0))";

/// A filter of one kind of body. It does as `{"do": N}` says: 1 takes off the last two bytes, 2
/// answers 422, 3 traps, 4 leaves nothing.
fn bodied(of: &str) -> Vec<u8> {
    let mut kit = Kit::default();
    let (change, drop) = if of == "request" {
        (kit.change(("request", "set"), "x-bodied", "1"), DROP)
    } else {
        (kit.change(("response", "set"), "x-bodied", "1"), DROP_BOTH)
    };
    let answer = kit.answer(2, 422, &[("x-by", "the filter")], "no such body");
    let given = |steps: &str| format!("{steps} {drop} (return {VERDICT})");
    let body = [
        // What was sent already cannot have it.
        if of == "request" {
            String::new()
        } else {
            change
        },
        when(1, &given(SHORTER)),
        when(2, &given(&answer)),
        when(3, "unreachable"),
        when(4, &given(NOTHING)),
        format!("{drop} (i32.const 16)"),
    ]
    .concat();
    let mut guest = Guest {
        on_request: None,
        configure: KEEP.to_owned(),
        ..Guest::default()
    };
    match of {
        "request" => guest.on_request_body = Some(body),
        _ => guest.on_response_body = Some(body),
    }
    kit.build(guest)
}

/// In front of a backend; bodies of at most 16 bytes are shown.
fn showing(up: &Upstream, of: &str, mode: u8, on_error: &str) -> GatewayBuilder {
    let config = format!("{{\"do\": {mode}}}");
    let plugin = plugin("bodied", &bodied(of))
        .with("limits", json!({"body": 16}))
        .with("onError", json!(on_error));
    beside(up, web("bodied", &[("bodied", &config)])).plugin(plugin)
}

/// Twenty bytes in two chunks, or as many as given.
fn chunked(chunks: &[&str]) -> Request {
    let chunks: String = chunks
        .iter()
        .map(|c| format!("{:x}\r\n{c}\r\n", c.len()))
        .collect();
    let mut wanted = request("POST", "/")
        .host("a.test")
        .header("Transfer-Encoding", "chunked");
    wanted = wanted.body(format!("{chunks}0\r\n\r\n"));
    wanted
}

/// What the backend got: how long it was said to be, and the bytes.
fn received(up: &Upstream) -> (Option<String>, Vec<u8>) {
    let seen = up.seen().pop().expect("a request");
    assert_eq!(
        seen.all("transfer-encoding").len() + seen.all("content-length").len(),
        1
    );
    (seen.header("content-length").map(str::to_owned), seen.body)
}

#[tokio::test]
async fn a_replaced_request_body_has_its_own_length() {
    let up = upstream().start().await;
    let gw = showing(&up, "request", 1, "closed").start().await;
    let short = (Some("5".to_owned()), b"a bod".to_vec());
    let mut connection = gw.connect().await;
    for wanted in [
        post("/", "a body!").host("a.test"),
        chunked(&["a b", "ody!"]),
    ] {
        assert_eq!(connection.ask(&wanted).await.status, 200);
        assert_eq!(received(&up), short);
    }
    let answer = gw
        .http2()
        .await
        .ask(&[], "POST", "http://a.test/", Some(b"a body!"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(received(&up), short);
    assert_eq!(up.violations(), [""; 0]);
}

#[tokio::test]
async fn a_request_body_passes_or_is_answered_or_closes() {
    let up = upstream().start().await;
    for (mode, on_error, status, reason) in [
        (0, "closed", 200, None),
        (2, "closed", 422, None),
        (3, "closed", 503, Some("plugin-trap")),
        (3, "open", 200, None),
    ] {
        up.forget();
        let gw = showing(&up, "request", mode, on_error).start().await;
        let mut connection = gw.connect().await;
        let answer = connection.ask(&post("/", "a body!").host("a.test")).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{mode}");
        if status == 200 {
            assert_eq!(received(&up), (Some("7".to_owned()), b"a body!".to_vec()));
        } else {
            assert!(up.seen().is_empty(), "{:?}", up.seen());
        }
        // The body was read: the connection goes on.
        assert_eq!(connection.ask(&get("/").host("b.test")).await.status, 200);
    }
}

#[tokio::test]
async fn a_request_body_beyond_the_limit_is_413_or_passes_unseen() {
    let up = upstream().start().await;
    let large = "0123456789abcdefg";
    let requests = || {
        [
            post("/", large).host("a.test"),
            chunked(&["0123456789", "abcdefg"]),
        ]
    };
    let closed = showing(&up, "request", 1, "closed").start().await;
    for wanted in requests() {
        let answer = closed.send(&wanted).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (413, Some("body-too-large"))
        );
    }
    let answer = closed
        .http2()
        .await
        .ask(&[], "POST", "http://a.test/", Some(large.as_bytes()))
        .await;
    assert_eq!(
        (answer.status, answer.reason()),
        (413, Some("body-too-large"))
    );
    assert!(up.seen().is_empty(), "{:?}", up.seen());

    let open = showing(&up, "request", 1, "open").start().await;
    for wanted in requests() {
        assert_eq!(open.send(&wanted).await.status, 200);
        let seen = up.seen().pop().expect("a request");
        assert_eq!(seen.body, large.as_bytes());
    }
    // One byte less is seen.
    assert_eq!(
        open.send(&post("/", &large.as_bytes()[1..]).host("a.test"))
            .await
            .status,
        200
    );
    assert_eq!(received(&up).1, &large.as_bytes()[1..15]);
    assert_eq!(up.violations(), [""; 0]);
}

/// Sends the head, and the body only when it is asked for; the statuses that came.
async fn expecting(gw: &Gateway, body: &str, length: &str) -> (Vec<u16>, u16) {
    let head = request("POST", "/")
        .host("a.test")
        .header("Expect", "100-continue")
        .header("Content-Length", length);
    let mut connection = gw.connect().await;
    connection.send(head.bytes()).await;
    let first = connection.some().await;
    let text = String::from_utf8_lossy(&first).into_owned();
    let status = |text: &str| text.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    if !text.starts_with("HTTP/1.1 100") {
        return (Vec::new(), status(&text));
    }
    connection.send(body).await;
    let answer = connection.answer("POST").await.expect("an answer");
    (vec![100], answer.status)
}

#[tokio::test]
async fn a_client_that_waits_is_asked_for_a_body_only_where_it_may_send_it() {
    let up = upstream().start().await;
    let gw = showing(&up, "request", 1, "closed").start().await;
    assert_eq!(expecting(&gw, "a body!", "7").await, (vec![100], 200));
    assert_eq!(received(&up).1, b"a bod");
    assert_eq!(expecting(&gw, "", "17").await, (vec![], 413));
}

#[tokio::test]
async fn requests_without_a_body_are_shown_as_empty() {
    let up = upstream().start().await;
    let gw = showing(&up, "request", 4, "closed").start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.saw().header("content-length"), None);
    assert_eq!(
        gw.send(&post("/", "body").host("a.test"))
            .await
            .saw()
            .length,
        0
    );
    assert_eq!(up.violations(), [""; 0]);
}

/// Answers by the path.
async fn answering() -> Upstream {
    let answer = |seen: &harness::Seen| match seen.target.as_str() {
        "/chunked" => Reply::of(
            200,
            Payload::Chunked(vec![b"a b".to_vec(), b"ody!".to_vec()], vec![]),
        ),
        "/large" => Reply::text("0123456789abcdefg"),
        "/large-chunked" => {
            let chunks = vec![b"0123456789".to_vec(), b"abcdefg".to_vec()];
            Reply::of(200, Payload::Chunked(chunks, vec![]))
        }
        "/none" => Reply::of(204, Payload::Nothing),
        "/cut" => Reply::of(
            200,
            Payload::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut".to_vec()),
        ),
        _ => Reply::text("a body!"),
    };
    upstream().answer(answer).start().await
}

#[tokio::test]
async fn a_replaced_response_body_has_its_own_length() {
    let up = answering().await;
    let gw = showing(&up, "response", 1, "closed").start().await;
    let mut connection = gw.connect().await;
    for path in ["/", "/chunked"] {
        let answer = connection.ask(&get(path).host("a.test")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "a bod"));
        assert_eq!(answer.framing, Framing::Length(5));
        assert_eq!(answer.header("x-bodied"), Some("1"));
        let answer = gw.http2().await.get("a.test", path).await;
        assert_eq!(
            (answer.body.as_slice(), answer.header("content-length")),
            (&b"a bod"[..], Some("5"))
        );
    }
    let head = connection.ask(&request("HEAD", "/").host("a.test")).await;
    assert_eq!((head.status, head.header("content-length")), (200, None));
    let none = connection.ask(&get("/none").host("a.test")).await;
    assert_eq!((none.status, none.header("content-length")), (204, None));
    assert_eq!(
        connection.ask(&get("/").host("b.test")).await.text(),
        "a body!"
    );
}

#[tokio::test]
async fn a_response_body_passes_or_is_answered_or_closes() {
    let up = answering().await;
    for (mode, on_error, status, text, reason) in [
        (0, "closed", 200, "a body!", None),
        (2, "closed", 422, "no such body", None),
        (3, "closed", 503, "", Some("plugin-trap")),
        (3, "open", 200, "a body!", None),
        (4, "closed", 200, "", None),
    ] {
        let gw = showing(&up, "response", mode, on_error).start().await;
        let mut connection = gw.connect().await;
        for path in ["/", "/chunked"] {
            let answer = connection.ask(&get(path).host("a.test")).await;
            assert_eq!((answer.status, answer.reason()), (status, reason), "{mode}");
            assert!(
                reason.is_some() || answer.text() == text,
                "{mode}: {}",
                answer.text()
            );
        }
        assert_eq!(connection.ask(&get("/").host("b.test")).await.status, 200);
    }
}

#[tokio::test]
async fn a_response_body_beyond_the_limit_is_502_or_passes_unseen() {
    let up = answering().await;
    for (on_error, status, text) in [("closed", 502, ""), ("open", 200, "0123456789abcdefg")] {
        let gw = showing(&up, "response", 1, on_error).start().await;
        for path in ["/large", "/large-chunked"] {
            let answer = gw.get("a.test", path).await;
            assert_eq!(answer.status, status, "{path}");
            let over_h2 = gw.http2().await.get("a.test", path).await;
            assert_eq!(over_h2.status, status, "{path}");
            if status == 200 {
                assert_eq!(
                    (answer.text().as_str(), over_h2.body.as_slice()),
                    (text, text.as_bytes())
                );
                assert_eq!(answer.header("x-bodied"), None);
            } else {
                assert_eq!(answer.reason(), Some("bad-response"));
            }
        }
        assert_eq!(gw.get("a.test", "/").await.text(), "a bod");
    }
}

#[tokio::test]
async fn a_response_body_that_breaks_off_is_never_shown_as_whole() {
    let up = answering().await;
    let gw = showing(&up, "response", 1, "closed").start().await;
    let answer = gw.get("a.test", "/cut").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (502, Some("bad-response"))
    );
}
