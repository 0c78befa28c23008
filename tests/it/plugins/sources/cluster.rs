//! ConfigMaps and Secrets of a cluster, which are watched while a Plugin names them.

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::{Api, Authority, api, gateway};

use super::{registry::start_tls, *};

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

/// A condition of `geo`: its status and reason.
async fn until_condition(api: &Api, kind: &str, status: &str, reason: &str) {
    let wanted = (status.to_owned(), reason.to_owned());
    harness::until(&format!("{kind} is {status}, {reason}"), async || {
        api.condition(("plugins", "default", "geo"), kind) == Some(wanted.clone())
    })
    .await;
}

/// The events on `geo` with this reason, as often as they were told.
fn told(api: &Api, reason: &str) -> usize {
    let all = api.all("events").into_iter();
    let own = all.filter(|event| event["regarding"]["name"] == "geo" && event["reason"] == reason);
    let times = own.map(|event| event["series"]["count"].as_u64().unwrap_or(1));
    times
        .map(|times| usize::try_from(times).expect("few"))
        .sum()
}

#[tokio::test]
async fn conditions_and_events_tell_what_requests_meet() {
    let (up, cache, api) = (upstream().start().await, cache(), api().await);
    api.service("svc", 80, &[&up]);
    api.apply(web("geo", &[]));
    let source = json!({"configMap": {"name": "code", "key": "geo.wasm"}});
    api.apply(from(source).object());
    let map = |code: &[u8]| {
        Object(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "code", "namespace": "default"},
            "binaryData": {"geo.wasm": STANDARD.encode(code)},
        }))
    };
    api.apply(map(&stamp("1")));
    let own = cache.path().join("own").display().to_string();
    let gw = gateway()
        .cluster(&api)
        .flag("--plugin-cache", &own)
        .start()
        .await;
    until_version(&gw, "1").await;
    until_condition(&api, "Accepted", "True", "Valid").await;
    until_condition(&api, "Loaded", "True", "Loaded").await;
    until_condition(&api, "Programmed", "True", "Programmed").await;
    assert_eq!(told(&api, "Problem"), 0);

    // A broken version, then a good one.
    api.apply(map(&stamp("2")[..40]));
    until_condition(&api, "Loaded", "False", "LoadFailed").await;
    until_condition(&api, "Programmed", "True", "LastGood").await;
    until_version(&gw, "1").await;
    harness::until("an event tells", async || told(&api, "Problem") == 1).await;
    api.apply(map(&stamp("2")));
    until_version(&gw, "2").await;
    until_condition(&api, "Loaded", "True", "Loaded").await;
    until_condition(&api, "Programmed", "True", "Programmed").await;
    harness::until("an event tells", async || told(&api, "Resolved") == 1).await;

    // Gone while it is used, and back.
    api.delete("configmaps", "default", "code");
    until_condition(&api, "Loaded", "False", "LoadFailed").await;
    until_condition(&api, "Programmed", "True", "LastGood").await;
    until_version(&gw, "2").await;
    harness::until("an event tells", async || told(&api, "Problem") == 2).await;
    api.apply(map(&stamp("3")));
    until_version(&gw, "3").await;
    until_condition(&api, "Loaded", "True", "Loaded").await;
    harness::until("an event tells", async || told(&api, "Resolved") == 2).await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
    assert_eq!((told(&api, "Problem"), told(&api, "Resolved")), (2, 2));
}

/// A name for 127.0.0.2 that every resolver knows, and nothing takes for an address by its words: so the
/// registry is one with TLS.
const HOST: &str = "0x7f000002";

#[tokio::test]
async fn a_private_registry_with_a_ca_of_its_own_gives_to_a_cluster() {
    let (up, cache, api) = (upstream().start().await, cache(), api().await);
    let (ca, other) = (Authority::create(), Authority::create());
    let registry = start_tls(&ca.issue(&[HOST]), HOST, "me:secret").await;
    let file = cache.path().join("ca.crt");
    std::fs::write(&file, other.pem()).expect("a file");
    api.service("svc", 80, &[&up]);
    api.apply(web("geo", &[]));
    let source = json!({"oci": registry.push(&stamp("1")), "pullSecret": "pull"});
    api.apply(from(source).object());
    let gw = gateway()
        .cluster(&api)
        .flag(
            "--plugin-cache",
            &cache.path().join("own").display().to_string(),
        )
        .flag("--fetch-ca", &file.display().to_string())
        .switch("--fetch-loopback")
        .start()
        .await;
    gw.until_problem(&["is not believed", "certificate", "--fetch-ca"])
        .await;
    until_condition(&api, "Programmed", "False", "NotLoaded").await;
    // The file is read anew, and what becomes of it later changes nothing.
    std::fs::write(&file, other.pem() + &ca.pem()).expect("a file");
    gw.until_problem(&["answers 401", "write spec.source.pullSecret"])
        .await;
    std::fs::write(&file, "none").expect("a file");
    api.apply(pull_secret(&registry.place, "me:wrong"));
    gw.until_problem(&["answers 401", "login of the pullSecret"])
        .await;
    api.apply(pull_secret(&registry.place, "me:secret"));
    until_version(&gw, "1").await;
    until_condition(&api, "Programmed", "True", "Programmed").await;
    harness::until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
    let said = gw.log().join("\n");
    assert!(said.contains("stay as they were"), "{said}");
    assert!(!said.contains("me:secret") && !said.contains("t0ken"));
}

#[tokio::test]
async fn a_registry_on_the_node_gives_where_the_operator_says_so() {
    let (up, cache, api) = (upstream().start().await, cache(), api().await);
    // The API server has the address 127.0.0.1, which nothing reaches.
    let server = upstream().at(([127, 0, 0, 2], 0).into());
    let registry = registry::start_as(server, "http", Some("me:secret"), |_| None).await;
    api.service("svc", 80, &[&up]);
    api.apply(web("geo", &[]));
    let source = json!({"oci": registry.push(&stamp("1")), "pullSecret": "pull"});
    api.apply(from(source).object());
    api.apply(pull_secret(&registry.place, "me:secret"));
    let own = cache.path().join("own").display().to_string();
    let gw = gateway()
        .cluster(&api)
        .flag("--plugin-cache", &own)
        .switch("--fetch-loopback")
        .start()
        .await;
    until_version(&gw, "1").await;
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);
}

#[tokio::test]
async fn a_file_without_cas_is_a_mistake() {
    let cache = cache();
    let (none, missing) = (cache.path().join("none"), cache.path().join("missing"));
    std::fs::write(&none, "none").expect("a file");
    for (file, words) in [(none, "holds no certificate"), (missing, "No such file")] {
        let flag = format!("--fetch-ca={}", file.display());
        let run = portcullis(&["run", "--manifests=.", &flag]).await;
        assert_eq!(run.code, 2, "{run:?}");
        assert!(
            run.stderr.contains("--fetch-ca") && run.stderr.contains(words),
            "{run:?}"
        );
    }
}
