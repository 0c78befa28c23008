//! Which Ingresses are ours.

use harness::{Gateway, GatewayBuilder, gateway, ingress, ingress_class, upstream};

const OURS: &str = "portcullis.dev/ingress-controller";

async fn start(builder: GatewayBuilder) -> (Gateway, harness::Upstream) {
    let up = upstream().start().await;
    (builder.service("svc", 80, &[&up]).start().await, up)
}

#[tokio::test]
async fn only_ingresses_of_our_class_are_served_and_the_others_are_noted() {
    let (gw, _up) = start(
        gateway()
            .manifest(ingress("ours").host("ours.test").path("/", "svc", 80))
            .manifest(
                ingress("theirs")
                    .class("nginx")
                    .host("theirs.test")
                    .path("/", "svc", 80),
            )
            .manifest(
                ingress("none")
                    .without_class()
                    .host("none.test")
                    .path("/", "svc", 80),
            ),
    )
    .await;
    assert_eq!(gw.get("ours.test", "/").await.status, 200);
    assert_eq!(gw.get("theirs.test", "/").await.status, 404);
    assert_eq!(gw.get("none.test", "/").await.status, 404);
    for name in ["theirs", "none"] {
        let problem = gw.until_problem(&[name]).await;
        assert_eq!(problem["severity"], "note", "{problem}");
    }
}

#[tokio::test]
async fn the_field_goes_before_the_legacy_annotation() {
    let legacy = "kubernetes.io/ingress.class";
    let (gw, _up) = start(
        gateway()
            .manifest(
                ingress("a")
                    .without_class()
                    .annotation(legacy, "portcullis")
                    .host("a.test")
                    .path("/", "svc", 80),
            )
            .manifest(
                ingress("b")
                    .without_class()
                    .annotation(legacy, "nginx")
                    .host("b.test")
                    .path("/", "svc", 80),
            )
            .manifest(
                ingress("c")
                    .annotation(legacy, "nginx")
                    .host("c.test")
                    .path("/", "svc", 80),
            )
            .manifest(
                ingress("d")
                    .class("nginx")
                    .annotation(legacy, "portcullis")
                    .host("d.test")
                    .path("/", "svc", 80),
            ),
    )
    .await;
    for (host, status) in [
        ("a.test", 200),
        ("b.test", 404),
        ("c.test", 200),
        ("d.test", 404),
    ] {
        assert_eq!(gw.get(host, "/").await.status, status, "{host}");
    }
}

#[tokio::test]
async fn an_ingress_without_a_class_is_ours_if_ours_is_the_default() {
    let rule = ingress("none")
        .without_class()
        .host("a.test")
        .path("/", "svc", 80);
    let (gw, _up) = start(gateway().manifest(rule).manifest(ingress_class(
        "portcullis",
        OURS,
        true,
    )))
    .await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    gw.apply(ingress_class("portcullis", OURS, false));
    gw.until_status("a.test", "/", 404).await;
}

#[tokio::test]
async fn a_class_of_another_controller_is_not_ours_whatever_its_name() {
    let rule = ingress("a").host("a.test").path("/", "svc", 80);
    let theirs = ingress_class("portcullis", "example.com/other", true);
    let (gw, _up) = start(gateway().manifest(rule).manifest(theirs)).await;
    assert_eq!(gw.get("a.test", "/").await.status, 404);
}

#[tokio::test]
async fn a_class_of_our_controller_that_we_were_not_told_of_is_a_note() {
    let rule = ingress("a")
        .class("edge")
        .host("a.test")
        .path("/", "svc", 80);
    let (gw, _up) = start(
        gateway()
            .manifest(rule)
            .manifest(ingress_class("edge", OURS, false)),
    )
    .await;
    assert_eq!(gw.get("a.test", "/").await.status, 404);
    let problem = gw.until_problem(&["IngressClass", "edge"]).await;
    assert_eq!(problem["severity"], "note", "{problem}");
}

#[tokio::test]
async fn classes_of_ingress_nginx_can_be_taken_over() {
    let builder = gateway()
        .manifest(
            ingress("a")
                .class("nginx")
                .host("a.test")
                .path("/", "svc", 80),
        )
        .manifest(ingress("b").host("b.test").path("/", "svc", 80))
        .manifest(ingress_class("nginx", "k8s.io/ingress-nginx", false))
        .flag("--ingress-class", "nginx")
        .flag("--controller", "k8s.io/ingress-nginx");
    let (gw, _up) = start(builder).await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    assert_eq!(gw.get("b.test", "/").await.status, 404);
}

#[tokio::test]
async fn a_change_of_class_takes_and_gives_routes_at_once() {
    let rule = || ingress("a").host("a.test").path("/", "svc", 80);
    let (gw, _up) = start(gateway().manifest(rule().class("nginx"))).await;
    assert_eq!(gw.get("a.test", "/").await.status, 404);
    gw.apply(rule());
    gw.until_status("a.test", "/", 200).await;
    gw.apply(rule().class("nginx"));
    gw.until_status("a.test", "/", 404).await;
}
