//! Code in ConfigMaps.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

fn map(part: &str, content: &str) -> Object {
    Object(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "code", "namespace": "default"},
        part: {"geo.wasm": content},
    }))
}

#[tokio::test]
async fn a_config_map_is_followed() {
    let (up, cache) = (upstream().start().await, cache());
    let source = json!({"configMap": {"name": "code", "key": "geo.wasm"}});
    let gw = with_geo(&up, &cache, from(source))
        .manifest(map("binaryData", &STANDARD.encode(stamp("1"))).namespace("other"))
        .start()
        .await;
    let problem = gw
        .until_problem(&["no ConfigMap default/code", "answer 503"])
        .await;
    assert_eq!(problem["kind"], "Plugin", "{problem}");
    gw.apply(map("binaryData", &STANDARD.encode(stamp("1"))));
    until_version(&gw, "1").await;
    gw.apply(map("data", &STANDARD.encode(stamp("2"))));
    until_version(&gw, "2").await;
    harness::until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
    for (object, words) in [
        (map("data", "hello"), "holds no WebAssembly"),
        (
            map("binaryData", &STANDARD.encode(&stamp("3")[..40])),
            "not copied whole",
        ),
        (
            map("data", &"x".repeat((1 << 20) + 1)),
            "the ConfigMap has 1048577 bytes",
        ),
        (
            map("data", "").set("data", json!({"other": "x"})),
            "has no key geo.wasm",
        ),
    ] {
        gw.apply(object);
        gw.until_problem(&[words]).await;
        until_version(&gw, "2").await;
    }
    gw.delete(map("data", ""));
    gw.until_problem(&["no ConfigMap default/code", "last good"])
        .await;
    until_version(&gw, "2").await;
}
