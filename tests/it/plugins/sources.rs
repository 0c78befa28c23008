//! Plugins whose code lies elsewhere: in registries, behind URLs, in ConfigMaps.

mod cluster;
mod faults;
mod maps;
mod registry;
mod restarts;
mod urls;

use harness::{
    Gate, Gateway, GatewayBuilder, Object, PluginBuilder, Reply, Upstream, ingress, plugin,
    portcullis, upstream,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{beside, parts::stamp, until_reason, verdict, version, web};
use registry::{WASM, digest, registry, start};

/// The Plugin `geo` with its code elsewhere.
fn from(source: Value) -> PluginBuilder {
    plugin("geo", &[]).without_file().with("source", source)
}

/// A gateway with `geo` before `a.test`, and a cache of its own.
fn with_geo(up: &Upstream, cache: &TempDir, geo: PluginBuilder) -> GatewayBuilder {
    beside(up, web("geo", &[])).plugin(geo).flag(
        "--plugin-cache",
        &cache.path().join("own").display().to_string(),
    )
}

fn cache() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// Waits until this version of `geo` serves.
async fn until_version(gw: &Gateway, wanted: &str) {
    harness::until(&format!("version {wanted} serves"), async || {
        version(gw, "a.test").await.as_deref() == Some(wanted)
    })
    .await;
}

/// What is known of `geo`.
async fn geo(gw: &Gateway) -> Value {
    let all = gw.plugins().await;
    let found = all
        .into_iter()
        .find(|plugin| plugin["name"] == "default/geo");
    found.expect("the plugin geo")
}

/// A Secret with a login for a registry.
fn pull_secret(place: &str, login: &str) -> Object {
    let (username, password) = login.split_once(':').expect("a login");
    let auths = json!({"auths": {place: {"username": username, "password": password}}});
    Object(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "pull", "namespace": "default"},
        "stringData": {".dockerconfigjson": auths.to_string()},
    }))
}

#[tokio::test]
async fn a_component_is_pulled_by_its_digest_and_changed_by_another_one() {
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let gw = with_geo(
        &up,
        &cache,
        from(json!({"oci": registry.push(&stamp("1"))})),
    )
    .start()
    .await;
    until_version(&gw, "1").await;
    let known = geo(&gw).await;
    assert_eq!(known["state"], "ready", "{known}");
    assert_eq!(known["digest"], registry::sha256(&stamp("1")), "{known}");
    // The older type of layers, and the digest of the code beside that of the manifest.
    let code = stamp("2");
    let layer = json!({"mediaType": "application/vnd.wasm.content.layer.v1+wasm", "digest": digest(&code), "size": code.len()});
    registry.put(&registry::layer_path(&code), &code);
    let second = from(json!({"oci": registry.push_layer(&layer)}));
    gw.apply_plugin(
        second
            .clone()
            .with("sha256", json!(registry::sha256(&code))),
    );
    until_version(&gw, "2").await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
    gw.apply_plugin(second.with("sha256", json!("0".repeat(64))));
    gw.until_problem(&["is wanted", "last good"]).await;
    until_version(&gw, "2").await;
}

#[tokio::test]
async fn what_is_not_pinned_is_refused() {
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let good = from(json!({"oci": registry.push(&stamp("1"))}));
    let gw = with_geo(&up, &cache, good).start().await;
    until_version(&gw, "1").await;
    let tag = format!("{}/team/geo:latest", registry.up.address());
    gw.apply_plugin(from(json!({"oci": tag})));
    let problem = gw.until_problem(&["has no digest", "@sha256:"]).await;
    assert_eq!(problem["field"], "spec.source.oci", "{problem}");
    until_version(&gw, "1").await;
}

