//! Plugin documents: who may use which, what they are granted, and how their failures end.

use harness::{GatewayBuilder, ingress, plugin, upstream};
use serde_json::json;
use tempfile::TempDir;

use super::{
    beside,
    parts::{CONFIG, KEEP, Kit, dice, doing, puppet, stamp},
    until_reason, verdict, version, web,
};
use crate::guests::{Guest, NEXT};

#[tokio::test]
async fn a_name_is_looked_up_at_home_and_then_in_the_folder() {
    let up = upstream().start().await;
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in [("near.wasm", "folder"), ("far.wasm", "folder")] {
        std::fs::write(folder.path().join(name), stamp(text)).expect("a writable folder");
    }
    std::fs::write(folder.path().join("dice.wasm"), dice()).expect("a writable folder");
    let of = |host: &str, chain: &str| {
        ingress(host.split('.').next().expect("a name"))
            .host(host)
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", chain)
    };
    let gw = beside(&up, of("a.test", "near"))
        .manifest(of("far.test", "far"))
        .manifest(of("full.test", "default/near"))
        .manifest(of("dice.test", "dice"))
        .manifest(of("none.test", "nearr"))
        .plugin(plugin("near", &stamp("object")))
        .flag("--plugins", &folder.path().display().to_string())
        .start()
        .await;
    assert_eq!(version(&gw, "a.test").await.as_deref(), Some("object"));
    assert_eq!(version(&gw, "full.test").await.as_deref(), Some("object"));
    assert_eq!(version(&gw, "far.test").await.as_deref(), Some("folder"));
    // A file has no grants.
    let refused = gw.get("dice.test", "/").await;
    assert_eq!(
        (refused.status, refused.reason()),
        (503, Some("plugin-load"))
    );
    gw.until_problem(&["dice", "random: true"]).await;
    let missing = gw.get("none.test", "/").await;
    assert_eq!(
        (missing.status, missing.reason()),
        (503, Some("plugin-missing"))
    );
    let problem = gw.until_problem(&["nearr"]).await;
    assert_eq!(problem["hint"], "write near", "{problem}");
    // The folder is watched, too.
    std::fs::write(folder.path().join("nearr.wasm"), stamp("new")).expect("a writable folder");
    gw.until_status("none.test", "/", 200).await;
    std::fs::remove_file(folder.path().join("far.wasm")).expect("a file");
    gw.until_status("far.test", "/", 503).await;
}

#[tokio::test]
async fn other_namespaces_use_only_what_is_for_them() {
    let up = upstream().start().await;
    let of = |name: &str, chain: &str| {
        ingress(name)
            .host(&format!("{name}.test"))
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", chain)
    };
    let theirs = |name: &str| plugin(name, &stamp(name)).namespace("theirs");
    let gw = beside(&up, of("plain", "private"))
        .manifest(of("private", "theirs/private"))
        .manifest(of("lent", "theirs/lent"))
        .manifest(of("all", "theirs/all"))
        .manifest(of("shared", "common/shared"))
        .plugin(theirs("private"))
        .plugin(theirs("lent").with("allowedNamespaces", json!(["other", "default"])))
        .plugin(theirs("all").with("allowedNamespaces", json!(["*"])))
        .plugin(plugin("shared", &stamp("shared")).namespace("common"))
        .flag("--shared-plugin-namespaces", "common")
        .start()
        .await;
    for name in ["lent", "all", "shared"] {
        assert_eq!(
            version(&gw, &format!("{name}.test")).await.as_deref(),
            Some(name)
        );
    }
    for name in ["plain", "private"] {
        let answer = gw.get(&format!("{name}.test"), "/").await;
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some("plugin-missing"))
        );
    }
    let problem = gw.until_problem(&["allowedNamespaces", "private"]).await;
    assert_eq!(problem["kind"], "Ingress", "{problem}");
    // A shorter list acts at once.
    gw.apply_plugin(theirs("lent").with("allowedNamespaces", json!(["other"])));
    gw.until_status("lent.test", "/", 503).await;
    gw.apply_plugin(theirs("lent").with("allowedNamespaces", json!(["default"])));
    gw.until_status("lent.test", "/", 200).await;
}

#[tokio::test]
async fn a_grant_that_is_taken_away_closes_at_once() {
    let up = upstream().start().await;
    let granted = |random: bool| plugin("dice", &dice()).with("grants", json!({"random": random}));
    let gw = beside(&up, web("dice", &[]))
        .plugin(granted(true))
        .start()
        .await;
    assert_eq!(verdict(&gw).await, (200, None));
    gw.apply_plugin(granted(false));
    until_reason(&gw, Some("plugin-load")).await;
    let problem = gw.until_problem(&["random: true"]).await;
    assert_eq!(
        (&problem["kind"], &problem["name"]),
        (&json!("Plugin"), &json!("dice"))
    );
    assert_eq!(problem["field"], "spec.grants", "{problem}");
    gw.apply_plugin(granted(true));
    until_reason(&gw, None).await;
    assert_eq!(gw.problems().await.len(), 0, "{:?}", gw.problems().await);
}

