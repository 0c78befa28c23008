//! Tokens that pass, and tokens that do not.

use harness::{Answer, Gateway, PluginBuilder, get, upstream};
use serde_json::{Value, json};

use super::{
    through,
    tokens::{Key, in_seconds, unsigned},
};

fn plugin() -> PluginBuilder {
    harness::plugin("jwt-auth", super::jwt_auth())
}

/// More than one millisecond: its calls run aside. Much more, as the machine of a test is busy.
fn patient() -> PluginBuilder {
    plugin().with("limits", json!({"time": "500ms"}))
}

fn claims() -> Value {
    json!({"sub": "alice", "exp": in_seconds(600)})
}

async fn send(gateway: &Gateway, token: &str) -> Answer {
    let request = get("/").host("a.test");
    let request = request.header("Authorization", &format!("Bearer {token}"));
    gateway.send(&request).await
}

/// The description in the challenge of a refusal.
fn refusal(answer: &Answer) -> &str {
    assert_eq!(
        answer.status,
        401,
        "{:?} {:?}",
        answer.fields,
        answer.text()
    );
    let challenge = answer.header("www-authenticate").expect("a challenge");
    let described = challenge.strip_prefix("Bearer error=\"invalid_token\", error_description=\"");
    described
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(challenge)
}

#[tokio::test]
async fn each_algorithm_lets_its_own_tokens_pass_and_no_others() {
    const NOT_SIGNED: &str = "the signature is not one of a known key";
    const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];
    for algorithm in ALGORITHMS {
        let (key, stranger) = (Key::new(algorithm), Key::new("ES256"));
        let up = upstream().start().await;
        let config = json!({"keys": [key.config()], "claims": {"sub": "x-user"}});
        let gw = through(patient(), "jwt-auth", &config, &up).start().await;

        let good = key.token(&claims());
        let seen = send(&gw, &good).await.saw();
        assert_eq!(seen.header("x-user"), Some("alice"), "{algorithm}");

        let expired = json!({"sub": "alice", "exp": in_seconds(-600)});
        let early = json!({"sub": "alice", "exp": in_seconds(600), "nbf": in_seconds(300)});
        let eternal = json!({"sub": "alice"});
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        let other = unsigned(
            algorithm,
            &json!({"sub": "mallory", "exp": in_seconds(600)}),
        );
        let mut refused = vec![
            ("expired", key.token(&expired), "the token has expired"),
            ("early", key.token(&early), "the token is not valid yet"),
            (
                "without an end",
                key.token(&eternal),
                "the token has expired",
            ),
            ("other claims", format!("{other}.{signature}"), NOT_SIGNED),
            (
                "none",
                format!("{}.", unsigned("none", &claims())),
                NOT_SIGNED,
            ),
            (
                "None",
                format!("{}.{signature}", unsigned("None", &claims())),
                NOT_SIGNED,
            ),
            ("no signature", format!("{signed}."), NOT_SIGNED),
            (
                "a stranger's",
                stranger.token_as(algorithm, &claims()),
                NOT_SIGNED,
            ),
            ("two parts", signed.to_owned(), "the token cannot be read"),
        ];
        let others = ALGORITHMS.iter().filter(|other| **other != algorithm);
        refused.extend(
            others.map(|other| ("another's name", key.token_as(other, &claims()), NOT_SIGNED)),
        );
        if algorithm != "HS256" {
            // Whoever has the public key can make this one.
            let forged = key.public_as_secret().token(&claims());
            refused.push(("the public key as a secret", forged, NOT_SIGNED));
        }
        for (what, token, why) in refused {
            let answer = send(&gw, &token).await;
            assert_eq!(refusal(&answer), why, "{algorithm}: {what}");
        }
        assert_eq!(up.seen().len(), 1, "{algorithm}");
    }
}

