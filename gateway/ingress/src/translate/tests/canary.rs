//! Claims about canaries in the terms of ingress-nginx, each a test.

mod problems;

use std::sync::Arc;

use super::*;
use crate::{Problem, Severity};

/// Keys of ingress-nginx as annotations.
fn keys(keys: &[(&str, &str)]) -> String {
    let one = |(key, value): &(&str, &str)| {
        format!("nginx.ingress.kubernetes.io/{key}: {}", quoted(value))
    };
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A canary for `a.example` and `/` with more keys.
fn canary(name: &str, more: &[(&str, &str)], service: &str) -> String {
    annotated(
        name,
        &keys(&[&[("canary", "true")], more].concat()),
        service,
    )
}

fn primary(annotations: &str) -> String {
    annotated("web", annotations, "web") + &service("web") + &service("next")
}

/// The configuration of the canary at the first rule.
#[track_caller]
fn good(more: &[(&str, &str)]) -> String {
    let yaml = primary("") + &canary("next", more, "next");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0], "{more:?}");
    assert_eq!(rules(&config), ["a.example Prefix / -> default/web"]);
    let found = chain(&config.rules[0].route);
    let [filter] = found.as_slice() else {
        panic!("{found:?}")
    };
    filter.strip_prefix("canary=canary ").unwrap().to_owned()
}

