//! What the gateway writes: addresses of Ingresses, conditions of Plugins, and events.

use harness::{Object, gateway, ingress, plugin, until, upstream};
use serde_json::{Value, json};

use super::*;

/// The addresses in the status of an Ingress.
pub(super) fn addresses(api: &Api, name: &str) -> Value {
    let object = api.find("ingresses", "default", name).expect("an Ingress");
    object["status"]["loadBalancer"]["ingress"].clone()
}

/// A condition of a Plugin: status and reason.
fn condition(api: &Api, name: &str, kind: &str) -> Option<(String, String)> {
    api.condition(("plugins", "default", name), kind)
}

#[tokio::test]
async fn addresses_are_written_when_the_route_is_live() {
    let up = upstream().start().await;
    let api = api().await;
    api.service("svc", 80, &[&up]);
    api.apply(
        ingress("theirs")
            .class("nginx")
            .host("n.test")
            .path("/", "svc", 80),
    );
    let gw = gateway()
        .cluster(&api)
        .flag("--publish-address", "192.0.2.1,lb.test")
        .start()
        .await;
    let wanted = json!([{"ip": "192.0.2.1"}, {"hostname": "lb.test"}]);
    for number in 0..5 {
        let (name, host) = (format!("i{number}"), format!("h{number}.test"));
        api.apply(ingress(&name).host(&host).path("/", "svc", 80));
        until("the addresses are written", async || {
            addresses(&api, &name) == wanted
        })
        .await;
        assert_eq!(gw.get(&host, "/").await.status, 200);
    }
    // Somebody changes them, or the Ingress changes hands.
    let other = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}});
    let changed = ingress("i0").host("h0.test").path("/", "svc", 80);
    api.apply(changed.object().set("status", other));
    until("they are mended", async || addresses(&api, "i0") == wanted).await;
    api.apply(
        ingress("i1")
            .class("nginx")
            .host("h1.test")
            .path("/", "svc", 80),
    );
    until("they are taken back", async || {
        addresses(&api, "i1").is_null()
    })
    .await;
    assert!(addresses(&api, "theirs").is_null());
    let writes = api
        .requests()
        .into_iter()
        .filter(|r| r.starts_with("patch"));
    for write in writes {
        assert!(
            write.starts_with("patch ingresses/status") && !write.contains("theirs"),
            "{write}"
        );
    }
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
}

#[tokio::test]
async fn addresses_of_a_service_are_followed() {
    let (api, _up) = routed().await;
    let balancer = |ip: &str| {
        let service = harness::service("front", &[("http", 80)]);
        let service = service
            .namespace("ingress")
            .set("spec/type", json!("LoadBalancer"));
        service.set("status", json!({"loadBalancer": {"ingress": [{"ip": ip}]}}))
    };
    api.apply(balancer("192.0.2.1"));
    let _gw = gateway()
        .cluster(&api)
        .flag("--publish-service", "ingress/front")
        .start()
        .await;
    until("it is written", async || {
        addresses(&api, "web") == json!([{"ip": "192.0.2.1"}])
    })
    .await;
    api.apply(balancer("192.0.2.2"));
    until("it is followed", async || {
        addresses(&api, "web") == json!([{"ip": "192.0.2.2"}])
    })
    .await;
}

/// A pod of the gateway on a node.
fn pod(name: &str, node: &str, ip: &str, ready: &str) -> Object {
    Object(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "edge", "labels": {"app.kubernetes.io/name": "portcullis"}},
        "spec": {"nodeName": node},
        "status": {"hostIP": ip, "conditions": [{"type": "Ready", "status": ready}]},
    }))
}

fn node(name: &str, addresses: &Value) -> Object {
    Object(json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"addresses": addresses},
    }))
}

