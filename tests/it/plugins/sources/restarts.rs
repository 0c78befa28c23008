//! What is kept on disk, for a start without those who have the code.

use super::*;
use registry::{layer_path, sha256};

#[tokio::test]
async fn a_restart_serves_as_before_without_the_registry() {
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let geo_from = from(json!({"oci": registry.push(&stamp("1"))}));
    let mut gw = with_geo(&up, &cache, geo_from.clone()).start().await;
    until_version(&gw, "1").await;
    gw.signal("TERM");
    assert_eq!(gw.exited().await, Some(0));
    let gone = registry.up.stop().await;

    let gw = with_geo(&up, &cache, geo_from.clone()).start().await;
    assert_eq!(
        version(&gw, "a.test").await.as_deref(),
        Some("1"),
        "as soon as it is ready"
    );
    assert!(gw.problems().await.is_empty(), "{:?}", gw.problems().await);

    // A version that cannot be had: the last good one, also after one more start.
    let next = from(json!({"oci": format!("{gone}/team/geo@{}", digest(b"next"))}));
    gw.apply_plugin(next.clone());
    gw.until_problem(&["is not reached", "last good"]).await;
    until_version(&gw, "1").await;
    drop(gw);
    let gw = with_geo(&up, &cache, next).start().await;
    until_version(&gw, "1").await;
    gw.until_problem(&["is not reached", "last good"]).await;

    // Deleted, it is forgotten.
    gw.remove("Plugin-default-geo.yaml");
    until_reason(&gw, Some("plugin-missing")).await;
    gw.apply_plugin(from(
        json!({"oci": format!("{gone}/team/geo@{}", digest(b"next"))}),
    ));
    gw.until_problem(&["is not reached", "answer 503"]).await;
    assert_eq!(verdict(&gw).await, (503, Some("plugin-load".to_owned())));
}

#[tokio::test]
async fn what_was_changed_on_disk_is_fetched_again() {
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let code = stamp("1");
    let geo_from = from(json!({"oci": registry.push(&code)}));
    let gw = with_geo(&up, &cache, geo_from.clone()).start().await;
    until_version(&gw, "1").await;
    drop(gw);
    let kept = cache
        .path()
        .join("own")
        .join(format!("default.{}.fetched", sha256(&code)));
    assert_eq!(std::fs::read(&kept).expect("what was fetched"), code);
    std::fs::write(&kept, stamp("2")).expect("a writable file");
    registry.up.forget();
    let gw = with_geo(&up, &cache, geo_from).start().await;
    until_version(&gw, "1").await;
    let asked: Vec<String> = registry
        .up
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert_eq!(asked, [layer_path(&code)], "only what was broken");
}

#[tokio::test]
async fn a_restart_with_a_version_that_does_not_load_serves_the_last_good_one() {
    let (up, registry, cache) = (upstream().start().await, registry().await, cache());
    let good = from(json!({"oci": registry.push(&stamp("1"))}));
    let gw = with_geo(&up, &cache, good).start().await;
    until_version(&gw, "1").await;
    let bad = from(json!({"oci": registry.push(b"no component")}));
    gw.apply_plugin(bad.clone());
    gw.until_problem(&["not WebAssembly", "last good"]).await;
    drop(gw);
    let gw = with_geo(&up, &cache, bad).start().await;
    until_version(&gw, "1").await;
    gw.until_problem(&["not WebAssembly", "last good"]).await;
    gw.apply_plugin(from(json!({"oci": registry.push(&stamp("2"))})));
    until_version(&gw, "2").await;
}
