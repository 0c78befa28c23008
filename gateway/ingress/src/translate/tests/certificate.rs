//! Claims about translate certificate, each a test.

use super::*;
use crate::{Kind, Options, Severity};

/// An Ingress with a rule and a `tls` section, and the Service.
fn with_tls(name: &str, host: &str, tls: &str) -> String {
    ingress(name, &format!("tls: {tls}\n{}", rule(host, "/", "web"))) + &service("web")
}

const LISTED: &str = "[{hosts: [a.example], secretName: s}]";

/// `host: secret` of every certificate.
fn certificates(config: &Config) -> Vec<String> {
    config
        .certificates
        .iter()
        .map(|(host, c)| format!("{host}: {}", c.secret))
        .collect()
}

#[test]
fn a_listed_host_gets_the_certificate_of_its_secret_and_redirects() {
    let yaml = with_tls("web", "a.example", LISTED) + &secret("s", "names: a.example");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    assert_eq!(certificates(&config), ["a.example: default/s"]);
    assert!(config.rules[0].route.ssl_redirect);
}

#[test]
fn a_secret_of_another_namespace_is_never_used() {
    let yaml = with_tls("web", "a.example", LISTED) + &secret("other/s", "names: a.example");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(certificates(&config), [""; 0]);
    let told = "error web: the Secret default/s is missing; the default certificate is served";
    assert_eq!(lines(&problems), [told]);
    assert!(
        config.rules[0].route.ssl_redirect,
        "the host has TLS all the same"
    );
}

#[test]
fn a_missing_secret_is_a_note_where_files_are_checked() {
    let (_, problems) = translated(&with_tls("web", "a.example", LISTED), &in_mode(Mode::Check));
    assert_eq!(
        the(&problems, "the Secret default/s is missing").severity,
        Severity::Note
    );
}

#[test]
fn an_entry_without_hosts_covers_the_hosts_that_its_certificate_names() {
    let more = "\n- host: b.other.example\n- host: '*.example'\n- host: x.y.example";
    let yaml = ingress(
        "web",
        &(format!(
            "tls: [{{secretName: s}}]\n{}{more}",
            rule("a.example", "/", "web")
        )),
    ) + &secret("s", "names: *.example, unrelated.org")
        + &service("web");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(
        certificates(&config),
        ["a.example: default/s", "*.example: default/s"]
    );
    assert_eq!(lines(&problems), [""; 0]);
    assert!(config.rules[0].route.ssl_redirect);
}

#[test]
fn an_entry_without_hosts_whose_certificate_fits_none_is_a_warning() {
    let yaml = with_tls("web", "a.example", "[{secretName: s}]") + &secret("s", "names: b.example");
    let (config, problems) = translated(&yaml, &options());
    assert!(config.certificates.is_empty() && !config.rules[0].route.ssl_redirect);
    let told = "warning web: the certificate is for b.example, and for no host of this Ingress";
    assert_eq!(lines(&problems), [told]);
}

#[test]
fn a_certificate_that_is_not_for_the_host_is_a_warning() {
    let yaml = with_tls("web", "a.example", LISTED) + &secret("s", "names: b.example, *.a.example");
    let (config, problems) = translated(&yaml, &options());
    assert!(config.certificates.is_empty());
    let problem = the(
        &problems,
        "the certificate is not for a.example but for b.example, *.a.example",
    );
    assert_eq!(
        (problem.severity, problem.field.as_deref()),
        (Severity::Warning, Some("spec.tls[0].hosts[0]"))
    );
}

#[test]
fn of_two_secrets_for_a_host_the_oldest_ingress_has_it() {
    let yaml = with_tls("b", "a.example", LISTED)
        + &with_tls("a", "b.example", "[{hosts: [a.example], secretName: t}]")
        + &secret("s", "names: a.example")
        + &secret("t", "names: *.example");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(certificates(&config), ["a.example: default/t"]);
    let severities: Vec<_> = problems
        .iter()
        .map(|p| (p.name.as_str(), p.severity))
        .collect();
    assert_eq!(
        severities,
        [("b", Severity::Warning), ("a", Severity::Note)]
    );
}

