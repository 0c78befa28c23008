//! Secrets that are watched one by one: too many of one namespace are the harm of that one alone.

use harness::{
    Authority, IngressBuilder, Object, TlsOptions, gateway, ingress, names_of, secret, until,
};
use serde_json::json;

use super::*;

/// As many as are watched one by one.
const MOST: usize = 256;

async fn served(gw: &Gateway, host: &str) -> Vec<String> {
    let options = TlsOptions::lenient();
    names_of(&gw.tls(&options, host).await.leaf())
}

async fn until_served(gw: &Gateway, host: &str) {
    until("the certificate is served", async || {
        served(gw, host).await == [host]
    })
    .await;
}

/// A Secret that no list has.
fn opaque(name: &str, host: &str) -> Object {
    let pair = Authority::create().issue(&[host]);
    secret(name, &pair).set("type", json!("Opaque"))
}

/// An Ingress of another namespace that names these Secrets, of which none exists.
fn greedy(numbers: std::ops::Range<usize>) -> Object {
    let all = ingress("greedy").host("greedy.test").path("/", "svc", 80);
    let name = |ingress: IngressBuilder, number| {
        ingress.tls(&["greedy.test"], &format!("missing-{number:03}"))
    };
    numbers.fold(all, name).object().namespace("aaa")
}

#[tokio::test]
async fn a_namespace_that_names_too_many_secrets_harms_itself_alone() {
    let (api, _up) = routed().await;
    for number in [1, 2] {
        let (host, cert) = (format!("s{number}.test"), format!("s{number}"));
        api.apply(opaque(&cert, &host));
        let web = ingress(&cert).host(&host).path("/", "svc", 80);
        api.apply(web.tls(&[&host], &cert));
    }
    api.apply(greedy(0..MOST + 44));
    let gw = gateway().cluster(&api).start().await;
    until_served(&gw, "s1.test").await;
    until_served(&gw, "s2.test").await;
    let problem = gw.until_problem(&["named-objects", "not watched"]).await;
    let said = problem.to_string();
    assert!(
        said.contains("46 Secrets and 0 ConfigMaps")
            && said.contains("46 of them of the namespace aaa"),
        "{said}"
    );
    assert_eq!(problem["severity"], "warning");
    // What is watched is followed.
    let pair = Authority::create().issue(&["s2.test", "more.test"]);
    api.apply(secret("s2", &pair).set("type", json!("Opaque")));
    until("the new certificate is served", async || {
        served(&gw, "s2.test").await.len() == 2
    })
    .await;
    api.apply(greedy(0..MOST - 2));
    until("none is left out", async || {
        let all = gw.problems().await;
        !all.iter().any(|problem| problem["name"] == "named-objects")
    })
    .await;
    until_served(&gw, "s1.test").await;
}

#[tokio::test]
async fn a_secret_that_is_no_longer_watched_was_not_deleted() {
    let (api, _up) = routed().await;
    // As many as there can be, all of one namespace and each with a certificate.
    let pair = Authority::create().issue(&["*.a.test"]);
    let mut web = ingress("web");
    for number in 0..MOST {
        let (name, host) = (format!("s{number:03}"), format!("h{number}.a.test"));
        api.apply(secret(&name, &pair).set("type", json!("Opaque")));
        web = web.host(&host).path("/", "svc", 80).tls(&[&host], &name);
    }
    api.apply(web);
    let gw = gateway().cluster(&api).start().await;
    until("all are there", async || gw.problems().await.is_empty()).await;
    assert_eq!(served(&gw, "h255.a.test").await, ["*.a.test"]);

    // Another namespace gets its part.
    api.apply(greedy(0..MOST));
    let problem = gw
        .until_problem(&["named-objects", "what these were stays"])
        .await;
    assert!(problem.to_string().contains("256 Secrets"), "{problem}");
    let deleted = async || {
        let all = gw.problems().await;
        let deleted = all
            .iter()
            .filter(|problem| problem.to_string().contains("deleted"));
        deleted.count()
    };
    assert_eq!(deleted().await, 0);
    assert_eq!(served(&gw, "h255.a.test").await, ["*.a.test"]);

    // It is watched again where there is room, and then a deletion is one.
    api.delete("ingresses", "aaa", "greedy");
    until("all are watched", async || gw.problems().await.is_empty()).await;
    api.delete("secrets", "default", "s255");
    gw.until_problem(&["s255", "was deleted"]).await;
    assert_eq!(deleted().await, 1);
}
