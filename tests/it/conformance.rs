//! The 30 cases of the conformance suite of kubernetes-sigs/ingress-controller-conformance (2021),
//! each with a connection of its own, as there.

use std::collections::BTreeSet;

use harness::{
    Answer, Authority, Gateway, GatewayBuilder, IngressBuilder, TlsOptions, Upstream, gateway, get,
    ingress, ingress_class, request, secret, upstream,
};

const AGENT: &str = "Go-http-client/1.1";

async fn start(rules: IngressBuilder, services: &[&str]) -> (Gateway, Vec<Upstream>) {
    build(gateway(), rules, services).await
}

async fn build(
    builder: GatewayBuilder,
    rules: IngressBuilder,
    services: &[&str],
) -> (Gateway, Vec<Upstream>) {
    let class = ingress_class("conformance", "portcullis.dev/ingress-controller", false);
    let mut builder = builder
        .flag("--ingress-class", "conformance")
        .manifest(class);
    let mut backends = Vec::new();
    for name in services {
        let up = upstream().name(name).start().await;
        builder = builder.service(name, 8080, &[&up]);
        backends.push(up);
    }
    (
        builder.manifest(rules.class("conformance")).start().await,
        backends,
    )
}

/// What every answer of the suite's echo server must look like behind a controller.
fn assert_proxied(answer: &Answer, service: &str) {
    let saw = answer.saw();
    assert_eq!(saw.backend, service);
    assert_eq!(
        (answer.version.as_str(), saw.version.as_str()),
        ("HTTP/1.1", "HTTP/1.1")
    );
    for name in ["Content-Length", "Content-Type", "Date", "Server"] {
        assert!(
            answer.header(name).is_some_and(|value| !value.is_empty()),
            "no {name} in {:?}",
            answer.fields
        );
    }
    assert_eq!(saw.header("user-agent"), Some(AGENT));
}

#[tokio::test]
async fn default_backend_takes_all_methods_and_hosts() {
    let (gw, _up) = start(
        ingress("default-backend").default_backend("echo-service", 8080),
        &["echo-service"],
    )
    .await;
    let address = gw.http().to_string();
    let cases = [
        ("GET", "my-host", "/"),
        ("GET", "my-host", "/sub-path"),
        ("POST", "some-host", "/"),
        ("PUT", address.as_str(), "/resource"),
        ("DELETE", "some-host", "/resource"),
        ("PATCH", "my-host", "/resource"),
    ];
    for (method, host, path) in cases {
        let mut asked = request(method, path).host(host).header("User-Agent", AGENT);
        if matches!(method, "POST" | "PUT" | "PATCH") {
            asked = asked.header("Content-Length", "0");
        }
        let answer = gw.send(&asked.header("Accept-Encoding", "gzip")).await;
        assert_proxied(&answer, "echo-service");
        let saw = answer.saw();
        assert_eq!((saw.method.as_str(), saw.target.as_str()), (method, path));
    }
}

async fn host_rules() -> (Gateway, Vec<Upstream>, Authority) {
    let authority = Authority::create();
    let pair = authority.issue(&["foo.bar.com"]);
    let rules = ingress("host-rules")
        .annotation("portcullis.dev/ssl-redirect", "false")
        .tls(&["foo.bar.com"], "conformance-tls")
        .host("*.foo.com")
        .path("/", "wildcard-foo-com", 8080)
        .host("foo.bar.com")
        .path("/", "foo-bar-com", "http");
    let builder = gateway().manifest(secret("conformance-tls", &pair));
    let (gw, backends) = build(builder, rules, &["wildcard-foo-com", "foo-bar-com"]).await;
    (gw, backends, authority)
}

#[tokio::test]
async fn host_rules_serve_the_certificate_of_their_host() {
    let (gw, _backends, authority) = host_rules().await;
    let handshake = gw
        .tls(&TlsOptions::strict(authority.roots()), "foo.bar.com")
        .await;
    assert_eq!(harness::names_of(&handshake.leaf()), ["foo.bar.com"]);
    let answer = handshake
        .http1()
        .ask(&get("/").host("foo.bar.com").header("User-Agent", AGENT))
        .await;
    assert_proxied(&answer, "foo-bar-com");
    assert_eq!(answer.saw().header("host"), Some("foo.bar.com"));
}

