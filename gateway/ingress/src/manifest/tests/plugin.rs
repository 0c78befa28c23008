//! Claims about Plugin documents, each a test.

use std::time::Duration;

use route::{Backends, Grants, Isolation, Limits, OnError};

use super::*;
use crate::{
    Objects,
    fixture::{apply, inspect},
    objects::{code::Code, plugin::Plugin},
};

/// A Plugin with all of its fields; the lines count from `apiVersion`.
const WHOLE: &str = "\
apiVersion: portcullis.dev/v1alpha1
kind: Plugin
metadata: {name: geo, namespace: team}
spec:
  source: {file: filters/geo.wasm}
  sha256: 0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef
  grants:
    http: [API.example.com, 'b.example:8443', 10.0.0.1, '[::1]:80']
    keyValue: {maxBytes: 1Mi}
    rateLimit: true
    metrics: true
    random: true
    backends: ['web:80', 'web:http']
  limits: {memory: 67108864, time: 500us, body: 1Mi}
  isolation: request
  onError: open
  allowedNamespaces: [other, '*']
  config: {a: [1, {b: null}], c: 1.5}
";

fn plugin(namespace: &str, text: &str) -> Plugin {
    let mut objects = Objects::new(inspect);
    assert_eq!(apply(&mut objects, text), []);
    let found = objects.plugins.find(namespace, "geo").cloned();
    drop(objects);
    Arc::into_inner(found.unwrap()).unwrap()
}

