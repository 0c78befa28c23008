//! Recorded cases: `portcullis plugin test`.

use std::path::Path;

use harness::Outcome;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{portcullis, scaffold};
use crate::examples;

/// Runs these cases of a component.
pub(super) fn test(component: &[u8], cases: &[Value], flags: &[&str]) -> Outcome {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("it.wasm"), component).expect("a folder");
    let lines: Vec<_> = cases.iter().map(Value::to_string).collect();
    let text = format!("// What it does.\n\n{}\n", lines.join("\n"));
    std::fs::write(folder.path().join("cases.jsonl"), text).expect("a folder");
    portcullis(folder.path(), &[&["test", "it.wasm"], flags].concat())
}

fn greeter() -> Vec<u8> {
    std::fs::read(scaffold().folder.join("my-filter.wasm")).expect("the component")
}

/// All pass.
pub(super) fn pass(component: &[u8], cases: &[Value], flags: &[&str]) {
    let outcome = test(component, cases, flags);
    let wanted = format!("{} passed, 0 failed\n", cases.len());
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (0, wanted.as_str()),
        "{outcome:?}"
    );
}

#[test]
fn a_failed_case_names_its_line_and_what_differs() {
    let case = |expect: Value| json!({"name": "greets", "config": {"name": "you"}, "request": {}, "expect": expect});
    let good = case(json!({"verdict": "next"}));
    for (expect, what) in [
        (
            json!({"verdict": "respond"}),
            r#"the verdict is "next" instead of "respond""#,
        ),
        (
            json!({"request": {"headers": {"x-hello": "me"}}}),
            r#"the request's x-hello: ["you"] instead of ["me"]"#,
        ),
        (
            json!({"request": {"headers": {"x-hello": null}}}),
            r#"the request's x-hello: ["you"] instead of []"#,
        ),
        (
            json!({"request": {"path": "/a"}}),
            r#"the path is "/" instead of "/a""#,
        ),
        (
            json!({"request": {"body": "b"}}),
            r#"the request's body is "" instead of "b""#,
        ),
        (
            json!({"backend": "svc:80"}),
            r#"the backend is "" instead of "svc:80""#,
        ),
        (json!({"status": 403}), "the status is 0 instead of 403"),
        (json!({"body": "b"}), r#"the body is "" instead of "b""#),
        (
            json!({"headers": {"x": "1"}}),
            r#"the answer's x: [] instead of ["1"]"#,
        ),
        (
            json!({"reason": "plugin-trap"}),
            r#"the reason is "" instead of "plugin-trap""#,
        ),
    ] {
        let outcome = test(&greeter(), &[good.clone(), case(expect.clone())], &[]);
        let wanted = format!("cases.jsonl:4: failed: greets: {what}\n1 passed, 1 failed\n");
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (1, wanted.as_str()),
            "{expect}"
        );
    }
}

