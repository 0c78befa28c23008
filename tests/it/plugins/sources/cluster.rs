//! ConfigMaps and Secrets of a cluster, which are watched while a Plugin names them.

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::{api, gateway};

use super::*;

#[tokio::test]
async fn what_plugins_of_a_cluster_name_is_followed() {
    let (up, cache, api) = (upstream().start().await, cache(), api().await);
    let registry = start(Some("me:secret"), |_| None).await;
    api.service("svc", 80, &[&up]);
    api.apply(web("geo", &[]));
    let source = json!({"configMap": {"name": "code", "key": "geo.wasm"}});
    api.apply(from(source).object());
    let map = |version: &str| {
        Object(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "code", "namespace": "default"},
            "binaryData": {"geo.wasm": STANDARD.encode(stamp(version))},
        }))
    };
    let own = cache.path().join("own").display().to_string();
    let gw = gateway()
        .cluster(&api)
        .flag("--plugin-cache", &own)
        .start()
        .await;
    gw.until_problem(&["no ConfigMap default/code", "answer 503"])
        .await;
    api.apply(map("1"));
    until_version(&gw, "1").await;
    api.apply(map("2"));
    until_version(&gw, "2").await;
    // Those of others are not asked for.
    let asked = api.requests();
    let mut maps = asked.iter().filter(|r| r.contains(" configmaps "));
    assert!(maps.all(|r| r.ends_with(" default/")), "{asked:?}");

    let source = json!({"oci": registry.push(&stamp("3")), "pullSecret": "pull"});
    api.apply(from(source).object());
    gw.until_problem(&["there is no Secret default/pull"]).await;
    until_version(&gw, "2").await;
    let place = registry.up.address().to_string();
    api.apply(pull_secret(&place, "me:secret"));
    harness::until("the Secret is found", async || {
        let problems = gw.problems().await;
        problems
            .iter()
            .all(|p| p["field"] != "spec.source.pullSecret")
    })
    .await;
    // In a cluster, this machine is asked for no code.
    gw.until_problem(&["no address that code is fetched from", "last good"])
        .await;
    until_version(&gw, "2").await;
}
