//! What is beside bad input: clean chains, documents that were good before, other plugins.

use harness::{Object, ingress, plugin, portcullis, upstream};
use serde_json::json;

use super::{
    beside,
    parts::{Kit, doing, stamp},
    web,
};
use crate::guests::{Guest, NEXT};

#[tokio::test]
async fn a_clean_chain_is_clean_for_check_and_a_gateway() {
    let up = upstream().start().await;
    let mut kit = Kit::default();
    let set = kit.change(("request", "set"), "x-fine", "1");
    let code = kit.build(Guest {
        schema: r#"{"type":"object"}"#,
        ..Guest::on_request(&(set + NEXT))
    });
    let gw = beside(&up, web("x=fine", &[("x", "a: 1\nb: [2]\n")]))
        .plugin(plugin("fine", &code).with("config", json!({"c": 3})))
        .start()
        .await;
    assert_eq!(
        gw.get("a.test", "/").await.saw().header("x-fine"),
        Some("1")
    );
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
    let outcome = portcullis(&["check", &gw.folder().display().to_string()]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(!outcome.stdout.contains("fine"), "{}", outcome.stdout);
}

#[tokio::test]
async fn a_document_that_is_refused_leaves_what_it_was() {
    let up = upstream().start().await;
    let gw = beside(&up, web("stamp", &[]))
        .plugin(plugin("stamp", &stamp("1")))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    for (field, value, at) in [
        ("onError", json!("perhaps"), "spec.onError"),
        ("isolation", json!("none"), "spec.isolation"),
        ("limits", json!({"time": "soon"}), "spec.limits.time"),
        ("limits", json!({"memory": "much"}), "spec.limits.memory"),
        ("limits", json!({"body": "2Mi"}), "spec.limits.body"),
        ("sha256", json!("1234"), "spec.sha256"),
        (
            "grants",
            json!({"backends": ["svc"]}),
            "spec.grants.backends[0]",
        ),
        (
            "allowedNamespaces",
            json!(["No Such"]),
            "spec.allowedNamespaces[0]",
        ),
        ("source", json!({}), "spec.source"),
        (
            "source",
            json!({"url": "https://x.test/x.wasm"}),
            "spec.sha256",
        ),
    ] {
        gw.apply_plugin(plugin("stamp", &stamp("1")).with(field, value));
        let problem = gw.until_problem(&["\"Plugin\"", at]).await;
        assert_eq!(
            (&problem["severity"], &problem["field"]),
            (&json!("error"), &json!(at))
        );
        let answer = gw.get("a.test", "/").await;
        assert_eq!(answer.saw().header("x-version"), Some("1"), "{at}");
        let outcome = portcullis(&["check", &gw.folder().display().to_string()]).await;
        assert_eq!(outcome.code, 1);
        assert!(outcome.stdout.contains(at), "{}", outcome.stdout);
    }
}

#[tokio::test]
async fn a_hundred_broken_plugins_leave_the_others_alone() {
    let up = upstream().start().await;
    let mut builder = beside(&up, web("good", &[])).plugin(plugin("good", &stamp("1")));
    let trap = doing("unreachable");
    for number in 0..100 {
        let name = format!("p{number}");
        let code: &[u8] = match number % 3 {
            0 => b"nonsense",
            1 => &trap[..trap.len() / 2 + number],
            _ => &trap,
        };
        let object: Object = ingress(&name)
            .host(&format!("{name}.test"))
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", &name)
            .into();
        builder = builder.manifest(object).plugin(plugin(&name, code));
    }
    let gw = builder.start().await;
    for number in 0..100 {
        let answer = gw.get(&format!("p{number}.test"), "/").await;
        let word = if number % 3 == 2 {
            "plugin-trap"
        } else {
            "plugin-load"
        };
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some(word)),
            "{number}"
        );
    }
    assert_eq!(
        gw.get("a.test", "/").await.saw().header("x-version"),
        Some("1")
    );
    assert_eq!(gw.get("b.test", "/").await.status, 200);
    let plugins = gw.plugins().await;
    let states = |state: &str| {
        plugins
            .iter()
            .filter(|plugin| plugin["state"] == state)
            .count()
    };
    assert_eq!((states("failed"), states("ready")), (67, 34));
}
