//! The limits, and what is said to who is over them.

use std::time::Duration;

use portcullis_sdk::testing::{TestFilter, filter, get, json, schema, try_filter};

use super::RateLimit;

fn limited(config: serde_json::Value) -> TestFilter<RateLimit> {
    filter(config)
}

/// How many of so many requests pass.
fn passing(filter: &TestFilter<RateLimit>, number: u32) -> u32 {
    (0..number)
        .map(|_| u32::from(filter.request(get("/")).passes()))
        .sum()
}

fn refused(config: serde_json::Value) -> (String, String) {
    let error = try_filter::<RateLimit>(config).err().expect("an error");
    (error.pointer, error.message)
}

#[test]
fn from_idle_exactly_the_burst_passes_and_then_the_rate() {
    let filter = limited(json!({"requests": 10, "per": "1s", "burst": 20}));
    assert_eq!(passing(&filter, 50), 20);
    filter.advance(Duration::from_millis(100));
    assert_eq!(passing(&filter, 50), 1);
    filter.advance(Duration::from_secs(60));
    assert_eq!(passing(&filter, 50), 20);
}

#[test]
fn the_burst_is_the_number_of_requests_unless_it_is_written() {
    assert_eq!(passing(&limited(json!({"requests": 3, "per": "1h"})), 9), 3);
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let filter = limited(json!({"requests": 1, "per": "1m"}));
    assert!(filter.request(get("/")).passes());
    filter.advance(Duration::from_millis(500));
    let outcome = filter.request(get("/"));
    let answer = outcome.answer();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header_str("retry-after"), Some("60"));
    assert_eq!(
        answer.header_str("ratelimit-policy"),
        Some("\"default\";q=1;w=60")
    );
    assert_eq!(answer.header_str("ratelimit"), Some("\"default\";r=0;t=60"));
    assert_eq!(answer.header_str("portcullis-reason"), Some("rate-limit"));
    assert_eq!(answer.body, b"the rate limit is reached\n");
}

#[test]
fn the_status_can_be_another() {
    let filter = limited(json!({"requests": 1, "per": "1s", "status": 503}));
    assert_eq!(passing(&filter, 1), 1);
    let outcome = filter.request(get("/"));
    assert_eq!(outcome.answer().status, 503);
    assert_eq!(outcome.answer().header_str("retry-after"), Some("1"));
}

#[test]
fn of_several_limits_all_must_pass_and_only_then_are_charged() {
    let filter = limited(json!({"limits": [
        {"requests": 2, "per": "1s"},
        {"requests": 60, "per": "1m", "burst": 5},
    ]}));
    assert_eq!(
        passing(&filter, 9),
        2,
        "the 7 refused ones cost the minute nothing"
    );
    filter.advance(Duration::from_secs(1));
    assert_eq!(passing(&filter, 9), 2);
    filter.advance(Duration::from_secs(1));
    assert_eq!(passing(&filter, 9), 2);
    let outcome = filter.request(get("/"));
    let policy = outcome.answer().header_str("ratelimit-policy");
    assert_eq!(policy, Some("\"limit-1\";q=2;w=1, \"limit-2\";q=60;w=60"));
    let limit = outcome.answer().header_str("ratelimit");
    assert_eq!(limit, Some("\"limit-1\";r=0;t=1"));
}

#[test]
fn of_limits_with_the_same_burst_the_one_that_refuses_is_named() {
    let filter = limited(json!({"limits": [
        {"requests": 1, "per": "1s", "burst": 2},
        {"requests": 1, "per": "1h", "burst": 2},
    ]}));
    assert_eq!(passing(&filter, 2), 2);
    let outcome = filter.request(get("/"));
    let limit = outcome.answer().header_str("ratelimit");
    assert_eq!(limit, Some("\"limit-2\";r=0;t=3600"));
}

#[test]
fn clients_are_counted_apart() {
    let filter = limited(json!({"requests": 1, "per": "1h"}));
    let passes = |address| filter.request(get("/").client_ip(address)).passes();
    assert!(passes("192.0.2.1") && passes("192.0.2.2"));
    assert!(!passes("192.0.2.1"));
    assert!(!passes("::ffff:192.0.2.2"), "it is the same client");
    assert!(passes("2001:db8::1"));
    assert!(!passes("2001:db8::2"), "one customer has a /64");
    assert!(passes("2001:db8:0:1::1"));
    let whole = limited(json!({"requests": 1, "per": "1h", "ipv6Prefix": 128}));
    let passes = |address| whole.request(get("/").client_ip(address)).passes();
    assert!(passes("2001:db8::1") && passes("2001:db8::2") && !passes("2001:db8::1"));
}

#[test]
fn a_header_counts_and_without_it_the_address_does() {
    let filter = limited(json!({"requests": 1, "per": "1h", "key": "header:X-Key"}));
    let passes = |key: &[u8]| filter.request(get("/").header("x-key", key)).passes();
    assert!(passes(b"a") && passes(b"b") && !passes(b"a"));
    assert!(passes(b"192.0.2.1"), "it is no address");
    assert!(filter.request(get("/")).passes());
    assert!(!filter.request(get("/")).passes());
    assert!(passes(b"\xff") && passes(b"\xfe") && passes(b"\\xff"));
    let long = "x".repeat(8000);
    assert!(passes(long.as_bytes()) && !passes(long.as_bytes()));
    assert!(passes(&long.as_bytes()[1..]));
}

