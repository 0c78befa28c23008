//! Claims about what objects may not say, each a test.

use super::*;

/// What is replaced, by what, the field, and the line where it stands.
const REFUSED: &[(&str, &str, &str, usize)] = &[
    ("a.example\n", "a.*.example\n", "spec.rules[0].host", 8),
    ("a.example\n", "'*'\n", "spec.rules[0].host", 8),
    ("a.example\n", "A.example\n", "spec.rules[0].host", 8),
    ("a.example\n", "a.example:80\n", "spec.rules[0].host", 8),
    ("a.example\n", "10.0.0.1\n", "spec.rules[0].host", 8),
    ("a.example\n", "a..example\n", "spec.rules[0].host", 8),
    (
        "path: /x",
        "path: x",
        "spec.rules[0].http.paths[0].path",
        11,
    ),
    ("path: /x, ", "", "spec.rules[0].http.paths[0].path", 11),
    (
        "path: /x",
        "path: /a//b",
        "spec.rules[0].http.paths[0].path",
        11,
    ),
    (
        "path: /x",
        "path: /a/../b",
        "spec.rules[0].http.paths[0].path",
        11,
    ),
    (
        "path: /x",
        "path: /a/.",
        "spec.rules[0].http.paths[0].path",
        11,
    ),
    (
        "path: /x",
        "path: /a%2fb",
        "spec.rules[0].http.paths[0].path",
        11,
    ),
    (
        "pathType: Prefix, ",
        "",
        "spec.rules[0].http.paths[0].pathType",
        11,
    ),
    (
        "pathType: Prefix",
        "pathType: prefix",
        "spec.rules[0].http.paths[0].pathType",
        11,
    ),
    (
        "port: {number: 80}",
        "port: {number: 0}",
        "spec.rules[0].http.paths[0].backend.service.port",
        11,
    ),
    (
        "port: {number: 80}",
        "port: {number: 65536}",
        "spec.rules[0].http.paths[0].backend.service.port.number",
        11,
    ),
    (
        "port: {number: 80}",
        "port: {number: '80'}",
        "spec.rules[0].http.paths[0].backend.service.port.number",
        11,
    ),
    (
        "port: {number: 80}",
        "port: {name: HTTP}",
        "spec.rules[0].http.paths[0].backend.service.port.name",
        11,
    ),
    (
        "port: {number: 80}",
        "port: {name: a, number: 1}",
        "spec.rules[0].http.paths[0].backend.service.port",
        11,
    ),
    (
        "service: {name: web",
        "service: {name: Web",
        "spec.rules[0].http.paths[0].backend.service.name",
        11,
    ),
    (
        "service: {name: web",
        "resource: {kind: A, name: b}, service: {name: web",
        "spec.rules[0].http.paths[0].backend",
        11,
    ),
    (
        "name: web, namespace",
        "name: We_b, namespace",
        "metadata.name",
        4,
    ),
    ("name: web, namespace", "namespace", "metadata.name", 4),
    (
        "namespace: default",
        "namespace: a.b",
        "metadata.namespace",
        4,
    ),
    (
        "ingressClassName: portcullis",
        "ingressClassName: a/b",
        "spec.ingressClassName",
        6,
    ),
    (
        "hosts: [a.example]",
        "hosts: ['*a.example']",
        "spec.tls[0].hosts[0]",
        12,
    ),
    (
        "secretName: s",
        "secretName: S",
        "spec.tls[0].secretName",
        12,
    ),
    ("  rules:\n", "  nothing:\n", "spec", 5),
    (
        "{name: web, namespace",
        "{annotations: {a/b/c: x}, name: web, namespace",
        "metadata.annotations[a/b/c]",
        4,
    ),
    (
        "    paths:\n",
        "    paths: []\n    more:\n",
        "spec.rules[0].http.paths",
        10,
    ),
];

#[test]
fn what_the_api_server_refuses_is_refused_with_its_line_and_what_to_write() {
    let good = ingress(
        "web",
        &(rule("a.example", "/x", "web") + "\ntls: [{hosts: [a.example], secretName: s}]"),
    );
    assert_eq!(problems(&good), []);
    for &(from, to, field, line) in REFUSED {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        let contents = contents(&text);
        assert!(contents.found[0].object.is_none(), "{to}");
        let problems = &contents.found[0].problems;
        let problem = problems
            .iter()
            .find(|p| p.severity == Severity::Error && p.field.as_deref() == Some(field));
        let problem = problem.unwrap_or_else(|| panic!("{to}: {problems:#?}"));
        assert_eq!(problem.line, Some(line), "{problem}");
        assert!(!problem.hint.is_empty(), "{problem}");
    }
}

#[test]
fn too_many_bytes_of_annotations_are_refused() {
    let big = "x".repeat(257 * 1024);
    let text = ingress("web", &rule("a.example", "/", "web")).replace(
        "name: web,",
        &format!("name: web, annotations: {{a: {big}}},"),
    );
    the(&problems(&text), "bytes together");
}

#[test]
fn other_kinds_are_validated_too() {
    let cases = [
        (
            service("a").replace("[{port: 80, targetPort: 8080}]", "[]"),
            "spec.ports",
        ),
        (
            service("a").replace("port: 80,", "port: 70000,"),
            "spec.ports[0].port",
        ),
        (
            service("a").replace("{port: 80,", "{port: 81}, {port: 80,"),
            "spec.ports[0].name",
        ),
        (
            service("a").replace("spec: {", "spec: {type: Nope, "),
            "spec.type",
        ),
        (
            service("a").replace("spec: {", "spec: {type: ExternalName, "),
            "spec.externalName",
        ),
        (
            service("a").replace("addressType: IPv4\n", ""),
            "addressType",
        ),
        (
            service("a").replace("[127.0.0.1]", "[]"),
            "endpoints[0].addresses",
        ),
        (
            service("a").replace("127.0.0.1", "127.0.0.1:80"),
            "endpoints[0].addresses[0]",
        ),
        (
            secret("s", "x").replace("tls.key", "other"),
            "data[tls.key]",
        ),
        (
            secret("s", "x").replace("stringData: {", "data: {a: '***'}\nstringData: {"),
            "data.a",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: a}".to_owned(),
            "spec.controller",
        ),
    ];
    for (text, field) in cases {
        let found = contents(&text).found;
        let refused = found
            .iter()
            .find(|f| f.object.is_none())
            .unwrap_or_else(|| panic!("{text}"));
        assert!(
            refused
                .problems
                .iter()
                .any(|p| p.field.as_deref() == Some(field)),
            "{:?}",
            refused.problems
        );
    }
}

#[test]
fn unknown_fields_of_an_ingress_are_warnings() {
    let text = ingress("web", &rule("a.example", "/", "web"))
        .replace("{service: {", "{servicename: x, service: {");
    let problems = problems(&text);
    assert_eq!(problems[0].severity, Severity::Warning);
    assert_eq!(
        problems[0].field.as_deref(),
        Some("spec.rules[0].http.paths[0].backend.servicename")
    );
}
