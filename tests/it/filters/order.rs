//! The order of filters, and what comes before all of them: as ingress-nginx has it.

use harness::{
    GatewayBuilder, IngressBuilder, Request, Upstream, gateway, get, ingress, post, secret,
    self_signed, upstream,
};
use serde_json::Value;

use super::{Backends, ask, canary, is_refusal, keyed, nginx, root, web};

const LIMIT: [(&str, &str); 2] = [("limit-rpm", "1"), ("limit-burst-multiplier", "2")];

fn statuses(answers: &[harness::Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

fn limited(ingress: IngressBuilder, up: &Upstream) -> GatewayBuilder {
    gateway()
        .service("web", 80, &[up])
        .manifest(keyed(ingress, &LIMIT))
}

#[tokio::test]
async fn redirects_to_https_cost_nothing() {
    let up = upstream().start().await;
    let gw = limited(web().tls(&["a.test"], "cert"), &up)
        .manifest(secret("cert", &self_signed(&["a.test"])))
        .start()
        .await;
    assert_eq!(statuses(&ask(&gw, &root(), 9).await), [308; 9]);
    let mut passed = Vec::new();
    for _ in 0..4 {
        passed.push(gw.get_tls("a.test", "/").await.status);
    }
    assert_eq!(passed, [200, 200, 200, 503]);
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_is_413_before_it_costs_anything() {
    let up = upstream().start().await;
    let ingress = keyed(web(), &[("proxy-body-size", "1k")]);
    let gw = limited(ingress, &up).start().await;
    for _ in 0..5 {
        let answer = gw.send(&post("/", vec![b'x'; 2000]).host("a.test")).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (413, Some("body-too-large"))
        );
    }
    assert_eq!(statuses(&ask(&gw, &root(), 4).await), [200, 200, 200, 503]);
}

#[tokio::test]
async fn limits_count_what_the_named_chain_refuses() {
    let up = upstream().start().await;
    let refusing = super::filtered(
        "canary",
        "{backends: [{service: lost, port: 80, weight: 100}]}",
    );
    let gw = limited(refusing, &up).start().await;
    let answers = ask(&gw, &root(), 5).await;
    let reasons: Vec<_> = answers.iter().map(|answer| answer.reason()).collect();
    let (lost, limit) = (Some("no-service"), Some("rate-limit"));
    assert_eq!(reasons, [lost, lost, lost, limit, limit]);
}

#[tokio::test]
async fn limits_come_before_the_choice_of_a_canary_and_sessions() {
    let backends = Backends::start().await;
    let primary = nginx(&[&LIMIT[..], &[("affinity", "cookie")]].concat());
    let gw = backends
        .gateway()
        .manifest(primary)
        .manifest(canary(&[("canary-by-header", "X-Canary")]))
        .start()
        .await;
    let always = root().header("X-Canary", "always");
    let answers = ask(&gw, &always, 5).await;
    assert_eq!(statuses(&answers), [200, 200, 200, 503, 503]);
    assert!(is_refusal(&answers[4], 503), "{answers:?}");
    assert_eq!(
        answers[4].header("set-cookie"),
        None,
        "a refusal begins no session"
    );
    assert_eq!(
        (backends.web.seen().len(), backends.next.seen().len()),
        (0, 3)
    );
}

/// The chain that `explain` tells of, as names and where they come from.
async fn explained(gw: &harness::Gateway, request: &str) -> Vec<(String, String)> {
    let told = gw
        .admin_get(&format!("/api/v1/explain?url={request}"))
        .await
        .json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let chain = told["route"]["chain"].as_array().cloned();
    let chain = chain.unwrap_or_else(|| panic!("no chain: {told}"));
    let one = |filter: &Value| (text(&filter["name"]), text(&filter["from"]));
    chain.iter().map(one).collect()
}

#[tokio::test]
async fn explain_tells_the_order_and_the_annotation_behind_each_filter() {
    let backends = Backends::start().await;
    let primary = keyed(
        web()
            .annotation("portcullis.dev/filters", "mine=rate-limit")
            .annotation("portcullis.dev/filter.mine", "{requests: 9, per: 1h}")
            .path("/plain", "web", 80),
        &[("affinity", "cookie")],
    );
    let limits = ingress("limits").host("b.test").path("/", "web", 80);
    let gw = backends
        .gateway()
        .manifest(primary)
        .manifest(keyed(
            limits,
            &[
                ("limit-connections", "5"),
                ("limit-rps", "5"),
                ("affinity", "cookie"),
            ],
        ))
        .manifest(canary(&[("canary-weight", "5")]))
        .start()
        .await;
    let pair = |name: &str, from: &str| (name.to_owned(), from.to_owned());
    let affinity = pair("sticky-session", "nginx.ingress.kubernetes.io/affinity");
    let named = pair("mine", "portcullis.dev/filters");
    let by_canary = pair(
        "canary",
        "nginx.ingress.kubernetes.io/canary of Ingress default/next",
    );
    let limit = pair("rate-limit", "nginx.ingress.kubernetes.io/limit-rps");
    assert_eq!(
        explained(&gw, "http://a.test/").await,
        [named.clone(), by_canary, affinity.clone()]
    );
    assert_eq!(
        explained(&gw, "http://a.test/plain").await,
        [named, affinity.clone()]
    );
    assert_eq!(explained(&gw, "http://b.test/").await, [limit, affinity]);

    let admin = gw.admin().to_string();
    let told = harness::portcullis(&["explain", "--admin", &admin, "http://b.test/"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    for word in [
        "rate-limit",
        "nginx.ingress.kubernetes.io/limit-rps",
        "nginx.ingress.kubernetes.io/affinity",
    ] {
        assert!(told.stdout.contains(word), "{word}: {}", told.stdout);
    }
}

#[tokio::test]
async fn the_routes_tell_the_chain_in_its_order() {
    let backends = Backends::start().await;
    let keys = [&LIMIT[..], &[("affinity", "cookie")]].concat();
    let gw = backends
        .gateway()
        .manifest(nginx(&keys))
        .manifest(canary(&[("canary-weight", "5")]))
        .start()
        .await;
    let routes = gw.routes().await;
    let filters = &routes[0]["filters"];
    assert_eq!(
        *filters,
        serde_json::json!(["rate-limit", "canary", "sticky-session"])
    );
}

#[tokio::test]
async fn a_named_chain_runs_in_its_order() {
    // A filter that refuses ends the chain: what stands after it is not charged.
    let up = upstream().start().await;
    let chain = |order: &str| {
        web()
            .annotation("portcullis.dev/filters", order)
            .annotation(
                "portcullis.dev/filter.few",
                "{requests: 2, per: 1h, status: 420}",
            )
            .annotation(
                "portcullis.dev/filter.many",
                "{requests: 5, per: 1h, key: 'header:K', status: 421}",
            )
    };
    let from = |key: &str| -> Request { get("/").host("a.test").header("K", key) };
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(chain("few=rate-limit, many=rate-limit"))
        .start()
        .await;
    assert_eq!(
        statuses(&ask(&gw, &from("1"), 9).await),
        [200, 200, 420, 420, 420, 420, 420, 420, 420]
    );
    gw.apply(chain("many=rate-limit"));
    gw.until_status("a.test", "/", 200).await;
    // Of five, the first two were charged to it, and none of those that the other refused.
    assert_eq!(
        statuses(&ask(&gw, &from("1"), 4).await),
        [200, 200, 200, 421]
    );
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(chain("many=rate-limit, few=rate-limit"))
        .start()
        .await;
    assert_eq!(
        statuses(&ask(&gw, &from("1"), 7).await),
        [200, 200, 420, 420, 420, 421, 421]
    );
}
