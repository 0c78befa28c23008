//! What hooks see of a request, the paths that they set, and what a response hook cannot do.

use harness::{Reply, get, plugin, upstream};

use super::{
    beside,
    parts::{DROP_BOTH, Kit, VERDICT},
    web,
};
use crate::guests::{Guest, NEXT, NEXT_RESPONSE};

#[tokio::test]
async fn cookies_of_a_response_are_only_added() {
    let up = upstream()
        .answer(|_| Reply::text("x").header("Set-Cookie", "own=1"))
        .start()
        .await;
    let mut kit = Kit::default();
    let steps =
        ["set", "remove", "add"].map(|how| kit.change(("response", how), "Set-Cookie", "theirs=1"));
    let steps = kit.tried("response", "x-outcome", &steps);
    let code = kit.build(Guest {
        on_request: None,
        on_response: Some(steps + NEXT_RESPONSE),
        ..Guest::default()
    });
    let gw = beside(&up, web("setter", &[]))
        .plugin(plugin("setter", &code))
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.header("x-outcome"), Some("22-"));
    assert_eq!(answer.all("set-cookie"), ["own=1", "theirs=1"]);
}

/// What `set-path` makes of it: the target at the backend, or nothing.
const PATHS: [(&str, Option<&str>); 16] = [
    ("/x", Some("/x")),
    ("/x?a=b&c", Some("/x?a=b&c")),
    ("/%7ex/%2f?%7e", Some("/~x/%2f?%7e")),
    ("/a//b", Some("/a//b")),
    ("/?", Some("/?")),
    ("/\u{fc}", None),
    ("x", None),
    ("", None),
    ("//evil.test/x", None),
    ("/../x", None),
    ("/a/%2e%2E/x", None),
    ("/a/.", None),
    ("/a b", None),
    ("/a#b", None),
    ("/a\r\nx-evil: 1", None),
    ("http://evil.test/", None),
];

#[tokio::test]
async fn a_path_is_set_only_in_the_normal_form() {
    let up = upstream().start().await;
    let gw = PATHS.iter().enumerate().fold(
        harness::gateway().service("svc", 80, &[&up]),
        |builder, (index, (path, _))| {
            let mut kit = Kit::default();
            let (set, text) = (kit.method("request.set-path", 4), kit.text(path));
            let step = format!("(call {set} (local.get $req) {text} (i32.const 600))");
            let steps = kit.tried("request", "x-outcome", &[step]);
            let code = kit.build(Guest::on_request(&(steps + NEXT)));
            let name = format!("p{index}");
            let object = harness::ingress(&name)
                .host(&format!("h{index}.test"))
                .path("/", "svc", 80)
                .annotation("portcullis.dev/filters", &name);
            builder.manifest(object).plugin(plugin(&name, &code))
        },
    );
    let gw = gw.start().await;
    for (index, (path, expected)) in PATHS.iter().enumerate() {
        let saw = gw.get(&format!("h{index}.test"), "/old?q").await.saw();
        let outcome = if expected.is_some() { "-" } else { "0" };
        assert_eq!(saw.header("x-outcome"), Some(outcome), "{path:?}");
        assert_eq!(saw.target, expected.unwrap_or("/old?q"), "{path:?}");
        assert!(
            !saw.fields.iter().any(|(name, _)| name.contains("evil")),
            "{:?}",
            saw.fields
        );
    }
    assert_eq!(up.violations(), [""; 0]);
}

#[tokio::test]
async fn filters_see_the_normal_path_and_who_asks() {
    let up = upstream().start().await;
    let mut kit = Kit::default();
    let path = kit.method("request.path", 2);
    let header = kit.method("request.header", 4);
    let mut steps = format!("(call {path} (local.get $req) (i32.const 604))");
    let read = "(i32.load (i32.const 604)) (i32.load (i32.const 608))";
    steps += &kit.put(("request", "set"), "x-saw-path", read);
    for name in [
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    ] {
        let text = kit.text(name);
        steps += &format!("(call {header} (local.get $req) {text} (i32.const 604))");
        let read = "(i32.load (i32.const 608)) (i32.load (i32.const 612))";
        steps += &kit.put(("request", "set"), name.replacen("x-", "x-saw-", 1), read);
    }
    let code = kit.build(Guest::on_request(&(steps + NEXT)));
    let gw = beside(&up, web("eyes", &[]))
        .plugin(plugin("eyes", &code))
        .start()
        .await;
    let asked = get("/a/./b/x/../%7Ec/%2f?q=%7e")
        .host("a.test")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "evil.test")
        .header("X-Request-ID", "theirs");
    let saw = gw.send(&asked).await.saw();
    assert_eq!(saw.target, "/a/b/~c/%2f?q=%7e");
    assert_eq!(saw.header("x-saw-path"), Some(&*saw.target));
    for name in [
        "request-id",
        "forwarded-for",
        "forwarded-proto",
        "forwarded-host",
    ] {
        let (own, seen) = (
            saw.header(&format!("x-{name}")),
            saw.header(&format!("x-saw-{name}")),
        );
        assert!(own.is_some() && own == seen, "{name}: {own:?} {seen:?}");
    }
    assert_eq!(saw.header("x-saw-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(saw.header("x-saw-forwarded-proto"), Some("http"));
    assert_ne!(saw.header("x-saw-request-id"), Some("theirs"));
}

#[tokio::test]
async fn a_response_hook_reads_the_request_and_changes_nothing_of_it() {
    let up = upstream().answer(|_| Reply::text("content")).start().await;
    let mut kit = Kit::default();
    let (set, text) = (kit.method("request.set-path", 4), kit.text("/x"));
    let steps = [
        kit.change(("request", "set"), "x-evil", "1"),
        format!("(call {set} (local.get $req) {text} (i32.const 600))"),
    ];
    let steps = kit.tried("response", "x-outcome", &steps);
    let answer = kit.answer(1, 201, &[("x-y", "z")], "mine");
    let code = kit.build(Guest {
        on_request: None,
        on_response: Some(format!("{steps} {answer} {DROP_BOTH} {VERDICT}")),
        ..Guest::default()
    });
    let mut kit = Kit::default();
    let noted = kit.change(("response", "set"), "x-first", "1");
    let only = kit.build(Guest {
        on_request: None,
        on_response: Some(noted + NEXT_RESPONSE),
        ..Guest::default()
    });
    let gw = beside(&up, web("first, second", &[]))
        .plugin(plugin("first", &only))
        .plugin(plugin("second", &code))
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.text().as_str()), (201, "mine"));
    assert_eq!(answer.header("x-first"), Some("1"));
    assert_eq!(
        answer.header("x-outcome"),
        None,
        "it went with the response"
    );
}
