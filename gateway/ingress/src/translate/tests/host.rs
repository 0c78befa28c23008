//! Claims about translate host, each a test.

use super::*;
use crate::Severity;

/// `host -> ns/ingress` of every default; `-` for a host that is only known.
fn defaults(config: &Config) -> Vec<String> {
    let one = |d: &route::HostDefault| {
        let whose = d
            .route
            .as_ref()
            .map_or_else(|| "-".to_owned(), |r| r.ingress.to_string());
        format!("{} -> {whose}", d.host)
    };
    config.defaults.iter().map(one).collect()
}

fn with_default(spec: &str, service: &str) -> String {
    format!("defaultBackend: {}\n{spec}", backend(service))
}

fn severities(problems: &[crate::Problem]) -> Vec<(&str, Severity)> {
    problems
        .iter()
        .map(|p| (p.name.as_str(), p.severity))
        .collect()
}

#[test]
fn the_default_backend_of_an_ingress_without_rules_is_the_catch_all() {
    let yaml = ingress("all", &with_default("", "web")) + &service("web");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    assert_eq!(config.catch_all.unwrap().ingress.to_string(), "default/all");
    assert!(config.defaults.is_empty());
}

#[test]
fn of_two_catch_alls_the_oldest_counts_and_both_are_told() {
    let yaml = ingress("b", &with_default("", "web"))
        + &ingress("a", &with_default("", "web"))
        + &service("web");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(config.catch_all.unwrap().ingress.to_string(), "default/a");
    assert_eq!(
        severities(&problems),
        [("b", Severity::Warning), ("a", Severity::Note)]
    );
    assert!(
        problems[0]
            .message
            .contains("Ingress default/a (test.yaml:14)"),
        "{problems:?}"
    );
    assert!(
        problems[1]
            .message
            .contains("Ingress default/b (test.yaml:7)"),
        "{problems:?}"
    );
}

#[test]
fn a_default_backend_is_that_of_the_hosts_of_its_rules() {
    let yaml = ingress("a", &rule("x.example", "/a", "web"))
        + &ingress("b", &with_default(&rule("x.example", "/b", "web"), "web"))
        + &ingress("c", &with_default(&rule("x.example", "/c", "web"), "web"))
        + &service("web");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(defaults(&config), ["x.example -> default/b"]);
    assert!(config.catch_all.is_none());
    // The same backend twice is no conflict.
    assert_eq!(lines(&problems), [""; 0]);
}

#[test]
fn of_two_default_backends_of_a_host_the_oldest_counts_and_both_are_told() {
    let yaml = ingress("b", &with_default(&rule("x.example", "/b", "web"), "web"))
        + &ingress("c", &with_default(&rule("x.example", "/c", "web"), "other"))
        + &service("web")
        + &service("other");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(defaults(&config), ["x.example -> default/b"]);
    assert_eq!(
        severities(&problems),
        [("b", Severity::Note), ("c", Severity::Warning)]
    );
}

#[test]
fn rules_without_a_host_have_a_default_backend_of_their_own() {
    let spec = with_default(&rule("''", "/a", "web"), "web");
    let (config, _) = translated(&ingress("a", &spec), &options());
    assert_eq!(defaults(&config), ["* -> default/a"]);
    assert!(config.catch_all.is_none());
}

#[test]
fn a_host_without_paths_is_known_and_goes_to_the_default_backend() {
    let bare = "rules: [{host: x.example}]";
    let (config, _) = translated(&ingress("a", bare), &options());
    assert_eq!(defaults(&config), ["x.example -> -"]);
    let (config, _) = translated(&ingress("a", &with_default(bare, "web")), &options());
    assert_eq!(defaults(&config), ["x.example -> default/a"]);
}

#[test]
fn of_two_owners_of_a_path_the_oldest_wins_and_the_losers_other_paths_work() {
    let more = format!(
        "\n    - {{path: /more, pathType: Prefix, backend: {}}}",
        backend("web")
    );
    let yaml = ingress("b", &(rule("x.example", "/", "web") + &more))
        + &ingress("a", &rule("x.example", "/", "web"))
        + &service("web");
    let (config, problems) = translated(&yaml, &options());
    let served = [
        "x.example Prefix / -> default/a",
        "x.example Prefix / -> default/b",
        "x.example Prefix /more -> default/b",
    ];
    assert_eq!(rules(&config), served);
    let loser = the(&problems, "gets no requests");
    assert_eq!(
        (loser.severity, loser.name.as_str(), loser.line),
        (Severity::Warning, "b", Some(11))
    );
    assert!(
        loser.message.contains("Ingress default/a (test.yaml:23)"),
        "{loser}"
    );
    let winner = the(&problems, "and loses");
    assert_eq!(
        (winner.severity, winner.name.as_str(), winner.line),
        (Severity::Note, "a", Some(23))
    );
    assert!(
        winner.message.contains("Ingress default/b (test.yaml:11)"),
        "{winner}"
    );
    assert_eq!(problems.len(), 2);
}

#[test]
fn a_typed_path_goes_before_an_older_implementation_specific_one() {
    let yaml = ingress("a", &rule("x.example", "/", "web"))
        .replace("Prefix", "ImplementationSpecific")
        + &ingress("b", &rule("x.example", "/", "web"))
        + &service("web");
    let (_, problems) = translated(&yaml, &options());
    assert_eq!(the(&problems, "gets no requests").name, "a");
    assert_eq!(the(&problems, "and loses").name, "b");
}

#[test]
fn the_same_path_twice_in_an_ingress_is_one_warning() {
    let more = format!(
        "\n    - {{path: /, pathType: Prefix, backend: {}}}",
        backend("web")
    );
    let yaml = ingress("a", &(rule("x.example", "/", "web") + &more)) + &service("web");
    let (_, problems) = translated(&yaml, &options());
    assert_eq!(problems.len(), 1);
    let field = the(&problems, "stands before it").field.as_deref();
    assert_eq!(field, Some("spec.rules[0].http.paths[1].path"));
}

#[test]
fn exact_and_prefix_of_one_path_are_no_conflict() {
    let yaml = ingress("a", &rule("x.example", "/", "web")).replace("Prefix", "Exact")
        + &ingress("b", &rule("x.example", "/", "web"))
        + &service("web");
    assert_eq!(lines(&translated(&yaml, &options()).1), [""; 0]);
}

#[test]
fn a_host_of_another_namespace_is_a_note_on_both() {
    let yaml = ingress("a/one", &rule("x.example", "/a", "web"))
        + &ingress("b/two", &rule("x.example", "/b", "web"))
        + &service("a/web")
        + &service("b/web");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(config.rules.len(), 2);
    assert_eq!(
        lines(&problems),
        [
            "note one: Ingress b/two (test.yaml:19), of another namespace, has rules for the host x.example too",
            "note two: the host x.example belongs to Ingress a/one (test.yaml:8), of another namespace",
        ]
    );
}