#[test]
fn a_plugin_says_what_it_is_what_it_may_and_who_may_use_it() {
    let plugin = plugin("team", WHOLE);
    assert_eq!(plugin.subject.to_string(), "Plugin team/geo");
    assert_eq!(plugin.code, Code::File("filters/geo.wasm".into()));
    assert_eq!(plugin.sha256.unwrap(), "0123456789abcdef".repeat(4));
    let hosts = ["api.example.com", "b.example:8443", "10.0.0.1", "[::1]:80"];
    let grants = Grants {
        random: true,
        metrics: true,
        rate_limit: true,
        key_value: Some(1 << 20),
        http: hosts.map(str::to_owned).to_vec(),
        backends: Backends::Listed(vec!["web:80".into(), "web:http".into()]),
    };
    assert_eq!(plugin.grants, grants);
    let limits = Limits {
        memory: 64 << 20,
        time: Duration::from_micros(500),
        body: 1 << 20,
    };
    assert_eq!(plugin.limits, limits);
    let words = (plugin.isolation, plugin.on_error);
    assert_eq!(words, (Isolation::Request, OnError::Open));
    assert_eq!(plugin.allowed, ["other", "*"]);
    let config = serde_json::Value::Object(plugin.config).to_string();
    assert_eq!(config, r#"{"a":[1,{"b":null}],"c":1.5}"#);
}

#[test]
fn a_plugin_that_says_little_has_the_defaults_and_no_grants() {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: Plugin\nmetadata: {name: geo}\nspec: {source: {file: geo.wasm}}\n";
    let plugin = plugin("default", text);
    assert_eq!(plugin.subject.namespace, "default");
    assert_eq!(
        (plugin.grants, plugin.limits),
        (Grants::default(), Limits::default())
    );
    let words = (plugin.isolation, plugin.on_error);
    assert_eq!(words, (Isolation::Shared, OnError::Closed));
    assert!(plugin.allowed.is_empty() && plugin.config.is_empty() && plugin.sha256.is_none());
}

/// What is replaced, by what, the field, and the line where it stands.
const REFUSED: &[(&str, &str, &str, usize)] = &[
    ("{file: filters/geo.wasm}", "{}", "spec.source", 5),
    ("source:", "sauce:", "spec.source", 4),
    ("{file: ", "{oci: x, file: ", "spec.source", 5),
    ("{file: ", "{file: ../", "spec.source.file", 5),
    ("{file: ", "{file: /", "spec.source.file", 5),
    ("filters/", "filters//", "spec.source.file", 5),
    ("filters/", "./filters/", "spec.source.file", 5),
    (
        "{file: filters/geo.wasm}",
        "{oci: ''}",
        "spec.source.oci",
        5,
    ),
    (
        "{file: filters/geo.wasm}",
        "{oci: 'ghcr.io/geo:1.0'}",
        "spec.source.oci",
        5,
    ),
    (
        "{file: filters/geo.wasm}",
        "{file: x, pullSecret: y}",
        "spec.source.pullSecret",
        5,
    ),
    ("{file: ", "{url: ", "spec.source.url", 5),
    (
        "{file: filters/geo.wasm}",
        "{configMap: {name: x}}",
        "spec.source.configMap",
        5,
    ),
    ("sha256: 0", "sha256: ", "spec.sha256", 6),
    ("sha256: 0", "sha256: g", "spec.sha256", 6),
    ("API.example.com", "'https://x'", "spec.grants.http[0]", 8),
    ("10.0.0.1", "'*.example'", "spec.grants.http[2]", 8),
    ("b.example:8443", "b.example:0", "spec.grants.http[1]", 8),
    (
        "maxBytes: 1Mi",
        "maxBytes: 1MiB",
        "spec.grants.keyValue.maxBytes",
        9,
    ),
    ("maxBytes: 1Mi", "", "spec.grants.keyValue.maxBytes", 9),
    (
        "rateLimit: true",
        "rateLimit: 'true'",
        "spec.grants.rateLimit",
        10,
    ),
    ("'web:80'", "web", "spec.grants.backends[0]", 13),
    ("'web:80'", "'web:0'", "spec.grants.backends[0]", 13),
    ("memory: 67108864", "memory: 0", "spec.limits.memory", 14),
    ("memory: 67108864", "memory: [1]", "spec.limits.memory", 14),
    ("time: 500us", "time: 0us", "spec.limits.time", 14),
    ("time: 500us", "time: 500", "spec.limits.time", 14),
    ("body: 1Mi", "body: 2Mi", "spec.limits.body", 14),
    (
        "isolation: request",
        "isolation: Request",
        "spec.isolation",
        15,
    ),
    ("onError: open", "onError: ignore", "spec.onError", 16),
    ("[other, ", "[Other, ", "spec.allowedNamespaces[0]", 17),
    (
        "config: {a: [1, {b: null}], c: 1.5}",
        "config: [1]",
        "spec.config",
        18,
    ),
    ("name: geo", "name: Geo", "metadata.name", 3),
];

#[test]
fn what_the_schema_refuses_is_refused_with_its_line_and_what_to_write() {
    for &(from, to, field, line) in REFUSED {
        assert!(WHOLE.contains(from), "{from}");
        let contents = contents(&WHOLE.replacen(from, to, 1));
        let found = &contents.found[0];
        assert!(found.object.is_none(), "{to}");
        let wanted =
            |p: &&Problem| p.severity == Severity::Error && p.field.as_deref() == Some(field);
        let problem = found.problems.iter().find(wanted);
        let problem = problem.unwrap_or_else(|| panic!("{to}: {:#?}", found.problems));
        assert_eq!(problem.line, Some(line), "{problem}");
        assert!(!problem.hint.is_empty(), "{problem}");
    }
}

#[test]
fn a_url_needs_its_digest() {
    let url = WHOLE.replace("{file: filters/geo.wasm}", "{url: 'https://x/geo.wasm'}");
    assert!(contents(&url).found[0].object.is_some());
    let digest = url.lines().find(|line| line.contains("sha256")).unwrap();
    let contents = contents(&url.replace(digest, ""));
    the(&contents.found[0].problems, "a url needs the sha256");
}

#[test]
fn a_configuration_is_neither_large_nor_deep() {
    let config = "{a: [1, {b: null}], c: 1.5}";
    let deep = format!("{{a: {}1{}}}", "[".repeat(64), "]".repeat(64));
    for (more, text) in [
        (
            format!("{{a: {}}}", "x".repeat(70_000)),
            "the configuration has 70008 bytes",
        ),
        (deep, "is nested too deeply"),
    ] {
        let contents = contents(&WHOLE.replace(config, &more));
        assert!(contents.found[0].object.is_none());
        the(&contents.found[0].problems, text);
    }
}

#[test]
fn unknown_fields_of_a_plugin_are_warnings_with_the_nearest_one() {
    let text = WHOLE
        .replace("rateLimit: true", "ratelimit: true")
        .replace("c: 1.5", "source: 1.5");
    let problems = problems(&text);
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(problem.severity, Severity::Warning);
    assert_eq!(problem.field.as_deref(), Some("spec.grants.ratelimit"));
    assert_eq!(
        (problem.line, problem.hint.as_str()),
        (Some(10), "write rateLimit")
    );
}

#[test]
fn a_plugin_in_a_version_that_never_was_is_an_error() {
    let text = WHOLE.replace("v1alpha1", "v1");
    let hint = "write apiVersion: portcullis.dev/v1alpha1 and kind: Plugin";
    assert_eq!(problems(&text)[0].hint, hint);
    let list = "apiVersion: portcullis.dev/v1alpha1\nkind: PluginList\nitems: [{metadata: {name: x}, spec: {source: {file: x}}}]";
    assert_eq!(found(&contents(list)), ["Plugin default/x"]);
}
