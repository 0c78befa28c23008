//! Which certificate a name is shown, and how it changes.

use harness::{
    Gateway, Object, Pair, TlsOptions, Upstream, gateway, get, ingress, names_of, secret,
    self_signed, upstream,
};
use serde_json::json;

async fn leaf(gw: &Gateway, name: &str) -> Vec<u8> {
    gw.tls(&TlsOptions::lenient(), name).await.leaf()
}

async fn until_leaf(gw: &Gateway, name: &str, pair: &Pair) {
    harness::until(&format!("{name} has its certificate"), async || {
        leaf(gw, name).await == pair.leaf()
    })
    .await;
}

async fn with_secret(object: Object) -> (Gateway, Upstream) {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up)
        .manifest(
            ingress("tls")
                .tls(&["a.test"], "cert")
                .host("a.test")
                .path("/", "svc", 80),
        )
        .manifest(object)
        .start()
        .await;
    (gw, up)
}

#[tokio::test]
async fn an_exact_name_goes_before_a_wildcard_before_the_default() {
    let (exact, wild, default) = (
        self_signed(&["a.foo.test"]),
        self_signed(&["*.foo.test"]),
        self_signed(&["default.test"]),
    );
    let up = upstream().start().await;
    let gw = gateway()
        .service("svc", 80, &[&up])
        .manifest(secret("exact", &exact))
        .manifest(secret("wild", &wild))
        .manifest(secret("default", &default))
        .manifest(
            ingress("a")
                .tls(&["a.foo.test"], "exact")
                .host("a.foo.test")
                .path("/", "svc", 80),
        )
        .manifest(
            ingress("b")
                .tls(&["*.foo.test"], "wild")
                .host("*.foo.test")
                .path("/", "svc", 80),
        )
        .flag("--default-tls-secret", "default/default")
        .start()
        .await;
    let cases = [
        ("a.foo.test", &exact),
        ("A.FOO.test", &exact),
        ("b.foo.test", &wild),
        ("c.b.foo.test", &default),
        ("foo.test", &default),
        ("unknown.test", &default),
    ];
    for (name, pair) in cases {
        assert!(
            leaf(&gw, name).await == pair.leaf(),
            "{name} has {:?}",
            names_of(&leaf(&gw, name).await)
        );
    }
    let without = gw
        .tls(&TlsOptions::lenient().without_sni(), "a.foo.test")
        .await;
    assert!(without.leaf() == default.leaf());
    // Every host is served over TLS, with whatever certificate.
    assert_eq!(gw.get_tls("a.foo.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_host_without_a_certificate_is_served_with_the_default_one() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    assert_eq!(gw.get_tls("a.test", "/").await.status, 200);
    assert_eq!(gw.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_certificate_changes_without_touching_open_connections() {
    let (old, new) = (
        self_signed(&["a.test"]),
        self_signed(&["a.test", "new.test"]),
    );
    let (gw, _up) = with_secret(secret("cert", &old)).await;
    let handshake = gw.tls(&TlsOptions::lenient(), "a.test").await;
    assert!(handshake.leaf() == old.leaf());
    let mut open = handshake.http1();
    assert_eq!(open.ask(&get("/").host("a.test")).await.status, 200);
    gw.apply(secret("cert", &new));
    until_leaf(&gw, "a.test", &new).await;
    assert_eq!(open.ask(&get("/").host("a.test")).await.status, 200);
}

#[tokio::test]
async fn the_last_good_certificate_stays_when_its_secret_breaks_or_goes() {
    let good = self_signed(&["a.test"]);
    let other = self_signed(&["b.test"]);
    let (gw, _up) = with_secret(secret("cert", &good)).await;
    assert!(leaf(&gw, "a.test").await == good.leaf());

    let garbage = Pair {
        chain: "garbage".into(),
        key: good.key.clone(),
    };
    let mismatch = Pair {
        chain: good.chain.clone(),
        key: other.key.clone(),
    };
    let broken = [
        ("garbage", secret("cert", &garbage)),
        ("mismatch", secret("cert", &mismatch)),
        (
            "empty",
            secret("cert", &good).set("data", json!({"tls.crt": "", "tls.key": ""})),
        ),
        (
            "no base64",
            secret("cert", &good).set("data", json!({"tls.crt": "%%%", "tls.key": "%%%"})),
        ),
    ];
    for (number, (what, object)) in broken.into_iter().enumerate() {
        // A problem names the Secret; a marker in another object shows that this version was read.
        gw.apply(object);
        gw.apply(
            ingress("marker")
                .host(&format!("m{number}.test"))
                .path("/", "svc", 80),
        );
        gw.until_status(&format!("m{number}.test"), "/", 200).await;
        assert!(leaf(&gw, "a.test").await == good.leaf(), "{what}");
        gw.until_problem(&["\"cert\""]).await;
    }
    gw.delete(secret("cert", &good));
    gw.apply(ingress("marker").host("gone.test").path("/", "svc", 80));
    gw.until_status("gone.test", "/", 200).await;
    assert!(leaf(&gw, "a.test").await == good.leaf(), "deleted");

    // A good one takes over again.
    let new = self_signed(&["a.test"]);
    gw.apply(secret("cert", &new));
    until_leaf(&gw, "a.test", &new).await;
}

#[tokio::test]
async fn a_secret_that_never_was_usable_leaves_the_default_and_the_routes() {
    let garbage = Pair {
        chain: "garbage".into(),
        key: "garbage".into(),
    };
    let (gw, _up) = with_secret(secret("cert", &garbage)).await;
    let default = leaf(&gw, "unknown.test").await;
    assert!(leaf(&gw, "a.test").await == default);
    assert_eq!(gw.get_tls("a.test", "/").await.status, 200);
    gw.until_problem(&["\"cert\""]).await;

    let good = self_signed(&["a.test"]);
    gw.apply(secret("cert", &good));
    until_leaf(&gw, "a.test", &good).await;
}

#[tokio::test]
async fn a_secret_of_another_namespace_is_never_shown() {
    let theirs = self_signed(&["a.test"]);
    let (gw, _up) = with_secret(secret("cert", &theirs).namespace("other")).await;
    assert!(leaf(&gw, "a.test").await != theirs.leaf());
    gw.until_problem(&["tls", "cert"]).await;
}

#[tokio::test]
async fn an_entry_without_hosts_covers_what_its_certificate_names() {
    let pair = self_signed(&["a.test", "*.wild.test", "stranger.test"]);
    let up = upstream().start().await;
    let rules = ingress("tls")
        .host("a.test")
        .path("/", "svc", 80)
        .host("x.wild.test")
        .path("/", "svc", 80)
        .host("b.test")
        .path("/", "svc", 80)
        .object()
        .set("spec/tls", json!([{"secretName": "cert"}]));
    let gw = gateway()
        .service("svc", 80, &[&up])
        .manifest(rules)
        .manifest(secret("cert", &pair))
        .start()
        .await;
    assert!(leaf(&gw, "a.test").await == pair.leaf());
    assert!(leaf(&gw, "x.wild.test").await == pair.leaf());
    assert!(leaf(&gw, "b.test").await != pair.leaf());
    assert!(leaf(&gw, "stranger.test").await != pair.leaf());
}

#[tokio::test]
async fn the_oldest_ingress_names_the_certificate_of_a_host() {
    let (old, young) = (self_signed(&["a.test"]), self_signed(&["a.test"]));
    let up = upstream().start().await;
    let rule = |name: &str, secret: &str| {
        ingress(name)
            .tls(&["a.test"], secret)
            .host("a.test")
            .path("/", "svc", 80)
    };
    let gw = gateway()
        .service("svc", 80, &[&up])
        .manifest(secret("old", &old))
        .manifest(secret("young", &young))
        .manifest(rule("a", "young").created("2022-01-01T00:00:00Z"))
        .manifest(rule("z", "old").created("2021-01-01T00:00:00Z"))
        .start()
        .await;
    assert!(leaf(&gw, "a.test").await == old.leaf());
}

#[tokio::test]
async fn a_secret_may_be_written_in_plain_text() {
    let pair = self_signed(&["a.test"]);
    let plain = secret("cert", &pair).set("data", json!(null)).set(
        "stringData",
        json!({"tls.crt": pair.chain, "tls.key": pair.key}),
    );
    let (gw, _up) = with_secret(plain).await;
    assert!(leaf(&gw, "a.test").await == pair.leaf());
}
