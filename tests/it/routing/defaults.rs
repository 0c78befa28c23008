//! Default backends, of hosts and of everything.

use harness::{GatewayBuilder, Upstream, gateway, ingress, upstream};
use serde_json::json;

async fn with(names: &[&str]) -> (GatewayBuilder, Vec<Upstream>) {
    let mut builder = gateway();
    let mut backends = Vec::new();
    for name in names {
        let up = upstream().name(name).start().await;
        builder = builder.service(name, 80, &[&up]);
        backends.push(up);
    }
    (builder, backends)
}

#[tokio::test]
async fn without_rules_the_default_backend_takes_everything() {
    let (builder, _backends) = with(&["all"]).await;
    let gw = builder
        .manifest(ingress("all").default_backend("all", 80))
        .start()
        .await;
    for (host, path) in [("a.test", "/"), ("b.test", "/x/y"), ("127.0.0.1", "/z")] {
        assert_eq!(gw.get(host, path).await.backend(), "all", "{host}{path}");
    }
}

#[tokio::test]
async fn a_path_miss_goes_to_the_default_backend_of_its_own_host() {
    let (builder, _backends) = with(&["rule", "own", "all"]).await;
    let gw = builder
        .manifest(
            ingress("with")
                .host("a.test")
                .path("/x", "rule", 80)
                .default_backend("own", 80),
        )
        .manifest(ingress("without").host("b.test").path("/x", "rule", 80))
        .manifest(ingress("all").default_backend("all", 80))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/x").await.backend(), "rule");
    assert_eq!(gw.get("a.test", "/y").await.backend(), "own");
    assert_eq!(gw.get("c.test", "/y").await.backend(), "all");
    // The catch-all never takes a path miss of a named host.
    assert_eq!(gw.get("b.test", "/y").await.status, 404);
}

#[tokio::test]
async fn of_two_default_backends_the_older_ingress_has_the_one() {
    let (builder, _backends) = with(&["old", "young"]).await;
    let old = |name: &str| ingress(name).created("2020-01-01T00:00:00Z");
    let young = |name: &str| ingress(name).created("2021-01-01T00:00:00Z");
    let gw = builder
        .manifest(young("a-all").default_backend("young", 80))
        .manifest(old("z-all").default_backend("old", 80))
        .manifest(
            young("a-host")
                .host("a.test")
                .path("/x", "young", 80)
                .default_backend("young", 80),
        )
        .manifest(
            old("z-host")
                .host("a.test")
                .path("/y", "old", 80)
                .default_backend("old", 80),
        )
        .start()
        .await;
    assert_eq!(gw.get("any.test", "/").await.backend(), "old");
    assert_eq!(gw.get("a.test", "/z").await.backend(), "old");
    assert_eq!(gw.get("a.test", "/x").await.backend(), "young");
}

#[tokio::test]
async fn the_oldest_ingress_that_has_a_default_backend_gives_it_to_the_host() {
    let (builder, _backends) = with(&["rule", "own"]).await;
    let gw = builder
        .manifest(
            ingress("a")
                .created("2020-01-01T00:00:00Z")
                .host("a.test")
                .path("/x", "rule", 80),
        )
        .manifest(
            ingress("b")
                .created("2021-01-01T00:00:00Z")
                .host("a.test")
                .path("/y", "rule", 80)
                .default_backend("own", 80),
        )
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/z").await.backend(), "own");
}

#[tokio::test]
async fn rules_without_a_host_miss_into_their_default_then_the_catch_all() {
    let (builder, _backends) = with(&["rule", "all"]).await;
    let gw = builder
        .manifest(ingress("none").path("/x", "rule", 80))
        .manifest(ingress("all").default_backend("all", 80))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/x").await.backend(), "rule");
    assert_eq!(gw.get("a.test", "/y").await.backend(), "all");
}

#[tokio::test]
async fn a_host_without_paths_goes_to_its_default_backend() {
    let (builder, _backends) = with(&["own", "all"]).await;
    let gw = builder
        .manifest(ingress("bare").host("a.test").default_backend("own", 80))
        .manifest(ingress("all").default_backend("all", 80))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/y").await.backend(), "own");
    assert_eq!(gw.get("b.test", "/y").await.backend(), "all");
}

#[tokio::test]
async fn nothing_at_all_is_404_without_a_backend() {
    let gw = gateway().start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (404, Some("no-route")));
    assert!(
        answer.text().lines().count() <= 1 && !answer.body.is_empty(),
        "{:?}",
        answer.text()
    );
}

#[tokio::test]
async fn a_resource_backend_is_503_and_a_problem() {
    let (builder, _backends) = with(&["rule"]).await;
    let bucket = json!({"resource": {"apiGroup": "k8s.example.com", "kind": "StorageBucket", "name": "static"}});
    let object = ingress("res")
        .host("a.test")
        .path("/", "rule", 80)
        .path("/static", "rule", 80)
        .object();
    let object = object.set("spec/rules/0/http/paths/1/backend", bucket);
    let gw = builder.manifest(object).start().await;
    assert_eq!(gw.get("a.test", "/").await.backend(), "rule");
    assert_eq!(gw.get("a.test", "/static").await.status, 503);
    gw.until_problem(&["res", "resource"]).await;
}
