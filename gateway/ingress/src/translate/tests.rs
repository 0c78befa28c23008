//! Claims about translate, each a test.

mod annotation;
mod backend;
mod canary;
mod certificate;
mod chain;
mod class;
mod endpoints;
mod host;
mod nginx;
mod plugin;
mod totality;

use proptest::prelude::*;
use route::{Config, HostPattern, PathPattern, Target};

use crate::{Mode, Objects, fixture::*, translate};

/// `host path -> ns/ingress` of every rule.
fn rules(config: &Config) -> Vec<String> {
    let rule = |r: &route::Rule| format!("{} {} -> {}", r.host, r.path, r.route.ingress);
    config.rules.iter().map(rule).collect()
}

#[test]
fn a_rule_leads_to_the_endpoints_of_its_service() {
    let yaml = ingress("web", &rule("a.example", "/x", "web")) + &service("web");
    let (config, problems) = translated(&yaml, &options());
    assert_eq!(lines(&problems), [""; 0]);
    let [rule] = config.rules.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(rule.host, HostPattern::Exact("a.example".into()));
    assert_eq!(rule.path, PathPattern::Prefix("/x".into()));
    assert_eq!(rule.route.ingress.to_string(), "default/web");
    assert_eq!(
        (
            rule.route.backend.service.as_str(),
            rule.route.backend.port.as_str()
        ),
        ("web", "80")
    );
    let Target::Cluster(id) = &rule.route.backend.target else {
        panic!("{rule:?}")
    };
    assert_eq!(id.to_string(), "default/web:80");
    let addresses: Vec<_> = config.clusters[id]
        .endpoints
        .iter()
        .map(|e| e.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1:8080"]);
}

#[test]
fn ingresses_come_oldest_first_and_those_without_a_time_last() {
    let dated = |name: &str, time: &str| {
        ingress(
            name,
            &rule(&format!("{}.example", name.replace('/', "-")), "/", "web"),
        )
        .replace(
            "metadata: {",
            &format!("metadata: {{creationTimestamp: {time}, "),
        )
    };
    let yaml = ingress("z/none", &rule("n.example", "/", "web"))
        + &ingress("a/none", &rule("m.example", "/", "web"))
        + &dated("young", "2024-01-01T00:00:00Z")
        + &dated("old", "2020-01-01T00:00:00Z")
        + &dated("b/same", "2022-01-01T00:00:00Z")
        + &dated("a/same", "2022-01-01T00:00:00Z");
    let (config, _) = translated(&yaml, &options());
    let order: Vec<_> = config
        .rules
        .iter()
        .map(|r| r.route.ingress.to_string())
        .collect();
    assert_eq!(
        order,
        [
            "default/old",
            "a/same",
            "b/same",
            "default/young",
            "a/none",
            "z/none"
        ]
    );
}

#[test]
fn an_empty_path_is_the_root_if_implementation_specific() {
    let spec = format!(
        "rules:\n- http:\n    paths:\n    - {{pathType: ImplementationSpecific, backend: {}}}",
        backend("web")
    );
    let (config, _) = translated(&ingress("web", &spec), &options());
    assert_eq!(
        rules(&config),
        ["* ImplementationSpecific / -> default/web"]
    );
    assert_eq!(config.rules[0].route.rule_path, "/");
}

#[test]
fn paths_are_matched_in_the_form_of_requests() {
    let spec = rule("a.example", "/caf\u{e9}/%7Ex", "web");
    let (config, problems) = translated(&(ingress("web", &spec) + &service("web")), &options());
    assert_eq!(lines(&problems), [""; 0]);
    assert_eq!(config.rules[0].path.as_str(), "/caf%C3%A9/~x");
    assert_eq!(config.rules[0].route.rule_path, "/caf\u{e9}/%7Ex");
}

#[test]
fn a_path_that_no_request_has_is_an_error_and_leaves_the_others() {
    let spec = rule("a.example", "/50%", "web")
        + &format!(
            "\n    - {{path: /b, pathType: Exact, backend: {}}}",
            backend("web")
        );
    let (config, problems) = translated(&(ingress("web", &spec) + &service("web")), &options());
    assert_eq!(rules(&config), ["a.example Exact /b -> default/web"]);
    let problem = the(&problems, "no request has the path");
    assert_eq!(
        problem.field.as_deref(),
        Some("spec.rules[0].http.paths[0].path")
    );
    assert_eq!(problem.line, Some(11));
}

#[test]
fn a_path_that_looks_like_a_pattern_is_a_warning() {
    let spec = rule("a.example", "/api/*", "web");
    let (config, problems) = translated(&(ingress("web", &spec) + &service("web")), &options());
    assert_eq!(config.rules.len(), 1);
    assert_eq!(
        lines(&problems),
        ["warning web: the path \"/api/*\" is taken as it stands, not as a pattern"]
    );
}

#[test]
fn only_watched_namespaces_count() {
    let yaml = ingress("a/web", &rule("a.example", "/", "web"))
        + &ingress("b/web", &rule("b.example", "/", "web"));
    let mut options = options();
    options.watch_namespaces = vec!["b".into()];
    let (config, problems) = translated(&yaml, &options);
    assert_eq!(rules(&config), ["b.example Prefix / -> b/web"]);
    assert!(problems.iter().all(|p| p.namespace == "b"), "{problems:?}");
}

#[test]
fn the_order_in_which_objects_come_does_not_matter() {
    let documents = [
        ingress("a/one", &rule("x.example", "/", "web")),
        ingress("b/two", &rule("x.example", "/", "web")),
        ingress("b/three", &format!("defaultBackend: {}", backend("web"))),
        service("a/web"),
        service("b/web"),
    ];
    let (mut there, mut back) = (Objects::new(inspect), Objects::new(inspect));
    documents.iter().for_each(|d| drop(apply(&mut there, d)));
    documents
        .iter()
        .rev()
        .for_each(|d| drop(apply(&mut back, d)));
    // Lines are those of each document alone.
    assert_eq!(translate(&there, &options()), translate(&back, &options()));
}

/// Texts that look like parts of an Ingress, and some that do not.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "",
        "/",
        "/x",
        "//",
        "/%",
        "/..",
        "x",
        "*",
        "*.example",
        "a.example",
        "a..b",
        "[::1]",
        "1.2.3.4",
        "Exact",
        "Prefix",
        "ImplementationSpecific",
        "web",
        "-1",
        "0",
        "80",
        "70000",
        "http",
        "portcullis",
        "other",
        "true",
        "~",
    ];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn any_ingress() -> impl Strategy<Value = String> {
    let words = proptest::collection::vec(word(), 12);
    (words, 0..6_usize, 0..4_u8).prop_map(|(words, annotation, shape)| {
        let w: Vec<String> = words.iter().map(|w| quoted(w)).collect();
        let key = ["hsts", "max-body", "filters", "nope", "idle-timeout", "backend-protocol"][annotation];
        let backend = match shape {
            0 => format!("{{service: {{name: {}, port: {{number: {}}}}}}}", w[0], words[1].parse::<i32>().unwrap_or(80)),
            1 => format!("{{service: {{name: {}, port: {{name: {}}}}}}}", w[0], w[1]),
            2 => format!("{{resource: {{kind: {}, name: {}}}}}", w[0], w[1]),
            _ => "{}".to_owned(),
        };
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{name: bad, namespace: bad, annotations: {{portcullis.dev/{key}: {}}}}}\n\
             spec: {{ingressClassName: {}, defaultBackend: {backend}, tls: [{{hosts: [{}], secretName: {}}}],\n\
             rules: [{{host: {}, http: {{paths: [{{path: {}, pathType: {}, backend: {backend}}}]}}}}]}}\n",
            w[2], w[3], w[4], w[5], w[6], w[7], w[8]
        )
    })
}

