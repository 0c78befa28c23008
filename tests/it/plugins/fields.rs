//! What filters may set: nothing that breaks a message, and nothing that is the gateway's own.

use harness::{Payload, Reply, Upstream, get, plugin, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{DROP, Kit, VERDICT},
    web,
};
use crate::guests::{Guest, NEXT, NEXT_RESPONSE};

/// A field, and the number of the error that setting it ends with.
type Case = (&'static str, &'static [u8], char);

const NAME: char = '0';
const VALUE: char = '1';
const FORBIDDEN: char = '2';
const FINE: char = '-';

const BAD: [Case; 34] = [
    ("evil\r\nx-evil", b"1", NAME),
    ("evil\0", b"1", NAME),
    ("evil ", b"1", NAME),
    ("evil:", b"1", NAME),
    ("", b"1", NAME),
    ("\u{e9}vil", b"1", NAME),
    ("x-evil", b"1\r\nx-evil: 2", VALUE),
    ("x-evil", b"1\n\n", VALUE),
    ("x-evil", b"1\r", VALUE),
    ("x-evil", b"\0", VALUE),
    ("x-evil", b"\x7f", VALUE),
    ("x-evil", b"\x1b[0m", VALUE),
    (":path", b"/evil", FORBIDDEN),
    (":status", b"200", FORBIDDEN),
    (":authority", b"evil", FORBIDDEN),
    ("Host", b"evil", FORBIDDEN),
    ("Content-Length", b"0", FORBIDDEN),
    ("TRANSFER-ENCODING", b"chunked", FORBIDDEN),
    ("connection", b"close, x-evil", FORBIDDEN),
    ("keep-alive", b"timeout=1", FORBIDDEN),
    ("proxy-connection", b"close", FORBIDDEN),
    ("proxy-authorization", b"evil", FORBIDDEN),
    ("te", b"trailers", FORBIDDEN),
    ("trailer", b"x-evil", FORBIDDEN),
    ("upgrade", b"h2c", FORBIDDEN),
    ("http2-settings", b"", FORBIDDEN),
    ("x-forwarded-for", b"192.0.2.1", FORBIDDEN),
    ("x-forwarded-proto", b"https", FORBIDDEN),
    ("x-forwarded-evil", b"1", FORBIDDEN),
    ("forwarded", b"for=192.0.2.1", FORBIDDEN),
    ("x-real-ip", b"192.0.2.1", FORBIDDEN),
    ("x-request-id", b"evil", FORBIDDEN),
    ("traceparent", b"evil", FORBIDDEN),
    ("x-fine", b"\t a \xff\xe9 b ", FINE),
];

fn expected() -> String {
    BAD.iter().map(|(_, _, error)| error).collect()
}

/// Sets and adds every one of them to the request or the response.
fn setter(kit: &mut Kit, of: &str) -> String {
    ["set", "add"]
        .map(|how| {
            let steps = BAD.map(|(name, value, _)| kit.change((of, how), name, value));
            kit.tried(of, &format!("x-outcome-{how}"), &steps)
        })
        .concat()
}

/// The fields that a backend saw and a client got, without those that they always have.
fn unexpected(fields: &[(String, String)]) -> Vec<&(String, String)> {
    let evil = |text: &str| text.to_ascii_lowercase().contains("evil");
    fields
        .iter()
        .filter(|(name, value)| evil(name) || evil(value) || value.contains("192.0.2.1"))
        .collect()
}

fn content(_: &harness::Seen) -> Reply {
    Reply::text("content")
}

