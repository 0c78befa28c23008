//! Sessions that stay, move, and begin anew.

use portcullis_sdk::testing::{
    RequestBuilder, TestFilter, filter, get, json, response, try_filter,
};
use serde_json::Value;
use session::{Session, backend_hash};

use super::StickySession;

fn sticky(config: Value) -> TestFilter<StickySession> {
    filter(config)
}

fn session(key: &str, endpoint: &str, backend: &str) -> String {
    let session = Session {
        key,
        endpoint,
        backend: &backend_hash(backend),
    };
    session.value().unwrap()
}

/// The cookie that is set when this endpoint of `web:80` answers.
fn set_by(
    filter: &TestFilter<StickySession>,
    request: RequestBuilder,
    endpoint: &str,
) -> Option<String> {
    let answer = response(200).from("web:80", endpoint);
    let outcome = filter.request(request).response(answer);
    outcome.header("set-cookie").map(str::to_owned)
}

/// Name and value, and the attributes, of the cookie that a new session gets.
fn new_cookie(config: Value, request: RequestBuilder) -> (String, Vec<String>) {
    let field = set_by(&sticky(config), request, "e1").unwrap();
    let mut parts = field.split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

#[test]
fn a_new_session_gets_a_cookie_and_comes_back_to_its_endpoint() {
    for (mode, hashed) in [("balanced", true), ("persistent", false)] {
        let filter = sticky(json!({"mode": mode}));
        let outcome = filter.request(get("/"));
        assert_eq!(outcome.pin(), None);
        assert_eq!(outcome.hash_key().is_some(), hashed);
        let key = outcome.hash_key().map(<[u8]>::to_vec);
        let answered = outcome.response(response(200).from("web:80", "e1"));
        let field = answered.header("set-cookie").unwrap();
        let (pair, _) = field.split_once(';').unwrap();
        let value = pair.strip_prefix("INGRESSCOOKIE=").unwrap();
        let session = Session::parse(value).unwrap();
        assert_eq!(session.endpoint, "e1");
        assert_eq!(session.backend, backend_hash("web:80"));

        let again = filter.request(get("/").cookie("INGRESSCOOKIE", value));
        assert_eq!(again.pin(), Some(("e1", true)));
        if hashed {
            assert_eq!(key.as_deref(), Some(session.key.as_bytes()));
            assert_eq!(again.hash_key(), key.as_deref());
        }
        let answered = again.response(response(200).from("web:80", "e1"));
        assert_eq!(answered.header("set-cookie"), None);
    }
}

#[test]
fn sessions_differ() {
    let filter = sticky(json!({}));
    let one = set_by(&filter, get("/"), "e1");
    assert_ne!(one, set_by(&filter, get("/"), "e1"));
}

#[test]
fn a_session_whose_endpoint_left_begins_anew() {
    for mode in ["balanced", "persistent"] {
        let filter = sticky(json!({"mode": mode}));
        filter.endpoints(&["e2"]);
        let old = session("k", "e1", "web:80");
        let request = || get("/").cookie("INGRESSCOOKIE", &old);
        assert_eq!(filter.request(request()).pin(), None);
        let field = set_by(&filter, request(), "e2").unwrap();
        assert!(field.contains(".e2.") && !field.contains("=k."), "{field}");
    }
}

#[test]
fn a_balanced_session_that_moved_keeps_its_key() {
    let filter = sticky(json!({}));
    let request = get("/").cookie("INGRESSCOOKIE", &session("k", "e1", "web:80"));
    let field = set_by(&filter, request, "e2").unwrap();
    let expected = format!("INGRESSCOOKIE={};", session("k", "e2", "web:80"));
    assert!(field.starts_with(&expected), "{field}");
}

#[test]
fn a_session_that_another_backend_serves_gets_its_cookie() {
    let filter = sticky(json!({"mode": "persistent"}));
    let request = get("/").cookie("INGRESSCOOKIE", &session("k", "e1", "old:80"));
    assert!(set_by(&filter, request, "e1").is_some());
}

#[test]
fn a_session_moves_on_failure_only_if_that_is_wanted() {
    let request = || get("/").cookie("INGRESSCOOKIE", &session("k", "e1", "web:80"));
    let filter = sticky(json!({"changeOnFailure": true}));
    assert_eq!(filter.request(request()).pin(), Some(("e1", false)));
    let filter = sticky(json!({"changeOnFailure": false}));
    assert_eq!(filter.request(request()).pin(), Some(("e1", true)));
}

#[test]
fn a_cookie_that_was_made_up_is_as_none() {
    let filter = sticky(json!({}));
    for value in ["", "x", "a.b.c", "a.b\t.00000000", "..00000000"] {
        let request = get("/").cookie("INGRESSCOOKIE", value);
        assert_eq!(filter.request(request.clone()).pin(), None, "{value}");
        assert!(set_by(&filter, request, "e1").is_some());
    }
}

#[test]
fn what_no_endpoint_answered_sets_no_cookie() {
    let filter = sticky(json!({}));
    let outcome = filter.request(get("/")).response(response(502).local());
    assert_eq!(outcome.header("set-cookie"), None);
    let unseen = filter.response(get("/"), response(200));
    assert_eq!(unseen.header("set-cookie"), None);
}

#[test]
fn only_the_named_backends_set_the_cookie() {
    let filter = sticky(json!({"backends": ["web:80"]}));
    assert!(set_by(&filter, get("/"), "e1").is_some());
    let other = filter
        .request(get("/"))
        .response(response(200).from("next:80", "e1"));
    assert_eq!(other.header("set-cookie"), None);
}

#[test]
fn an_id_that_no_cookie_can_hold_is_a_line_in_the_log() {
    let filter = sticky(json!({}));
    assert_eq!(set_by(&filter, get("/"), "e;1"), None);
    assert_eq!(filter.lines().len(), 1);
}

#[test]
fn the_cookie_has_the_attributes_that_are_asked_for() {
    let (pair, attributes) = new_cookie(json!({}), get("/").rule("a", "/shop"));
    assert!(pair.starts_with("INGRESSCOOKIE="));
    assert_eq!(attributes, ["Path=/shop", "HttpOnly"]);
    let (_, attributes) = new_cookie(json!({}), get("/").tls("a"));
    assert_eq!(attributes, ["Path=/", "HttpOnly", "Secure"]);
    let (_, attributes) = new_cookie(json!({}), get("/").rule("a", "/;b"));
    assert_eq!(attributes, ["Path=/", "HttpOnly"]);
    let config = json!({
        "cookie": "S", "path": "/a", "domain": "example.com", "sameSite": "Lax", "secure": false,
        "maxAge": 60, "expires": 3600,
    });
    let (pair, attributes) = new_cookie(config, get("/").tls("a"));
    assert!(pair.starts_with("S="));
    assert_eq!(
        attributes,
        [
            "Path=/a",
            "HttpOnly",
            "Domain=example.com",
            "Max-Age=60",
            "Expires=Thu, 01 Jan 2026 01:00:00 GMT",
            "SameSite=Lax",
        ]
    );
}

#[test]
fn same_site_none_is_left_out_where_it_is_not_understood() {
    let agent =
        "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0 Safari/537.36";
    let has = |config: Value, agent: &str| {
        let request = get("/").header("user-agent", agent);
        new_cookie(config, request)
            .1
            .contains(&"SameSite=None".to_owned())
    };
    let always = json!({"sameSite": "None"});
    let conditional = json!({"sameSite": "None", "conditionalSameSiteNone": true});
    assert!(has(always, agent));
    assert!(!has(conditional.clone(), agent));
    assert!(has(conditional, "curl/8"));
}

#[test]
fn a_wrong_configuration_says_where() {
    let pointer = |config: Value| {
        let error = try_filter::<StickySession>(config).err();
        error.expect("an error").pointer
    };
    assert_eq!(pointer(json!({"cookie": "a b"})), "/cookie");
    assert_eq!(pointer(json!({"mode": "sticky"})), "/mode");
    assert_eq!(pointer(json!({"path": "a"})), "/path");
    assert_eq!(pointer(json!({"path": "/a; Secure"})), "/path");
    assert_eq!(pointer(json!({"domain": "a;b"})), "/domain");
    assert_eq!(pointer(json!({"sameSite": "lax"})), "/sameSite");
    assert_eq!(pointer(json!({"maxAge": -1})), "/maxAge");
    assert_eq!(pointer(json!({"backends": ["a:1", "a"]})), "/backends/1");
    assert_eq!(pointer(json!({"colour": 1})), "/colour");
}
