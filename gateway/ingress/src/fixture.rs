//! What the tests of several modules need: manifests as text, and certificates that are plain words.

use std::sync::Arc;

use route::Config;

use crate::{
    CertificateFacts, Mode, Objects, Options, Problem, Severity,
    manifest::{self, Format},
    translate,
};

/// Takes a chain `names: a.example, *.b.example; until: 5000` for a certificate, and nothing else.
pub(crate) fn inspect(chain: &[u8], _key: &[u8]) -> Result<CertificateFacts, String> {
    let text = String::from_utf8_lossy(chain);
    let rest = text
        .trim()
        .strip_prefix("names: ")
        .ok_or("it is no certificate")?;
    let (names, until) = rest.split_once("; until: ").unwrap_or((rest, "1000000000"));
    let names = names.split(", ").map(str::to_owned).collect();
    let not_after = until.parse().map_err(|_| "it has no end")?;
    Ok(CertificateFacts {
        names,
        not_after,
        not_before: 0,
    })
}

/// The options of a manifest folder.
pub(crate) fn options() -> Options {
    Options {
        now: 1000,
        ..Options::default()
    }
}

/// The options of another mode.
pub(crate) fn in_mode(mode: Mode) -> Options {
    Options { mode, ..options() }
}

/// Applies the objects of a YAML text, and gives its problems.
pub(crate) fn apply(objects: &mut Objects, yaml: &str) -> Vec<Problem> {
    let contents = manifest::read(&Arc::from("test.yaml"), yaml.as_bytes(), Format::Yaml);
    let mut problems = contents.failures;
    for found in contents.found {
        problems.extend(found.problems);
        if let Some(object) = found.object {
            objects.apply(object);
        }
    }
    problems
}

/// The objects of a YAML text that has no errors.
pub(crate) fn objects(yaml: &str) -> Objects {
    let mut objects = Objects::new(inspect);
    let problems = apply(&mut objects, yaml);
    let errors: Vec<_> = problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    objects
}

/// Translates a YAML text.
pub(crate) fn translated(yaml: &str, options: &Options) -> (Config, Vec<Problem>) {
    translate(&objects(yaml), options)
}

/// The problems as `severity name: message`.
pub(crate) fn lines(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|p| format!("{} {}: {}", p.severity, p.name, p.message))
        .collect()
}

/// The one problem whose line contains a text.
#[track_caller]
pub(crate) fn the<'p>(problems: &'p [Problem], text: &str) -> &'p Problem {
    let mut found = problems.iter().filter(|p| p.to_string().contains(text));
    match (found.next(), found.next()) {
        (Some(problem), None) => problem,
        (None, _) => panic!("no problem has {text:?}: {problems:#?}"),
        (Some(_), Some(_)) => panic!("several problems have {text:?}: {problems:#?}"),
    }
}

/// An Ingress of our class; `spec` is what follows its class, a line each.
pub(crate) fn ingress(name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let spec = spec.trim_matches('\n').replace('\n', "\n  ");
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  ingressClassName: portcullis\n  {spec}\n"
    )
}

/// A rule with one path to a Service, for [`ingress`].
pub(crate) fn rule(host: &str, path: &str, service: &str) -> String {
    format!(
        "rules:\n- host: {host}\n  http:\n    paths:\n    - {{path: {path}, pathType: Prefix, backend: {}}}",
        backend(service)
    )
}

/// A backend at port 80.
pub(crate) fn backend(service: &str) -> String {
    format!("{{service: {{name: {service}, port: {{number: 80}}}}}}")
}

/// A Service with one endpoint.
pub(crate) fn service(name: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{ports: [{{port: 80, targetPort: 8080}}]}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{port: 8080}}]\nendpoints: [{{addresses: [127.0.0.1]}}]\n"
    )
}

/// A Secret whose certificate is a text for [`inspect`].
pub(crate) fn secret(name: &str, chain: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n\
         metadata: {{name: {name}, namespace: {namespace}}}\n\
         stringData: {{tls.crt: \"{chain}\", tls.key: key}}\n"
    )
}

/// An Ingress `name` with annotations (a flow map's inside) and one rule for `a.example`.
pub(crate) fn annotated(name: &str, annotations: &str, service: &str) -> String {
    annotate(
        &ingress(name, &rule("a.example", "/", service)),
        annotations,
    )
}

/// Adds annotations to the Ingress that a text holds.
pub(crate) fn annotate(ingress: &str, annotations: &str) -> String {
    ingress.replacen(
        "metadata: {",
        &format!("metadata: {{annotations: {{{annotations}}}, "),
        1,
    )
}

/// A Plugin whose code is `x.wasm`; `spec` is more of it, in flow style.
pub(crate) fn plugin(name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "---\napiVersion: portcullis.dev/v1alpha1\nkind: Plugin\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{source: {{file: x.wasm}}, {spec}}}\n"
    )
}

/// A chain as `alias=plugin config`, an item a line; `!` is a plugin or configuration that is not there.
pub(crate) fn chain(route: &route::Route) -> Vec<String> {
    let none = || "!".to_owned();
    let one = |filter: &route::FilterRef| {
        let plugin = filter
            .plugin
            .as_ref()
            .map_or_else(none, ToString::to_string);
        let config = filter.config.clone().unwrap_or_else(none);
        format!("{}={plugin} {config}", filter.alias)
    };
    route.filters.iter().map(one).collect()
}
