//! Who goes where.

use portcullis_sdk::testing::{RequestBuilder, TestFilter, filter, get, json, try_filter};
use serde_json::Value;
use session::{Session, backend_hash};

use super::Canary;

#[expect(
    clippy::needless_pass_by_value,
    reason = "`json!(…)` reads best as it is"
)]
fn canary(backend: Value) -> TestFilter<Canary> {
    filter(json!({"backends": [backend]}))
}

fn goes(filter: &TestFilter<Canary>, request: RequestBuilder) -> Option<String> {
    let outcome = filter.request(request);
    assert!(outcome.passes());
    outcome.backend().map(str::to_owned)
}

/// Whether a request goes to the canary.
fn to_it(filter: &TestFilter<Canary>, request: RequestBuilder) -> bool {
    goes(filter, request).is_some()
}

fn with(name: &str, value: &str) -> RequestBuilder {
    get("/").header(name, value)
}

fn share(filter: &TestFilter<Canary>, backend: Option<&str>) -> u32 {
    let chosen = (0..10_000).map(|_| goes(filter, get("/")));
    let hits = chosen.filter(|chosen| chosen.as_deref() == backend).count();
    u32::try_from(hits).unwrap()
}

#[test]
fn always_and_never_of_a_header_decide() {
    let filter = canary(json!({
        "service": "next", "port": 80, "header": "X-Canary", "weight": 100,
    }));
    assert_eq!(
        goes(&filter, with("x-canary", "always")).as_deref(),
        Some("next:80")
    );
    assert!(!to_it(&filter, with("x-canary", "never")));
    assert!(
        to_it(&filter, with("x-canary", "other")),
        "the weight decides"
    );
    let filter = canary(json!({"service": "next", "port": "web", "header": "x-canary"}));
    assert_eq!(
        goes(&filter, with("x-canary", "always")).as_deref(),
        Some("next:web")
    );
    assert!(!to_it(&filter, with("x-canary", "Always")));
    assert!(!to_it(&filter, get("/")));
}

#[test]
fn with_a_value_always_and_never_are_values_as_others() {
    let filter = canary(json!({
        "service": "next", "port": 80, "header": "x-canary", "headerValue": "beta",
        "cookie": "canary",
    }));
    assert!(to_it(&filter, with("x-canary", "beta")));
    assert!(!to_it(&filter, with("x-canary", "always")));
    assert!(!to_it(&filter, with("x-canary", "betas")));
    let cookie = with("x-canary", "never").cookie("canary", "always");
    assert!(
        to_it(&filter, cookie),
        "the header decides nothing, the cookie does"
    );
    let both = canary(json!({
        "service": "next", "port": 80, "header": "x-canary", "headerValue": "a", "headerPattern": "b",
    }));
    assert!(to_it(&both, with("x-canary", "a")) && !to_it(&both, with("x-canary", "b")));
}

#[test]
fn a_pattern_is_unanchored_and_decides_only_where_it_matches() {
    let filter = canary(json!({
        "service": "next", "port": 80, "header": "x-user", "headerPattern": "(?i)@EXAMPLE\\.(com|org)$",
        "cookie": "canary",
    }));
    assert!(to_it(&filter, with("x-user", "me@example.org")));
    assert!(!to_it(&filter, with("x-user", "me@example.net")));
    assert!(!to_it(&filter, with("x-user", "always")));
    assert!(to_it(
        &filter,
        with("x-user", "never").cookie("canary", "always")
    ));
    let unicode = canary(json!({
        "service": "next", "port": 80, "header": "x-user", "headerPattern": "^\\p{Lu}\\w+$",
    }));
    assert!(to_it(
        &unicode,
        get("/").header("x-user", "Ärger".as_bytes())
    ));
    assert!(!to_it(&unicode, get("/").header("x-user", b"\xff\xfe")));
}

#[test]
fn a_pattern_that_is_refused_is_an_error_or_leaves_what_has_the_header_to_the_primary() {
    for pattern in ["(?=a)", "(a)\\1", "(", "(\\w{1000}){1000}"] {
        let backend = json!({
            "service": "next", "port": 80, "header": "h", "headerPattern": pattern,
        });
        let error = try_filter::<Canary>(json!({"backends": [backend]})).err();
        let error = error.expect(pattern);
        assert_eq!(error.pointer, "/backends/0/headerPattern");
        assert!(error.message.starts_with("this pattern is "), "{error}");
        let backend = json!({
            "service": "next", "port": 80, "header": "h", "headerPattern": pattern,
            "invalidPattern": "never", "cookie": "c", "weight": 100,
        });
        let filter = canary(backend);
        assert!(!to_it(&filter, with("h", "always")));
        assert!(!to_it(&filter, with("h", "(").cookie("c", "always")));
        assert!(to_it(&filter, get("/").cookie("c", "other")));
    }
}

#[test]
fn a_pattern_is_found_in_no_endless_value() {
    let filter = canary(json!({
        "service": "next", "port": 80, "header": "h", "headerPattern": "a",
    }));
    assert!(to_it(&filter, with("h", &"a".repeat(8192))));
    assert!(!to_it(&filter, with("h", &"a".repeat(8193))));
}

#[test]
fn a_cookie_decides_after_the_header() {
    let filter = canary(json!({
        "service": "next", "port": 80, "header": "h", "cookie": "c", "weight": 100,
    }));
    assert!(to_it(&filter, get("/").cookie("c", "always")));
    assert!(!to_it(&filter, get("/").cookie("c", "never")));
    assert!(!to_it(&filter, with("h", "never").cookie("c", "always")));
    assert!(to_it(&filter, with("h", "always").cookie("c", "never")));
    assert!(!to_it(&filter, with("h", "other").cookie("c", "never")));
}

