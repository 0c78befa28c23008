//! Claims about manifest, each a test.

mod inline;
mod plugin;
mod refused;

use proptest::prelude::*;

use super::*;
use crate::fixture::{backend, ingress, rule, secret, service, the};

fn contents(text: &str) -> Contents {
    read(&Arc::from("f.yaml"), text.as_bytes(), Format::Yaml)
}

fn json(text: &str) -> Contents {
    read(&Arc::from("f.json"), text.as_bytes(), Format::Json)
}

/// All problems of a text.
fn problems(text: &str) -> Vec<Problem> {
    let contents = contents(text);
    contents
        .failures
        .into_iter()
        .chain(contents.found.into_iter().flat_map(|f| f.problems))
        .collect()
}

/// `Kind ns/name` of all objects, with `!` for those that are refused.
fn found(contents: &Contents) -> Vec<String> {
    let one = |f: &Found| format!("{}{}", f.subject, if f.object.is_some() { "" } else { "!" });
    contents.found.iter().map(one).collect()
}

#[test]
fn documents_are_read_one_by_one() {
    let text = format!(
        "# first\n{}---\na: [b\n---\nhello\n...\n---\n# nothing\n---\n- 1\n---\nkind: Ingress\n{}",
        service("a"),
        service("b")
    );
    let contents = contents(&text);
    let names = [
        "Service default/a",
        "EndpointSlice default/a-1",
        "Service default/b",
        "EndpointSlice default/b-1",
    ];
    assert_eq!(found(&contents), names);
    let lines: Vec<_> = contents
        .failures
        .iter()
        .map(|p| (p.line.unwrap(), p.message.as_str()))
        .collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines[0].1.starts_with("the document is not YAML: "),
        "{lines:?}"
    );
    assert_eq!(
        lines[1],
        (17, "the document is the string \"hello\", not an object")
    );
    assert_eq!(lines[2], (22, "the document is a list, not an object"));
    assert_eq!(
        lines[3],
        (
            24,
            "the document is no object: it has no apiVersion or no kind"
        )
    );
}

#[test]
fn other_kinds_are_passed_over() {
    for kind in [
        "apps/v1, kind: Deployment",
        "v1, kind: Namespace",
        "example.com/v1, kind: Plugin",
        "portcullis.dev/v1, kind: Ingress",
        "serving.knative.dev/v1, kind: Service",
    ] {
        let contents = contents(&format!("{{apiVersion: {kind}, metadata: {{name: x}}}}"));
        assert!(
            contents.found.is_empty() && contents.failures.is_empty(),
            "{kind}"
        );
    }
}

#[test]
fn a_kind_of_ours_in_a_version_that_never_was_is_an_error() {
    let problem = &problems("apiVersion: v1\nkind: Ingress\nmetadata: {name: x}")[0];
    assert_eq!(
        problem.hint,
        "write apiVersion: networking.k8s.io/v1 and kind: Ingress"
    );
    assert_eq!(
        problems("apiVersion: v1\nkind: service\nmetadata: {name: x}").len(),
        1
    );
}

#[test]
fn lists_hold_objects() {
    let item = "{metadata: {name: a}, spec: {ports: [{port: 80}]}}";
    let whole = "{apiVersion: v1, kind: Service, metadata: {name: b, namespace: ns}, spec: {ports: [{port: 80}]}}";
    let text = format!(
        "apiVersion: v1\nkind: ServiceList\nitems: [{item}]\n---\napiVersion: v1\nkind: List\nitems:\n- {whole}\n- 1\n"
    );
    let contents = contents(&text);
    assert_eq!(found(&contents), ["Service default/a", "Service ns/b"]);
    assert_eq!(contents.failures.len(), 1);
    assert_eq!(contents.failures[0].line, Some(9));
}

#[test]
fn json_is_read_with_lines_and_several_a_file() {
    let object = |name: &str, port: &str| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Service\",\n\t\"metadata\": {{\"name\": \"{name}\"}},\n\t\"spec\": {{\"ports\": [{{\"port\":\n{port}}}]}}}}\n"
        )
    };
    let contents = json(&(object("a\\u0062", "80") + &object("b", "\"80\"")));
    assert_eq!(
        found(&contents),
        ["Service default/ab", "Service default/b!"]
    );
    let problem = &contents.found[1].problems[0];
    assert_eq!(
        (problem.line, problem.hint.as_str()),
        (Some(7), "write it without quotes: 80")
    );
    let broken = json("{\"a\": 1,\n}");
    assert_eq!(
        broken.failures[0].to_string(),
        "f.json:2: error: the document is not JSON: a key in double quotes is expected; mend the text there: indentation, quotes, brackets, or an end that is missing"
    );
}

#[test]
fn plain_booleans_are_no_strings() {
    for value in ["yes", "on", "true", "y", "off", "1", "1.5", "0x10"] {
        let text = ingress("web", &rule("a.example", "/", "web")).replace(
            "name: web,",
            &format!("name: web, annotations: {{portcullis.dev/hsts: {value}}},"),
        );
        let problem = &problems(&text)[0];
        assert_eq!(
            problem.field.as_deref(),
            Some("metadata.annotations[portcullis.dev/hsts]"),
            "{value}"
        );
        assert!(
            problem.hint.starts_with("write it in quotes: \""),
            "{problem}"
        );
    }
}

