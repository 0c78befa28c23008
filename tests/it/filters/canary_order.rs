//! Canaries of ingress-nginx: what decides on a request, in order.

use harness::{Gateway, IngressBuilder, Request};

use super::{Backends, ask, believe, canary, nginx, pair, root, share, web};

/// A primary and its canary.
struct Pair {
    gw: Gateway,
    _backends: Backends,
}

async fn beside(primary: IngressBuilder, canary: IngressBuilder) -> Pair {
    let backends = Backends::start().await;
    let builder = backends.gateway().manifest(primary).manifest(canary);
    Pair {
        gw: builder.start().await,
        _backends: backends,
    }
}

impl Pair {
    /// The one backend that answers a request, whenever it is sent.
    async fn backend(&self, request: &Request) -> String {
        let answers = ask(&self.gw, request, 12).await;
        let names: Vec<String> = answers.iter().map(harness::Answer::backend).collect();
        assert!(
            names.iter().all(|name| *name == names[0]),
            "{request:?}: {names:?}"
        );
        names[0].clone()
    }
}

/// A request with this header.
fn with(value: &str) -> Request {
    root().header("X-Canary", value)
}

const HEADER: (&str, &str) = ("canary-by-header", "X-Canary");
const COOKIE: (&str, &str) = ("canary-by-cookie", "try");
const ALL: (&str, &str) = ("canary-weight", "100");
const SESSIONS: (&str, &str) = ("affinity", "cookie");

#[tokio::test]
async fn first_a_session_of_the_primary_stays_there_whatever_the_header_says() {
    let pair_of = beside(nginx(&[SESSIONS]), canary(&[HEADER, COOKIE])).await;
    let first = pair_of.gw.send(&root()).await;
    assert_eq!(first.backend(), "web");
    let session = pair(&first);
    let request = with("always").header("Cookie", &format!("{session}; try=always"));
    assert_eq!(pair_of.backend(&request).await, "web");
    assert_eq!(
        pair_of.backend(&with("always")).await,
        "next",
        "without the session"
    );
}

#[tokio::test]
async fn a_session_of_the_primary_is_not_moved_by_weight() {
    let backends = Backends::start().await;
    let gw = backends
        .gateway()
        .manifest(nginx(&[SESSIONS]))
        .start()
        .await;
    let session = pair(&gw.send(&root()).await);
    gw.apply(canary(&[ALL]));
    harness::until("the canary takes what is new", async || {
        gw.send(&root()).await.backend() == "next"
    })
    .await;
    let request = root().header("Cookie", &session);
    assert_eq!(share(&gw, &request, 20, "web").await, 20);
}

#[tokio::test]
async fn second_without_an_alternative_all_is_the_primarys() {
    let backends = Backends::start().await;
    let gw = backends
        .gateway()
        .manifest(nginx(&[SESSIONS]))
        .start()
        .await;
    for request in [
        root(),
        with("always"),
        root().header("Cookie", "try=always"),
    ] {
        assert_eq!(gw.send(&request).await.backend(), "web");
    }
}

#[tokio::test]
async fn third_a_session_of_the_canary_stays_there_whatever_the_header_says() {
    let pair_of = beside(nginx(&[SESSIONS]), canary(&[HEADER, COOKIE])).await;
    let first = pair_of.gw.send(&with("always")).await;
    assert_eq!(first.backend(), "next");
    let session = pair(&first);
    let request = with("never").header("Cookie", &format!("{session}; try=never"));
    assert_eq!(pair_of.backend(&request).await, "next");
    assert_eq!(
        pair_of.backend(&root().header("Cookie", &session)).await,
        "next"
    );
    assert_eq!(
        pair_of.backend(&with("never")).await,
        "web",
        "without the session"
    );
}

#[tokio::test]
async fn legacy_leaves_each_request_to_the_canarys_rules() {
    let legacy = nginx(&[SESSIONS, ("affinity-canary-behavior", "legacy")]);
    let pair_of = beside(legacy, canary(&[HEADER])).await;
    let first = pair_of.gw.send(&root()).await;
    assert_eq!(first.backend(), "web");
    let session = pair(&first);
    let moved = pair_of
        .gw
        .send(&with("always").header("Cookie", &session))
        .await;
    assert_eq!(moved.backend(), "next");
    assert_eq!(moved.header("set-cookie"), None, "a canary has no sessions");
    let back = pair_of
        .gw
        .send(&with("never").header("Cookie", &session))
        .await;
    assert_eq!(back.backend(), "web");
    assert_eq!(back.header("set-cookie"), None, "the session goes on");
}

#[tokio::test]
async fn fourth_the_header_says_always_or_never() {
    let pair_of = beside(web(), canary(&[HEADER])).await;
    assert_eq!(pair_of.backend(&with("always")).await, "next");
    assert_eq!(pair_of.backend(&with("never")).await, "web");
    for other in ["Always", "true", "always,never", ""] {
        assert_eq!(pair_of.backend(&with(other)).await, "web", "{other}");
    }
    let pair_of = beside(web(), canary(&[HEADER, COOKIE, ALL])).await;
    let cookie = |value: &str| format!("try={value}");
    let request = with("never").header("Cookie", &cookie("always"));
    assert_eq!(pair_of.backend(&request).await, "web", "never is the end");
    assert_eq!(
        pair_of.backend(&with("other")).await,
        "next",
        "others go on to the weight"
    );
    let request = with("other").header("Cookie", &cookie("never"));
    assert_eq!(
        pair_of.backend(&request).await,
        "web",
        "by way of the cookie"
    );
}

