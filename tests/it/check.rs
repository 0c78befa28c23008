//! `portcullis check`: every problem is one line that says where, what, and what to write instead.

use harness::portcullis;
use serde_json::Value;
use tempfile::TempDir;

/// A Service with endpoints, so that rules have somewhere to go.
const SERVICE: &str = r"apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: portcullis}
spec: {controller: portcullis.dev/ingress-controller}
---
apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: svc-1, labels: {kubernetes.io/service-name: svc}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.2.3]}]
---
";

/// An Ingress `web` whose spec goes on as given.
fn web(spec: &str) -> String {
    let head = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n";
    format!("{SERVICE}{head}spec:\n  ingressClassName: portcullis\n{spec}")
}

struct Checked {
    code: i32,
    text: String,
    problems: Vec<Value>,
}

async fn check(files: &[(&str, &str)]) -> Checked {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a writable folder");
    }
    let path = folder.path().display().to_string();
    let text = portcullis(&["check", &path]).await;
    let json = portcullis(&["check", "--format", "json", &path]).await;
    assert_eq!(json.code, text.code, "{json:?} {text:?}");
    let problems: Value =
        serde_json::from_str(&json.stdout).unwrap_or_else(|e| panic!("{e}: {json:?}"));
    let problems = problems["problems"]
        .as_array()
        .cloned()
        .expect("a list of problems");
    assert_eq!(
        text.stdout.lines().count(),
        problems.len(),
        "{}",
        text.stdout
    );
    Checked {
        code: text.code,
        text: text.stdout,
        problems,
    }
}

#[tokio::test]
async fn good_manifests_are_clean() {
    let good = web(
        "  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n",
    );
    let checked = check(&[("good.yaml", &good)]).await;
    assert_eq!((checked.code, checked.text.as_str()), (0, ""));
}

#[tokio::test]
async fn notes_alone_are_fine() {
    let elsewhere = web(
        "  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}}]\n",
    );
    let checked = check(&[("note.yaml", &elsewhere)]).await;
    assert_eq!(checked.code, 0, "{}", checked.text);
    assert!(
        checked.text.contains("note: Ingress default/web"),
        "{}",
        checked.text
    );
    assert!(checked.text.contains("other"), "{}", checked.text);
}

/// The rest of a spec, the severity, a part of the field, and words that must be said.
#[rustfmt::skip]
const BAD: &[(&str, &str, &str, &[&str])] = &[
    ("  rules: [{host: a.test, http: {paths: [{path: foo, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n", "error", "spec.rules[0].http.paths[0].path", &["/"]),
    ("  rules: [{host: '*.*.test', http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n", "error", "spec.rules[0].host", &["*"]),
    ("  rules: [{host: 1.2.3.4, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n", "error", "spec.rules[0].host", &[]),
    ("  rules: [{host: 'a.test:80', http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n", "error", "spec.rules[0].host", &["port"]),
    ("  rules: [{host: a.test, http: {paths: [{path: /, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n", "error", "pathType", &["Prefix"]),
    ("  rules: [{host: a.test, http: {paths: [{path: /, pathType: Regex, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n", "error", "pathType", &["Prefix"]),
    ("  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 81}}}}]}}]\n", "error", "backend", &["81", "80"]),
    ("  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {name: web}}}}]}}]\n", "error", "backend", &["web", "http"]),
    ("  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc}}}]}}]\n", "error", "port", &[]),
    ("  rules: []\n", "error", "spec", &["defaultBackend"]),
    ("  rulez: []\n  defaultBackend: {service: {name: svc, port: {number: 80}}}\n", "", "", &[]),
];

#[tokio::test]
async fn bad_specs_name_field_and_remedy() {
    for (spec, severity, field, words) in BAD {
        let checked = check(&[("bad.yaml", &web(spec))]).await;
        if severity.is_empty() {
            continue;
        }
        assert_eq!(checked.code, 1, "{spec}{}", checked.text);
        let line = checked
            .text
            .lines()
            .find(|line| line.contains(field) && line.contains(*severity));
        let line = line
            .unwrap_or_else(|| panic!("no {severity} at {field} in {:?} for {spec}", checked.text));
        assert!(
            words.iter().all(|word| line.contains(word)),
            "{words:?}: {line}"
        );
    }
}

#[tokio::test]
async fn lines_and_json_have_their_form() {
    let bad = web(
        "  rules:\n  - host: a.test\n    http:\n      paths:\n      - path: foo\n        pathType: Prefix\n        backend: {service: {name: svc, port: {number: 80}}}\n",
    );
    let checked = check(&[("bad.yaml", &bad)]).await;
    assert_eq!(checked.problems.len(), 1, "{}", checked.text);
    let (line, problem) = (checked.text.trim_end(), &checked.problems[0]);
    // file:line: severity: Kind ns/name field: what is wrong; what to write
    let (place, rest) = line.split_once(": ").expect("a place");
    let (file, number) = place.rsplit_once(':').expect("a file and a line");
    assert!(file.ends_with("bad.yaml"), "{line}");
    let number: usize = number.parse().expect("a line number");
    let within = bad
        .lines()
        .position(|l| l == "kind: Ingress")
        .expect("a kind");
    assert!(
        (within..=bad.lines().count()).contains(&number),
        "line {number}: {line}"
    );
    let rest = rest
        .strip_prefix("error: Ingress default/web ")
        .unwrap_or_else(|| panic!("{line}"));
    let (field, what) = rest.split_once(": ").expect("a field");
    assert_eq!(field, "spec.rules[0].http.paths[0].path");
    assert!(what.contains("; "), "{line}");

    for (key, value) in [
        ("severity", "error"),
        ("kind", "Ingress"),
        ("namespace", "default"),
        ("name", "web"),
        ("field", field),
    ] {
        assert_eq!(problem[key], value, "{problem}");
    }
    assert!(
        problem["file"]
            .as_str()
            .is_some_and(|f| f.ends_with("bad.yaml")),
        "{problem}"
    );
    assert_eq!(problem["line"], number);
    assert!(
        what.contains(problem["message"].as_str().expect("a message")),
        "{problem}"
    );
    assert!(
        what.contains(problem["hint"].as_str().expect("a hint")),
        "{problem}"
    );
}

