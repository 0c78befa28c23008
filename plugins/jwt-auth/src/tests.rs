//! Tokens that pass, and tokens that do not.
#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!(…)` reads best as it is"
)]

mod tokens;

use std::time::Duration;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as URL},
};
use hmac::{Hmac, Mac};
use portcullis_sdk::testing::{Outcome, RequestBuilder, TestFilter, filter, get, json, try_filter};
use serde_json::Value;
use sha2::Sha256;

use super::JwtAuth;
use tokens::{CONFUSED, SIGNED};

const SECRET: &[u8] = b"a secret of at least 32 bytes, for tests";
/// 2026-01-01T00:00:00Z, when every test begins.
const NOW: u64 = 1_767_225_600;

/// A token of this header and these claims, signed with the secret.
fn token(header: Value, claims: Value) -> String {
    let signed = format!(
        "{}.{}",
        URL.encode(header.to_string()),
        URL.encode(claims.to_string())
    );
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL.encode(signature))
}

fn hs256(claims: Value) -> String {
    token(json!({"alg": "HS256"}), claims)
}

fn eternal() -> String {
    hs256(json!({"exp": NOW + 60}))
}

fn with(settings: Value) -> TestFilter<JwtAuth> {
    let mut config = json!({
        "keys": [{"algorithm": "HS256", "secret": BASE64_STANDARD.encode(SECRET)}],
    });
    for (name, value) in settings.as_object().unwrap() {
        config[name] = value.clone();
    }
    filter(config)
}

fn bearing(token: &str) -> RequestBuilder {
    get("/").header("authorization", format!("Bearer {token}"))
}

/// What the client is told; nothing where the request passes.
fn challenge(outcome: &Outcome<'_, JwtAuth>) -> String {
    if outcome.passes() {
        return String::new();
    }
    assert_eq!(outcome.answer().status, 401);
    let challenge = outcome.answer().header_str("www-authenticate");
    challenge.unwrap().to_owned()
}

fn said(filter: &TestFilter<JwtAuth>, token: &str) -> String {
    let challenge = challenge(&filter.request(bearing(token)));
    let error = challenge.strip_prefix("Bearer error=\"invalid_token\", error_description=\"");
    match error {
        Some(text) => text.trim_end_matches('"').to_owned(),
        None => challenge,
    }
}