#[test]
fn a_configuration_can_be_given_for_all_cases() {
    let hello = |name: &str| json!({"request": {"headers": {"x-hello": name}}});
    let cases = [
        json!({"request": {}, "expect": hello("all")}),
        json!({"config": {"name": "one"}, "request": {}, "expect": hello("one")}),
        json!({"config": {}, "request": {}, "expect": {"verdict": "fail", "reason": "name"}}),
    ];
    pass(&greeter(), &cases, &["--config", r#"{"name": "all"}"#]);
}

#[test]
fn a_failure_says_what_the_filter_said() {
    let config = json!({"request": {"set": {"host": "x"}}});
    let failing =
        json!({"name": "hosts", "config": config, "request": {}, "expect": {"verdict": "next"}});
    let outcome = test(examples::headers(), &[failing], &[]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let first =
        r#"cases.jsonl:3: failed: hosts: the verdict is "fail plugin-trap" instead of "next""#;
    assert_eq!(outcome.stdout.lines().next(), Some(first));
    assert!(
        outcome.stdout.contains("the field is the gateway's own"),
        "{outcome:?}"
    );
    // What was expected to fail says nothing.
    let expected = json!({"config": config, "request": {}, "expect": {"verdict": "fail", "reason": "plugin-trap"}});
    pass(examples::headers(), &[expected], &[]);
}

#[test]
fn requests_and_responses_go_through_all_hooks() {
    let changes = json!({"remove": ["x-old"], "set": {"x-new": "1"}, "add": {"x-more": "2"}});
    let message =
        json!({"status": 201, "headers": {"x-old": "0", "x-more": ["0", "1"]}, "body": "hello"});
    let after = json!({"x-old": null, "x-new": "1", "x-more": ["0", "1", "2"]});
    let case = json!({
        "config": {"request": changes, "response": changes},
        "request": {"method": "POST", "path": "/a?b", "headers": message["headers"], "clientIp": "2001:db8::1", "tls": true, "body": "hi"},
        "response": message,
        "expect": {
            "verdict": "next",
            "request": {"path": "/a?b", "headers": after, "body": "hi"},
            "status": 201, "headers": after, "body": "hello",
        },
    });
    pass(examples::headers(), &[case], &[]);
}

#[test]
fn an_answer_of_the_filter_is_looked_at() {
    let key =
        json!({"algorithm": "HS256", "secret": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="});
    let case = json!({
        "config": {"keys": [key]},
        "times": 3,
        "request": {},
        "response": {"status": 200},
        "expect": {
            "verdict": "respond", "status": 401, "body": "a valid token is needed\n",
            "headers": {"www-authenticate": "Bearer"},
        },
    });
    pass(
        examples::jwt_auth(),
        &[case],
        &["--time", "10ms", "--memory", "16Mi"],
    );
}

#[test]
fn bodies_come_in_pieces() {
    let config = r#"{"replace": [{"find": "old", "with": "new"}]}"#;
    let html = json!({"content-type": "text/html"});
    let case = |body: Value, expect: Value| {
        json!({
            "request": {},
            "response": {"headers": html, "body": body},
            "expect": {"body": expect},
        })
    };
    let cases = [
        case(json!("an old"), json!("an new")),
        case(json!(["an o", "l", "d"]), json!("an new")),
        case(json!(["an o", "l", "d."]), json!(["an ", "", "new."])),
        case(json!([]), json!("")),
    ];
    pass(examples::body_rewrite(), &cases, &["--config", config]);
}

#[test]
fn what_cannot_be_run_is_no_failed_case() {
    let folder = TempDir::new().expect("a temporary folder");
    let write =
        |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a folder");
    write("it.wasm", &greeter());
    write("none.jsonl", b"// later\n");
    write(
        "text.jsonl",
        b"{\"request\": {}, \"expect\": {}}\nno JSON\n",
    );
    write(
        "key.jsonl",
        b"{\"request\": {\"pat\": \"/\"}, \"expect\": {}}\n",
    );
    write(
        "verdict.jsonl",
        b"{\"request\": {}, \"expect\": {\"verdict\": \"pass\"}}\n",
    );
    write(
        "method.jsonl",
        b"{\"config\": {\"name\": \"a\"}, \"request\": {\"method\": \"GET /\"}, \"expect\": {}}\n",
    );
    for (cases, why) in [
        (
            "missing.jsonl",
            "cannot read the cases in missing.jsonl; write a file with a JSON object a line",
        ),
        ("none.jsonl", "there is no case in none.jsonl"),
        ("text.jsonl", "text.jsonl:2: this is no case"),
        (
            "key.jsonl",
            "unknown field `pat`, expected one of `method`, `path`",
        ),
        (
            "verdict.jsonl",
            "unknown variant `pass`, expected one of `next`",
        ),
        ("method.jsonl", "method.jsonl:1 cannot be run"),
    ] {
        refused(folder.path(), &["test", "it.wasm", "--cases", cases], why);
    }
    write("cases.jsonl", b"{\"request\": {}, \"expect\": {}}\n");
    refused(
        folder.path(),
        &["test", "it.wasm", "--config", "name: you"],
        "--config is not JSON",
    );
    refused(
        folder.path(),
        &["test", "it.wasm", "--time", "soon"],
        "--time 'soon': is not a length of time",
    );
    refused(
        folder.path(),
        &["test", "it.wasm", "--memory", "0"],
        "--memory '0': is nothing at all",
    );
    write("text.wasm", b"(component)");
    refused(
        folder.path(),
        &["test", "text.wasm"],
        "text.wasm cannot be loaded: it is not WebAssembly",
    );
}

/// It says this, and that its arguments cannot be used.
fn refused(folder: &Path, arguments: &[&str], why: &str) {
    let outcome = portcullis(folder, arguments);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (2, ""),
        "{arguments:?} {outcome:?}"
    );
    assert!(outcome.stderr.contains(why), "{arguments:?} {outcome:?}");
}