#[tokio::test]
async fn a_private_registry_gives_to_who_has_the_login() {
    let (up, cache) = (upstream().start().await, cache());
    let registry = start(Some("me:secret"), |_| None).await;
    let source = json!({"oci": registry.push(&stamp("1")), "pullSecret": "pull"});
    let place = registry.up.address().to_string();
    let gw = with_geo(&up, &cache, from(source.clone())).start().await;
    gw.until_problem(&["there is no Secret default/pull"]).await;
    gw.until_problem(&["answers 401", "pullSecret"]).await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
    // Those of other namespaces and other registries are not taken.
    gw.apply(pull_secret(&place, "me:secret").namespace("other"));
    gw.apply(pull_secret("registry.example", "me:secret"));
    gw.until_problem(&["no login for", &place]).await;
    gw.apply(pull_secret(&place, "me:wrong"));
    gw.until_problem(&["answers 401", "login of the pullSecret"])
        .await;
    gw.apply(pull_secret(&place, "me:secret"));
    until_version(&gw, "1").await;
    harness::until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
    assert!(
        gw.log()
            .iter()
            .all(|line| !line.contains("me:secret") && !line.contains("t0ken"))
    );

    // What one namespace pulled is not for another, which has no login.
    let theirs = from(json!({"oci": source["oci"]})).namespace("other");
    gw.apply_plugin(theirs.with("allowedNamespaces", json!(["*"])));
    gw.apply(
        ingress("c")
            .host("c.test")
            .path("/", "svc", 80)
            .annotation("portcullis.dev/filters", "other/geo"),
    );
    let problem = gw.until_problem(&["answers 401"]).await;
    assert_eq!(problem["namespace"], "other", "{problem}");
    assert_eq!(gw.get("c.test", "/").await.status, 503);
}

#[tokio::test]
async fn a_registry_that_hangs_holds_nothing_up() {
    let (up, cache, gate) = (upstream().start().await, cache(), Gate::closed());
    let held = gate.clone();
    let slow = start(None, move |seen| {
        let hangs = seen.target.contains("/manifests/");
        hangs.then(|| Reply::of(500, harness::Payload::Sized(Vec::new())).after(&held))
    })
    .await;
    let quick = registry().await;
    let other = plugin("quick", &[])
        .without_file()
        .with("source", json!({"oci": quick.push(&stamp("quick"))}));
    // `start` waits until it is ready.
    let gw = with_geo(&up, &cache, from(json!({"oci": slow.push(&stamp("1"))})))
        .plugin(other)
        .plugin(plugin("file", &stamp("file")))
        .manifest(chained("quick"))
        .manifest(chained("file"))
        .start()
        .await;
    assert_eq!(gw.get("b.test", "/").await.status, 200);
    assert_eq!(version(&gw, "file.test").await.as_deref(), Some("file"));
    harness::until("the other registry's serves", async || {
        version(&gw, "quick.test").await.as_deref() == Some("quick")
    })
    .await;
    harness::until("it is asked", async || !slow.up.seen().is_empty()).await;
    let known = geo(&gw).await;
    assert_eq!(known["state"], "loading", "{known}");
    assert_eq!(known["reason"], "its code is being fetched", "{known}");
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
    // A change of the Plugin does not wait for the one that hangs.
    gw.apply_plugin(from(json!({"oci": quick.push(&stamp("2"))})));
    until_version(&gw, "2").await;
    gate.open();
}

/// An Ingress for `NAME.test` with the filter of that name.
fn chained(name: &str) -> Object {
    ingress(name)
        .host(&format!("{name}.test"))
        .path("/", "svc", 80)
        .annotation("portcullis.dev/filters", name)
        .object()
}

#[tokio::test]
async fn check_fetches_nothing_and_says_so() {
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let gw = with_geo(
        &up,
        &cache,
        from(json!({"oci": registry.push(&stamp("1"))})),
    )
    .start()
    .await;
    until_version(&gw, "1").await;
    registry.up.forget();
    let folder = gw.folder().display().to_string();
    let outcome = portcullis(&["check", &folder]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let note = "note: Plugin default/geo spec.source.oci: the code is not fetched here";
    assert!(outcome.stdout.contains(note), "{outcome:?}");
    assert!(registry.up.seen().is_empty());
    gw.apply_plugin(from(json!({"oci": "ghcr.io/team/geo:1"})));
    let outcome = portcullis(&["check", &folder]).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("has no digest"), "{outcome:?}");
}
