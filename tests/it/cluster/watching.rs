//! What changes in the cluster changes what is served.

use harness::{
    Authority, Object, TlsOptions, gateway, ingress, ingress_class, names_of, secret, until,
    upstream,
};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_route_of_the_cluster_is_served() {
    let (api, _up, gw) = serving().await;
    assert_eq!(gw.get("a.test", "/x").await.status, 200);
    assert_eq!(gw.get("b.test", "/x").await.status, 404);
    api.apply(ingress("second").host("b.test").path("/", "svc", 80));
    gw.until_status("b.test", "/x", 200).await;
    api.delete("ingresses", "default", "second");
    gw.until_status("b.test", "/x", 404).await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
}

#[tokio::test]
async fn endpoints_are_followed() {
    let (api, up, gw) = serving().await;
    let other = upstream().name("other").start().await;
    api.endpoints("svc", &[other.address()]);
    until("the new endpoint answers", async || {
        gw.get("a.test", "/").await.text().contains("other")
    })
    .await;
    api.endpoints("svc", &[]);
    gw.until_status("a.test", "/", 503).await;
    api.endpoints("svc", &[up.address()]);
    gw.until_status("a.test", "/", 200).await;
}

#[tokio::test]
async fn an_object_that_would_be_refused_is_a_problem_without_a_file() {
    let (api, _up, gw) = serving().await;
    let bad = ingress("web").host("a.test").typed("Wrong", "/", "svc", 80);
    api.apply(bad);
    let problem = gw
        .until_problem(&["web", "pathType", "last good state"])
        .await;
    assert_eq!(problem["kind"], "Ingress");
    assert_eq!(problem["field"], "spec.rules[0].http.paths[0].pathType");
    assert!(
        problem.get("file").is_none() && problem.get("line").is_none(),
        "{problem}"
    );
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    // One of many that no type takes does not hide the others.
    let odd = ingress("odd").object().set("spec/rules", json!("none"));
    api.apply(odd);
    gw.until_problem(&["odd", "spec.rules"]).await;
    api.apply(ingress("third").host("c.test").path("/", "svc", 80));
    gw.until_status("c.test", "/", 200).await;
    api.delete("ingresses", "default", "odd");
    api.apply(ingress("web").host("a.test").path("/", "svc", 80));
    until("all is well", async || gw.problems().await.is_empty()).await;
}

#[tokio::test]
async fn a_class_of_another_controller_is_not_served() {
    let (api, _up, gw) = serving().await;
    api.apply(
        ingress("theirs")
            .class("nginx")
            .host("n.test")
            .path("/", "svc", 80),
    );
    api.apply(
        ingress("none")
            .without_class()
            .host("d.test")
            .path("/", "svc", 80),
    );
    api.apply(ingress_class(
        "portcullis",
        "portcullis.dev/ingress-controller",
        true,
    ));
    gw.until_status("d.test", "/", 200).await;
    assert_eq!(gw.get("n.test", "/").await.status, 404);
    api.apply(ingress_class("portcullis", "example.com/other", false));
    gw.until_status("a.test", "/", 404).await;
}

#[tokio::test]
async fn a_secret_that_is_deleted_while_used_stays() {
    let (api, _up, gw) = serving().await;
    let pair = Authority::create().issue(&["a.test"]);
    api.apply(secret("cert", &pair));
    api.apply(
        ingress("web")
            .host("a.test")
            .path("/", "svc", 80)
            .tls(&["a.test"], "cert"),
    );
    let served = async || {
        let options = TlsOptions::lenient();
        names_of(&gw.tls(&options, "a.test").await.leaf())
    };
    until("the certificate is served", async || {
        served().await == ["a.test"]
    })
    .await;
    api.delete("secrets", "default", "cert");
    gw.until_problem(&["cert"]).await;
    assert_eq!(served().await, ["a.test"]);
}

#[tokio::test]
async fn a_secret_of_another_type_is_looked_for_if_an_ingress_names_it() {
    let (api, _up, gw) = serving().await;
    let pair = Authority::create().issue(&["a.test"]);
    let plain = |name: &str| secret(name, &pair).set("type", json!("Opaque"));
    api.apply(plain("cert"));
    api.apply(plain("unnamed"));
    api.apply(
        ingress("web")
            .host("a.test")
            .path("/", "svc", 80)
            .tls(&["a.test"], "cert"),
    );
    let served = async || {
        let options = TlsOptions::lenient();
        names_of(&gw.tls(&options, "a.test").await.leaf())
    };
    until("the certificate is served", async || {
        served().await == ["a.test"]
    })
    .await;
    let asked = api.requests();
    assert!(
        asked
            .iter()
            .filter(|r| r.contains("secrets"))
            .all(|r| !r.contains("unnamed")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn only_the_namespaces_that_are_named_are_watched() {
    let up = upstream().start().await;
    let api = api().await;
    api.service("svc", 80, &[&up]);
    let elsewhere = |object: Object| object.namespace("other");
    api.apply(ingress("web").host("a.test").path("/", "svc", 80));
    api.apply(elsewhere(
        ingress("web").host("o.test").path("/", "svc", 80).object(),
    ));
    // Such an install has no right to look elsewhere.
    api.deny("*", "*", Some(""));
    api.deny("*", "*", Some("other"));
    let gw = gateway()
        .cluster(&api)
        .flag("--watch-namespace", "default")
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    assert_eq!(gw.get("o.test", "/").await.status, 404);
    let problem = gw.until_problem(&["ingressclasses"]).await;
    assert!(
        problem.to_string().contains("add to the ClusterRole"),
        "{problem}"
    );
    assert_eq!(gw.problems().await.len(), 1);
    let lists = api
        .requests()
        .into_iter()
        .filter(|r| !r.contains("ingressclasses"));
    for request in lists.filter(|r| r.starts_with("list") || r.starts_with("watch")) {
        assert!(request.contains(" default/"), "{request}");
    }
}
