//! Claims about what is told of canaries, each a test.

use super::*;

/// A canary that is dropped: the text of the one problem, and its severity.
#[track_caller]
fn dropped(yaml: &str, text: &str, severity: Severity) -> Problem {
    let (config, problems) = translated(yaml, &options());
    let problem = the(&problems, text);
    assert_eq!(
        (problem.severity, problem.name.as_str()),
        (severity, "next")
    );
    let canaries = config.rules.iter().flat_map(|r| r.route.filters.iter());
    assert!(
        canaries
            .clone()
            .all(|f| f.origin == "portcullis.dev/filters"),
        "{config:?}"
    );
    problem.clone()
}

#[test]
fn a_canary_without_a_primary_is_dropped_with_a_warning_and_its_host_is_404() {
    let weight = [("canary-weight", "1")];
    let all = ingress("all", &format!("defaultBackend: {}", backend("web")));
    let yaml = canary("next", &weight, "next") + &service("next") + &service("web") + &all;
    let problem = dropped(&yaml, "the canary is dropped", Severity::Warning);
    assert_eq!(
        problem.message,
        "no other Ingress of the namespace default has host a.example with path Prefix /; the canary is dropped"
    );
    assert_eq!(
        problem.field.as_deref(),
        Some("spec.rules[0].http.paths[0].path")
    );
    let (config, _) = translated(&yaml, &options());
    let known: Vec<_> = config
        .defaults
        .iter()
        .map(|d| (d.host.to_string(), d.route.is_some()))
        .collect();
    assert_eq!(known, [("a.example".to_owned(), false)]);
}

#[test]
fn the_hint_for_a_canary_without_a_primary_names_the_one_that_is_near() {
    let weight = [("canary-weight", "1")];
    let next = canary("next", &weight, "next");
    let exact = primary("") + &next.replace("Prefix", "Exact");
    let problem = dropped(&exact, "the canary is dropped", Severity::Warning);
    assert!(
        problem
            .hint
            .starts_with("write the pathType of Ingress default/web"),
        "{problem}"
    );
    let elsewhere = annotated("team/web", "", "web") + &next + &service("next");
    let problem = dropped(&elsewhere, "the canary is dropped", Severity::Warning);
    assert!(
        problem
            .hint
            .starts_with("move it, with its Service, to the namespace of Ingress team/web"),
        "{problem}"
    );
}

#[test]
fn a_canary_of_the_primarys_own_service_is_dropped_with_a_warning() {
    let yaml = primary("") + &canary("next", &[("canary-weight", "1")], "web");
    dropped(
        &yaml,
        "leads to the Service web as its primary does",
        Severity::Warning,
    );
    // By another name of the same port, too.
    let named = yaml.replace("ports: [{port: 80,", "ports: [{name: http, port: 80,");
    let (first, last) = named.rsplit_once("number: 80").unwrap();
    let named = format!("{first}name: http{last}");
    dropped(
        &named,
        "leads to the Service web as its primary does",
        Severity::Warning,
    );
}

#[test]
fn of_several_canaries_the_oldest_counts() {
    let old = canary("old", &[("canary-weight", "1")], "next").replace(
        "metadata: {",
        "metadata: {creationTimestamp: 2020-01-01T00:00:00Z, ",
    );
    let yaml = primary("") + &canary("new", &[("canary-weight", "2")], "next") + &old;
    let (found, problems) = chains(&yaml);
    assert_eq!(
        found[0],
        [format!("canary=canary {}", config(r#""weight":1"#, 100))]
    );
    let problem = the(
        &problems,
        "is a canary here too, and counts; this one is dropped",
    );
    assert_eq!(
        (problem.severity, problem.name.as_str()),
        (Severity::Warning, "new")
    );
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_canary_that_says_nothing_of_its_requests_is_a_note_and_gets_none() {
    let yaml = primary("") + &canary("next", &[], "next");
    let (found, problems) = chains(&yaml);
    assert_eq!(
        found[0],
        [format!("canary=canary {}", config(r#""weight":0"#, 100))]
    );
    assert_eq!(
        the(&problems, "says nothing of its requests").severity,
        Severity::Note
    );
}

#[test]
fn a_canary_that_is_not_enabled_is_an_error_and_a_normal_ingress() {
    for more in [vec![], vec![("canary", "false")]] {
        let nginx = keys(&[&more[..], &[("canary-weight", "1")]].concat());
        let (config, problems) = translated(&primary(&nginx), &options());
        assert_eq!(rules(&config), ["a.example Prefix / -> default/web"]);
        assert!(config.rules[0].route.filters.is_empty());
        let problem = the(&problems, "a canary is configured but not enabled");
        assert_eq!(problem.severity, Severity::Error);
        let field = "metadata.annotations[nginx.ingress.kubernetes.io/canary-weight]";
        assert_eq!(problem.field.as_deref(), Some(field));
    }
    for idle in [
        ("canary", "false"),
        ("canary-weight", "0"),
        ("canary-weight-total", "200"),
    ] {
        let (_, problems) = translated(&primary(&keys(&[idle])), &options());
        assert_eq!(lines(&problems), [""; 0], "{idle:?}");
    }
}

#[test]
fn the_other_annotations_of_a_canary_are_ignored_with_a_note() {
    let more = [
        ("canary-weight", "1"),
        ("limit-rps", "1"),
        ("affinity", "cookie"),
    ];
    let (found, problems) = chains(&(primary("") + &canary("next", &more, "next")));
    assert_eq!(found[0].len(), 1);
    let note = the(
        &problems,
        "ignored: nginx.ingress.kubernetes.io/affinity, nginx.ingress.kubernetes.io/limit-rps",
    );
    assert_eq!((note.severity, problems.len()), (Severity::Note, 1));
}

#[test]
fn header_keys_without_a_header_do_nothing() {
    for key in ["canary-by-header-value", "canary-by-header-pattern"] {
        let more = [("canary-weight", "1"), (key, "x")];
        let (found, problems) = chains(&(primary("") + &canary("next", &more, "next")));
        assert_eq!(
            found[0],
            [format!("canary=canary {}", config(r#""weight":1"#, 100))]
        );
        let problem = the(&problems, "does nothing without canary-by-header");
        assert_eq!(problem.severity, Severity::Warning);
    }
}

#[test]
fn a_canary_that_the_chain_names_itself_wins_with_a_note() {
    let yaml = primary("portcullis.dev/filters: canary")
        + &canary("next", &[("canary-weight", "1")], "next");
    let note = dropped(&yaml, "names canary itself, which counts", Severity::Note);
    let field = "metadata.annotations[nginx.ingress.kubernetes.io/canary]";
    assert_eq!(note.field.as_deref(), Some(field));
}