#[tokio::test]
async fn with_a_value_always_and_never_are_values_as_others() {
    let value = ("canary-by-header-value", "beta");
    let pair_of = beside(web(), canary(&[HEADER, value])).await;
    assert_eq!(pair_of.backend(&with("beta")).await, "next");
    for other in ["always", "never", "Beta", "beta2"] {
        assert_eq!(pair_of.backend(&with(other)).await, "web", "{other}");
    }
    let pair_of = beside(web(), canary(&[HEADER, value, ALL])).await;
    assert_eq!(pair_of.backend(&with("never")).await, "next", "by weight");
    let value = ("canary-by-header-value", "never");
    let pair_of = beside(web(), canary(&[HEADER, value])).await;
    assert_eq!(pair_of.backend(&with("never")).await, "next");
    // With a value, the pattern means nothing.
    let pattern = ("canary-by-header-pattern", "beta");
    let pair_of = beside(web(), canary(&[HEADER, value, pattern])).await;
    assert_eq!(pair_of.backend(&with("beta")).await, "web");
}

#[tokio::test]
async fn a_pattern_matches_anywhere_in_the_value_and_else_the_next_rule_decides() {
    let pattern = ("canary-by-header-pattern", "be[t]a|^x$");
    let pair_of = beside(web(), canary(&[HEADER, pattern])).await;
    for value in ["beta", "alpha-beta-gamma", "x"] {
        assert_eq!(pair_of.backend(&with(value)).await, "next", "{value}");
    }
    for value in ["bet", "xx", "always", "never"] {
        assert_eq!(pair_of.backend(&with(value)).await, "web", "{value}");
    }
    let pair_of = beside(web(), canary(&[HEADER, pattern, COOKIE])).await;
    let request = with("no").header("Cookie", "try=always");
    assert_eq!(pair_of.backend(&request).await, "next", "by the cookie");
    let pair_of = beside(web(), canary(&[HEADER, pattern, ALL])).await;
    assert_eq!(pair_of.backend(&with("never")).await, "next", "by weight");
}

#[tokio::test]
async fn a_pattern_that_is_not_understood_leaves_requests_with_the_header_to_the_primary() {
    for wrong in ["be(ta", "(?=beta)", "(b)\\1"] {
        let pattern = ("canary-by-header-pattern", wrong);
        let pair_of = beside(web(), canary(&[HEADER, pattern, COOKIE, ALL])).await;
        let request = with("beta").header("Cookie", "try=always");
        assert_eq!(pair_of.backend(&request).await, "web", "{wrong}");
        assert_eq!(pair_of.backend(&root()).await, "next", "{wrong}: by weight");
    }
}

#[tokio::test]
async fn fifth_the_cookie_says_always_or_never() {
    let cookie = |value: &str| root().header("Cookie", &format!("a=b; try={value}"));
    let pair_of = beside(web(), canary(&[COOKIE])).await;
    assert_eq!(pair_of.backend(&cookie("always")).await, "next");
    assert_eq!(pair_of.backend(&cookie("never")).await, "web");
    assert_eq!(pair_of.backend(&cookie("other")).await, "web");
    let pair_of = beside(web(), canary(&[COOKIE, ALL])).await;
    assert_eq!(pair_of.backend(&cookie("never")).await, "web");
    assert_eq!(pair_of.backend(&cookie("other")).await, "next", "by weight");
}

#[tokio::test]
async fn last_the_weight_decides_on_each_request_anew() {
    let pair_of = beside(web(), canary(&[("canary-weight", "30")])).await;
    let answers = ask(&pair_of.gw, &root(), 400).await;
    let there: Vec<bool> = answers
        .iter()
        .map(|answer| answer.backend() == "next")
        .collect();
    believe(there.iter().filter(|there| **there).count(), 400, 0.3);
    // Nobody stays: two neighbours differ as often as two draws do.
    let differ = there.chunks(2).filter(|two| two[0] != two[1]);
    believe(differ.count(), 200, 2.0 * 0.3 * 0.7);
    for answer in &answers {
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn a_weight_of_0_is_never_and_one_of_the_total_is_always() {
    for (keys, wanted) in [
        (&[("canary-weight", "0")][..], "web"),
        (&[("canary-weight", "100")], "next"),
        (
            &[("canary-weight", "200"), ("canary-weight-total", "200")],
            "next",
        ),
        (&[("canary-weight", "5000")], "next"),
    ] {
        let pair_of = beside(web(), canary(keys)).await;
        assert_eq!(
            share(&pair_of.gw, &root(), 40, wanted).await,
            40,
            "{keys:?}"
        );
    }
}

#[tokio::test]
async fn the_total_counts_where_it_is_more_than_a_hundred() {
    for (total, chance) in [("200", 0.25), ("50", 0.5)] {
        let keys = [("canary-weight", "50"), ("canary-weight-total", total)];
        let pair_of = beside(web(), canary(&keys)).await;
        believe(share(&pair_of.gw, &root(), 400, "next").await, 400, chance);
    }
}