#[tokio::test]
async fn nothing_that_breaks_a_request_reaches_the_backend() {
    for http2 in [false, true] {
        let up: Upstream = match http2 {
            false => upstream().start().await,
            true => upstream().http2().start().await,
        };
        let mut kit = Kit::default();
        let steps = setter(&mut kit, "request");
        let code = kit.build(Guest::on_request(&(steps + NEXT)));
        let mut object = web("setter", &[]);
        if http2 {
            object = object.annotation("portcullis.dev/backend-protocol", "H2C");
        }
        let gw = beside(&up, object)
            .plugin(plugin("setter", &code))
            .start()
            .await;
        let saw = gw.get("a.test", "/path").await.saw();
        for how in ["x-outcome-set", "x-outcome-add"] {
            assert_eq!(saw.header(how), Some(&*expected()), "{how}");
        }
        assert_eq!(saw.all("x-fine"), ["a \u{ff}\u{e9} b", "a \u{ff}\u{e9} b"]);
        assert_eq!(saw.target, "/path");
        assert!(unexpected(&saw.fields).is_empty(), "{:?}", saw.fields);
        assert_eq!(saw.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(up.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn nothing_that_breaks_a_response_reaches_the_client() {
    let up = upstream().answer(content).start().await;
    let mut kit = Kit::default();
    let steps = setter(&mut kit, "response");
    let code = kit.build(Guest {
        on_request: None,
        on_response: Some(steps + NEXT_RESPONSE),
        ..Guest::default()
    });
    let gw = beside(&up, web("setter", &[]))
        .plugin(plugin("setter", &code))
        .start()
        .await;
    let mut connection = gw.connect().await;
    for _ in 0..2 {
        let answer = connection.ask(&get("/").host("a.test")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "content"));
        assert_eq!(answer.header("x-outcome-set"), Some(&*expected()));
        assert_eq!(answer.header("x-outcome-add"), Some(&*expected()));
        assert_eq!(answer.header("content-length"), Some("7"));
        assert!(unexpected(&answer.fields).is_empty(), "{:?}", answer.fields);
    }
    let answer = gw.http2().await.get("a.test", "/").await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, &b"content"[..])
    );
    assert!(unexpected(&answer.fields).is_empty(), "{:?}", answer.fields);
}

#[tokio::test]
async fn an_answer_with_such_a_field_is_none() {
    let up = upstream().start().await;
    // Each is a filter of its own: five failures would open a breaker.
    let cases: Vec<_> = BAD
        .iter()
        .filter(|(name, value, error)| *error != FINE && name.is_ascii() && value.is_ascii())
        .collect();
    let object = cases
        .iter()
        .enumerate()
        .fold(harness::gateway(), |builder, (index, _)| {
            builder.manifest(
                harness::ingress(&format!("i{index}"))
                    .host(&format!("h{index}.test"))
                    .path("/", "svc", 80)
                    .annotation("portcullis.dev/filters", &format!("p{index}")),
            )
        });
    let gw = cases.iter().enumerate().fold(
        object.service("svc", 80, &[&up]),
        |builder, (index, (name, value, _))| {
            let value = std::str::from_utf8(value).expect("text");
            let mut kit = Kit::default();
            let answer = kit.answer(1, 200, &[(name, value)], "body");
            let code = kit.build(Guest::on_request(&format!("{answer} {DROP} {VERDICT}")));
            builder.plugin(plugin(&format!("p{index}"), &code))
        },
    );
    let gw = gw.start().await;
    for (index, case) in cases.iter().enumerate() {
        let answer = gw.get(&format!("h{index}.test"), "/").await;
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some("plugin-trap")),
            "{case:?}"
        );
        assert!(unexpected(&answer.fields).is_empty(), "{:?}", answer.fields);
    }
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn too_much_and_too_many_are_refused_and_the_gateway_does_not_grow() {
    let up = upstream()
        .answer(|seen| match seen.header("x-outcome") {
            Some(_) => Reply::echo(),
            None => Reply::of(500, Payload::Nothing),
        })
        .start()
        .await;
    let mut kit = Kit::default();
    let put = kit.method("request.set-header", 6);
    let add = kit.method("request.add-header", 6);
    let name = kit.text("x-large");
    let at = "(i32.const 131072)";
    let with = |size: u32| {
        format!(
            "(memory.fill {at} (i32.const 97) (i32.const 1100000)) (call {put} (local.get $req) {name} {at} (i32.const {size}) (i32.const 600))"
        )
    };
    let steps = [
        with(20_000),
        // More than 32 KiB in all.
        with(20_000),
        // A name of 64 KiB.
        format!("(call {put} (local.get $req) {at} (i32.const 65536) {name} (i32.const 600))"),
        // A field more than 64, each of a few bytes.
        format!(
            "(local.set $config (i32.const 70)) (loop
            (call {add} (local.get $req) {name} {name} (i32.const 600))
            (local.set $config (i32.sub (local.get $config) (i32.const 1)))
            (br_if 0 (i32.and (local.get $config) (i32.eqz (i32.load8_u (i32.const 600))))))"
        ),
    ];
    let first = kit.tried("request", "x-outcome", &steps[..3]);
    let code = kit.build(Guest {
        pages: 20,
        ..Guest::on_request(&(first + NEXT))
    });
    let mut kit = Kit::default();
    let add = kit.method("request.add-header", 6);
    let name = kit.text("x-many");
    let many = format!(
        "(local.set $config (i32.const 10000)) (loop
            (call {add} (local.get $req) {name} {name} (i32.const 600))
            (local.set $config (i32.sub (local.get $config) (i32.const 1)))
            (br_if 0 (i32.eqz (i32.load8_u (i32.const 600)))))"
    );
    // The digit stands where the value is read from.
    let digit = format!(
        "(i32.store8 (i32.const 620) (i32.add (i32.const 48) (i32.load8_u (i32.const 601)))) (call {add} (local.get $req) {name} {name} (i32.const 600))"
    );
    let answer = kit.answer(1, 418, &[], "");
    let many_code = kit.build(Guest::on_request(&format!(
        "{many} {digit} {answer} {DROP} (i32.store (i32.const 656) (i32.const 620)) (i32.store (i32.const 660) (i32.const 1)) {VERDICT}"
    )));
    let gw = beside(&up, web("large", &[]))
        .manifest(
            harness::ingress("many")
                .host("c.test")
                .path("/", "svc", 80)
                .annotation("portcullis.dev/filters", "many"),
        )
        .plugin(plugin("large", &code).with("limits", json!({"time": "500ms", "memory": "4Mi"})))
        .plugin(plugin("many", &many_code).with("limits", json!({"time": "500ms"})))
        .start()
        .await;
    let saw = gw.get("a.test", "/").await.saw();
    assert_eq!(saw.header("x-outcome"), Some("-33"));
    assert_eq!(saw.header("x-large").map(str::len), Some(20_000));
    let before = gw.resident();
    for _ in 0..20 {
        let answer = gw.get("c.test", "/").await;
        assert_eq!((answer.status, answer.text().as_str()), (418, "4"));
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
    assert!(
        gw.resident() < before + (16 << 20),
        "{before} {}",
        gw.resident()
    );
}