#[tokio::test]
async fn addresses_of_nodes_are_those_that_ready_pods_run_on() {
    let (api, _up) = routed().await;
    let both = json!([{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "192.0.2.1"}]);
    let inside = json!([{"type": "Hostname", "address": "two"}, {"type": "InternalIP", "address": "10.0.0.2"}]);
    api.apply(node("one", &both));
    api.apply(node("two", &inside));
    api.apply(node("three", &both));
    api.apply(pod("a", "one", "10.0.0.1", "True"));
    api.apply(pod("b", "two", "10.0.0.2", "True"));
    api.apply(pod("c", "three", "10.0.0.3", "False"));
    let other = pod("d", "three", "10.0.0.3", "True");
    api.apply(other.set(
        "metadata/labels",
        json!({"app.kubernetes.io/name": "other"}),
    ));
    let gw = gateway()
        .cluster(&api)
        .flag("--publish-nodes", "edge/app.kubernetes.io/name=portcullis")
        .start()
        .await;
    let is = async |wanted: Value| {
        until("they are written", async || {
            addresses(&api, "web") == wanted
        })
        .await;
    };
    is(json!([{"ip": "10.0.0.2"}, {"ip": "192.0.2.1"}])).await;
    // A node that goes is followed; one that may not be read is known by its pod.
    api.delete("pods", "edge", "b");
    api.deny("get", "nodes", None);
    is(json!([{"ip": "10.0.0.1"}])).await;
    api.deny("list", "pods", Some("edge"));
    let told = async || {
        let all = gw.problems().await;
        all.iter().any(|one| {
            let problem = format!("{one:?}");
            problem.contains("--publish-nodes") && problem.contains("rule")
        })
    };
    until("the missing right is told", told).await;
    assert_eq!(addresses(&api, "web"), json!([{"ip": "10.0.0.1"}]));
}

/// Whether somebody says on the Lease that it would take it.
fn waits(api: &Api) -> bool {
    let lease = api.find("leases", "ingress", "portcullis-portcullis");
    lease
        .is_some_and(|lease| lease["metadata"]["annotations"]["portcullis.dev/waiting"].is_string())
}

#[tokio::test]
async fn the_last_gateway_takes_its_addresses_back() {
    let (api, _up) = routed().await;
    let start = async || {
        let gw = gateway()
            .cluster(&api)
            .flag("--publish-address", "192.0.2.1");
        gw.start().await
    };
    let mut first = start().await;
    until("it is written", async || !addresses(&api, "web").is_null()).await;
    let mut second = start().await;
    until("the second one waits", async || waits(&api)).await;
    first.signal("TERM");
    assert_eq!(first.exited().await, Some(0));
    let leads = |gw: &Gateway| gw.log().iter().any(|line| line.contains("\"leading\""));
    until("the second one leads", async || leads(&second)).await;
    assert!(!addresses(&api, "web").is_null());
    let written = || {
        let all = api.requests().into_iter();
        all.filter(|r| r == "patch ingresses/status default/web")
            .count()
    };
    assert_eq!(written(), 1, "they were there all the time");
    second.signal("TERM");
    assert_eq!(second.exited().await, Some(0));
    assert!(addresses(&api, "web").is_null(), "nobody is left");
}

#[tokio::test]
async fn plugins_have_conditions() {
    let (api, _up, gw) = serving().await;
    let object = |name: &str| plugin(name, b"").object();
    api.apply(object("geo"));
    until("it is not used", async || {
        condition(&api, "geo", "Loaded") == Some(("Unknown".into(), "NotUsed".into()))
    })
    .await;
    assert_eq!(
        condition(&api, "geo", "Accepted"),
        Some(("True".into(), "Valid".into()))
    );
    let with = |chain: &str| {
        let web = ingress("web").host("a.test").path("/", "svc", 80);
        web.annotation("portcullis.dev/filters", chain)
    };
    api.apply(with("geo"));
    until("it has no code", async || {
        condition(&api, "geo", "Loaded") == Some(("False".into(), "LoadFailed".into()))
    })
    .await;
    assert_eq!(
        condition(&api, "geo", "Programmed"),
        Some(("False".into(), "NotLoaded".into()))
    );
    let wrong: Object = object("geo").set("spec/isolation", json!("none"));
    api.apply(wrong);
    until("it is refused", async || {
        condition(&api, "geo", "Accepted") == Some(("False".into(), "Invalid".into()))
    })
    .await;
    assert!(gw.problems().await.iter().any(|p| p["kind"] == "Plugin"));
}

#[tokio::test]
async fn what_must_not_be_written_is_a_problem_that_names_the_rule() {
    let (api, _up) = routed().await;
    api.deny("patch", "ingresses", None);
    let gw = gateway()
        .cluster(&api)
        .flag("--publish-address", "192.0.2.1")
        .start()
        .await;
    gw.until_problem(&["ingresses/status", "verbs: [patch]"])
        .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    api.allow();
    until("it is written", async || !addresses(&api, "web").is_null()).await;
    until("the problem is gone", async || {
        gw.problems().await.is_empty()
    })
    .await;
    api.deny("*", "leases", None);
    gw.until_problem(&["coordination.k8s.io", "leases"]).await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}
