//! Ingresses of one namespace beside those of another one.
//!
//! Whatever one says, translating never fails and always comes to the same; the other one's routes, endpoints and
//! certificates stay; no route leads out of its namespace; and a key that is ours and not known is a problem.
//!
//! A line is an annotation, `KEY: VALUE`, or a part of the spec: `@host`, `@path`, `@type`, `@service`, `@port`,
//! `@class`, `@default`, `@tls HOST`, `@secret` with a value behind it. `\n` in a value is the end of a line.

use std::{collections::BTreeMap, sync::LazyLock};

use ingress::{CertificateFacts, Object, Objects, Options, Problem, Severity, translate};
use k8s_openapi::api::{
    core::v1::{Secret, Service},
    discovery::v1::EndpointSlice,
    networking::v1::Ingress,
};
use route::{Config, HostPattern, Target};
use serde_json::{Value, from_value, json};

/// Lines as above.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (annotations, spec) = read(text);
    let Ok(ingress) = from_value::<Ingress>(json!({
        "metadata": {"namespace": "bad", "name": "web", "annotations": annotations},
        "spec": spec,
    })) else {
        return;
    };
    let (mut objects, before, problems_before) = WORLD.clone();
    objects.apply(ingress.into());
    let options = Options::default();
    let (config, problems) = translate(&objects, &options);
    assert_eq!(
        translate(&objects, &options),
        (config.clone(), problems.clone())
    );

    check_others(&before, &config);
    check_own(&config);
    let errors = |problems: &[Problem]| {
        problems
            .iter()
            .filter(|p| p.namespace == "good" && p.severity != Severity::Note)
            .count()
    };
    assert_eq!(errors(&problems), errors(&problems_before), "{problems:?}");
    for problem in &problems {
        assert!(
            !problem.message.is_empty() && !problem.hint.is_empty(),
            "{problem:?}"
        );
    }
    let keys = annotations
        .keys()
        .filter_map(|key| key.strip_prefix("portcullis.dev/"));
    let unknown = keys
        .filter(|key| !KNOWN.contains(key) && !key.starts_with("filter."))
        .count();
    let told = problems
        .iter()
        .filter(|problem| problem.message.contains("not known"))
        .count();
    let ours = config
        .rules
        .iter()
        .any(|rule| rule.route.ingress.namespace == "bad");
    assert!(
        told >= unknown || !ours,
        "{unknown} keys are not known: {problems:?}"
    );
}

/// The annotations and the spec that a text says.
fn read(text: &str) -> (BTreeMap<String, String>, Value) {
    let mut annotations = BTreeMap::new();
    let mut says: BTreeMap<&str, String> = BTreeMap::new();
    for line in text.lines().take(40) {
        let value = |value: &str| value.replace("\\n", "\n");
        if let Some((key, text)) = line.strip_prefix('@').and_then(|part| part.split_once(' ')) {
            says.insert(key, value(text));
        } else if let Some((key, text)) = line.split_once(": ") {
            annotations.insert(key.to_owned(), value(text));
        }
    }
    let say = |key: &str, other: &str| says.get(key).map_or(other, String::as_str).to_owned();
    let port = match say("port", "80").parse::<i32>() {
        Ok(number) => json!({"number": number}),
        Err(_) => json!({"name": say("port", "")}),
    };
    let backend = |service: String| json!({"service": {"name": service, "port": port}});
    let path = json!({"path": say("path", "/"), "pathType": say("type", "Prefix"), "backend": backend(say("service", "web"))});
    let mut spec = json!({
        "ingressClassName": say("class", "portcullis"),
        "rules": [{"host": say("host", "bad.example"), "http": {"paths": [path]}}],
    });
    if let Some(service) = says.get("default") {
        spec["defaultBackend"] = backend(service.clone());
    }
    if says.contains_key("tls") {
        spec["tls"] = json!([{"hosts": [say("tls", "")], "secretName": say("secret", "cert")}]);
    }
    (annotations, spec)
}

/// The other namespace's is as it was.
fn check_others(before: &Config, config: &Config) {
    let rules = |config: &Config| -> Vec<_> {
        config
            .rules
            .iter()
            .filter(|rule| rule.route.ingress.namespace == "good")
            .cloned()
            .collect()
    };
    assert_eq!(rules(before), rules(config));
    assert_eq!(before.catch_all, config.catch_all);
    assert_eq!(before.reroutes.get("good"), config.reroutes.get("good"));
    for (id, cluster) in &before.clusters {
        assert_eq!(Some(cluster), config.clusters.get(id));
    }
    for (host, certificate) in &before.certificates {
        assert_eq!(Some(certificate), config.certificates.get(host), "{host}");
    }
    assert_eq!(before.default_certificate, config.default_certificate);
}

