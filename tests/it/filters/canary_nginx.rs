//! Canaries of ingress-nginx: whose alternative they are, and what else of them counts.

use harness::{Gateway, GatewayBuilder, get, ingress, upstream};

use super::{Backends, ask, canary, cookie, keyed, nginx, passing, root, share, web};

const ALL: (&str, &str) = ("canary-weight", "100");
const CANARY: (&str, &str) = ("canary", "true");
const HEADER: (&str, &str) = ("canary-by-header", "X-Canary");

/// A gateway with the primary and what more is built.
async fn serving(more: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> (Gateway, Backends) {
    let backends = Backends::start().await;
    let gw = more(backends.gateway()).start().await;
    (gw, backends)
}

async fn backend(gw: &Gateway, host: &str, path: &str) -> String {
    let request = get(path).host(host).header("X-Canary", "always");
    gw.send(&request).await.backend()
}

#[tokio::test]
async fn a_name_with_an_underscore_is_the_one_with_a_hyphen() {
    let keys = [("canary-by-header", "x_canary")];
    let (gw, _backends) = serving(|b| b.manifest(web()).manifest(canary(&keys))).await;
    assert_eq!(backend(&gw, "a.test", "/").await, "next");
}

#[tokio::test]
async fn of_two_canaries_the_older_counts() {
    let young = keyed(
        ingress("a-young").host("a.test").path("/", "young", 80),
        &[CANARY, ALL],
    );
    let up = upstream().name("young").start().await;
    let (gw, _backends) = serving(|b| {
        b.manifest(web())
            .manifest(young.created("2026-01-02T00:00:00Z"))
            .manifest(canary(&[ALL]).created("2026-01-01T00:00:00Z"))
            .service("young", 80, &[&up])
    })
    .await;
    assert_eq!(share(&gw, &root(), 20, "next").await, 20);
    let problem = gw.until_problem(&["a-young", "next", "canary"]).await;
    assert_eq!(problem["severity"], "warning");
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn all_else_of_a_canary_is_ignored_with_a_note() {
    let keys = [
        ALL,
        ("limit-rpm", "1"),
        ("limit-burst-multiplier", "0"),
        ("affinity", "cookie"),
        ("ssl-redirect", "false"),
    ];
    let (gw, _backends) = serving(|b| b.manifest(web()).manifest(canary(&keys))).await;
    assert_eq!(passing(&gw, &root(), 9, 503).await, 9);
    let answer = gw.send(&root()).await;
    assert_eq!(
        (answer.backend().as_str(), answer.header("set-cookie")),
        ("next", None)
    );
    let problem = gw
        .until_problem(&["limit-rpm", "affinity", "ignored"])
        .await;
    assert_eq!(
        (&problem["severity"], &problem["name"]),
        (&"note".into(), &"next".into())
    );
}

#[tokio::test]
async fn the_primarys_limits_and_sessions_are_the_canarys_too() {
    let keys = [
        ("affinity", "cookie"),
        ("session-cookie-name", "S"),
        ("session-cookie-max-age", "60"),
        ("session-cookie-samesite", "Lax"),
        ("limit-rpm", "1"),
        ("limit-burst-multiplier", "2"),
    ];
    let (gw, _backends) = serving(|b| b.manifest(nginx(&keys)).manifest(canary(&[HEADER]))).await;
    let always = root().header("X-Canary", "always");
    let (own, other) = (gw.send(&root()).await, gw.send(&always).await);
    assert_eq!(
        (own.backend(), other.backend()),
        ("web".into(), "next".into())
    );
    let (own, other) = (
        cookie(&own).expect("a cookie"),
        cookie(&other).expect("a cookie"),
    );
    assert_ne!(own.0, other.0);
    assert_eq!(own.1, other.1, "the same attributes");
    assert!(other.0.starts_with("S="), "{other:?}");
    let statuses: Vec<u16> = ask(&gw, &always, 3)
        .await
        .iter()
        .map(|a| a.status)
        .collect();
    assert_eq!(statuses, [200, 503, 503], "one limit for both");
}

#[tokio::test]
async fn a_canary_never_leaks_to_other_hosts_and_paths_of_the_same_service() {
    let (gw, _backends) = serving(|b| {
        b.manifest(
            web()
                .path("/other", "web", 80)
                .host("b.test")
                .path("/", "web", 80),
        )
        .manifest(ingress("second").host("c.test").path("/", "web", 80))
        .manifest(canary(&[HEADER]))
    })
    .await;
    assert_eq!(backend(&gw, "a.test", "/").await, "next");
    for (host, path) in [("a.test", "/other"), ("b.test", "/"), ("c.test", "/")] {
        assert_eq!(backend(&gw, host, path).await, "web", "{host}{path}");
    }
}

#[tokio::test]
async fn a_canary_to_the_primarys_own_service_is_dropped_with_a_warning() {
    let same = ingress("next").host("a.test").path("/", "web", 80);
    let (gw, _backends) =
        serving(|b| b.manifest(web()).manifest(keyed(same, &[CANARY, ALL]))).await;
    assert_eq!(share(&gw, &root(), 9, "web").await, 9);
    let problem = gw.until_problem(&["next", "canary", "Service web"]).await;
    assert_eq!(problem["severity"], "warning");
}

#[tokio::test]
async fn a_canary_without_a_primary_is_dropped_and_its_path_is_404() {
    let host = ingress("host").host("b.test").path("/", "next", 80);
    let path = ingress("path").host("a.test").path("/lost", "next", 80);
    let kind = ingress("kind").host("c.test").exact("/", "next", 80);
    let primary = ingress("typed").host("c.test").path("/", "web", 80);
    let (gw, backends) = serving(|b| {
        b.manifest(ingress("web").host("a.test").path("/web", "web", 80))
            .manifest(primary)
            .manifest(keyed(host, &[CANARY, ALL]))
            .manifest(keyed(path, &[CANARY, ALL]))
            .manifest(keyed(kind, &[CANARY, ALL]))
    })
    .await;
    for (host, path) in [("b.test", "/"), ("a.test", "/lost")] {
        let answer = gw.get(host, path).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (404, Some("no-route")),
            "{host}{path}"
        );
    }
    assert_eq!(
        gw.get("c.test", "/").await.backend(),
        "web",
        "another pathType"
    );
    for name in ["host", "path", "kind"] {
        let problem = gw.until_problem(&[&format!("\"{name}\""), "dropped"]).await;
        assert_eq!(problem["severity"], "warning", "{name}");
    }
    assert!(backends.next.seen().is_empty());
}

#[tokio::test]
async fn a_default_backend_may_have_a_canary() {
    let next = ingress("next").default_backend("next", 80);
    let (gw, _backends) = serving(|b| {
        b.manifest(ingress("web").default_backend("web", 80))
            .manifest(keyed(next, &[CANARY, HEADER]))
    })
    .await;
    assert_eq!(backend(&gw, "any.test", "/x").await, "next");
    assert_eq!(gw.get("any.test", "/x").await.backend(), "web");
}

#[tokio::test]
async fn a_canary_without_rules_takes_nothing() {
    let (gw, _backends) = serving(|b| b.manifest(web()).manifest(canary(&[]))).await;
    let request = root().header("X-Canary", "always");
    assert_eq!(share(&gw, &request, 40, "web").await, 40);
    gw.until_problem(&["next", "canary", "gets none"]).await;
}

#[tokio::test]
async fn keys_of_a_canary_that_is_not_enabled_are_an_error_and_the_ingress_is_as_any_other() {
    let other = ingress("next").host("b.test").path("/", "next", 80);
    for keys in [&[ALL][..], &[("canary", "false"), HEADER]] {
        let other = keyed(other.clone(), keys);
        let (gw, _backends) = serving(|b| b.manifest(web()).manifest(other)).await;
        let problem = gw.until_problem(&["next", "not enabled"]).await;
        assert_eq!(problem["severity"], "error");
        assert_eq!(gw.get("b.test", "/").await.backend(), "next");
        assert_eq!(gw.get("a.test", "/").await.backend(), "web");
    }
}

#[tokio::test]
async fn a_canary_comes_and_goes_while_traffic_runs() {
    let (gw, _backends) = serving(|b| b.manifest(web())).await;
    assert_eq!(share(&gw, &root(), 9, "web").await, 9);
    gw.apply(canary(&[ALL]));
    harness::until("the canary takes all", async || {
        gw.send(&root()).await.backend() == "next"
    })
    .await;
    gw.delete(canary(&[ALL]));
    harness::until("the primary takes all", async || {
        gw.send(&root()).await.backend() == "web"
    })
    .await;
}

#[tokio::test]
async fn a_canary_whose_service_is_missing_is_503_where_it_is_chosen() {
    let lost = ingress("next").host("a.test").path("/", "lost", 80);
    let (gw, _backends) =
        serving(|b| b.manifest(web()).manifest(keyed(lost, &[CANARY, HEADER]))).await;
    assert_eq!(gw.send(&root()).await.backend(), "web");
    let answer = gw.send(&root().header("X-Canary", "always")).await;
    assert_eq!((answer.status, answer.reason()), (503, Some("no-service")));
    gw.until_problem(&["next", "lost"]).await;
}

#[tokio::test]
async fn a_chain_that_names_canary_counts_instead_of_the_ingress_with_a_note() {
    let up = upstream().name("named").start().await;
    let named = super::filtered(
        "canary",
        "{backends: [{service: named, port: 80, weight: 100}]}",
    );
    let (gw, _backends) = serving(|b| {
        b.manifest(named)
            .manifest(canary(&[ALL]))
            .service("named", 80, &[&up])
    })
    .await;
    assert_eq!(share(&gw, &root(), 20, "named").await, 20);
    let problem = gw.until_problem(&["names canary itself"]).await;
    assert_eq!(problem["severity"], "note");
}

#[tokio::test]
async fn the_access_log_names_the_service_that_answered() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("access.log");
    let (gw, backends) = serving(|b| {
        b.manifest(web())
            .manifest(canary(&[HEADER]))
            .flag("--access-log", &file.display().to_string())
    })
    .await;
    assert_eq!(backend(&gw, "a.test", "/to-next").await, "next");
    let mut line = String::new();
    harness::until("the access log has its line", async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let found = text.lines().find(|line| line.contains("/to-next"));
        line = found.unwrap_or_default().to_owned();
        !line.is_empty()
    })
    .await;
    for word in ["next:80", &backends.next.address().to_string()] {
        assert!(line.contains(word), "{word}: {line}");
    }
}
