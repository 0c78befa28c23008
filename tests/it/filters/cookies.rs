//! The attributes of a session's cookie, natively and by `session-cookie-*`.

use harness::{
    Answer, Gateway, GatewayBuilder, IngressBuilder, Upstream, gateway, get, ingress, secret,
    self_signed, upstream,
};

use super::{cookie, filtered, keyed, nginx, root, web};

async fn start(
    ingress: IngressBuilder,
    more: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
) -> (Gateway, Upstream) {
    let up = upstream().start().await;
    let builder = gateway().service("web", 80, &[&up]).manifest(ingress);
    (more(builder).start().await, up)
}

/// The attributes that this configuration sets, in lower case and in order of the alphabet.
async fn attributes(ingress: IngressBuilder) -> Vec<String> {
    let (gw, _up) = start(ingress, |builder| builder).await;
    sorted(&gw.send(&root()).await)
}

fn sorted(answer: &Answer) -> Vec<String> {
    let (_, mut attributes) = cookie(answer).expect("a cookie");
    attributes.sort();
    attributes
}

fn native(config: &str) -> IngressBuilder {
    filtered("sticky-session", config)
}

fn by_keys(keys: &[(&str, &str)]) -> IngressBuilder {
    nginx(&[&[("affinity", "cookie")], keys].concat())
}

#[tokio::test]
async fn by_default_it_is_http_only_ends_with_the_browser_and_has_the_path_of_the_rule() {
    assert_eq!(attributes(native("{}")).await, ["httponly", "path=/"]);
    assert_eq!(attributes(by_keys(&[])).await, ["httponly", "path=/"]);
}

#[tokio::test]
async fn its_path_is_that_of_the_rule_that_matched() {
    for keyed_by_nginx in [false, true] {
        let rules = ingress("web")
            .host("a.test")
            .path("/shop", "web", 80)
            .exact("/exact", "web", 80)
            .host("*.b.test")
            .path("/deep/er/", "web", 80);
        let rules = if keyed_by_nginx {
            keyed(rules, &[("affinity", "cookie")])
        } else {
            rules.annotation("portcullis.dev/filters", "sticky-session")
        };
        let (gw, _up) = start(rules, |builder| builder).await;
        for (host, path, wanted) in [
            ("a.test", "/shop/basket?x=1", "path=/shop"),
            ("a.test", "/exact", "path=/exact"),
            ("x.b.test", "/deep/er/still", "path=/deep/er/"),
        ] {
            let attributes = sorted(&gw.get(host, path).await);
            assert_eq!(attributes, ["httponly", wanted], "{host}{path}");
        }
    }
}

#[tokio::test]
async fn name_path_domain_and_same_site_are_as_written() {
    let config = "{cookie: route, path: /x, domain: a.test, sameSite: Strict}";
    let keys = [
        ("session-cookie-name", "route"),
        ("session-cookie-path", "/x"),
        ("session-cookie-domain", "a.test"),
        ("session-cookie-samesite", "Strict"),
    ];
    for ingress in [native(config), by_keys(&keys)] {
        let (gw, _up) = start(ingress, |builder| builder).await;
        let answer = gw.send(&root()).await;
        assert_eq!(
            sorted(&answer),
            ["domain=a.test", "httponly", "path=/x", "samesite=strict"]
        );
        let (pair, _) = cookie(&answer).expect("a cookie");
        assert!(pair.starts_with("route="), "{pair}");
        let again = gw.send(&root().header("Cookie", &pair)).await;
        assert_eq!(again.header("set-cookie"), None);
    }
    for same_site in ["None", "Lax"] {
        let wanted = format!("samesite={}", same_site.to_lowercase());
        let found = attributes(native(&format!("{{sameSite: {same_site}}}"))).await;
        assert_eq!(found, ["httponly", "path=/", wanted.as_str()]);
        let found = attributes(by_keys(&[("session-cookie-samesite", same_site)])).await;
        assert_eq!(found, ["httponly", "path=/", wanted.as_str()]);
    }
}

#[tokio::test]
async fn max_age_and_expires_are_seconds_from_now() {
    let keys = [
        ("session-cookie-max-age", "90"),
        ("session-cookie-expires", "3600"),
    ];
    for ingress in [native("{maxAge: 90, expires: 3600}"), by_keys(&keys)] {
        let found = attributes(ingress).await;
        assert_eq!(found[1..], ["httponly", "max-age=90", "path=/"]);
        let date = found[0].strip_prefix("expires=").expect("a date");
        // `thu, 26 nov 2026 02:34:56 gmt`
        let parts: Vec<&str> = date.split([' ', ':']).collect();
        assert_eq!((parts.len(), parts[7]), (8, "gmt"), "{date}");
        assert_eq!(date.len(), 29, "{date}");
        let moment = parts[4..7]
            .iter()
            .map(|part| part.parse::<u64>().expect("a number"));
        let of_day = moment.fold(0, |sum, part| sum * 60 + part);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("a time after 1970").as_secs() % 86_400;
        let ahead = (86_400 + of_day - now) % 86_400;
        assert!(
            (3600 - 60..=3600).contains(&ahead),
            "{date}: {ahead} s from now"
        );
    }
    assert_eq!(
        attributes(native("{maxAge: 90}")).await,
        ["httponly", "max-age=90", "path=/"]
    );
}

