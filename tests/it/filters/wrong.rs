//! Wrong configurations: what `check` says of them, and what routes do.

use harness::{IngressBuilder, gateway, portcullis, upstream};
use tempfile::TempDir;

use super::{Backends, filtered, nginx, passing, root};

/// What `check` prints about an Ingress whose Service is there.
async fn checked(ingress: IngressBuilder) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    for object in [ingress.object(), harness::service("web", &[("http", 80)])] {
        std::fs::write(folder.path().join(object.file()), object.0.to_string())
            .expect("a writable folder");
    }
    let path = folder.path().display().to_string();
    portcullis(&["check", &path]).await.stdout
}

/// A filter, a configuration that it refuses, and where in it.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str)] = &[
    ("rate-limit", "{}", "nothing is limited"),
    ("rate-limit", "{requests: 0, per: 1s}", "/requests"),
    ("rate-limit", "{requests: -1, per: 1s}", "/requests"),
    ("rate-limit", "{requests: 1}", "/per"),
    ("rate-limit", "{per: 1s}", "/requests"),
    ("rate-limit", "{requests: 1, per: 2s}", "/per"),
    ("rate-limit", "{requests: 1, per: 1s, burst: 0}", "/burst"),
    ("rate-limit", "{requests: 1, per: 1s, key: ip}", "/key"),
    ("rate-limit", "{requests: 1, per: 1s, key: 'header:'}", "/key"),
    ("rate-limit", "{requests: 1, per: 1s, scope: host}", "/scope"),
    ("rate-limit", "{requests: 1, per: 1s, exempt: ['1.2.3.4', '10.0.0.0/33']}", "/exempt/1"),
    ("rate-limit", "{requests: 1, per: 1s, status: 200}", "/status"),
    ("rate-limit", "{connections: 0}", "/connections"),
    ("rate-limit", "{limits: []}", "/limits"),
    ("rate-limit", "{limits: [{requests: 1, per: 1s}], requests: 1, per: 1s}", "/limits"),
    ("rate-limit", "{limits: [{requests: 1, per: 1s}, {requests: 1}]}", "/limits/1"),
    ("rate-limit", "{request: 1, per: 1s}", "request"),
    ("canary", "{}", "backends"),
    ("canary", "{backends: []}", "/backends"),
    ("canary", "{backends: [{service: web}]}", "/backends/0"),
    ("canary", "{backends: [{service: web, port: 0}]}", "/backends/0/port"),
    ("canary", "{backends: [{service: web, port: 80, headerValue: x}]}", "/backends/0/header"),
    ("canary", "{backends: [{service: web, port: 80, header: 'a b'}]}", "/backends/0/header"),
    ("canary", "{backends: [{service: web, port: 80, header: X, headerPattern: '(a'}]}", "/backends/0/headerPattern"),
    ("canary", "{backends: [{service: web, port: 80, header: X, headerPattern: '(?=a)'}]}", "/backends/0/headerPattern"),
    ("canary", "{backends: [{service: web, port: 80, weight: 101}]}", "/backends"),
    ("canary", "{backends: [{service: web, port: 80, weight: 6}, {service: web, port: 80, weight: 5}], weightTotal: 10}", "/backends"),
    ("canary", "{backends: [{service: web, port: 80}], weightTotal: 0}", "/weightTotal"),
    ("sticky-session", "{cookie: 'a b'}", "/cookie"),
    ("sticky-session", "{mode: sticky}", "/mode"),
    ("sticky-session", "{path: x}", "/path"),
    ("sticky-session", "{path: '/; Secure'}", "/path"),
    ("sticky-session", "{domain: 'a;b'}", "/domain"),
    ("sticky-session", "{sameSite: lax}", "/sameSite"),
    ("sticky-session", "{secure: maybe}", "/secure"),
    ("sticky-session", "{maxAge: -1}", "/maxAge"),
    ("sticky-session", "{maxage: 1}", "maxage"),
];