#[test]
fn the_last_good_certificate_stays_while_an_ingress_names_it() {
    let naming = with_tls("web", "a.example", LISTED);
    let mut objects = objects(&(naming.clone() + &secret("s", "names: a.example")));
    let good = translate(&objects, &options()).0;

    // Broken.
    apply(&mut objects, &secret("s", "garbage"));
    let (config, problems) = translate(&objects, &options());
    assert_eq!(config, good);
    assert_eq!(
        problems.len(),
        2,
        "on the Ingress and on the Secret: {problems:?}"
    );
    assert!(problems.iter().all(|p| {
        p.message
            .contains("its last good certificate goes on serving")
    }));

    // Deleted.
    objects.delete(Kind::Secret, "default", "s");
    let (config, problems) = translate(&objects, &options());
    assert_eq!(config, good);
    the(
        &problems,
        "was deleted; its last good certificate goes on serving",
    );

    // No longer named by anyone.
    objects.delete(Kind::Ingress, "default", "web");
    apply(&mut objects, &naming);
    let (config, problems) = translate(&objects, &options());
    assert!(config.certificates.is_empty());
    the(&problems, "the Secret default/s is missing");

    // Well again.
    apply(&mut objects, &secret("s", "names: a.example"));
    assert_eq!(translate(&objects, &options()), (good, Vec::new()));
}

#[test]
fn a_secret_that_was_never_usable_leaves_the_default_certificate() {
    let yaml = with_tls("web", "a.example", LISTED) + &secret("s", "garbage");
    let (config, problems) = translated(&yaml, &options());
    assert!(config.certificates.is_empty());
    assert_eq!(config.rules.len(), 1);
    let told = "cannot be used: it is no certificate; the default certificate is served";
    assert!(lines(&problems)[0].contains(told), "{problems:?}");
}

#[test]
fn the_default_certificate_is_kept_too() {
    let options = Options {
        default_tls_secret: Some(("sys".into(), "d".into())),
        ..options()
    };
    let mut objects = Objects::new(inspect);
    objects.pin_secret("sys", "d");
    let (config, problems) = translate(&objects, &options);
    assert!(config.default_certificate.is_none());
    the(&problems, "the Secret sys/d is missing");
    apply(&mut objects, &secret("sys/d", "names: x"));
    let (config, problems) = translate(&objects, &options);
    assert_eq!(
        (
            config.default_certificate.unwrap().secret.as_str(),
            problems.len()
        ),
        ("sys/d", 0)
    );
    objects.delete(Kind::Secret, "sys", "d");
    assert!(
        translate(&objects, &options)
            .0
            .default_certificate
            .is_some()
    );
}

#[test]
fn dates_are_told_in_time() {
    let day = 24 * 3600;
    let cases = [
        (0, None),
        (91 * day, Some("expires on")),
        (101 * day, Some("expired on")),
        (-day, Some("not valid before")),
    ];
    for (now, told) in cases {
        let chain = format!("names: a.example; until: {}", 100 * day);
        let yaml = with_tls("web", "a.example", LISTED) + &secret("s", &chain);
        let (config, problems) = translated(&yaml, &Options { now, ..options() });
        assert_eq!(config.certificates.len(), 1);
        assert_eq!(
            problems.len(),
            usize::from(told.is_some()),
            "{now} {problems:?}"
        );
        if let Some(told) = told {
            let problem = the(&problems, told);
            assert_eq!(
                (problem.kind.as_str(), problem.severity),
                ("Secret", Severity::Warning)
            );
        }
    }
}

#[test]
fn a_wildcard_under_tls_covers_one_label() {
    let yaml = ingress("t", "tls: [{hosts: ['*.example']}]\nrules: [{host: t.org}]")
        + &ingress("a", &rule("a.example", "/", "web"))
        + &ingress("b", &rule("b.a.example", "/", "web"))
        + &ingress("c", &rule("'*.example'", "/", "web"));
    let (config, _) = translated(&yaml, &options());
    let redirects: Vec<_> = config.rules.iter().map(|r| r.route.ssl_redirect).collect();
    assert_eq!(redirects, [true, false, true]);
}
