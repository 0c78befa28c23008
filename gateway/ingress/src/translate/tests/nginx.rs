//! Claims about limits and sessions by the keys of ingress-nginx, each a test.

use super::*;
use crate::{Problem, Severity};

/// The chain under these keys of ingress-nginx, each without its prefix, and the problems.
fn serve(keys: &[(&str, &str)], ours: &str) -> (Vec<String>, Vec<Problem>) {
    let mut annotations = ours.to_owned();
    for (key, value) in keys {
        annotations.push_str(if annotations.is_empty() { "" } else { ", " });
        let value = quoted(value);
        annotations.push_str(&format!("nginx.ingress.kubernetes.io/{key}: {value}"));
    }
    let yaml = annotated("web", &annotations, "web") + &service("web");
    let (config, problems) = translated(&yaml, &options());
    (chain(&config.rules[0].route), problems)
}

#[track_caller]
fn good(keys: &[(&str, &str)], wanted: &[&str]) {
    let (found, problems) = serve(keys, "");
    assert_eq!(lines(&problems), [""; 0], "{keys:?}");
    assert_eq!(found, wanted, "{keys:?}");
}

/// The chain of keys whose last is the one problem, of this severity.
#[track_caller]
fn bad(keys: &[(&str, &str)], severity: Severity) -> (Vec<String>, Problem) {
    let (found, problems) = serve(keys, "");
    let [problem] = problems.as_slice() else {
        panic!("{keys:?}: {problems:?}")
    };
    let key = keys.last().unwrap().0;
    let field = format!("metadata.annotations[nginx.ingress.kubernetes.io/{key}]");
    assert_eq!(problem.field.as_deref(), Some(field.as_str()), "{keys:?}");
    assert_eq!(problem.severity, severity, "{problem}");
    (found, problem.clone())
}

/// What every limit of ingress-nginx has.
const REST: &str = r#""status":503,"key":"client-ip","ipv6Prefix":128}"#;

