//! Which host's rules decide.

use harness::{Gateway, gateway, get, ingress, upstream};

async fn by_host() -> (Gateway, Vec<harness::Upstream>) {
    let mut builder = gateway();
    let mut backends = Vec::new();
    for name in ["exact", "wildcard", "none"] {
        let up = upstream().name(name).start().await;
        builder = builder.service(name, 80, &[&up]);
        backends.push(up);
    }
    let gw = builder
        .manifest(
            ingress("exact")
                .host("a.foo.com")
                .path("/exact", "exact", 80),
        )
        .manifest(
            ingress("wildcard")
                .host("*.foo.com")
                .path("/wild", "wildcard", 80)
                .path("/exact", "wildcard", 80),
        )
        .manifest(ingress("none").path("/", "none", 80))
        .start()
        .await;
    (gw, backends)
}

#[tokio::test]
async fn an_exact_host_goes_before_a_wildcard_before_none() {
    let (gw, _backends) = by_host().await;
    let cases = [
        ("a.foo.com", "/exact", Some("exact")),
        ("b.foo.com", "/exact", Some("wildcard")),
        ("b.foo.com", "/wild/x", Some("wildcard")),
        ("foo.com", "/wild", Some("none")),
        ("c.b.foo.com", "/wild", Some("none")),
        ("other.org", "/", Some("none")),
        // A path miss stays with its host.
        ("a.foo.com", "/wild", None),
        ("a.foo.com", "/", None),
        ("b.foo.com", "/", None),
    ];
    for (host, path, expected) in cases {
        let answer = gw.get(host, path).await;
        match expected {
            Some(backend) => assert_eq!(answer.backend(), backend, "{host}{path}"),
            None => assert_eq!(
                (answer.status, answer.reason()),
                (404, Some("no-route")),
                "{host}{path}"
            ),
        }
    }
}

#[tokio::test]
async fn hosts_are_compared_without_case_port_and_final_dot_and_forwarded_as_sent() {
    let (gw, _backends) = by_host().await;
    for host in [
        "a.foo.com",
        "A.Foo.COM",
        "a.foo.com:8080",
        "a.foo.com.",
        "A.foo.com.:80",
        "a.foo.com:65535",
    ] {
        let saw = gw.get(host, "/exact").await.saw();
        assert_eq!(
            (saw.backend.as_str(), saw.header("host")),
            ("exact", Some(host))
        );
    }
    for host in ["X.FOO.com:1", "x.foo.com."] {
        assert_eq!(gw.get(host, "/wild").await.backend(), "wildcard", "{host}");
    }
}

#[tokio::test]
async fn addresses_are_hosts_like_any_that_no_rule_names() {
    let (gw, _backends) = by_host().await;
    for host in [
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:8080",
        "localhost",
        "my_host",
    ] {
        assert_eq!(gw.get(host, "/x").await.backend(), "none", "{host}");
    }
}

#[tokio::test]
async fn the_absolute_form_names_the_host_as_well_as_the_field() {
    let (gw, _backends) = by_host().await;
    let saw = gw
        .send(&get("http://a.foo.com/exact?q").host("a.foo.com"))
        .await
        .saw();
    assert_eq!(
        (saw.backend.as_str(), saw.target.as_str()),
        ("exact", "/exact?q")
    );
    assert_eq!(saw.header("host"), Some("a.foo.com"));
}

#[tokio::test]
async fn one_ingress_may_serve_many_hosts() {
    let up = upstream().start().await;
    let rules = ingress("many")
        .host("a.test")
        .path("/a", "svc", 80)
        .host("b.test")
        .path("/b", "svc", 80);
    let gw = gateway()
        .manifest(rules)
        .service("svc", 80, &[&up])
        .start()
        .await;
    assert_eq!(gw.get("a.test", "/a").await.status, 200);
    assert_eq!(gw.get("b.test", "/b").await.status, 200);
    assert_eq!(gw.get("a.test", "/b").await.status, 404);
    assert_eq!(gw.get("b.test", "/a").await.status, 404);
}

#[tokio::test]
async fn one_connection_may_ask_for_many_hosts() {
    let (gw, _backends) = by_host().await;
    let mut connection = gw.connect().await;
    for (host, path, backend) in [
        ("a.foo.com", "/exact", "exact"),
        ("x.foo.com", "/wild", "wildcard"),
        ("y", "/", "none"),
    ] {
        assert_eq!(
            connection.ask(&get(path).host(host)).await.backend(),
            backend
        );
    }
}
