//! Claims about translate annotation, each a test.

use std::time::Duration;

use route::{Protocol, Route};

use super::*;
use crate::{Problem, Severity};

const NGINX: &str = "nginx.ingress.kubernetes.io";

/// The route of an Ingress with these annotations on a host with TLS, and the problems.
fn route(annotations: &str) -> (Option<Route>, Vec<Problem>) {
    let spec = format!(
        "tls: [{{hosts: [a.example]}}]\n{}",
        rule("a.example", "/", "web")
    );
    let annotated = format!("name: web, annotations: {{{annotations}}}, ");
    let yaml = ingress("web", &spec).replace("name: web, ", &annotated) + &service("web");
    let (config, problems) = translated(&yaml, &options());
    (
        config.rules.first().map(|r| r.route.as_ref().clone()),
        problems,
    )
}

fn good(annotations: &str) -> Route {
    let (route, problems) = route(annotations);
    assert_eq!(lines(&problems), [""; 0], "{annotations}");
    route.unwrap()
}

fn bad(annotations: &str, severity: Severity) -> Route {
    let (route, problems) = route(annotations);
    let severities: Vec<_> = problems.iter().map(|p| p.severity).collect();
    assert_eq!(severities, [severity], "{annotations}: {problems:?}");
    let field = problems[0].field.as_deref().unwrap();
    assert!(field.starts_with("metadata.annotations["), "{problems:?}");
    route.unwrap()
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn our_own_annotations_do_what_they_say() {
    let all = good(
        "portcullis.dev/backend-protocol: grpc, portcullis.dev/ssl-redirect: 'false', portcullis.dev/max-body: 8Mi, \
         portcullis.dev/hsts: 'max-age=300; includeSubDomains', portcullis.dev/connect-timeout: 500ms, \
         portcullis.dev/response-timeout: 5m, portcullis.dev/idle-timeout: 1h",
    );
    assert_eq!(all.protocol, Protocol::Grpc);
    assert!(!all.ssl_redirect);
    assert_eq!(all.hsts.as_deref(), Some("max-age=300; includeSubDomains"));
    assert_eq!(all.max_body, Some(8 << 20));
    assert_eq!(all.connect_timeout, Some(Duration::from_millis(500)));
    assert_eq!(all.response_timeout, seconds(300));
    assert_eq!(all.idle_timeout, seconds(3600));
}

#[test]
fn nothing_is_imposed_where_nothing_is_written() {
    let none = good("example.com/other: x");
    assert_eq!((none.max_body, none.connect_timeout), (None, None));
    assert_eq!((none.response_timeout, none.idle_timeout), (None, None));
    assert_eq!(
        (none.protocol, none.hsts, none.ssl_redirect),
        (Protocol::Http, None, true)
    );
}

#[test]
fn a_wrong_value_is_an_error_and_counts_as_absent() {
    for annotation in [
        "backend-protocol: GRPCS",
        "ssl-redirect: 'yes'",
        "hsts: includeSubDomains",
        "hsts: \"max-age=1\\r\\nx: y\"",
        "hsts: \"max-age=1;\\n includeSubDomains\"",
        "max-body: 8MiB",
        "max-body: '99999999999999999999'",
        "connect-timeout: '30'",
        "response-timeout: 0s",
        "idle-timeout: '-1s'",
    ] {
        let route = bad(&format!("portcullis.dev/{annotation}"), Severity::Error);
        assert_eq!(route, good("example.com/other: x"), "{annotation}");
    }
}

#[test]
fn an_unknown_key_of_ours_is_an_error_with_the_nearest_one() {
    let (_, problems) = route("portcullis.dev/max-bdy: 8Mi");
    assert_eq!(
        (problems[0].severity, problems[0].hint.as_str()),
        (Severity::Error, "write portcullis.dev/max-body")
    );
    let (_, problems) = route("portcullis.dev/zzzzzzzzzzzz: 8Mi");
    assert!(
        problems[0]
            .hint
            .starts_with("write one of backend-protocol, "),
        "{problems:?}"
    );
}

#[test]
fn nginx_keys_keep_their_meaning() {
    let nginx = |rest: &str| good(&format!("{NGINX}/{rest}"));
    assert_eq!(nginx("backend-protocol: GRPCS").protocol, Protocol::Grpcs);
    assert_eq!(nginx("proxy-body-size: 8m").max_body, Some(8 << 20));
    assert_eq!(nginx("proxy-body-size: '0'").max_body, Some(0));
    assert_eq!(
        nginx("proxy-connect-timeout: '7'").connect_timeout,
        seconds(7)
    );
    let read = nginx("proxy-read-timeout: '7'");
    assert_eq!(
        (read.response_timeout, read.idle_timeout),
        (seconds(7), seconds(7))
    );
    let both = nginx(&format!(
        "proxy-read-timeout: '7', {NGINX}/proxy-send-timeout: '9'"
    ));
    assert_eq!(
        (both.response_timeout, both.idle_timeout),
        (seconds(7), seconds(9))
    );
    assert!(!nginx("ssl-redirect: 'false'").ssl_redirect);
    assert!(
        nginx(&format!(
            "ssl-redirect: 'false', {NGINX}/force-ssl-redirect: 'true'"
        ))
        .ssl_redirect
    );
    let auto = bad(
        &format!("{NGINX}/backend-protocol: AUTO_HTTP"),
        Severity::Note,
    );
    assert_eq!(auto.protocol, Protocol::Http);
}

#[test]
fn wrong_and_unknown_nginx_keys_are_warnings_and_count_as_absent() {
    for wrong in [
        "backend-protocol: FCGI",
        "proxy-read-timeout: 7s",
        "proxy-body-size: 8Mi",
        "ssl-redirect: 'no'",
        "rewrite-target: /",
        "limit-rate: '1'",
    ] {
        let route = bad(&format!("{NGINX}/{wrong}"), Severity::Warning);
        assert_eq!(route, good("example.com/other: x"), "{wrong}");
    }
}

#[test]
fn a_redirect_that_is_asked_for_needs_no_tls() {
    let redirects = |key: &str| {
        let annotated = format!("name: web, annotations: {{{key}: 'true'}}, ");
        let yaml =
            ingress("web", &rule("a.example", "/", "web")).replace("name: web, ", &annotated);
        translated(&yaml, &options()).0.rules[0].route.ssl_redirect
    };
    assert!(redirects("nginx.ingress.kubernetes.io/force-ssl-redirect"));
    assert!(redirects("portcullis.dev/ssl-redirect"));
}

#[test]
fn our_own_key_wins_over_an_nginx_key() {
    let route = good(&format!(
        "{NGINX}/backend-protocol: GRPCS, portcullis.dev/backend-protocol: HTTPS, {NGINX}/proxy-read-timeout: '7', \
         portcullis.dev/response-timeout: 1s, {NGINX}/force-ssl-redirect: 'true', portcullis.dev/ssl-redirect: 'false'"
    ));
    assert_eq!(
        (route.protocol, route.ssl_redirect),
        (Protocol::Https, false)
    );
    assert_eq!(
        (route.response_timeout, route.idle_timeout),
        (seconds(1), seconds(7))
    );
}