#[test]
fn a_rate_admits_one_more_than_its_burst() {
    let config = |limits: &str| format!("rate-limit=rate-limit {{{limits},{REST}");
    let one = config(r#""limits":[{"requests":1,"per":"1s","burst":6}]"#);
    good(&[("limit-rps", "1")], &[&one]);
    let minute = config(r#""limits":[{"requests":30,"per":"1m","burst":61}]"#);
    good(
        &[("limit-rpm", "30"), ("limit-burst-multiplier", "2")],
        &[&minute],
    );
    let both = config(
        r#""limits":[{"requests":2,"per":"1s","burst":1},{"requests":9,"per":"1m","burst":1}],"connections":4"#,
    );
    let keys = [
        ("limit-rps", "2"),
        ("limit-rpm", "9"),
        ("limit-connections", "4"),
    ];
    good(
        &[&keys[..], &[("limit-burst-multiplier", "0")]].concat(),
        &[&both],
    );
}

#[test]
fn a_burst_is_never_more_than_the_filter_takes() {
    let config = format!(
        r#"rate-limit=rate-limit {{"limits":[{{"requests":999999999,"per":"1s","burst":4294967295}}],{REST}"#
    );
    good(&[("limit-rps", "999999999")], &[&config]);
}

#[test]
fn connections_need_no_rate_and_zero_is_off() {
    let config = format!(r#"rate-limit=rate-limit {{"connections":3,{REST}"#);
    good(
        &[("limit-connections", "3"), ("limit-rps", "0")],
        &[&config],
    );
    good(&[("limit-rps", "0"), ("limit-connections", "0")], &[]);
}

#[test]
fn the_networks_of_either_list_are_exempt() {
    let config = |exempt: &str| {
        let limits = r#""limits":[{"requests":1,"per":"1s","burst":6}]"#;
        format!(r#"rate-limit=rate-limit {{{limits},"exempt":[{exempt}],{REST}"#)
    };
    let wanted = config(r#""10.0.0.0/8","1.2.3.4","2001:db8::/32""#);
    let networks = "10.0.0.0/8, 1.2.3.4,2001:db8::/32";
    for key in ["limit-whitelist", "limit-allowlist"] {
        good(&[("limit-rps", "1"), (key, networks)], &[&wanted]);
    }
    let both = [
        ("limit-whitelist", "1.1.1.1"),
        ("limit-allowlist", "2.2.2.2"),
    ];
    good(
        &[&[("limit-rps", "1")], &both[..]].concat(),
        &[&config(r#""2.2.2.2""#)],
    );
}

#[test]
fn where_the_filters_come_from_is_told() {
    let annotations =
        "nginx.ingress.kubernetes.io/limit-rpm: '1', nginx.ingress.kubernetes.io/affinity: cookie";
    let yaml = annotated("web", annotations, "web") + &service("web");
    let (config, _) = translated(&yaml, &options());
    let filters = &config.rules[0].route.filters;
    let origins: Vec<_> = filters.iter().map(|f| f.origin.as_str()).collect();
    let wanted = [
        "nginx.ingress.kubernetes.io/limit-rpm",
        "nginx.ingress.kubernetes.io/affinity",
    ];
    assert_eq!(origins, wanted);
    assert_eq!(
        filters[1].field,
        "metadata.annotations[nginx.ingress.kubernetes.io/affinity]"
    );
}

#[test]
fn wrong_values_are_warnings_and_count_as_absent() {
    for (key, value) in [
        ("limit-rps", "1.5"),
        ("limit-rpm", "-1"),
        ("limit-connections", "+1"),
        ("limit-rps", "99999999999"),
        ("limit-rps", ""),
        ("affinity", "ip"),
        ("canary", "yes"),
    ] {
        assert_eq!(bad(&[(key, value)], Severity::Warning).0, [""; 0], "{key}");
    }
    let limit = ("limit-rps", "1");
    let (plain, _) = serve(&[limit], "");
    for other in [
        ("limit-burst-multiplier", "x"),
        ("limit-whitelist", "10.0.0.0/33"),
        ("limit-allowlist", "1.2.3.4, host"),
        ("limit-allowlist", " , "),
    ] {
        assert_eq!(
            bad(&[limit, other], Severity::Warning).0,
            plain,
            "{other:?}"
        );
    }
    let affinity = ("affinity", "cookie");
    for other in [
        ("affinity-mode", "sticky"),
        ("affinity-canary-behavior", "x"),
        ("session-cookie-name", "a b"),
        ("session-cookie-name", &"a".repeat(129)),
        ("session-cookie-path", "x"),
        ("session-cookie-path", "/; Secure"),
        ("session-cookie-domain", "a/b"),
        ("session-cookie-samesite", "Never"),
        ("session-cookie-secure", "yes"),
        ("session-cookie-conditional-samesite-none", "1.0"),
        ("session-cookie-expires", "1h"),
        ("session-cookie-max-age", "-1"),
        ("session-cookie-change-on-failure", "on"),
    ] {
        let (found, _) = bad(&[affinity, other], Severity::Warning);
        assert_eq!(found, ["sticky-session=sticky-session {}"], "{other:?}");
    }
}

#[test]
fn what_does_nothing_alone_is_a_warning() {
    for (key, value) in [
        ("limit-burst-multiplier", "2"),
        ("limit-whitelist", "1.2.3.4"),
        ("limit-allowlist", "1.2.3.4"),
        ("session-cookie-name", "x"),
        ("session-cookie-secure", "true"),
        ("affinity-mode", "balanced"),
        ("affinity-canary-behavior", "legacy"),
    ] {
        let (found, problem) = bad(&[(key, value)], Severity::Warning);
        assert_eq!(found, [""; 0]);
        assert!(
            problem.message.contains("does nothing without"),
            "{problem}"
        );
    }
}

#[test]
fn sessions_are_those_of_the_cookie_keys() {
    good(
        &[("affinity", "cookie")],
        &["sticky-session=sticky-session {}"],
    );
    let all = [
        ("affinity", "cookie"),
        ("affinity-mode", "persistent"),
        ("affinity-canary-behavior", "sticky"),
        ("session-cookie-name", "route"),
        ("session-cookie-path", "/app"),
        ("session-cookie-domain", "a.example"),
        ("session-cookie-samesite", "lax"),
        ("session-cookie-secure", "true"),
        ("session-cookie-conditional-samesite-none", "false"),
        ("session-cookie-expires", "60"),
        ("session-cookie-max-age", "70"),
        ("session-cookie-change-on-failure", "true"),
    ];
    let wanted = r#"sticky-session=sticky-session {"cookie":"route","mode":"persistent","path":"/app","domain":"a.example","sameSite":"Lax","secure":true,"conditionalSameSiteNone":false,"maxAge":70,"expires":60,"changeOnFailure":true}"#;
    good(&all, &[wanted]);
}

#[test]
fn limits_stand_before_the_named_chain_and_sessions_after_it() {
    let keys = [("affinity", "cookie"), ("limit-rps", "1")];
    let (found, problems) = serve(&keys, "portcullis.dev/filters: 'x=canary'");
    assert_eq!(lines(&problems), [""; 0]);
    let names: Vec<_> = found.iter().map(|f| f.split(' ').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "rate-limit=rate-limit",
            "x=canary",
            "sticky-session=sticky-session"
        ]
    );
}

#[test]
fn a_filter_that_the_chain_names_itself_wins_with_a_note() {
    let keys = [("affinity", "cookie"), ("limit-rps", "1")];
    let ours = "portcullis.dev/filters: 'a=sticky-session, b=rate-limit'";
    let (found, problems) = serve(&keys, ours);
    assert_eq!(found, ["a=sticky-session {}", "b=rate-limit {}"]);
    let notes: Vec<_> = problems
        .iter()
        .map(|p| (p.severity, p.message.as_str()))
        .collect();
    let wanted = [
        (
            Severity::Note,
            "the chain names sticky-session itself, which counts instead",
        ),
        (
            Severity::Note,
            "the chain names rate-limit itself, which counts instead",
        ),
    ];
    assert_eq!(notes, wanted);
}

#[test]
fn an_alias_that_is_taken_leaves_the_filter_of_ingress_nginx() {
    let ours = "portcullis.dev/filters: 'rate-limit=canary'";
    let (found, problems) = serve(&[("limit-connections", "1")], ours);
    assert_eq!(lines(&problems), [""; 0]);
    let names: Vec<_> = found.iter().map(|f| f.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["rate-limit#nginx=rate-limit", "rate-limit=canary"]);
}

#[test]
fn bandwidth_stays_unknown() {
    for key in [
        "limit-rate",
        "limit-rate-after",
        "rewrite-target",
        "affinity-x",
    ] {
        let (found, problem) = bad(&[(key, "1")], Severity::Warning);
        assert_eq!(
            (found.len(), problem.message.as_str()),
            (0, "the annotation is not known and does nothing")
        );
    }
}