#[test]
fn a_token_of_each_algorithm_passes_and_a_changed_one_does_not() {
    for (algorithm, public_key, token) in SIGNED {
        let filter = filter::<JwtAuth>(json!({
            "keys": [{"algorithm": algorithm, "publicKey": public_key}],
            "issuer": "https://login.example.com", "audience": ["shop"],
            "claims": {"sub": "x-user", "admin": "x-admin", "level": "x-level", "aud": "x-aud"},
        }));
        let outcome = filter.request(bearing(token).header("x-user", "root").header("x-aud", "a"));
        assert!(outcome.passes(), "{algorithm}");
        assert_eq!(outcome.header("x-user"), Some("ada"));
        assert_eq!(outcome.header("x-admin"), Some("true"));
        assert_eq!(outcome.header("x-level"), Some("3"));
        assert_eq!(outcome.header("x-aud"), None, "it is a list");

        let (head, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL.decode(signature).unwrap();
        bytes[10] ^= 1;
        let changed = format!("{head}.{}", URL.encode(&bytes));
        let unknown = "the signature is not one of a known key";
        assert_eq!(said(&filter, &changed), unknown, "{algorithm}");
        assert_eq!(said(&filter, &format!("{head}.")), unknown, "{algorithm}");
        filter.advance(Duration::from_secs(3600 + 30));
        assert_eq!(said(&filter, token), "the token has expired");
    }
}

#[test]
fn a_key_is_for_its_own_algorithm_only() {
    let unknown = "the signature is not one of a known key";
    let (public_key, token) = CONFUSED;
    let rsa = filter::<JwtAuth>(json!({
        "keys": [{"algorithm": "RS256", "publicKey": public_key}],
    }));
    assert_eq!(said(&rsa, token), unknown);
    let filter = with(json!({}));
    for algorithm in ["none", "None", "", "HS512", "RS256"] {
        let claims = json!({"exp": NOW + 60});
        let named = self::token(json!({"alg": algorithm}), claims);
        assert_eq!(said(&filter, &named), unknown, "{algorithm}");
        let (unsigned, _) = named.rsplit_once('.').unwrap();
        assert_eq!(
            said(&filter, &format!("{unsigned}.")),
            unknown,
            "{algorithm}"
        );
    }
}

#[test]
fn a_token_that_names_a_key_is_checked_with_that_one() {
    let secret = |secret: &[u8]| BASE64_STANDARD.encode(secret);
    let filter = filter::<JwtAuth>(json!({"keys": [
        {"id": "old", "algorithm": "HS256", "secret": secret(SECRET)},
        {"id": "new", "algorithm": "HS256", "secret": secret(&[7; 32])},
    ]}));
    let claims = || json!({"exp": NOW + 60});
    let named = |key: &str| token(json!({"alg": "HS256", "kid": key}), claims());
    assert_eq!(said(&filter, &named("old")), "");
    assert_ne!(said(&filter, &named("new")), "");
    assert_ne!(said(&filter, &named("other")), "");
    assert_eq!(
        said(&filter, &hs256(claims())),
        "",
        "without a name all are tried"
    );
}

#[test]
fn time_counts_with_some_leeway() {
    let filter = with(json!({}));
    let expired = "the token has expired";
    assert_eq!(said(&filter, &hs256(json!({"exp": NOW - 29}))), "");
    assert_eq!(said(&filter, &hs256(json!({"exp": NOW - 30}))), expired);
    assert_eq!(said(&filter, &hs256(json!({}))), expired, "it never would");
    assert_eq!(
        said(&filter, &hs256(json!({"exp": "1"}))),
        "the token cannot be read"
    );
    let early = |start| hs256(json!({"exp": NOW + 900, "nbf": start}));
    assert_eq!(said(&filter, &early(NOW + 30)), "");
    assert_eq!(
        said(&filter, &early(NOW + 31)),
        "the token is not valid yet"
    );
    let patient = with(json!({"allowEternal": true, "leeway": 0}));
    assert_eq!(said(&patient, &hs256(json!({}))), "");
    assert_eq!(said(&patient, &hs256(json!({"exp": NOW}))), expired);
}

#[test]
fn issuer_and_audience_are_checked_where_they_are_given() {
    let filter = with(json!({"issuer": "me", "audience": ["a", "b"]}));
    let claims = |issuer: &str, audience: Value| {
        hs256(json!({"exp": NOW + 60, "iss": issuer, "aud": audience}))
    };
    assert_eq!(said(&filter, &claims("me", json!("a"))), "");
    assert_eq!(said(&filter, &claims("me", json!(["x", "b"]))), "");
    assert_eq!(
        said(&filter, &claims("you", json!("a"))),
        "the token is of another issuer"
    );
    let audience = "the token is for another audience";
    assert_eq!(said(&filter, &claims("me", json!("x"))), audience);
    assert_eq!(said(&filter, &claims("me", json!([1]))), audience);
    assert_eq!(said(&filter, &claims("me", Value::Null)), audience);
}

#[test]
fn who_sends_no_token_is_asked_for_one() {
    let filter = with(json!({"claims": {"sub": "x-user"}}));
    assert_eq!(challenge(&filter.request(get("/"))), "Bearer");
    let basic = get("/").header("authorization", "Basic YTpi");
    assert_eq!(challenge(&filter.request(basic)), "Bearer");
    let two = bearing(&eternal()).header("authorization", "Bearer x");
    let invalid = "Bearer error=\"invalid_request\"";
    assert_eq!(challenge(&filter.request(two)), invalid);
    let lower = get("/").header("authorization", format!("bearer {}", eternal()));
    assert!(filter.request(lower).passes());

    let optional = with(json!({"optional": true, "claims": {"sub": "x-user"}}));
    let outcome = optional.request(get("/").header("x-user", "root"));
    assert!(outcome.passes());
    assert_eq!(outcome.header("x-user"), None);
    assert!(!optional.request(bearing("a.b.c")).passes());
}

#[test]
fn what_is_no_token_is_refused() {
    let filter = with(json!({}));
    let good = eternal();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (_, payload) = head.split_once('.').unwrap();
    let crit = token(
        json!({"alg": "HS256", "crit": ["b64"]}),
        json!({"exp": NOW + 60}),
    );
    for wrong in [
        "",
        ".",
        "..",
        "a.b",
        "%.%.%",
        &format!("{good}."),
        &format!("{good}="),
        &crit,
    ] {
        assert_eq!(said(&filter, wrong), "the token cannot be read", "{wrong}");
    }
    let list = URL.encode("[]");
    let wrong = format!("{list}.{payload}.{signature}");
    assert_eq!(said(&filter, &wrong), "the token cannot be read");
    let claim = with(json!({"claims": {"sub": "x-user"}}));
    let outcome = claim.request(bearing(&hs256(
        json!({"exp": NOW + 60, "sub": "a\r\nb: c"}),
    )));
    assert_eq!(outcome.header("x-user"), None);
}

#[test]
fn a_wrong_configuration_says_where() {
    let pointer = |config: Value| {
        let error = try_filter::<JwtAuth>(config).err();
        error.expect("an error").pointer
    };
    let key = |key: Value| pointer(json!({"keys": [key]}));
    let (_, rsa, _) = SIGNED[0];
    let secret = BASE64_STANDARD.encode(SECRET);
    assert_eq!(pointer(json!({"keys": []})), "/keys");
    assert_eq!(
        key(json!({"algorithm": "none", "secret": secret})),
        "/keys/0/algorithm"
    );
    assert_eq!(key(json!({"algorithm": "HS256"})), "/keys/0/secret");
    assert_eq!(
        key(json!({"algorithm": "HS256", "secret": "?"})),
        "/keys/0/secret"
    );
    assert_eq!(
        key(json!({"algorithm": "HS256", "secret": "c2hvcnQ="})),
        "/keys/0/secret"
    );
    assert_eq!(
        key(json!({"algorithm": "HS256", "publicKey": rsa})),
        "/keys/0/secret"
    );
    assert_eq!(
        key(json!({"algorithm": "RS256", "secret": secret})),
        "/keys/0/publicKey"
    );
    assert_eq!(
        key(json!({"algorithm": "ES256", "publicKey": rsa})),
        "/keys/0/publicKey"
    );
    assert_eq!(
        key(json!({"algorithm": "EdDSA", "publicKey": rsa})),
        "/keys/0/publicKey"
    );
    let good = json!([{"algorithm": "RS256", "publicKey": rsa}]);
    assert_eq!(
        pointer(json!({"keys": good, "claims": {"a/b": "x y"}})),
        "/claims/a~1b"
    );
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{rsa}\n-----END PUBLIC KEY-----\n");
    filter::<JwtAuth>(json!({"keys": [{"algorithm": "RS256", "publicKey": pem}]}));
}