fn config(choice: &str, total: u32) -> String {
    format!(r#"{{"backends":[{{"service":"next","port":80,{choice}}}],"weightTotal":{total}}}"#)
}

/// All chains of a text, and its problems.
fn chains(yaml: &str) -> (Vec<Vec<String>>, Vec<Problem>) {
    let (config, problems) = translated(yaml, &options());
    let found = config.rules.iter().map(|rule| chain(&rule.route));
    (found.collect(), problems)
}

#[test]
fn a_canary_is_an_alternative_of_its_primary() {
    let by_header = [("canary-by-header", "X_Canary"), ("canary-weight", "10")];
    assert_eq!(
        good(&by_header),
        config(r#""header":"X-Canary","weight":10"#, 100)
    );
    let by_value = [
        ("canary-by-header", "x"),
        ("canary-by-header-value", "always"),
        ("canary-by-header-pattern", "y"),
    ];
    let wanted = config(r#""header":"x","headerValue":"always","weight":0"#, 100);
    assert_eq!(good(&by_value), wanted);
    let by_pattern = [
        ("canary-by-header", "x"),
        ("canary-by-header-pattern", "^(a"),
    ];
    let wanted = config(
        r#""header":"x","headerPattern":"^(a","invalidPattern":"never","weight":0"#,
        100,
    );
    assert_eq!(good(&by_pattern), wanted);
    let by_cookie = [("canary-by-cookie", "c")];
    assert_eq!(good(&by_cookie), config(r#""cookie":"c","weight":0"#, 100));
}

#[test]
fn a_total_counts_if_it_is_more_than_a_hundred_and_a_weight_never_is_more() {
    for (weight, total, wanted) in [
        ("30", "200", (30, 200)),
        ("30", "50", (30, 100)),
        ("101", "100", (100, 100)),
        ("4000000000", "1000", (1000, 1000)),
    ] {
        let (weight_is, total_is) = wanted;
        let found = good(&[("canary-weight", weight), ("canary-weight-total", total)]);
        assert_eq!(found, config(&format!(r#""weight":{weight_is}"#), total_is));
    }
}

#[test]
fn a_canary_is_told_where_it_comes_from_and_stands_after_the_named_chain() {
    let nginx = keys(&[("limit-rps", "1"), ("affinity", "cookie")]);
    let yaml = primary(&format!("portcullis.dev/filters: 'x=geo', {nginx}"))
        + &canary("next", &[("canary-weight", "1")], "next");
    let (config, _) = translated(&(yaml + &plugin("geo", "")), &options());
    let filters = &config.rules[0].route.filters;
    let names: Vec<_> = filters.iter().map(|f| f.alias.as_str()).collect();
    assert_eq!(names, ["rate-limit", "x", "canary", "sticky-session"]);
    assert_eq!(
        filters[2].origin,
        "nginx.ingress.kubernetes.io/canary of Ingress default/next"
    );
    assert_eq!(filters[2].field, "spec.rules");
}

#[test]
fn sessions_stay_with_their_backend_unless_legacy() {
    let weight = [("canary-weight", "1")];
    let with = |more: &[(&str, &str)]| {
        let nginx = keys(&[&[("affinity", "cookie")], more].concat());
        let (found, problems) = chains(&(primary(&nginx) + &canary("next", &weight, "next")));
        assert_eq!(lines(&problems), [""; 0]);
        found[0].clone()
    };
    let plain = config(r#""weight":1"#, 100);
    let sticky = |cookie: &str| {
        let rest = plain.strip_suffix('}').unwrap();
        format!(r#"canary=canary {rest},"primary":"web:80","stickyCookie":"{cookie}"}}"#)
    };
    let own = "sticky-session=sticky-session {}".to_owned();
    assert_eq!(with(&[]), [sticky("INGRESSCOOKIE"), own]);
    let own = r#"sticky-session=sticky-session {"cookie":"c"}"#.to_owned();
    assert_eq!(with(&[("session-cookie-name", "c")]), [sticky("c"), own]);
    let legacy = [("affinity-canary-behavior", "legacy")];
    let own = r#"sticky-session=sticky-session {"backends":["web:80"]}"#.to_owned();
    assert_eq!(with(&legacy), [format!("canary=canary {plain}"), own]);
}

#[test]
fn sessions_that_the_chain_itself_keeps_stay_with_their_backend() {
    let weight = [("canary-weight", "1")];
    let own = "portcullis.dev/filters: 'sticky-session, rate-limit', \
               portcullis.dev/filter.rate-limit: '{requests: 1, per: 1s}', \
               portcullis.dev/filter.sticky-session: '{cookie: c}'";
    let (found, _) = chains(&(primary(own) + &canary("next", &weight, "next")));
    let names: Vec<&str> = found[0]
        .iter()
        .map(|filter| filter.split('=').next().unwrap())
        .collect();
    assert_eq!(names, ["sticky-session", "rate-limit", "canary"]);
    let kept = r#""stickyCookie":"c""#;
    assert!(found[0][2].contains(kept), "{found:?}");
}

#[test]
fn without_a_canary_legacy_changes_nothing() {
    let nginx = keys(&[
        ("affinity", "cookie"),
        ("affinity-canary-behavior", "legacy"),
    ]);
    let (found, problems) = chains(&primary(&nginx));
    assert_eq!(lines(&problems), [""; 0]);
    assert_eq!(found, [["sticky-session=sticky-session {}"]]);
}

#[test]
fn a_canary_never_leaks_to_other_hosts_and_paths_of_the_same_service() {
    let other = ingress("other", &rule("b.example", "/", "web"));
    let more = format!(
        "\n    - {{path: /x, pathType: Prefix, backend: {}}}",
        backend("web")
    );
    let yaml = ingress("web", &(rule("a.example", "/", "web") + &more))
        + &service("web")
        + &service("next")
        + &other
        + &canary("next", &[("canary-weight", "1")], "next");
    let (found, problems) = chains(&yaml);
    assert_eq!(lines(&problems), [""; 0]);
    let counts: Vec<_> = found.iter().map(Vec::len).collect();
    assert_eq!(counts, [0, 1, 0]);
}

#[test]
fn routes_with_the_same_canary_share_their_chain() {
    let two = |service: &str| {
        rule("a.example", "/", service)
            + &format!(
                "\n    - {{path: /x, pathType: Exact, backend: {}}}",
                backend(service)
            )
    };
    let enabled = keys(&[("canary", "true"), ("canary-weight", "1")]);
    let yaml = ingress("web", &two("web"))
        + &service("web")
        + &service("next")
        + &annotate(&ingress("next", &two("next")), &enabled);
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    let [one, two] = config.rules.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(one.route.filters.len(), 1);
    assert!(Arc::ptr_eq(&one.route.filters, &two.route.filters));
}

#[test]
fn the_backends_of_a_canary_are_there_to_reroute_to() {
    let yaml = primary("") + &canary("next", &[("canary-weight", "1")], "next");
    let (config, _) = translated(&yaml, &options());
    let found = &config.reroutes["default"];
    for key in ["web:80", "next:80"] {
        let Target::Cluster(id) = &found[key] else {
            panic!("{found:?}")
        };
        assert_eq!(config.clusters[id].endpoints.len(), 1);
    }
    assert_eq!(config.plugins.len(), 1);
}

#[test]
fn a_default_backend_may_have_a_canary() {
    let default = |service: &str| format!("defaultBackend: {}", backend(service));
    let enabled = keys(&[("canary", "true"), ("canary-weight", "1")]);
    let services = service("web") + &service("next");
    let yaml = ingress("web", &default("web"))
        + &annotate(&ingress("next", &default("next")), &enabled)
        + &services;
    let (found, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    let wanted = [format!("canary=canary {}", config(r#""weight":1"#, 100))];
    let route = found.catch_all.unwrap();
    assert_eq!(chain(&route), wanted);
    assert_eq!(route.filters[0].field, "spec.defaultBackend");
    // And that of a host.
    let host = |service: &str| format!("{}\nrules: [{{host: a.example}}]", default(service));
    let yaml = ingress("web", &host("web"))
        + &annotate(&ingress("next", &host("next")), &enabled)
        + &services;
    let (found, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    assert_eq!(found.defaults.len(), 1);
    assert_eq!(chain(found.defaults[0].route.as_ref().unwrap()), wanted);
}

#[test]
fn a_canary_whose_service_is_missing_is_an_error_there() {
    let yaml = annotated("web", "", "web")
        + &service("web")
        + &canary("next", &[("canary-weight", "1")], "gone");
    let (config, problems) = translated(&yaml, &options());
    let problem = the(&problems, "the Service default/gone is missing");
    assert_eq!(
        (problem.severity, problem.name.as_str()),
        (Severity::Error, "next")
    );
    assert_eq!(config.rules[0].route.filters.len(), 1);
    assert_eq!(config.reroutes["default"]["gone:80"], Target::NoService);
}
