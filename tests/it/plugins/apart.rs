//! What keeps plugins apart from each other, and odd requests from them.

use harness::{get, ingress, plugin, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{DROP, Kit, VERDICT},
    web,
};
use crate::guests::{Guest, NEXT};

#[tokio::test]
async fn odd_requests_never_trap_a_filter() {
    let up = upstream().start().await;
    let mut kit = Kit::default();
    let cookie = kit.method("request.cookie", 4);
    let query = kit.method("request.query", 4);
    let header = kit.method("request.header", 4);
    let (one, two) = (kit.text("a"), kit.text("x-odd"));
    let mut steps = String::new();
    for (function, name, field) in [
        (cookie, &one, "x-cookie"),
        (query, &one, "x-query"),
        (header, &two, "x-header"),
    ] {
        steps += &format!(
            "(call {function} (local.get $req) {name} (i32.const 604)) (if (i32.load8_u (i32.const 604)) (then "
        );
        steps += &kit.put(
            ("request", "set"),
            field,
            "(i32.load (i32.const 608)) (i32.load (i32.const 612))",
        );
        steps += "))";
    }
    let code = kit.build(Guest::on_request(&(steps + NEXT)));
    let gw = beside(&up, web("odd", &[]))
        .plugin(plugin("odd", &code))
        .start()
        .await;
    let cases: [(&str, &str, [Option<&str>; 3]); 7] = [
        ("/?a=1", "a=1", [Some("1"), Some("1"), Some("a=1")]),
        ("/", "=;;a", [None, None, Some("=;;a")]),
        (
            "/?a&&a=2",
            "a=1; a=2",
            [Some("1"), Some(""), Some("a=1; a=2")],
        ),
        (
            "/?%61=%zz",
            "b=\u{ff}; a=\u{e9}",
            [None, None, Some("b=\u{ff}; a=\u{e9}")],
        ),
        ("/?=&=&a", ";;;;", [None, Some(""), Some(";;;;")]),
        ("/?a=%f0%9f", "a", [None, None, Some("a")]),
        (
            "/?????a=1",
            "a=\"1\"",
            [Some("\"1\""), None, Some("a=\"1\"")],
        ),
    ];
    for (target, text, [cookie, _, header]) in cases {
        let asked = get(target)
            .host("a.test")
            .header("Cookie", text)
            .header("X-Odd", text);
        let saw = gw.send(&asked).await.saw();
        assert_eq!(saw.header("x-cookie"), cookie, "{target} {text}");
        assert_eq!(saw.header("x-header"), header, "{target} {text}");
        assert_eq!(saw.header("cookie"), Some(text), "it passes as it came");
    }
    assert_eq!(
        gw.metric("portcullis_plugin_instances_failed_total{plugin=\"default/odd\"}")
            .await,
        0.0
    );
}

#[tokio::test]
async fn a_request_goes_only_where_the_grant_and_the_namespace_allow() {
    let up = upstream().name("own").start().await;
    let other = upstream().name("other").start().await;
    let mut kit = Kit::default();
    let reroute = kit.method("request.reroute", 4);
    let names = [
        "other:80",
        "secret:80",
        "other:81",
        "gone:80",
        "other",
        "",
        "theirs/x:80",
        "http://x/",
    ];
    let steps = names.map(|name| {
        let name = kit.text(name);
        format!("(call {reroute} (local.get $req) {name} (i32.const 600))")
    });
    let steps = kit.tried("request", "x-outcome", &steps);
    let code = kit.build(Guest::on_request(&(steps + NEXT)));
    for (grant, outcome, backend) in [
        (json!({}), "00000000", "own"),
        (
            json!({"backends": ["other:80", "gone:80"]}),
            "-00100",
            "other",
        ),
        (json!({"backends": ["*"]}), "--1111", "secret"),
    ] {
        let gw = beside(&up, web("route", &[]))
            .service("other", 80, &[&other])
            .service("secret", 80, &[&other])
            .plugin(plugin("route", &code).with("grants", grant))
            .start()
            .await;
        let saw = gw.get("a.test", "/").await.saw();
        assert!(
            saw.header("x-outcome")
                .is_some_and(|got| got.starts_with(outcome)),
            "{:?}",
            saw.header("x-outcome")
        );
        let expected = if backend == "own" { "own" } else { "other" };
        assert_eq!(saw.backend, expected);
    }
}

#[tokio::test]
async fn values_and_metrics_of_one_plugin_are_not_those_of_another() {
    let up = upstream().start().await;
    let mut kit = Kit::default();
    let get_ = kit.import("key-value", "get", (3, ""));
    let put = kit.import("key-value", "set", (7, ""));
    let counter = kit.import("metrics", "counter", (4, "(result i32)"));
    let (key, mine) = (kit.text("key"), kit.text("kept"));
    let name = kit.text("seen");
    let found = kit.put(
        ("request", "set"),
        "x-found",
        "(i32.load (i32.const 608)) (i32.load (i32.const 612))",
    );
    let steps = format!(
        "(call {get_} {key} (i32.const 604)) (if (i32.load8_u (i32.const 604)) (then {found}))
        (call {put} {key} {mine} (i32.const 0) (i32.const 0) (i32.const 2048))
        (drop (call {counter} {name} (i32.const 0) (i32.const 0)))"
    );
    let code = kit.build(Guest {
        world: "import portcullis:filter/key-value@0.1.0; import portcullis:filter/metrics@0.1.0;",
        ..Guest::on_request(&(steps + NEXT))
    });
    let grants = json!({"keyValue": {"maxBytes": "64Ki"}, "metrics": true});
    let gw = beside(&up, web("one", &[]))
        .manifest(
            ingress("two")
                .host("two.test")
                .path("/", "svc", 80)
                .annotation("portcullis.dev/filters", "two"),
        )
        .plugin(plugin("one", &code).with("grants", grants.clone()))
        .plugin(plugin("two", &code).with("grants", grants))
        .start()
        .await;
    let found = async |host: &str| {
        gw.get(host, "/")
            .await
            .saw()
            .header("x-found")
            .map(str::to_owned)
    };
    assert_eq!(found("a.test").await, None);
    assert_eq!(found("a.test").await.as_deref(), Some("kept"));
    assert_eq!(
        found("two.test").await,
        None,
        "the other plugin has values of its own"
    );
    let text = gw.admin_get("/metrics").await.text();
    for name in ["one", "two"] {
        assert!(
            text.contains(&format!("plugin_seen_total{{plugin=\"default/{name}\"}}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_no_answer() {
    let up = upstream().start().await;
    let mut kit = Kit::default();
    let answer = kit.answer(1, 200, &[], "");
    let large = |size: u32| {
        format!(
            "{answer} (i32.store (i32.const 656) (i32.const 131072)) (i32.store (i32.const 660) (i32.const {size})) {DROP} {VERDICT}"
        )
    };
    let build = |size: u32| {
        Guest {
            pages: 40,
            ..Guest::on_request(&large(size))
        }
        .build()
    };
    let gw = beside(&up, web("fits", &[]))
        .manifest(
            ingress("large")
                .host("large.test")
                .path("/", "svc", 80)
                .annotation("portcullis.dev/filters", "large"),
        )
        .plugin(plugin("fits", &build(1 << 20)).with("limits", json!({"time": "500ms"})))
        .plugin(plugin("large", &build((1 << 20) + 1)).with("limits", json!({"time": "500ms"})))
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.body.len()), (200, 1 << 20));
    let answer = gw.get("large.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (503, Some("plugin-trap")));
}
