//! An object that cannot be read harms itself alone.

use harness::{Streaming, gateway, ingress, nested, plugin, until};
use serde_json::json;

use super::*;

async fn until_resolved(gw: &Gateway) {
    until("its problem is gone", async || {
        let mut all = gw.problems().await.into_iter();
        !all.any(|problem| problem.to_string().contains("nested"))
    })
    .await;
}

#[tokio::test]
async fn a_plugin_nested_too_deep_harms_itself_alone() {
    for (streaming, levels) in [(Streaming::Known, 10_000), (Streaming::Refused, 140)] {
        let (api, _up) = routed().await;
        api.streaming(streaming);
        let of = |name: &str| plugin(name, b"").namespace("evil");
        let deep = || of("deep").with("config", json!({"a": nested(levels)}));
        // One of which a problem tells that it was read.
        let wrong = |name: &str| of(name).with("sha256", json!("none"));
        api.apply(deep().object());
        api.apply(wrong("other").object());
        let gw = gateway().cluster(&api).start().await;
        assert_eq!(gw.get("a.test", "/").await.status, 200);
        let problem = gw.until_problem(&["deep", "nested too deeply"]).await;
        let identity = ["kind", "namespace", "name", "field"].map(|field| &problem[field]);
        assert_eq!(identity, ["Plugin", "evil", "deep", "spec.config"]);
        gw.until_problem(&["other", "sha256"]).await;

        // The watch goes on, whatever becomes of that one.
        api.apply(wrong("second").object());
        gw.until_problem(&["second", "sha256"]).await;
        api.apply(of("deep").object());
        until_resolved(&gw).await;
        api.apply(deep().object());
        gw.until_problem(&["deep", "nested too deeply", "last good state"])
            .await;
        api.apply(wrong("third").object());
        gw.until_problem(&["third", "sha256"]).await;
        let up = "portcullis_cluster_watch_up{resource=\"plugins.portcullis.dev\"}";
        assert!(gw.metric(up).await > 0.0);
        api.delete("plugins", "evil", "deep");
        until_resolved(&gw).await;
    }
}

#[tokio::test]
async fn an_object_of_another_shape_harms_itself_alone() {
    let (api, _up) = routed().await;
    let odd = || {
        ingress("odd")
            .host("odd.test")
            .path("/", "svc", 80)
            .object()
    };
    let shapes = [
        ("metadata/annotations", json!({"a": 7})),
        ("metadata/labels", json!([[], {}])),
        ("spec", json!(7)),
        ("spec/rules/0/http", nested(10_000)),
        ("status", nested(10_000)),
    ];
    api.apply(odd().set("metadata/annotations", json!(7)));
    let gw = gateway().cluster(&api).start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    for (number, (field, value)) in shapes.into_iter().enumerate() {
        api.apply(odd().set(field, value));
        let host = format!("h{number}.test");
        api.apply(ingress("next").host(&host).path("/", "svc", 80));
        gw.until_status(&host, "/", 200).await;
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_made_up_for_by_a_list() {
    let (api, _up, gw) = serving().await;
    for line in [
        "{\"type\": \"MOVED\", \"object\": {\"metadata\": {}}}",
        "{\"type\": \"ADDED\"}",
        "{\"type\": \"BOOKMARK\", \"object\": {\"metadata\": {}}}",
        "{}",
        "7",
    ] {
        let before = api.lists("ingresses");
        api.send_line(line);
        until("Ingresses are listed again", async || {
            api.lists("ingresses") > before
        })
        .await;
    }
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    gw.until_status("b.test", "/", 200).await;
    until("all is well", async || gw.problems().await.is_empty()).await;
}
