//! The code of plugins: its digest, where it lies, and that it is gone.

use std::os::unix::fs::symlink;

use harness::{get, plugin, upstream};
use serde_json::json;
use tempfile::TempDir;

use super::{beside, parts::stamp, until_reason, verdict, version, web};

#[tokio::test]
async fn a_plugin_that_is_deleted_stops_at_once() {
    let up = upstream().start().await;
    for on_error in ["closed", "open"] {
        let stamp = || plugin("stamp", &stamp("1")).with("onError", json!(on_error));
        let gw = beside(&up, web("stamp", &[])).plugin(stamp()).start().await;
        assert_eq!(verdict(&gw).await, (200, None));
        gw.remove("Plugin-default-stamp.yaml");
        until_reason(&gw, Some("plugin-missing")).await;
        gw.until_problem(&["default/stamp"]).await;
        assert_eq!(gw.plugins().await.len(), 0);
        gw.apply_plugin(stamp());
        until_reason(&gw, None).await;
    }
}

#[tokio::test]
async fn another_digest_than_the_wanted_one_is_refused() {
    let up = upstream().start().await;
    let gw = beside(&up, web("stamp", &[]))
        .plugin(plugin("stamp", &stamp("1")).with("sha256", json!("0".repeat(64))))
        .start()
        .await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
    let problem = gw.until_problem(&["SHA-256", "stamp"]).await;
    assert_eq!(problem["field"], "spec.sha256", "{problem}");
    // The digest that it says is the right one.
    let message = problem["message"].as_str().expect("a message");
    let digest = message
        .split(' ')
        .find(|word| word.trim_end_matches(',').len() == 64);
    let digest = digest.expect("a digest").trim_end_matches(',');
    gw.apply_plugin(plugin("stamp", &stamp("1")).with("sha256", json!(digest)));
    until_reason(&gw, None).await;
    // New code without its digest: the last good one stays.
    gw.write_bytes("stamp.wasm", &stamp("2"));
    gw.until_problem(&["SHA-256", "last good"]).await;
    assert_eq!(version(&gw, "a.test").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_file_that_leads_out_is_never_read() {
    let up = upstream().start().await;
    let outside = TempDir::new().expect("a temporary folder");
    let secret = outside.path().join("secret.wasm");
    std::fs::write(&secret, stamp("secret")).expect("a writable folder");
    let gw = beside(&up, web("stamp", &[]))
        .plugin(plugin("stamp", &stamp("1")).without_file())
        .start()
        .await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
    gw.until_problem(&["stamp.wasm", "Plugin"]).await;

    symlink(&secret, gw.folder().join("stamp.wasm")).expect("a link");
    gw.until_problem(&["leads out of", "stamp.wasm"]).await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
    gw.remove("stamp.wasm");

    let up_and_out = format!(
        "../{}/secret.wasm",
        outside.path().file_name().expect("a name").display()
    );
    for file in [
        up_and_out,
        secret.display().to_string(),
        "a/../../x.wasm".to_owned(),
    ] {
        let odd = plugin("stamp", &stamp("1"))
            .without_file()
            .with("source", json!({"file": file}));
        gw.apply_plugin(odd);
        gw.until_problem(&["spec.source.file", "Plugin"]).await;
        assert_eq!(verdict(&gw).await.0, 503, "{file}");
    }
    // A link that stays inside is one.
    gw.write_bytes("below/real.wasm", &stamp("1"));
    symlink("below/real.wasm", gw.folder().join("stamp.wasm")).expect("a link");
    gw.apply_plugin(plugin("stamp", &stamp("1")).without_file());
    until_reason(&gw, None).await;
    let answer = gw.send(&get("/").host("a.test")).await;
    assert_eq!(answer.saw().header("x-version"), Some("1"));
}