#[tokio::test]
async fn the_operators_ceilings_hold() {
    let up = upstream().start().await;
    let on = |name: &str| {
        ingress(name)
            .host(&format!("{name}.test"))
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", name)
    };
    let big = doing(&format!("(drop (memory.grow (i32.const 32))) {NEXT}"));
    let endless = doing("(loop (br 0)) (i32.const 16)");
    let start = async |flags: &[(&str, &str)]| {
        let builder = beside(&up, web("dice", &[]))
            .manifest(on("big"))
            .manifest(on("endless"))
            .plugin(plugin("dice", &dice()).with("grants", json!({"random": true})))
            .plugin(plugin("big", &big).with("limits", json!({"memory": "48Mi"})))
            .plugin(plugin("endless", &endless).with("limits", json!({"time": "300ms"})));
        let add = |builder: GatewayBuilder, (name, value): &(&str, &str)| builder.flag(name, value);
        flags.iter().fold(builder, add).start().await
    };
    let gw = start(&[]).await;
    assert_eq!(verdict(&gw).await, (200, None));
    assert_eq!(gw.get("big.test", "/").await.status, 200);
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);

    let gw = start(&[
        ("--plugin-grants", "metrics"),
        ("--plugin-max-memory", "1Mi"),
        ("--plugin-max-time", "1ms"),
    ])
    .await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
    let answer = gw.get("big.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (503, Some("plugin-memory"))
    );
    let answer = gw.get("endless.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (503, Some("plugin-timeout"))
    );
    for (flag, field) in [
        ("--plugin-grants", "spec.grants.random"),
        ("--plugin-max-memory", "spec.limits.memory"),
        ("--plugin-max-time", "spec.limits.time"),
    ] {
        let problem = gw.until_problem(&[flag]).await;
        assert_eq!(problem["field"], field, "{problem}");
    }
    assert_eq!(gw.get("b.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_loop_ends_at_the_limit_that_its_plugin_has() {
    let up = upstream().start().await;
    let code = doing("(loop (br 0)) (i32.const 16)");
    let gw = beside(&up, web("loop", &[]))
        .plugin(plugin("loop", &code).with("limits", json!({"time": "50ms"})))
        .start()
        .await;
    let began = std::time::Instant::now();
    assert_eq!(verdict(&gw).await, (503, Some("plugin-timeout".to_owned())));
    assert!(began.elapsed() >= std::time::Duration::from_millis(50));
}

/// Sends back what the request before left in memory, and leaves its own configuration there.
fn remembering() -> Vec<u8> {
    let mut kit = Kit::default();
    let tell = kit.put(
        ("request", "set"),
        "x-found",
        "(i32.const 7000) (i32.const 9)",
    );
    let begin = "(if (i32.eqz (i32.load8_u (i32.const 7000))) (then (memory.fill (i32.const 7000) (i32.const 48) (i32.const 9))))";
    let leave = format!("(memory.copy (i32.const 7000) {CONFIG}) ");
    kit.build(Guest {
        configure: KEEP.to_owned(),
        ..Guest::on_request(&format!("{begin} {tell} {leave} {NEXT}"))
    })
}

#[tokio::test]
async fn with_isolation_request_nothing_of_one_request_is_seen_in_another() {
    let up = upstream().start().await;
    for (isolation, second) in [("request", "000000000"), ("shared", "{\"s\":\"s\"}")] {
        let gw = beside(&up, web("memory", &[("memory", "{\"s\":\"s\"}")]))
            .plugin(plugin("memory", &remembering()).with("isolation", json!(isolation)))
            .start()
            .await;
        let found = async || {
            gw.get("a.test", "/")
                .await
                .saw()
                .header("x-found")
                .map(str::to_owned)
        };
        assert_eq!(found().await.as_deref(), Some("000000000"), "{isolation}");
        for _ in 0..20 {
            assert_eq!(found().await.as_deref(), Some(second), "{isolation}");
        }
        let gauge = gw
            .metric("portcullis_plugin_instances{plugin=\"default/memory\"}")
            .await;
        assert_eq!(gauge > 0.0, isolation == "shared", "{gauge}");
    }
}

#[tokio::test]
async fn every_failure_follows_on_error() {
    let up = upstream().start().await;
    for (config, code, word) in [
        (r#"{"do":2}"#, puppet(), "plugin-trap"),
        (r#"{"do":3}"#, puppet(), "plugin-timeout"),
        (r#"{"do":4}"#, puppet(), "plugin-memory"),
        (r#"{"do":6}"#, puppet(), "plugin-trap"),
        ("{}", b"nonsense".to_vec(), "plugin-load"),
        ("[not a map]", puppet(), "plugin-config"),
    ] {
        let limits = json!({"memory": "1Mi"});
        let configured = |on_error: &str| {
            plugin("puppet", &code)
                .with("onError", json!(on_error))
                .with("limits", limits.clone())
        };
        let gw = beside(&up, web("puppet", &[("puppet", config)]))
            .plugin(configured("closed"))
            .start()
            .await;
        assert_eq!(verdict(&gw).await, (503, Some(word.to_owned())), "{config}");
        let answer = gw.get("a.test", "/").await;
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.text().lines().count(), 1);
        for own in ["puppet", "default", "svc", "web"] {
            assert!(!answer.text().contains(own), "{}", answer.text());
        }
        assert_eq!(gw.get("b.test", "/").await.status, 200);
        gw.apply_plugin(configured("open"));
        until_reason(&gw, None).await;
        assert_eq!(gw.get("b.test", "/").await.status, 200);
    }
}

#[tokio::test]
async fn a_filter_that_does_not_exist_is_closed() {
    let up = upstream().start().await;
    let gw = beside(&up, web("rate-limitt", &[])).start().await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-missing".to_owned())));
    let problem = gw.until_problem(&["rate-limitt"]).await;
    assert!(
        problem["hint"].to_string().contains("rate-limit"),
        "{problem}"
    );
    assert_eq!(gw.get("b.test", "/").await.status, 200);
}