#[tokio::test]
async fn a_token_passes_with_the_key_that_fits_of_many() {
    let keys = ["HS256", "RS256", "ES256", "EdDSA"].map(Key::new);
    let configs: Vec<Value> = keys.iter().map(Key::config).collect();
    let up = upstream().start().await;
    let config = json!({"keys": configs, "issuer": "https://login.test", "audience": ["shop"]});
    let gw = through(patient(), "jwt-auth", &config, &up).start().await;
    let mut claims = claims();
    claims["iss"] = json!("https://login.test");
    claims["aud"] = json!(["bank", "shop"]);
    for key in &keys {
        let answer = send(&gw, &key.token(&claims)).await;
        assert_eq!(answer.status, 200, "{}", key.algorithm());
    }
    for (claim, value, why) in [
        (
            "iss",
            "https://other.test",
            "the token is of another issuer",
        ),
        ("aud", "bank", "the token is for another audience"),
    ] {
        let mut claims = claims.clone();
        claims[claim] = json!(value);
        assert_eq!(refusal(&send(&gw, &keys[3].token(&claims)).await), why);
    }
}

#[tokio::test]
async fn secrets_are_checked_within_the_usual_millisecond() {
    let key = Key::new("HS256");
    let up = upstream().start().await;
    let config = json!({"keys": [key.config()]});
    let gw = through(plugin(), "jwt-auth", &config, &up).start().await;
    assert_eq!(send(&gw, &key.token(&claims())).await.status, 200);
    let answer = send(&gw, &key.token_as("none", &claims())).await;
    assert_eq!(refusal(&answer), "the signature is not one of a known key");
}

#[tokio::test]
async fn who_sends_no_token_is_asked_for_one() {
    let key = Key::new("HS256");
    let up = upstream().start().await;
    let config = json!({"keys": [key.config()]});
    let gw = through(plugin(), "jwt-auth", &config, &up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    let request = get("/")
        .host("a.test")
        .header("Authorization", "Basic YTpi");
    assert_eq!(gw.send(&request).await.status, 401);
    // Which of two the backend would believe, nobody knows.
    let token = format!("Bearer {}", key.token(&claims()));
    let request = get("/").host("a.test").header("Authorization", &token);
    let twice = request.clone().header("Authorization", "Bearer x");
    let answer = gw.send(&twice).await;
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer error=\"invalid_request\"")
    );
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 401);
    assert_eq!(gw.send(&request).await.status, 200);
}

#[tokio::test]
async fn a_claim_cannot_be_sent_by_the_client() {
    let key = Key::new("HS256");
    let up = upstream().start().await;
    let config = json!({"keys": [key.config()], "optional": true, "claims": {"sub": "x-user", "admin": "x-admin"}});
    let gw = through(plugin(), "jwt-auth", &config, &up).start().await;
    let request = get("/")
        .host("a.test")
        .header("X-User", "root")
        .header("X-Admin", "true");
    let seen = gw.send(&request).await.saw();
    assert_eq!(
        (seen.header("x-user"), seen.header("x-admin")),
        (None, None)
    );
    let token = format!("Bearer {}", key.token(&claims()));
    let seen = gw
        .send(&request.clone().header("Authorization", &token))
        .await
        .saw();
    assert_eq!(
        (seen.header("x-user"), seen.header("x-admin")),
        (Some("alice"), None)
    );
    // Optional is to have one, not to have a good one.
    let wrong = request.header("Authorization", "Bearer a.b.c");
    assert_eq!(gw.send(&wrong).await.status, 401);
}

#[tokio::test]
async fn a_key_that_is_none_is_a_problem_that_closes_the_route() {
    let up = upstream().start().await;
    let config = json!({"keys": [{"algorithm": "ES256", "publicKey": "AAAA"}]});
    let gw = through(plugin(), "jwt-auth", &config, &up).start().await;
    let answer = gw.get("a.test", "/").await;
    assert_eq!(
        (answer.status, answer.reason()),
        (503, Some("plugin-config"))
    );
    let problems = gw.admin_get("/api/v1/problems").await.text();
    assert!(problems.contains("/keys/0/publicKey"), "{problems}");
    assert_eq!(up.seen().len(), 0);
}