proptest! {
    /// Whatever an Ingress says, what others serve stays as it is.
    #[test]
    fn a_bad_ingress_never_hurts_another_one(bad in any_ingress()) {
        let good = ingress("good/web", &rule("good.example", "/", "web")) + &service("good/web") + &ingress("good/all", &format!("defaultBackend: {}", backend("web")));
        let mut objects = objects(&good);
        let (before, problems_before) = translate(&objects, &options());
        // As if the API server had let it pass, too.
        let _ = apply(&mut objects, &bad);
        if let Ok(object) = serde_json::from_str::<k8s_openapi::api::networking::v1::Ingress>(&bad) {
            objects.apply(object.into());
        }
        let (after, problems) = translate(&objects, &options());
        let theirs = |c: &Config| c.rules.iter().filter(|r| r.route.ingress.namespace == "good").cloned().collect::<Vec<_>>();
        prop_assert_eq!(theirs(&before), theirs(&after));
        prop_assert_eq!(before.catch_all, after.catch_all);
        for (id, cluster) in &before.clusters {
            prop_assert_eq!(Some(cluster), after.clusters.get(id));
        }
        let of_good = problems.iter().filter(|p| p.namespace == "good" && p.severity != crate::Severity::Note);
        prop_assert_eq!(of_good.count(), problems_before.len());
    }
}

#[test]
fn in_a_cluster_nothing_is_said_of_others_ingresses() {
    let yaml = ingress("web", &rule("a.example", "/", "web")).replace("portcullis", "theirs");
    let (config, problems) = translated(&yaml, &in_mode(Mode::Cluster));
    assert_eq!((config, problems), (Config::default(), Vec::new()));
}