#[test]
fn a_cookie_counts() {
    let filter = limited(json!({"requests": 1, "per": "1h", "key": "cookie:id"}));
    let passes = |id| filter.request(get("/").cookie("id", id)).passes();
    assert!(passes("a") && passes("b") && !passes("b"));
    assert!(
        filter.request(get("/")).passes(),
        "without one the address counts"
    );
}

#[test]
fn exempt_clients_are_not_counted() {
    let filter = limited(json!({
        "requests": 1, "per": "1h", "exempt": ["10.0.0.0/8", "192.0.2.1"],
    }));
    assert_eq!(passing(&filter, 9), 9);
    let passes = |address| filter.request(get("/").client_ip(address)).passes();
    assert!(passes("10.1.2.3") && passes("10.1.2.3"));
    assert!(passes("192.0.2.9") && !passes("192.0.2.9"));
}

#[test]
fn routes_count_together_unless_the_scope_is_the_route() {
    let one = |scope: &str| {
        let filter = limited(json!({"requests": 1, "per": "1h", "scope": scope}));
        let passes = |host, path| filter.request(get("/").rule(host, path)).passes();
        [
            passes("a", "/"),
            passes("a", "/x"),
            passes("b", "/"),
            passes("a", "/"),
        ]
    };
    assert_eq!(one("ingress"), [true, false, false, false]);
    assert_eq!(one("route"), [true, true, true, false]);
    let filter = limited(json!({"requests": 1, "per": "1h", "scope": "route"}));
    let long = format!("/{}", "x".repeat(3000));
    assert!(filter.request(get("/").rule("a", &long)).passes());
    assert!(!filter.request(get("/").rule("a", &long)).passes());
}

#[test]
fn connections_are_counted_while_they_run() {
    let filter = limited(json!({"connections": 2}));
    let (first, second) = (filter.request(get("/")), filter.request(get("/")));
    assert!(first.passes() && second.passes());
    let third = filter.request(get("/"));
    let answer = third.answer();
    assert_eq!(answer.header_str("retry-after"), Some("1"));
    assert_eq!(
        answer.header_str("ratelimit-policy"),
        Some("\"connections\";q=2")
    );
    assert_eq!(
        answer.header_str("ratelimit"),
        Some("\"connections\";r=0;t=1")
    );
    assert!(filter.request(get("/").client_ip("192.0.2.2")).passes());
    drop(first);
    assert!(filter.request(get("/")).passes());
}

#[test]
fn what_finds_no_permit_has_been_charged() {
    let filter = limited(json!({"requests": 2, "per": "1h", "connections": 1}));
    let first = filter.request(get("/"));
    assert!(first.passes() && !filter.request(get("/")).passes());
    drop(first);
    let third = filter.request(get("/"));
    assert_ne!(
        third.answer().header_str("retry-after"),
        Some("1"),
        "no token is left"
    );
}

#[test]
fn a_change_of_configuration_keeps_what_was_counted() {
    let mut filter = limited(json!({"requests": 3, "per": "1h"}));
    assert_eq!(passing(&filter, 2), 2);
    filter.reconfigure(json!({"requests": 3, "per": "1h", "status": 503}));
    assert_eq!(passing(&filter, 9), 1);
}

#[test]
fn a_wrong_configuration_says_where_and_what_to_write() {
    let pointer = |config| refused(config).0;
    assert_eq!(refused(json!({})).0, "");
    assert_eq!(pointer(json!({"requests": 1})), "/per");
    assert_eq!(pointer(json!({"per": "1s"})), "/requests");
    assert_eq!(pointer(json!({"burst": 1, "connections": 1})), "/requests");
    assert_eq!(pointer(json!({"requests": 0, "per": "1s"})), "/requests");
    assert_eq!(
        pointer(json!({"requests": 1, "per": "1s", "burst": 0})),
        "/burst"
    );
    assert_eq!(pointer(json!({"requests": -1, "per": "1s"})), "/requests");
    assert_eq!(pointer(json!({"connections": 0})), "/connections");
    assert_eq!(pointer(json!({"connections": 1, "status": 200})), "/status");
    assert_eq!(
        pointer(json!({"connections": 1, "ipv6Prefix": 0})),
        "/ipv6Prefix"
    );
    assert_eq!(
        pointer(json!({"connections": 1, "exempt": ["::1", "x"]})),
        "/exempt/1"
    );
    assert_eq!(
        pointer(json!({"limits": [{"requests": 1, "per": "1s"}], "burst": 1})),
        "/limits"
    );
    assert_eq!(
        pointer(json!({"limits": [{"requests": 0, "per": "1s"}]})),
        "/limits/0/requests"
    );
    assert_eq!(
        pointer(json!({"limits": [{"requests": 1, "per": "1s", "x": 1}]})),
        "/limits/0/x"
    );
    let (pointer, message) = refused(json!({"requests": 1, "per": "2s"}));
    assert_eq!(pointer, "/per");
    assert!(message.contains("`1s`, `1m`, `1h`"), "{message}");
    let (pointer, message) = refused(json!({"connections": 1, "key": "ip"}));
    assert_eq!(pointer, "/key");
    assert!(message.contains("write client-ip"), "{message}");
}

#[test]
fn the_schema_names_every_key() {
    let schema = schema::<RateLimit>();
    let properties = schema["properties"].as_object().unwrap();
    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
    let mut expected = vec![
        "requests",
        "per",
        "burst",
        "limits",
        "connections",
        "key",
        "scope",
        "exempt",
        "status",
        "ipv6Prefix",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(schema["additionalProperties"], false);
}
