//! Ports of Services, and their endpoints.

use std::net::SocketAddr;

use harness::{Upstream, endpoint, gateway, ingress, service, slice, upstream};
use serde_json::{Value, json};

fn web() -> harness::GatewayBuilder {
    gateway().manifest(ingress("web").host("a.test").path("/", "svc", 80))
}

fn ready(up: &Upstream) -> Value {
    endpoint(up.address(), &json!({"ready": true}))
}

#[tokio::test]
async fn ports_are_the_services_by_number_and_by_name() {
    let (one, two) = (
        upstream().name("one").start().await,
        upstream().name("two").start().await,
    );
    let gw = gateway()
        .manifest(
            ingress("web")
                .host("a.test")
                .path("/number", "svc", 80)
                .path("/name", "svc", "admin")
                .path("/target", "svc", 1)
                .path("/lost", "svc", "lost"),
        )
        .manifest(service("svc", &[("http", 80), ("admin", 9090)]))
        .manifest(slice(
            "svc",
            "one",
            ("http", one.address().port()),
            &[ready(&one)],
        ))
        .manifest(slice(
            "svc",
            "two",
            ("admin", two.address().port()),
            &[ready(&two)],
        ))
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/number").await.backend(), "one");
    assert_eq!(gw.get("a.test", "/name").await.backend(), "two");
    for path in ["/target", "/lost"] {
        let answer = gw.get("a.test", path).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some("no-port")),
            "{path}"
        );
    }
    gw.until_problem(&["web", "lost", "svc"]).await;
}

#[tokio::test]
async fn a_missing_service_and_missing_endpoints_are_503_and_never_404() {
    let gw = web()
        .manifest(ingress("lost").host("b.test").path("/", "nowhere", 80))
        .manifest(service("svc", &[("http", 80)]))
        .start()
        .await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (503, Some("no-endpoints"))
    );
    assert!(
        answer
            .header("retry-after")
            .is_some_and(|s| s.parse::<u32>().is_ok()),
        "{:?}",
        answer.fields
    );
    let answer = gw.get("b.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (503, Some("no-service")));
    let told = answer.text();
    assert!(
        !told.contains("nowhere") && !told.contains("default"),
        "{told}"
    );
    gw.until_problem(&["lost", "nowhere"]).await;
}

#[tokio::test]
async fn conditions_that_are_absent_have_their_defaults() {
    let cases = [
        (json!({}), true),
        (
            json!({"ready": null, "serving": null, "terminating": null}),
            true,
        ),
        (
            json!({"ready": true, "serving": true, "terminating": false}),
            true,
        ),
        (json!({"ready": false}), false),
        (
            json!({"ready": false, "serving": false, "terminating": true}),
            false,
        ),
        (
            json!({"ready": false, "serving": false, "terminating": false}),
            false,
        ),
        // None is ready: those that serve while terminating take over.
        (
            json!({"ready": false, "serving": true, "terminating": true}),
            true,
        ),
    ];
    let up = upstream().start().await;
    let mut builder = gateway();
    for (number, (conditions, _)) in cases.iter().enumerate() {
        let name = format!("svc-{number}");
        let endpoints = [endpoint(up.address(), conditions)];
        builder = builder
            .manifest(service(&name, &[("http", 80)]))
            .manifest(slice(&name, "x", ("http", up.address().port()), &endpoints))
            .manifest(
                ingress(&name)
                    .host(&format!("{name}.test"))
                    .path("/", &name, 80),
            );
    }
    let gw = builder.start().await;
    for (number, (conditions, usable)) in cases.iter().enumerate() {
        let answer = gw.get(&format!("svc-{number}.test"), "/").await;
        let expected = if *usable {
            (200, None)
        } else {
            (503, Some("no-endpoints"))
        };
        assert_eq!((answer.status, answer.reason()), expected, "{conditions}");
    }
}

