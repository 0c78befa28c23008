//! Claims about texts that are YAML or JSON inside of objects, each a test.

use super::*;
use crate::manifest::inline::read;

fn json_of(text: &str) -> String {
    serde_json::Value::Object(read(text).unwrap().map).to_string()
}

fn failure(text: &str) -> (u32, String) {
    let failure = read(text).unwrap_err();
    (failure.line, failure.message)
}

#[test]
fn a_map_is_read_from_yaml_and_from_json() {
    assert_eq!(
        json_of("b: 1s\na: [1, 2.5, yes, ~]\n"),
        r#"{"b":"1s","a":[1,2.5,true,null]}"#
    );
    assert_eq!(json_of("{b: 1s, a: '1'}"), r#"{"b":"1s","a":"1"}"#);
    assert_eq!(json_of("\t{\"b\":\t1}\n"), r#"{"b":1}"#);
    for nothing in ["", " \n", "~", "# nothing", "{}"] {
        assert_eq!(json_of(nothing), "{}", "{nothing:?}");
    }
}

#[test]
fn what_is_no_map_is_told_with_its_line() {
    assert_eq!(
        failure("\n- 1"),
        (2, "the value is a list, not a map".into())
    );
    let (line, message) = failure("a: 1\nb: [1\nc: 2");
    assert!(message.starts_with("the value is not YAML: "), "{message}");
    assert!(line > 1);
    assert_eq!(failure("a: 1\n---\nb: 1").0, 2);
    assert_eq!(
        failure("hello").1,
        "the value is the string \"hello\", not a map"
    );
}

#[test]
fn the_text_of_a_block_has_lines_of_its_own() {
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: Plugin\nmetadata:\n  name: x\n  annotations:\n    \
                a: |\n      one\n      two\n    b: one\n    c:\n      \"one\\ntwo\"\n\
                spec: {source: {file: x}}\n";
    let contents = contents(text);
    let subject = &contents.found[0].subject;
    let line = |field: &str, line: u32| {
        let field = format!("metadata.annotations.{field}");
        let problem = subject.problem_within((&field, line), Severity::Error, "", "");
        problem.line.unwrap()
    };
    assert_eq!((line("a", 1), line("a", 2)), (7, 8));
    assert_eq!((line("b", 1), line("b", 2)), (9, 9));
    assert_eq!(line("c", 1), 11);
}

#[test]
fn aliases_never_make_much_of_little() {
    let long = format!(
        "a: &a \"\\t{}\"\nb: [{}]\n",
        "x".repeat(2000),
        vec!["*a"; 1000].join(",")
    );
    assert!(
        failure(&long)
            .1
            .contains("expands to more than 262144 bytes")
    );
    let longer = long.replace("xx", &"x".repeat(100));
    assert!(
        failure(&longer).1.contains("aliases expand to more than"),
        "{}",
        failure(&longer).1
    );
    let deep = format!("a: {}1{}", "[".repeat(64), "]".repeat(64));
    assert_eq!(failure(&deep).1, "the value is nested too deeply");
    let less = format!("a: {}1{}", "[".repeat(63), "]".repeat(63));
    assert!(read(&less).is_ok());
}

proptest! {
    #[test]
    fn no_inline_text_is_too_much(text in any::<String>(), like in "(---\n|[a-c&*!|>'\"\\[\\]{}:,#?%~\t\n -]|: |<<: |&a ){0,40}") {
        let _ = (read(&text), read(&like));
    }
}