#[tokio::test]
async fn documents_that_cannot_be_read_name_their_line() {
    let cases = [
        ("kind: [\n", 1),
        ("a: b\n---\nkind: Ingress\n", 1),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  ports: {\n",
            4,
        ),
        ("just text\n", 1),
        ("- a\n- list\n", 1),
        ("apiVersion: v1\nkind: Service\n\tmetadata: x\n", 2),
    ];
    for (text, at_least) in cases {
        let checked = check(&[("broken.yaml", text)]).await;
        assert_eq!(checked.code, 1, "{text:?}: {}", checked.text);
        let line = checked
            .text
            .lines()
            .find(|line| line.contains("broken.yaml:"))
            .expect("a line");
        let number = line
            .split("broken.yaml:")
            .nth(1)
            .and_then(|rest| rest.split(':').next())
            .expect("a number");
        assert!(
            number.parse::<usize>().is_ok_and(|n| n >= at_least),
            "{text:?}: {line}"
        );
        assert!(line.contains(": error: ") && line.contains("; "), "{line}");
    }
}

#[tokio::test]
async fn warnings_are_told_and_counted() {
    let rule = "  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n";
    let unknown = web(rule).replace(
        "{name: web}",
        "{name: web, annotations: {nginx.ingress.kubernetes.io/no-such-key: 'true'}}",
    );
    let checked = check(&[("unknown.yaml", &unknown)]).await;
    assert_eq!(checked.code, 1, "{}", checked.text);
    assert!(
        checked.text.contains("warning: Ingress default/web")
            && checked.text.contains("no-such-key"),
        "{}",
        checked.text
    );

    let twice = web(rule) + "---\n" + &web(rule).replace(SERVICE, "");
    let checked = check(&[
        ("a.yaml", &web(rule)),
        ("b.yaml", &twice.replace(SERVICE, "")),
    ])
    .await;
    assert_eq!(checked.code, 1, "{}", checked.text);
    assert!(
        checked.text.contains("b.yaml") && checked.text.contains("warning"),
        "{}",
        checked.text
    );
    assert!(!checked.text.contains("a.yaml:1: "), "{}", checked.text);
}

#[tokio::test]
async fn wrong_annotations_name_their_key() {
    let rule = "  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]\n";
    for (key, value) in [
        ("portcullis.dev/backend-protocol", "SPDY"),
        ("portcullis.dev/ssl-redirect", "perhaps"),
        ("portcullis.dev/max-body", "much"),
        ("portcullis.dev/connect-timeout", "soon"),
        ("portcullis.dev/no-such-key", "x"),
        ("nginx.ingress.kubernetes.io/proxy-body-size", "huge"),
        ("nginx.ingress.kubernetes.io/backend-protocol", "FCGI-NOT"),
    ] {
        let text = web(rule).replace(
            "{name: web}",
            &format!("{{name: web, annotations: {{{key}: '{value}'}}}}"),
        );
        let checked = check(&[("wrong.yaml", &text)]).await;
        assert_eq!(checked.code, 1, "{key}: {}", checked.text);
        assert!(checked.text.contains(key), "{key}: {}", checked.text);
    }
}

#[tokio::test]
async fn old_forms_are_converted_with_a_note() {
    let old = format!(
        "{SERVICE}apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata:\n  name: old\n  annotations: {{kubernetes.io/ingress.class: portcullis}}\nspec:\n  rules:\n  - host: a.test\n    http:\n      paths:\n      - path: /\n        backend: {{serviceName: svc, servicePort: 80}}\n"
    );
    let checked = check(&[("old.yaml", &old)]).await;
    assert_eq!(checked.code, 0, "{}", checked.text);
    assert!(
        checked.text.contains("note: Ingress default/old")
            && checked.text.contains("networking.k8s.io/v1"),
        "{}",
        checked.text
    );
}

#[tokio::test]
async fn other_kinds_are_passed_over() {
    let other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: many}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: y}\n---\n# only a comment\n";
    let checked = check(&[("other.yaml", other), ("notes.txt", "not: [yaml")]).await;
    assert_eq!((checked.code, checked.text.as_str()), (0, ""));
}

#[tokio::test]
async fn unusable_arguments_are_2() {
    for arguments in [
        &["check"][..],
        &["check", "/nowhere/at/all"],
        &["check", "--format", "xml", "."],
        &["check", "--nonsense", "."],
    ] {
        let outcome = portcullis(arguments).await;
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
}
