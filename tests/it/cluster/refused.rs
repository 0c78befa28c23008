//! What cannot be written about one object stands in the way of no other.

use std::time::Duration;

use harness::{gateway, ingress, plugin, until};
use serde_json::Value;

use super::{events::KEY, *};

/// What was refused is tried again after seconds, and machines may be busy.
const LONG: Duration = Duration::from_secs(60);

/// Adds an Ingress with a wrong value, and a Plugin.
fn add(api: &Api, namespace: &str, name: &str) {
    let host = format!("{name}.{namespace}.test");
    let wrong = ingress(name)
        .namespace(namespace)
        .annotation(KEY, "perhaps");
    api.apply(wrong.host(&host).path("/", "svc", 80));
    api.apply(plugin(name, b"").object().namespace(namespace));
}

/// Whether there is an event on the Ingress of this name.
fn is_told(api: &Api, namespace: &str, name: &str) -> bool {
    let all = api.all("events");
    all.iter().any(|event| {
        let object = &event["regarding"];
        object["namespace"] == namespace && object["name"] == name
    })
}

fn is_accepted(api: &Api, namespace: &str, name: &str) -> bool {
    let accepted = api.condition(("plugins", namespace, name), "Accepted");
    accepted.is_some_and(|(status, _)| status == "True")
}

async fn until_written(api: &Api, namespace: &str, name: &str) {
    let what = format!("events and conditions in {namespace} are written");
    let written = async {
        while !(is_told(api, namespace, name) && is_accepted(api, namespace, name)) {
            harness::pause(Duration::from_millis(20)).await;
        }
    };
    harness::within_time(LONG, &what, written).await;
}

/// What is wrong with writing.
async fn unwritten(gw: &Gateway) -> Vec<Value> {
    let mut all = gw.problems().await;
    all.retain(|problem| problem["kind"] == "Cluster");
    all
}

#[tokio::test]
async fn what_one_namespace_refuses_the_others_get() {
    let (api, _up) = routed().await;
    api.deny("*", "events", Some("closed"));
    api.deny("patch", "plugins", Some("closed"));
    add(&api, "closed", "one");
    add(&api, "open", "one");
    let gw = gateway().cluster(&api).start().await;
    until_written(&api, "open", "one").await;
    gw.until_problem(&["events.k8s.io", "add to the Role", "closed"])
        .await;
    gw.until_problem(&["plugins/status", "add to the Role", "closed"])
        .await;
    // What comes later is written, too, and the problems stay what they are.
    let before = unwritten(&gw).await;
    for name in ["two", "three"] {
        add(&api, "closed", name);
        add(&api, "open", name);
        until_written(&api, "open", name).await;
        assert_eq!(unwritten(&gw).await, before);
        assert!(!is_told(&api, "closed", name) && !is_accepted(&api, "closed", name));
    }
    api.allow();
    for name in ["one", "two", "three"] {
        until_written(&api, "closed", name).await;
    }
    until("nothing is wrong with writing", async || {
        unwritten(&gw).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_needs_no_rights() {
    let (api, _up) = routed().await;
    api.terminate("closed");
    add(&api, "closed", "one");
    add(&api, "open", "one");
    let gw = gateway().cluster(&api).start().await;
    until_written(&api, "open", "one").await;
    let tried = || {
        let all = api.requests().into_iter();
        all.filter(|r| r.starts_with("create events closed/"))
            .count()
    };
    let before = tried();
    assert!(before > 0 && !is_told(&api, "closed", "one"));
    for name in ["two", "three"] {
        add(&api, "open", name);
        until_written(&api, "open", name).await;
    }
    assert_eq!(tried(), before, "it is not tried again");
    assert_eq!(unwritten(&gw).await, Vec::<Value>::new());
}
