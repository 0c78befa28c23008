//! Claims about problem, each a test.

use super::*;

fn problem() -> Problem {
    Problem {
        severity: Severity::Warning,
        kind: "Ingress".into(),
        namespace: "shop".into(),
        name: "web".into(),
        field: Some("spec.rules[0].host".into()),
        file: Some("a/b.yaml".into()),
        line: Some(7),
        message: "it is wrong".into(),
        hint: "write it right".into(),
    }
}

#[test]
fn a_problem_is_one_line_with_its_place() {
    let line =
        "a/b.yaml:7: warning: Ingress shop/web spec.rules[0].host: it is wrong; write it right";
    assert_eq!(problem().to_string(), line);
}

#[test]
fn absent_parts_are_left_out() {
    let bare = Problem {
        field: None,
        file: None,
        line: None,
        ..problem()
    };
    assert_eq!(
        bare.to_string(),
        "warning: Ingress shop/web: it is wrong; write it right"
    );
    let class = Problem {
        kind: "IngressClass".into(),
        namespace: String::new(),
        name: "x".into(),
        ..problem()
    };
    assert_eq!(
        class.to_string(),
        "a/b.yaml:7: warning: IngressClass x spec.rules[0].host: it is wrong; write it right"
    );
    let document = Problem::of_document("a.yaml", 3, "it is no object".into(), "write one");
    assert_eq!(
        document.to_string(),
        "a.yaml:3: error: it is no object; write one"
    );
}

#[test]
fn no_text_breaks_the_line_and_no_field_has_blanks() {
    let odd = Problem {
        name: "a b\nc".into(),
        field: Some("metadata.annotations[a b]".into()),
        message: "it is\nwrong".into(),
        ..problem()
    };
    let line = "a/b.yaml:7: warning: Ingress shop/a?b?c metadata.annotations[a?b]: it is wrong; write it right";
    assert_eq!(odd.to_string(), line);
}

#[test]
fn json_leaves_absent_fields_out() {
    let json = serde_json::to_string(&Problem::of_document("a.yaml", 3, "m".into(), "h")).unwrap();
    assert_eq!(
        json,
        r#"{"severity":"error","file":"a.yaml","line":3,"message":"m","hint":"h"}"#
    );
    let json = serde_json::to_value(problem()).unwrap();
    assert_eq!(
        (&json["severity"], &json["line"]),
        (&"warning".into(), &7.into())
    );
}

#[test]
fn the_worst_severity_comes_first() {
    assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Note);
}
