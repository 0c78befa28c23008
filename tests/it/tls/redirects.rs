//! From http to https, and Strict-Transport-Security.

use harness::{
    Gateway, IngressBuilder, Upstream, gateway, get, ingress, request, secret, self_signed,
    upstream,
};

fn rules() -> IngressBuilder {
    ingress("tls")
        .tls(&["a.test"], "cert")
        .host("a.test")
        .path("/", "svc", 80)
}

async fn serving(ingress: IngressBuilder, flags: &[(&str, &str)]) -> (Gateway, Upstream) {
    let up = upstream().start().await;
    let mut builder = gateway().service("svc", 80, &[&up]);
    for (name, value) in flags {
        builder = builder.flag(name, value);
    }
    let gw = builder
        .manifest(ingress)
        .manifest(secret("cert", &self_signed(&["a.test"])))
        .start()
        .await;
    (gw, up)
}

#[tokio::test]
async fn plain_http_is_redirected_with_path_and_query_byte_for_byte() {
    let (gw, up) = serving(rules(), &[("--redirect-port", "443")]).await;
    let targets = [
        "/",
        "/a/b",
        "/a%2Fb?x=%2f&y=a+b",
        "/x?",
        "/caf%C3%a9/?q=http://z/?w",
        "/a//b",
        "/%61",
    ];
    for target in targets {
        let answer = gw.get("a.test", target).await;
        assert_eq!(answer.status, 308, "{target}");
        assert_eq!(
            answer.header("location"),
            Some(format!("https://a.test{target}").as_str())
        );
    }
    for method in ["POST", "HEAD", "DELETE"] {
        let mut connection = gw.connect().await;
        let answer = connection
            .ask(
                &request(method, "/x")
                    .host("a.test:8080")
                    .header("Content-Length", "0"),
            )
            .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some("https://a.test/x")),
            "{method}"
        );
    }
    assert!(up.seen().is_empty());
    assert_eq!(gw.get_tls("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn with_manifests_the_redirect_names_the_port_that_https_listens_on() {
    let (gw, _up) = serving(rules(), &[]).await;
    let location = format!("https://a.test:{}/x", gw.https().port());
    assert_eq!(
        gw.get("a.test", "/x").await.header("location"),
        Some(location.as_str())
    );
}

#[tokio::test]
async fn the_redirect_can_be_turned_off_and_on() {
    let off = rules().annotation("portcullis.dev/ssl-redirect", "false");
    let (gw, _up) = serving(off, &[]).await;
    assert_eq!(gw.get("a.test", "/").await.status, 200);
    let nginx = rules().annotation("nginx.ingress.kubernetes.io/ssl-redirect", "false");
    let (by_nginx, _up) = serving(nginx, &[]).await;
    assert_eq!(by_nginx.get("a.test", "/").await.status, 200);
    gw.apply(rules());
    gw.until_status("a.test", "/", 308).await;
    gw.apply(
        ingress("plain")
            .annotation("nginx.ingress.kubernetes.io/force-ssl-redirect", "true")
            .host("b.test")
            .path("/", "svc", 80),
    );
    gw.until_status("b.test", "/", 308).await;
}

#[tokio::test]
async fn the_ingress_that_owns_the_path_decides_on_the_redirect() {
    let other = ingress("other")
        .annotation("portcullis.dev/ssl-redirect", "false")
        .host("a.test")
        .path("/open", "svc", 80);
    let (gw, _up) = serving(rules(), &[]).await;
    gw.apply(other);
    gw.until_status("a.test", "/open", 200).await;
    assert_eq!(gw.get("a.test", "/x").await.status, 308);
    // The host has TLS by the other Ingress: this one's paths are redirected too.
    gw.apply(ingress("third").host("a.test").exact("/third", "svc", 80));
    harness::until("the third path is routed", async || {
        gw.routes().await.iter().any(|r| r["path"] == "/third")
    })
    .await;
    assert_eq!(gw.get("a.test", "/third").await.status, 308);
}

#[tokio::test]
async fn acme_challenges_are_never_redirected() {
    let (gw, up) = serving(rules(), &[]).await;
    let path = "/.well-known/acme-challenge/token-1";
    assert_eq!(gw.get("a.test", path).await.status, 200);
    assert_eq!(up.only().target, path);
    assert_eq!(
        gw.get("a.test", "/.well-known/acme-challengex")
            .await
            .status,
        308
    );
    assert_eq!(gw.get("a.test", "/.well-known/other").await.status, 308);
}

#[tokio::test]
async fn the_scheme_of_a_trusted_proxy_counts() {
    let (gw, _up) = serving(rules(), &[("--trusted-proxies", "127.0.0.1/32")]).await;
    let asked = |scheme: &str| get("/").host("a.test").header("X-Forwarded-Proto", scheme);
    assert_eq!(gw.send(&asked("https")).await.status, 200);
    assert_eq!(gw.send(&asked("http")).await.status, 308);
    let (distrusting, _up) = serving(rules(), &[]).await;
    assert_eq!(distrusting.send(&asked("https")).await.status, 308);
}

#[tokio::test]
async fn hsts_is_off_unless_asked_for_and_on_https_only() {
    let name = "strict-transport-security";
    let (gw, _up) = serving(rules(), &[]).await;
    assert_eq!(gw.get_tls("a.test", "/").await.header(name), None);
    let value = "max-age=31536000; includeSubDomains";
    let hsts = rules()
        .annotation("portcullis.dev/hsts", value)
        .annotation("portcullis.dev/ssl-redirect", "false");
    gw.apply(hsts);
    harness::until("the field appears", async || {
        gw.get_tls("a.test", "/").await.header(name) == Some(value)
    })
    .await;
    assert_eq!(gw.get("a.test", "/").await.header(name), None);
}