#[tokio::test]
async fn host_rules_route_by_host() {
    let (gw, _backends, _authority) = host_rules().await;
    for (host, service) in [
        ("foo.bar.com", "foo-bar-com"),
        ("bar.foo.com", "wildcard-foo-com"),
    ] {
        let answer = gw
            .send(&get("/").host(host).header("User-Agent", AGENT))
            .await;
        assert_proxied(&answer, service);
        assert_eq!(answer.saw().header("host"), Some(host));
    }
    for host in ["subdomain.bar.com", "baz.bar.foo.com", "foo.com"] {
        assert_eq!(gw.get(host, "/").await.status, 404, "{host}");
    }
}

#[tokio::test]
async fn ingress_class_of_another_is_never_served() {
    let rules = ingress("invalid")
        .class("some-invalid-class-name")
        .default_backend("echo-service", 8080);
    let up = upstream().start().await;
    let gw = gateway()
        .manifest(rules)
        .service("echo-service", 8080, &[&up])
        .start()
        .await;
    assert_eq!(gw.get("my-host", "/").await.status, 404);
    assert!(gw.routes().await.is_empty(), "{:?}", gw.routes().await);
}

#[tokio::test]
async fn load_balancing_meets_all_ten_backends() {
    let rules = ingress("load-balancing")
        .host("load-balancing")
        .path("/", "echo-service", 8080);
    let (gw, first) = start(rules, &["echo-service"]).await;
    let mut backends = Vec::new();
    for number in 0..10 {
        backends.push(upstream().name(&number.to_string()).start().await);
    }
    let addresses: Vec<_> = backends.iter().map(Upstream::address).collect();
    gw.endpoints("echo-service", &addresses);
    harness::until("the ten are there", async || {
        gw.get("load-balancing", "/").await.backend() != "echo-service"
    })
    .await;
    drop(first);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.insert(gw.get("load-balancing", "/").await.backend());
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}

#[tokio::test]
async fn path_rules_hold() {
    let rules = ingress("path-rules")
        .host("exact-path-rules")
        .exact("/foo", "foo-exact", 8080)
        .host("prefix-path-rules")
        .path("/foo", "foo-prefix", 8080)
        .path("/aaa/bbb", "aaa-slash-bbb-prefix", 8080)
        .path("/aaa", "aaa-prefix", 8080)
        .host("mixed-path-rules")
        .path("/foo", "foo-prefix", 8080)
        .exact("/foo", "foo-exact", 8080)
        .host("trailing-slash-path-rules")
        .path("/aaa/bbb/", "aaa-slash-bbb-slash-prefix", 8080)
        .exact("/foo/", "foo-slash-exact", 8080);
    let services = [
        "foo-exact",
        "foo-prefix",
        "aaa-slash-bbb-prefix",
        "aaa-prefix",
        "aaa-slash-bbb-slash-prefix",
        "foo-slash-exact",
    ];
    let (gw, _backends) = start(rules, &services).await;
    let cases = [
        ("exact-path-rules", "/foo", Some("foo-exact")),
        ("exact-path-rules", "/foo/", None),
        ("exact-path-rules", "/FOO", None),
        ("exact-path-rules", "/bar", None),
        ("prefix-path-rules", "/foo", Some("foo-prefix")),
        ("prefix-path-rules", "/foo/", Some("foo-prefix")),
        ("prefix-path-rules", "/FOO", None),
        (
            "prefix-path-rules",
            "/aaa/bbb",
            Some("aaa-slash-bbb-prefix"),
        ),
        (
            "prefix-path-rules",
            "/aaa/bbb/ccc",
            Some("aaa-slash-bbb-prefix"),
        ),
        ("prefix-path-rules", "/aaa/ccc", Some("aaa-prefix")),
        ("prefix-path-rules", "/aaaccc", None),
        ("prefix-path-rules", "/foo/", Some("foo-prefix")),
        ("mixed-path-rules", "/foo", Some("foo-exact")),
        (
            "trailing-slash-path-rules",
            "/aaa/bbb",
            Some("aaa-slash-bbb-slash-prefix"),
        ),
        (
            "trailing-slash-path-rules",
            "/aaa/bbb/",
            Some("aaa-slash-bbb-slash-prefix"),
        ),
        ("trailing-slash-path-rules", "/foo", None),
    ];
    for (host, path, service) in cases {
        let answer = gw
            .send(&get(path).host(host).header("User-Agent", AGENT))
            .await;
        match service {
            Some(service) => assert_proxied(&answer, service),
            None => assert_eq!(answer.status, 404, "{host}{path}"),
        }
    }
}

#[tokio::test]
async fn the_default_certificate_has_a_dns_name() {
    let gw = gateway().start().await;
    let handshake = gw.tls(&TlsOptions::lenient(), "unknown.test").await;
    assert!(!harness::names_of(&handshake.leaf()).is_empty());
}