#[tokio::test]
async fn terminating_endpoints_take_nothing_while_one_is_ready() {
    let (up, leaving) = (
        upstream().name("up").start().await,
        upstream().name("leaving").start().await,
    );
    let terminating = json!({"ready": false, "serving": true, "terminating": true});
    let endpoints = [endpoint(leaving.address(), &terminating)];
    let gw = web()
        .manifest(service("svc", &[("http", 80)]))
        .manifest(slice(
            "svc",
            "up",
            ("http", up.address().port()),
            &[ready(&up)],
        ))
        .manifest(slice(
            "svc",
            "leaving",
            ("http", leaving.address().port()),
            &endpoints,
        ))
        .start()
        .await;
    for _ in 0..6 {
        assert_eq!(gw.get("a.test", "/").await.backend(), "up");
    }
    gw.delete(slice("svc", "up", ("http", 1), &[]));
    harness::until("the terminating endpoint takes over", async || {
        let answer = gw.get("a.test", "/").await;
        answer.status == 200 && answer.backend() == "leaving"
    })
    .await;
}

#[tokio::test]
async fn an_address_in_two_slices_counts_once() {
    let (one, two) = (
        upstream().name("one").start().await,
        upstream().name("two").start().await,
    );
    let gw = web()
        .manifest(service("svc", &[("http", 80)]))
        .manifest(slice(
            "svc",
            "a",
            ("http", one.address().port()),
            &[ready(&one)],
        ))
        .manifest(slice(
            "svc",
            "b",
            ("http", one.address().port()),
            &[ready(&one)],
        ))
        .manifest(slice(
            "svc",
            "c",
            ("http", two.address().port()),
            &[ready(&two)],
        ))
        .start()
        .await;
    for _ in 0..6 {
        assert_eq!(gw.get("a.test", "/").await.status, 200);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (3, 3));
}

#[tokio::test]
async fn endpoints_of_one_slice_share_its_port() {
    let one = upstream()
        .name("one")
        .at(SocketAddr::from(([127, 0, 0, 21], 0)))
        .start()
        .await;
    let port = one.address().port();
    let two = upstream()
        .name("two")
        .at(SocketAddr::from(([127, 0, 0, 22], port)))
        .start()
        .await;
    let gw = web()
        .manifest(service("svc", &[("http", 80)]))
        .manifest(slice(
            "svc",
            "x",
            ("http", port),
            &[ready(&one), ready(&two)],
        ))
        .start()
        .await;
    let first = gw.get("a.test", "/").await.backend();
    let second = gw.get("a.test", "/").await.backend();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_headless_service_whose_slice_has_no_ports_uses_its_target_port() {
    let up = upstream().start().await;
    let headless = service("svc", &[("http", 80)])
        .set("spec/clusterIP", json!("None"))
        .set("spec/ports/0/targetPort", json!(up.address().port()));
    let slice = slice("svc", "x", ("http", 1), &[ready(&up)]).set("ports", json!([]));
    let gw = web().manifest(headless).manifest(slice).start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_service_with_one_nameless_port_works() {
    let up = upstream().start().await;
    let service =
        service("svc", &[("http", 80)]).set("spec/ports/0", json!({"port": 80, "protocol": "TCP"}));
    let slice = slice("svc", "x", ("http", 1), &[ready(&up)]).set(
        "ports",
        json!([{"name": "", "port": up.address().port(), "protocol": "TCP"}]),
    );
    let gw = web().manifest(service).manifest(slice).start().await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn an_external_name_is_refused_unless_it_is_allowed() {
    let external = service("svc", &[("http", 80)]).set(
        "spec",
        json!({"type": "ExternalName", "externalName": "localhost", "ports": [{"port": 80}]}),
    );
    let gw = web().manifest(external).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!((answer.status, answer.reason()), (503, Some("no-service")));
    gw.until_problem(&["svc", "--allow-external-name"]).await;
}

#[tokio::test]
async fn endpoints_come_and_go_at_once() {
    let (one, two) = (
        upstream().name("one").start().await,
        upstream().name("two").start().await,
    );
    let gw = web().service("svc", 80, &[&one]).start().await;
    assert_eq!(gw.get("a.test", "/").await.backend(), "one");
    gw.endpoints("svc", &[two.address()]);
    harness::until("the other endpoint serves", async || {
        gw.get("a.test", "/").await.backend() == "two"
    })
    .await;
    let before = one.seen().len();
    for _ in 0..5 {
        assert_eq!(gw.get("a.test", "/").await.backend(), "two");
    }
    assert_eq!(one.seen().len(), before);
    gw.endpoints("svc", &[]);
    gw.until_status("a.test", "/", 503).await;
    gw.endpoints("svc", &[one.address()]);
    gw.until_status("a.test", "/", 200).await;
}