#[tokio::test]
async fn it_is_secure_where_the_request_came_by_https_unless_it_is_written() {
    for (ingress, plain, secure) in [
        (native("{}"), false, true),
        (by_keys(&[]), false, true),
        (native("{secure: true}"), true, true),
        (by_keys(&[("session-cookie-secure", "true")]), true, true),
        (native("{secure: false}"), false, false),
        (by_keys(&[("session-cookie-secure", "false")]), false, false),
    ] {
        let (gw, _up) = start(ingress, |builder| {
            builder.manifest(secret("cert", &self_signed(&["a.test"])))
        })
        .await;
        let is_secure = |answer: &Answer| sorted(answer).contains(&"secure".to_owned());
        assert_eq!(is_secure(&gw.send(&root()).await), plain);
        assert_eq!(is_secure(&gw.get_tls("a.test", "/").await), secure);
        let mut http2 = gw.http2_tls("a.test").await;
        let answer = http2.ask(&[], "GET", "https://a.test/", None).await;
        let field = answer
            .header("set-cookie")
            .expect("a cookie")
            .to_lowercase();
        assert_eq!(field.contains("; secure"), secure, "{field}");
    }
}

#[tokio::test]
async fn the_scheme_is_what_a_trusted_proxy_says_and_nobody_else() {
    let forwarded = |scheme: &str| root().header("X-Forwarded-Proto", scheme);
    for (trusted, secure) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let (gw, _up) = start(by_keys(&[]), |builder| {
            builder.flag("--trusted-proxies", trusted)
        })
        .await;
        let is_secure = |answer: &Answer| sorted(answer).contains(&"secure".to_owned());
        assert_eq!(is_secure(&gw.send(&forwarded("https")).await), secure);
        assert!(!is_secure(&gw.send(&forwarded("http")).await));
    }
}

#[tokio::test]
async fn same_site_none_is_left_out_for_browsers_that_take_it_for_strict() {
    const OLD: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1";
    const NEW: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
    let keys = |conditional| {
        [
            ("session-cookie-samesite", "None"),
            ("session-cookie-conditional-samesite-none", conditional),
        ]
    };
    for (ingress, left_out) in [
        (
            native("{sameSite: None, conditionalSameSiteNone: true}"),
            true,
        ),
        (by_keys(&keys("true")), true),
        (native("{sameSite: None}"), false),
        (by_keys(&keys("false")), false),
    ] {
        let (gw, _up) = start(ingress, |builder| builder).await;
        let has_it = |answer: &Answer| sorted(answer).contains(&"samesite=none".to_owned());
        let with = |agent: &str| root().header("User-Agent", agent);
        assert_eq!(has_it(&gw.send(&with(OLD)).await), !left_out);
        assert!(has_it(&gw.send(&with(NEW)).await) && has_it(&gw.send(&root()).await));
    }
    let lax = native("{sameSite: Lax, conditionalSameSiteNone: true}");
    let (gw, _up) = start(lax, |builder| builder).await;
    let found = sorted(&gw.send(&root().header("User-Agent", OLD)).await);
    assert_eq!(found, ["httponly", "path=/", "samesite=lax"]);
}

#[tokio::test]
async fn wrong_keys_count_as_absent_and_are_told() {
    let keys = [
        ("session-cookie-path", "x; Secure"),
        ("session-cookie-domain", "a/b"),
        ("session-cookie-samesite", "Never"),
        ("session-cookie-max-age", "1h"),
        ("session-cookie-name", &"x".repeat(200)),
    ];
    let (gw, _up) = start(by_keys(&keys), |builder| builder).await;
    for (key, _) in keys {
        let problem = gw.until_problem(&[&format!("kubernetes.io/{key}]")]).await;
        assert_eq!(problem["severity"], "warning", "{key}");
    }
    let answer = gw.send(&root()).await;
    assert_eq!(sorted(&answer), ["httponly", "path=/"]);
    assert!(
        cookie(&answer)
            .expect("a cookie")
            .0
            .starts_with("INGRESSCOOKIE=")
    );
}

#[tokio::test]
async fn a_named_sticky_session_counts_instead_with_a_note() {
    let both = keyed(
        native("{cookie: own}"),
        &[("affinity", "cookie"), ("session-cookie-name", "theirs")],
    );
    let (gw, _up) = start(both, |builder| builder).await;
    let (pair, _) = cookie(&gw.send(&root()).await).expect("one cookie");
    assert!(pair.starts_with("own="), "{pair}");
    let problem = gw
        .until_problem(&["kubernetes.io/affinity", "sticky-session"])
        .await;
    assert_eq!(problem["severity"], "note");
}

#[tokio::test]
async fn keys_without_affinity_do_nothing_and_that_is_told() {
    let (gw, _up) = start(nginx(&[("session-cookie-name", "x")]), |b| b).await;
    gw.until_problem(&["session-cookie-name", "does nothing without affinity"])
        .await;
    assert_eq!(gw.send(&root()).await.header("set-cookie"), None);
}

#[tokio::test]
async fn an_answer_of_the_gateway_itself_sets_no_cookie() {
    let lost = web()
        .annotation("portcullis.dev/filters", "sticky-session")
        .path("/lost", "lost", 80);
    let (gw, _up) = start(lost, |builder| builder).await;
    let answer = gw.send(&get("/lost").host("a.test")).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (503, None));
}
