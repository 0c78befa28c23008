//! `canary` by its own configuration: any number of backends, by header, cookie and weight.

use harness::{Gateway, Upstream, get, upstream};

use super::{Backends, believe, filtered, root, share};

/// A gateway with this configuration, and the backends `web`, `next` and `third`.
struct Three {
    gw: Gateway,
    _backends: Backends,
    _third: Upstream,
}

async fn three(config: &str) -> Three {
    let backends = Backends::start().await;
    let third = upstream().name("third").start().await;
    let gw = backends
        .gateway()
        .service("third", 8080, &[&third])
        .manifest(filtered("canary", config))
        .start()
        .await;
    Three {
        gw,
        _backends: backends,
        _third: third,
    }
}

impl Three {
    /// Which backend answers a request with these fields, three times.
    async fn with(&self, fields: &[(&str, &str)]) -> String {
        let request = fields
            .iter()
            .fold(root(), |request, (name, value)| request.header(name, value));
        let answers = super::ask(&self.gw, &request, 3).await;
        let names: Vec<String> = answers.iter().map(harness::Answer::backend).collect();
        assert!(
            names.iter().all(|name| *name == names[0]),
            "{fields:?}: {names:?}"
        );
        names[0].clone()
    }
}

#[tokio::test]
async fn header_and_cookie_say_always_and_never() {
    let all = three("{backends: [{service: next, port: 80, header: X-Canary, cookie: try}]}").await;
    for (fields, wanted) in [
        (&[][..], "web"),
        (&[("x-canary", "always")], "next"),
        (&[("X-Canary", "never")], "web"),
        (&[("X-Canary", "other")], "web"),
        (&[("Cookie", "try=always")], "next"),
        (&[("Cookie", "a=b; try=always")], "next"),
        (&[("Cookie", "try=never")], "web"),
        (&[("Cookie", "try=other")], "web"),
        (&[("X-Canary", "never"), ("Cookie", "try=always")], "web"),
        (&[("X-Canary", "always"), ("Cookie", "try=never")], "next"),
        (&[("X-Canary", "other"), ("Cookie", "try=always")], "next"),
    ] {
        assert_eq!(all.with(fields).await, wanted, "{fields:?}");
    }
}

#[tokio::test]
async fn of_many_backends_the_first_rule_that_matches_wins() {
    let config = "{backends: [
        {service: next, port: 80, header: X-Group, headerValue: beta},
        {service: third, port: 8080, header: X-Group, headerPattern: '^(be|al)', cookie: third}]}";
    let all = three(config).await;
    for (fields, wanted) in [
        (&[][..], "web"),
        (&[("X-Group", "beta")], "next"),
        (&[("X-Group", "beta2")], "third"),
        (&[("X-Group", "alpha")], "third"),
        (&[("X-Group", "gamma")], "web"),
        (&[("X-Group", "always")], "third"),
        (&[("X-Group", "never")], "web"),
        (&[("X-Group", "beta"), ("Cookie", "third=always")], "next"),
        (&[("X-Group", "gamma"), ("Cookie", "third=always")], "third"),
    ] {
        assert_eq!(all.with(fields).await, wanted, "{fields:?}");
    }
}

#[tokio::test]
async fn a_pattern_is_found_anywhere_in_the_value_and_in_linear_time() {
    let config = "{backends: [
        {service: next, port: 80, header: A, headerPattern: 'b+c'},
        {service: third, port: 8080, header: B, headerPattern: '^(a+)+$'}]}";
    let all = three(config).await;
    assert_eq!(all.with(&[("A", "abbbcd")]).await, "next");
    assert_eq!(all.with(&[("A", "abd")]).await, "web");
    let long = "a".repeat(8000);
    assert_eq!(all.with(&[("B", &long)]).await, "third");
    // What takes a backtracking engine longer than the world will last.
    assert_eq!(all.with(&[("B", &format!("{long}!"))]).await, "web");
}

#[tokio::test]
async fn never_rules_out_that_backend_only() {
    let config = "{backends: [
        {service: next, port: 80, header: X-Next, weight: 50},
        {service: third, port: 8080, cookie: third, weight: 50}]}";
    let all = three(config).await;
    assert_eq!(
        all.with(&[("X-Next", "never"), ("Cookie", "third=always")])
            .await,
        "third"
    );
    let never = root()
        .header("X-Next", "never")
        .header("Cookie", "third=never");
    assert_eq!(share(&all.gw, &never, 30, "web").await, 30);
    // The share of what is ruled out goes back to the Ingress's own backend or to the others, not to it.
    let one = root().header("X-Next", "never");
    assert_eq!(share(&all.gw, &one, 100, "next").await, 0);
}

