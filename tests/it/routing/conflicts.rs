//! Two owners of one path or host.

use harness::{IngressBuilder, Upstream, gateway, ingress, upstream};

async fn two() -> (Upstream, Upstream) {
    (
        upstream().name("one").start().await,
        upstream().name("two").start().await,
    )
}

/// An Ingress for `a.test/x` and a path of its own.
fn claims(name: &str, service: &str) -> IngressBuilder {
    ingress(name)
        .host("a.test")
        .path("/x", service, 80)
        .path(&format!("/{service}"), service, 80)
}

#[tokio::test]
async fn the_oldest_ingress_owns_a_path_and_the_loser_keeps_its_others() {
    let (one, two) = two().await;
    let gw = gateway()
        .service("one", 80, &[&one])
        .service("two", 80, &[&two])
        .manifest(claims("a-young", "one").created("2022-05-05T05:05:05Z"))
        .manifest(claims("z-old", "two").created("2021-05-05T05:05:05Z"))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/x").await.backend(), "two");
    assert_eq!(gw.get("a.test", "/one").await.backend(), "one");
    assert_eq!(gw.get("a.test", "/two").await.backend(), "two");
    let told = gw.until_problem(&["\"a-young\"", "/x"]).await;
    assert_eq!(told["severity"], "warning", "{told}");
    assert!(told.to_string().contains("default/z-old"), "{told}");
    let winner = gw.until_problem(&["\"z-old\"", "default/a-young"]).await;
    assert_ne!(winner["severity"], "error", "{winner}");

    // When the winner goes, the loser takes over.
    gw.delete(ingress("z-old"));
    gw.until_status("a.test", "/two", 404).await;
    assert_eq!(gw.get("a.test", "/x").await.backend(), "one");
}

#[tokio::test]
async fn without_a_creation_time_an_ingress_is_the_youngest() {
    let (one, two) = two().await;
    let gw = gateway()
        .service("one", 80, &[&one])
        .service("two", 80, &[&two])
        .manifest(claims("a", "one"))
        .manifest(claims("z", "two").created("2025-05-05T05:05:05Z"))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/x").await.backend(), "two");
}

#[tokio::test]
async fn of_equal_age_the_first_by_namespace_and_name_wins() {
    let (one, two) = two().await;
    let gw = gateway()
        .service("one", 80, &[&one])
        .service("two", 80, &[&two])
        .manifest(claims("b", "one"))
        .manifest(claims("a", "two"))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/x").await.backend(), "two");
}

#[tokio::test]
async fn a_path_on_a_host_of_another_namespace_is_served_and_noted_on_both() {
    let (one, _two) = two().await;
    let elsewhere = ingress("z")
        .namespace("other")
        .host("a.test")
        .path("/z", "one", 80);
    let gw = gateway()
        .service("one", 80, &[&one])
        .manifest(
            ingress("a")
                .host("a.test")
                .path("/a", "one", 80)
                .created("2020-01-01T00:00:00Z"),
        )
        .manifest(elsewhere)
        .manifest(harness::service("one", &[("http", 80)]).namespace("other"))
        .manifest(
            harness::slice(
                "one",
                "far",
                ("http", one.address().port()),
                &[harness::endpoint(one.address(), &serde_json::json!({}))],
            )
            .namespace("other"),
        )
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/a").await.status, 200);
    assert_eq!(gw.get("a.test", "/z").await.status, 200);
    let note = gw
        .until_problem(&["\"namespace\":\"other\"", "a.test"])
        .await;
    assert_eq!(note["severity"], "note", "{note}");
    gw.until_problem(&["\"namespace\":\"default\"", "a.test", "other"])
        .await;
}

#[tokio::test]
async fn a_backend_of_another_namespace_cannot_be_named() {
    let (one, _two) = two().await;
    let gw = gateway()
        .service("one", 80, &[&one])
        .manifest(
            ingress("thief")
                .namespace("other")
                .host("a.test")
                .path("/", "one", 80),
        )
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (503, Some("no-service")));
    assert!(one.seen().is_empty());
}