#[tokio::test]
async fn check_names_the_key_and_the_place_in_it() {
    let mut missed = Vec::new();
    for (filter, config, place) in REFUSED {
        let told = checked(filtered(filter, config)).await;
        let field = format!("metadata.annotations[portcullis.dev/filter.{filter}]");
        let found = told
            .lines()
            .find(|line| line.contains(": error: Ingress default/web ") && line.contains(&field));
        if !found.is_some_and(|line| line.contains(place)) {
            missed.push(format!("{filter} {config}: {place} not in {told:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[tokio::test]
async fn check_passes_good_configurations() {
    for (filter, config) in [
        (
            "rate-limit",
            "{requests: 10, per: 1s, burst: 20, key: client-ip}",
        ),
        (
            "rate-limit",
            "{connections: 3, exempt: [10.0.0.0/8], scope: route, key: 'cookie:a'}",
        ),
        (
            "rate-limit",
            "{limits: [{requests: 1, per: 1m}, {requests: 1, per: 1h, burst: 9}], status: 503}",
        ),
        (
            "canary",
            "{backends: [{service: web, port: http, header: X, headerPattern: 'a|b', weight: 10}], weightTotal: 20}",
        ),
        ("sticky-session", "{}"),
        (
            "sticky-session",
            "{cookie: a, mode: persistent, path: /, domain: a.test, sameSite: None, secure: true, maxAge: 1, expires: 1, changeOnFailure: true}",
        ),
    ] {
        let told = checked(filtered(filter, config)).await;
        let notes = told.lines().all(|line| line.contains(": note: "));
        assert!(notes, "{filter} {config}: {told}");
    }
}

#[tokio::test]
async fn check_tells_of_wrong_keys_of_ingress_nginx() {
    for (key, value) in [
        ("limit-rps", "1.5"),
        ("limit-rpm", "-1"),
        ("limit-connections", "x"),
        ("limit-burst-multiplier", "2x"),
        ("limit-whitelist", "10.0.0.0/99"),
        ("affinity", "ip"),
        ("affinity-mode", "sticky"),
        ("affinity-canary-behavior", "x"),
        ("session-cookie-secure", "yes"),
        ("session-cookie-expires", "1h"),
        ("session-cookie-change-on-failure", "on"),
        ("canary", "yes"),
        ("canary-weight", "ten"),
        ("canary-by-header", "a b"),
        ("canary-by-cookie", ""),
    ] {
        let told = checked(nginx(&[(key, value)])).await;
        let field = format!("metadata.annotations[nginx.ingress.kubernetes.io/{key}]");
        let line = told.lines().find(|line| line.contains(&field));
        let line = line.unwrap_or_else(|| panic!("{key}={value}: {told}"));
        assert!(line.contains(": warning: Ingress default/web "), "{line}");
        assert!(line.contains("; "), "{line}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_closes_the_route_where_none_was_good() {
    for (filter, config) in [
        ("rate-limit", "{requests: 0, per: 1s}"),
        (
            "canary",
            "{backends: [{service: web, port: 80, header: X, headerPattern: '(a'}]}",
        ),
        (
            "canary",
            "{backends: [{service: web, port: 80, weight: 101}]}",
        ),
        ("sticky-session", "{mode: x}"),
        ("rate-limit", "just text"),
    ] {
        let up = upstream().start().await;
        let gw = gateway()
            .service("web", 80, &[&up])
            .manifest(filtered(filter, config))
            .manifest(
                harness::ingress("other")
                    .host("b.test")
                    .path("/", "web", 80),
            )
            .start()
            .await;
        let answer = gw.send(&root()).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (503, Some("plugin-config")),
            "{config}"
        );
        assert_eq!(gw.get("b.test", "/").await.status, 200, "others go on");
        let field = format!("portcullis.dev/filter.{filter}");
        let problem = gw.until_problem(&[&field]).await;
        assert_eq!(problem["severity"], "error");
    }
}

#[tokio::test]
async fn a_configuration_that_turns_wrong_leaves_the_last_good_one() {
    let backends = Backends::start().await;
    let good = "{backends: [{service: next, port: 80, weight: 100}]}";
    let gw = backends
        .gateway()
        .manifest(filtered("canary", good))
        .start()
        .await;
    assert_eq!(gw.send(&root()).await.backend(), "next");
    for wrong in [
        "{backends: [{service: next, port: 80, weight: 101}]}",
        "{backends: [{service: next, port: 80, header: X, headerPattern: '(a'}]}",
        "{backends: 5}",
    ] {
        gw.apply(filtered("canary", wrong));
        let problem = gw
            .until_problem(&["portcullis.dev/filter.canary", "error"])
            .await;
        assert!(problem.to_string().contains("last good"), "{problem}");
        assert_eq!(gw.send(&root()).await.backend(), "next", "{wrong}");
        gw.apply(filtered("canary", good));
        harness::until("the problem is gone", async || {
            gw.problems().await.is_empty()
        })
        .await;
    }
    gw.apply(filtered(
        "canary",
        "{backends: [{service: next, port: 80, weight: 0}]}",
    ));
    harness::until("a good one counts again", async || {
        gw.send(&root()).await.backend() == "web"
    })
    .await;
}

#[tokio::test]
async fn the_last_good_limit_goes_on_counting() {
    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .manifest(filtered("rate-limit", "{requests: 4, per: 1h}"))
        .start()
        .await;
    assert_eq!(passing(&gw, &root(), 2, 429).await, 2);
    gw.apply(filtered("rate-limit", "{requests: many, per: 1h}"));
    gw.until_problem(&["portcullis.dev/filter.rate-limit", "error"])
        .await;
    assert_eq!(passing(&gw, &root(), 9, 429).await, 2);
}