/// Nothing of the namespace leads out of it.
fn check_own(config: &Config) {
    let own = |target: &Target| !matches!(target, Target::Cluster(id) if id.namespace != "bad");
    let rules = config.rules.iter().map(|rule| &rule.route);
    let defaults = config
        .defaults
        .iter()
        .filter_map(|default| default.route.as_ref());
    for route in rules
        .chain(defaults)
        .filter(|route| route.ingress.namespace == "bad")
    {
        assert!(own(&route.backend.target), "{route:?}");
        let mut aliases: Vec<_> = route.filters.iter().map(|filter| &filter.alias).collect();
        aliases.sort_unstable();
        aliases.dedup();
        assert_eq!(aliases.len(), route.filters.len(), "{route:?}");
        for config in route
            .filters
            .iter()
            .filter_map(|filter| filter.config.as_ref())
        {
            let config: Value = serde_json::from_str(config).expect("JSON");
            assert!(config.is_object(), "{config}");
        }
        if let Some(hsts) = &route.hsts {
            http::HeaderValue::from_str(hsts).expect("a value of a field");
        }
    }
    let reroutes = config
        .reroutes
        .get("bad")
        .into_iter()
        .flat_map(|all| all.values());
    assert!(reroutes.into_iter().all(own));
    for (host, certificate) in &config.certificates {
        let good = *host == HostPattern::Exact("good.example".to_owned());
        let namespace = if good { "good/" } else { "bad/" };
        assert!(
            certificate.secret.starts_with(namespace),
            "{host} has the certificate {certificate:?}"
        );
    }
}

/// What is there before, and what comes of it.
static WORLD: LazyLock<(Objects, Config, Vec<Problem>)> = LazyLock::new(|| {
    let mut objects = Objects::new(inspect);
    for namespace in ["good", "bad"] {
        for service in ["web", "next"] {
            objects.apply(made::<Service>(json!({
                "metadata": {"namespace": namespace, "name": service},
                "spec": {"ports": [{"port": 80, "name": "http"}]},
            })));
            objects.apply(made::<EndpointSlice>(json!({
                "metadata": {
                    "namespace": namespace, "name": service, "labels": {"kubernetes.io/service-name": service},
                },
                "addressType": "IPv4",
                "ports": [{"port": 8080, "name": "http"}],
                "endpoints": [{"addresses": ["192.0.2.1"]}],
            })));
        }
        objects.apply(made::<Secret>(json!({
            "metadata": {"namespace": namespace, "name": "cert"}, "type": "kubernetes.io/tls",
            "data": {"tls.crt": "YQ==", "tls.key": "YQ=="},
        })));
    }
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    objects.apply(made::<Ingress>(json!({
        "metadata": {
            "namespace": "good", "name": "web", "creationTimestamp": "2020-01-01T00:00:00Z",
            "annotations": {"portcullis.dev/filters": "rate-limit", "portcullis.dev/filter.rate-limit": "{requests: 1, per: 1s}"},
        },
        "spec": {
            "ingressClassName": "portcullis",
            "tls": [{"hosts": ["good.example"], "secretName": "cert"}],
            "rules": [{"host": "good.example", "http": {"paths": [path]}}],
        },
    })));
    objects.apply(made::<Ingress>(json!({
        "metadata": {"namespace": "good", "name": "all", "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"ingressClassName": "portcullis", "defaultBackend": backend},
    })));
    let (config, problems) = translate(&objects, &Options::default());
    (objects, config, problems)
});

fn made<T: serde::de::DeserializeOwned>(value: Value) -> Object
where
    Object: From<T>,
{
    Object::from(from_value::<T>(value).expect("an object"))
}

fn inspect(_chain: &[u8], _key: &[u8]) -> Result<CertificateFacts, String> {
    let names = vec!["good.example".to_owned(), "bad.example".to_owned()];
    Ok(CertificateFacts {
        names,
        not_after: 4_000_000_000,
        not_before: 0,
    })
}

/// Our own keys, without what stands before them.
const KNOWN: [&str; 8] = [
    "backend-protocol",
    "connect-timeout",
    "filters",
    "hsts",
    "idle-timeout",
    "max-body",
    "response-timeout",
    "ssl-redirect",
];