#[test]
fn the_retired_forms_become_v1_and_the_note_shows_it() {
    for version in ["extensions/v1beta1", "networking.k8s.io/v1beta1"] {
        let text = format!(
            "apiVersion: {version}\nkind: Ingress\nmetadata: {{name: old}}\nspec:\n  \
             backend: {{serviceName: all, servicePort: http}}\n  rules:\n  - http:\n      paths:\n      \
             - backend: {{serviceName: web, servicePort: 80}}\n"
        );
        let contents = contents(&text);
        assert_eq!(found(&contents), ["Ingress default/old"]);
        let note = the(&contents.found[0].problems, "is retired");
        assert_eq!((note.severity, note.line), (Severity::Note, Some(1)));
        let shown: serde_json::Value =
            serde_json::from_str(note.hint.strip_prefix("write ").unwrap()).unwrap();
        assert_eq!(
            shown["spec"]["defaultBackend"]["service"]["port"]["name"],
            "http"
        );
        let path = &shown["spec"]["rules"][0]["http"]["paths"][0];
        assert_eq!(path["backend"]["service"]["port"]["number"], 80);
        assert_eq!(path["pathType"], "ImplementationSpecific");
        // What is shown is a v1 Ingress that says the same.
        let again = note
            .hint
            .replace("write {", "{\"metadata\": {\"name\": \"old\"}, ");
        assert_eq!(
            json(&again).found[0].object.as_ref().map(Object::kind),
            Some(Kind::Ingress)
        );
    }
}

#[test]
fn a_v1_ingress_in_the_old_form_is_refused_with_the_new_one() {
    let text = ingress("web", &rule("a.example", "/", "web"))
        .replace(&backend("web"), "{serviceName: web, servicePort: 80}");
    let problems = problems(&text);
    the(
        &problems,
        "the backend names no Service; write service: {name: …, port: {number: …}}",
    );
}

#[test]
fn aliases_are_expanded_within_bounds() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: &m {name: a, labels: &l {x: z}}\nspec:\n  ports: [{port: 80}]\n  selector: *l\n";
    assert_eq!(found(&contents(text)), ["Service default/a"]);
    let merged = "apiVersion: v1\nkind: Service\nmetadata: {<<: {name: b, namespace: ns}, name: a}\nspec: {ports: [{port: 80}]}\n";
    assert_eq!(found(&contents(merged)), ["Service ns/a"]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        bomb.push_str(&format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 10].join(", ")
        ));
    }
    the(&problems(&bomb), "aliases expand to more than");
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = open.repeat(10_000) + "1" + &close.repeat(10_000);
        assert_eq!(contents(&text).failures.len(), 1);
        assert_eq!(json(&text).failures.len(), 1);
    }
    assert_eq!(contents(&"- ".repeat(10_000)).failures.len(), 1);
}

#[test]
fn what_is_no_text_is_an_error() {
    let contents = read(&Arc::from("f.yaml"), b"a: b\nc: \xff\n", Format::Yaml);
    assert_eq!(
        contents.failures[0].to_string(),
        "f.yaml:2: error: the file is not UTF-8 text; save it as UTF-8"
    );
}

#[test]
fn what_is_missing_at_the_end_is_missed_on_the_last_line() {
    for text in [
        "a: 1\nb: {",
        "a: 1\nb: {\n",
        "---\nx: 1\n---\na: 1\nb: [",
        "---\n? ",
    ] {
        let failures = contents(text).failures;
        let last = text.lines().count();
        assert_eq!(failures.last().and_then(|f| f.line), Some(last), "{text:?}");
    }
}

#[test]
fn a_key_that_stands_twice_is_a_warning_and_the_last_counts() {
    let text = service("a").replace("spec: {", "spec: {ports: [{port: 1}], ");
    let problem = &problems(&text)[0];
    assert_eq!(
        (problem.severity, problem.line),
        (Severity::Warning, Some(5))
    );
}

#[test]
fn directives_and_byte_order_marks_are_no_documents() {
    let text = format!(
        "\u{feff}%YAML 1.2\n{}...\n%YAML 1.2\n# x\n{}",
        service("a"),
        service("b")
    );
    let contents = contents(&text);
    assert!(contents.failures.is_empty(), "{:?}", contents.failures);
    assert_eq!(contents.found.len(), 4);
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in any::<String>()) {
        contents(&text);
        json(&text);
    }

    #[test]
    fn no_yaml_like_text_is_too_much(text in "(---\n|[a-c&*!|>'\"\\[\\]{}:,#?%~\t\n -]|: |- |<<: |\\* ?a|&a ){0,60}") {
        contents(&text);
    }

    #[test]
    fn no_cut_or_mended_ingress_is_too_much(at in 0..600_usize, to in any::<Option<char>>()) {
        let mut text = ingress("web", &(rule("a.example", "/x", "web") + "\ntls: [{hosts: [a.example], secretName: s}]")) + &service("web");
        let at = text.char_indices().map(|(i, _)| i).nth(at).unwrap_or(0);
        match to {
            Some(c) => text.insert(at, c),
            None => text.truncate(at),
        }
        contents(&text);
    }
}