#[tokio::test]
async fn weights_are_shares_of_their_total() {
    let config = "{weightTotal: 10, backends: [
        {service: next, port: 80, weight: 3}, {service: third, port: 8080, weight: 2}]}";
    let all = three(config).await;
    let answers = super::ask(&all.gw, &root(), 500).await;
    for (name, chance) in [("web", 0.5), ("next", 0.3), ("third", 0.2)] {
        let there = answers.iter().filter(|answer| answer.backend() == name);
        believe(there.count(), 500, chance);
    }
}

#[tokio::test]
async fn the_total_is_a_hundred_unless_it_is_written() {
    let all = three("{backends: [{service: next, port: 80, weight: 30}]}").await;
    believe(share(&all.gw, &root(), 400, "next").await, 400, 0.3);
    let full = three("{backends: [{service: next, port: 80, weight: 100}]}").await;
    assert_eq!(share(&full.gw, &root(), 50, "next").await, 50);
    let none = three("{backends: [{service: next, port: 80, weight: 0}]}").await;
    assert_eq!(share(&none.gw, &root(), 50, "web").await, 50);
}

#[tokio::test]
async fn rules_come_before_weights() {
    let config = "{backends: [
        {service: next, port: 80, weight: 100},
        {service: third, port: 8080, header: X-Third}]}";
    let all = three(config).await;
    assert_eq!(all.with(&[]).await, "next");
    assert_eq!(all.with(&[("X-Third", "always")]).await, "third");
}

#[tokio::test]
async fn a_missing_backend_is_503_for_the_requests_that_choose_it() {
    let config = "{backends: [
        {service: lost, port: 80, header: X-Lost},
        {service: next, port: 81, header: X-Port},
        {service: next, port: http, header: X-Named}]}";
    let all = three(config).await;
    let problem = all
        .gw
        .until_problem(&["web", "lost", "/backends/0/service"])
        .await;
    assert_eq!(problem["kind"], "Ingress");
    all.gw.until_problem(&["81", "/backends/1/port"]).await;
    assert_eq!(all.with(&[]).await, "web");
    assert_eq!(
        all.with(&[("X-Named", "always")]).await,
        "next",
        "a port by its name"
    );
    let lost = all.gw.send(&root().header("X-Lost", "always")).await;
    assert_eq!((lost.status, lost.reason()), (503, Some("no-service")));
    assert!(lost.header("retry-after").is_some(), "{lost:?}");
    assert!(!lost.text().contains("lost"), "{}", lost.text());
    let port = all.gw.send(&root().header("X-Port", "always")).await;
    assert_eq!(port.status, 503, "{port:?}");
}

#[tokio::test]
async fn a_backend_that_comes_later_serves_at_once() {
    let config = "{backends: [{service: late, port: 80, header: X-Late}]}";
    let all = three(config).await;
    let late = root().header("X-Late", "always");
    assert_eq!(all.gw.send(&late).await.status, 503);
    let up = upstream().name("late").start().await;
    all.gw.apply(harness::service("late", &[("http", 80)]));
    all.gw.endpoints("late", &[up.address()]);
    harness::until("the canary serves", async || {
        let answer = all.gw.send(&late).await;
        answer.status == 200 && answer.backend() == "late"
    })
    .await;
    all.gw.endpoints("late", &[]);
    harness::until("the canary has no endpoint", async || {
        all.gw.send(&late).await.reason() == Some("no-endpoints")
    })
    .await;
    assert_eq!(all.with(&[]).await, "web");
}

#[tokio::test]
async fn a_canary_leads_to_services_of_its_own_namespace_only() {
    let backends = Backends::start().await;
    let elsewhere = harness::ingress("web")
        .namespace("other")
        .host("b.test")
        .path("/", "web", 80)
        .annotation("portcullis.dev/filters", "canary")
        .annotation(
            "portcullis.dev/filter.canary",
            "{backends: [{service: next, port: 80, weight: 100}]}",
        );
    let gw = backends.gateway().manifest(elsewhere).start().await;
    let answer = gw.send(&get("/").host("b.test")).await;
    assert_eq!((answer.status, answer.reason()), (503, Some("no-service")));
    assert!(backends.next.seen().is_empty());
}

#[tokio::test]
async fn a_cookie_is_found_in_whichever_field_it_stands() {
    let all = three("{backends: [{service: next, port: 80, cookie: try}]}").await;
    let twice = [("Cookie", "a=b; c=d"), ("Cookie", "try=always")];
    assert_eq!(all.with(&twice).await, "next");
    let case = [("Cookie", "TRY=always")];
    assert_eq!(all.with(&case).await, "web", "names have their case");
    // HTTP/2 clients send each pair in a field of its own.
    let mut http2 = all.gw.http2().await;
    let fields = [
        ("cookie", "a=b"),
        ("cookie", "try=always"),
        ("cookie", "e=f"),
    ];
    let answer = http2.ask(&fields, "GET", "http://a.test/", None).await;
    assert_eq!(answer.saw().backend, "next");
}