#[test]
fn of_several_backends_the_first_match_wins() {
    let filter = filter::<Canary>(json!({"backends": [
        {"service": "a", "port": 80, "header": "h"},
        {"service": "b", "port": 80, "header": "h", "cookie": "c"},
        {"service": "c", "port": 80, "weight": 100},
    ]}));
    let goes = |request| goes(&filter, request).unwrap();
    assert_eq!(goes(with("h", "always")), "a:80");
    assert_eq!(goes(get("/").cookie("c", "always")), "b:80");
    assert_eq!(goes(with("h", "never").cookie("c", "always")), "c:80");
    assert_eq!(goes(get("/")), "c:80");
}

#[test]
fn weights_share_what_no_rule_decides() {
    let of = |weights: [u32; 2], total: u32| {
        filter::<Canary>(json!({"weightTotal": total, "backends": [
            {"service": "a", "port": 80, "weight": weights[0], "header": "h"},
            {"service": "b", "port": 80, "weight": weights[1]},
        ]}))
    };
    let near = |hits: u32, expected: u32| hits.abs_diff(expected) < 200;
    let filter = of([20, 30], 100);
    assert!(near(share(&filter, Some("a:80")), 2000));
    assert!(near(share(&filter, Some("b:80")), 3000));
    assert!(near(share(&filter, None), 5000));
    let ruled_out = |_| goes(&filter, with("h", "never"));
    let hits = (0..10_000).map(ruled_out).filter(Option::is_some).count();
    assert!(
        near(u32::try_from(hits).unwrap(), 3000),
        "a's share is not given away"
    );
    assert!(near(share(&of([1, 0], 1000), Some("a:80")), 10));
    assert_eq!(share(&of([0, 0], 100), None), 10_000);
    assert_eq!(share(&of([0, 100], 100), Some("b:80")), 10_000);
}

#[test]
fn a_session_goes_where_it_began_whatever_the_rules_say() {
    let config = |primary: Option<&str>| {
        let mut config = json!({
            "stickyCookie": "S", "backends": [{"service": "next", "port": 80, "header": "h"}],
        });
        if let Some(primary) = primary {
            config["primary"] = primary.into();
        }
        filter::<Canary>(config)
    };
    let session = |backend: &str| {
        let session = Session {
            key: "k",
            endpoint: "e",
            backend: &backend_hash(backend),
        };
        session.value().unwrap()
    };
    for primary in [None, Some("web:80")] {
        let filter = config(primary);
        let to_it = |request: RequestBuilder| to_it(&filter, request);
        assert!(to_it(get("/").cookie("S", &session("next:80"))));
        assert!(to_it(with("h", "never").cookie("S", &session("next:80"))));
        assert!(!to_it(with("h", "always").cookie("S", &session("web:80"))));
        let gone = with("h", "always").cookie("S", &session("gone:80"));
        assert_eq!(to_it(gone), primary.is_some());
        assert!(to_it(with("h", "always").cookie("S", "made up")));
        assert!(to_it(with("h", "always")));
    }
}

#[test]
fn a_backend_that_is_not_there_is_503() {
    let filter = canary(json!({"service": "next", "port": 80, "weight": 100}));
    filter.services(&["web:80"]);
    let outcome = filter.request(get("/"));
    let answer = outcome.answer();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header_str("portcullis-reason"), Some("no-service"));
    assert_eq!(answer.header_str("retry-after"), Some("5"));
    assert_eq!(filter.lines().len(), 1);
    let filter = canary(json!({"service": "next", "port": 80, "weight": 100}));
    filter.grant_backends(&[]);
    assert_eq!(filter.request(get("/")).answer().status, 503);
}

#[test]
fn a_wrong_configuration_says_where() {
    let pointer = |config: Value| {
        try_filter::<Canary>(config)
            .err()
            .expect("an error")
            .pointer
    };
    let one = |backend: Value| pointer(json!({"backends": [backend]}));
    assert_eq!(pointer(json!({})), "");
    assert_eq!(pointer(json!({"backends": []})), "/backends");
    assert_eq!(one(json!({"service": "a"})), "/backends/0");
    assert_eq!(one(json!({"service": "a", "port": 0})), "/backends/0/port");
    assert_eq!(
        one(json!({"service": "a", "port": true})),
        "/backends/0/port"
    );
    assert_eq!(
        one(json!({"service": "a", "port": "a b"})),
        "/backends/0/port"
    );
    assert_eq!(
        one(json!({"service": "", "port": 1})),
        "/backends/0/service"
    );
    assert_eq!(
        one(json!({"service": "a", "port": 1, "headerValue": "x"})),
        "/backends/0/header"
    );
    assert_eq!(
        one(json!({"service": "a", "port": 1, "header": "a b"})),
        "/backends/0/header"
    );
    assert_eq!(
        one(json!({"service": "a", "port": 1, "cookie": "a;b"})),
        "/backends/0/cookie"
    );
    assert_eq!(
        one(json!({"service": "a", "port": 1, "weight": 101})),
        "/backends"
    );
    let good = json!([{"service": "a", "port": 1}]);
    assert_eq!(
        pointer(json!({"backends": good, "weightTotal": 0})),
        "/weightTotal"
    );
    assert_eq!(
        pointer(json!({"backends": good, "primary": "a:1"})),
        "/primary"
    );
    let sticky = json!({"backends": good, "primary": "a", "stickyCookie": "S"});
    assert_eq!(pointer(sticky), "/primary");
    assert_eq!(
        pointer(json!({"backends": good, "stickyCookie": "a b"})),
        "/stickyCookie"
    );
}
