//! Registries that fail, lie, and send elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use harness::Payload;

use super::*;
use registry::layer_path;

#[tokio::test]
async fn it_is_tried_again_until_it_is_there() {
    let (up, cache, tries) = (
        upstream().start().await,
        cache(),
        Arc::<AtomicUsize>::default(),
    );
    let count = tries.clone();
    let registry = start(None, move |_| {
        let broken = count.fetch_add(1, Ordering::SeqCst) < 2;
        broken.then(|| Reply::of(500, Payload::Sized(b"internal words".to_vec())))
    })
    .await;
    let gw = with_geo(
        &up,
        &cache,
        from(json!({"oci": registry.push(&stamp("1"))})),
    )
    .start()
    .await;
    let problem = gw.until_problem(&["answers 500", "answer 503"]).await;
    assert_eq!(
        (&problem["kind"], &problem["name"]),
        (&json!("Plugin"), &json!("geo"))
    );
    assert!(!problem.to_string().contains("internal words"), "{problem}");
    assert_eq!(geo(&gw).await["state"], "failed");
    until_version(&gw, "1").await;
    harness::until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
    assert_eq!(geo(&gw).await["state"], "ready");
    assert!(tries.load(Ordering::SeqCst) >= 4);
}

/// Pushes something that is no component to use, and says how it is called.
type Push = fn(&registry::Registry) -> String;

#[tokio::test]
async fn what_is_not_the_component_that_is_meant_keeps_the_last_good_one() {
    let cases: [(Push, &str); 7] = [
        (
            |registry| {
                let name = registry.push(&stamp("2"));
                let (_, digest) = name.split_once('@').expect("a digest");
                registry.put(&format!("/v2/team/geo/manifests/{digest}"), b"{}");
                name
            },
            "the manifest of",
        ),
        (
            |registry| {
                let name = registry.push(&stamp("2"));
                let code = stamp("3");
                assert_eq!(code.len(), stamp("2").len());
                registry.put(&layer_path(&stamp("2")), &code);
                name
            },
            "the layer of",
        ),
        (
            |registry| {
                let code = stamp("2");
                registry.put(&layer_path(&code), &vec![0; code.len() + 1]);
                registry.push_layer(
                    &json!({"mediaType": WASM, "digest": digest(&code), "size": code.len()}),
                )
            },
            "sends more than",
        ),
        (
            |registry| {
                let layer =
                    json!({"mediaType": WASM, "digest": digest(b"x"), "size": (32 << 20) + 1});
                registry.push_layer(&layer)
            },
            "at most 32 MiB",
        ),
        (
            |registry| {
                let zipped = "application/vnd.oci.image.layer.v1.tar+gzip";
                registry
                    .push_layer(&json!({"mediaType": zipped, "digest": digest(b"x"), "size": 1}))
            },
            "tar+gzip, not application/wasm",
        ),
        (|registry| registry.push(b"no component"), "not WebAssembly"),
        (
            |registry| registry.push(&stamp("2")).replace("team/geo", "team/none"),
            "answers 404",
        ),
    ];
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let gw = with_geo(
        &up,
        &cache,
        from(json!({"oci": registry.push(&stamp("1"))})),
    )
    .start()
    .await;
    until_version(&gw, "1").await;
    for (push, words) in cases {
        gw.apply_plugin(from(json!({"oci": push(&registry)})));
        let problem = gw.until_problem(&[words, "last good"]).await;
        assert!(
            problem["hint"]
                .as_str()
                .is_some_and(|hint| !hint.is_empty()),
            "{problem}"
        );
        assert!(problem["line"].is_number(), "{problem}");
        assert_eq!(geo(&gw).await["state"], "failed");
        until_version(&gw, "1").await;
    }
    gw.apply_plugin(from(json!({"oci": registry.push(&stamp("4"))})));
    until_version(&gw, "4").await;
    harness::until("no problem is left", async || {
        gw.problems().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_redirect_takes_no_token_along_and_leads_nowhere_forbidden() {
    let (up, cache, code) = (upstream().start().await, cache(), stamp("1"));
    let store = {
        let code = code.clone();
        upstream()
            .answer(move |_| Reply::of(200, Payload::Sized(code.clone())))
            .start()
            .await
    };
    let target = format!("http://{}/signed?x=y", store.address());
    let registry = start(Some("me:secret"), move |seen| {
        let allowed = seen.header("authorization") == Some("Bearer t0ken");
        (seen.target.contains("/blobs/") && allowed)
            .then(|| Reply::of(307, Payload::Sized(Vec::new())).header("Location", &target))
    })
    .await;
    let place = registry.up.address().to_string();
    let source = json!({"oci": registry.push(&code), "pullSecret": "pull"});
    let gw = with_geo(&up, &cache, from(source))
        .manifest(pull_secret(&place, "me:secret"))
        .start()
        .await;
    until_version(&gw, "1").await;
    let asked = store.only();
    assert_eq!(
        (asked.target.as_str(), asked.header("authorization")),
        ("/signed?x=y", None)
    );

    for (to, words) in [
        ("http://169.254.169.254/latest/meta-data", "by https"),
        ("https://169.254.169.254/latest/meta-data", "no address"),
        ("/again", "on and on"),
    ] {
        let registry = start(None, move |seen| {
            let moves = seen.target.contains("/manifests/") || seen.target == "/again";
            moves.then(|| Reply::of(302, Payload::Sized(Vec::new())).header("Location", to))
        })
        .await;
        gw.apply_plugin(from(json!({"oci": registry.push(&stamp("2"))})));
        gw.until_problem(&[words, "last good"]).await;
    }
}

#[tokio::test]
async fn a_token_is_asked_for_only_where_code_may_come_from() {
    let (up, cache) = (upstream().start().await, cache());
    let registry = start(None, |_| {
        let refused = Reply::of(401, Payload::Sized(Vec::new()));
        Some(refused.header(
            "WWW-Authenticate",
            r#"Bearer realm="http://169.254.169.254/token""#,
        ))
    })
    .await;
    let gw = with_geo(
        &up,
        &cache,
        from(json!({"oci": registry.push(&stamp("1"))})),
    )
    .start()
    .await;
    gw.until_problem(&["by https", "169.254.169.254"]).await;
    until_reason(&gw, Some("plugin-load")).await;
}
