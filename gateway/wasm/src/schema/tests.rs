//! Schemas as authors write them, and as nobody should.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn compile(schema: &Value) -> Result<Schema, String> {
    Schema::compile(&schema.to_string())
}

fn errors(schema: &Value, config: Value) -> Vec<(String, String)> {
    let schema = compile(schema).unwrap();
    let errors = schema.check(config).into_iter();
    errors.map(|error| (error.pointer, error.message)).collect()
}

#[test]
fn every_violation_has_its_place() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "array", "items": {"$ref": "#/$defs/small"}},
            "c/d": {"pattern": "^[a-z]+$"},
        },
        "required": ["e"],
        "$defs": {"small": {"type": "integer", "maximum": 3}},
    });
    assert!(errors(&schema, json!({"a": "x", "b": [1], "c/d": "x", "e": 0})).is_empty());
    let found = errors(&schema, json!({"a": 5, "b": [1, 7, "secret"], "c/d": "X"}));
    let mut places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["", "/a", "/b/1", "/b/2", "/c~1d"], "{found:?}");
    let text = format!("{found:?}");
    assert!(text.contains("is a required property"), "{text}");
    assert!(!text.contains("secret"), "values are not told: {text}");
}

#[test]
fn nothing_outside_of_the_schema_is_referred_to() {
    for reference in [
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json",
        "",
    ] {
        let refused = compile(&json!({"properties": {"a": {"$ref": reference}}})).unwrap_err();
        assert!(refused.contains("can only refer to"), "{refused}");
    }
    for reference in ["#/properties", "#/$defs/none", "#anchor", "#/examples/0"] {
        let schema = json!({"$anchor": "anchor", "properties": {"a": {"$ref": reference}}, "examples": [{}]});
        let refused = compile(&schema).unwrap_err();
        assert!(refused.contains("no schema in it"), "{refused}");
    }
    for unsupported in ["$id", "$dynamicRef", "$recursiveRef", "$schema"] {
        let refused = compile(&json!({"items": {unsupported: "#"}})).unwrap_err();
        assert!(refused.contains(unsupported), "{refused}");
    }
    assert!(compile(&json!({"$schema": "http://json-schema.org/draft-07/schema#"})).is_err());
    assert!(compile(&json!({"type": 5})).is_err());
    // Where it claims to be looked through, and is not.
    let hidden = json!({"$ref": "#/examples/0", "examples": [{"portcullis:fuel": true}]});
    assert!(compile(&hidden).unwrap_err().contains("own"));
}

#[test]
fn a_tree_may_refer_to_itself() {
    let schema = json!({
        "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "additionalProperties": false,
    });
    let tree = json!({"children": [{"children": [{"value": 1}]}, {"value": "x"}]});
    let found = errors(&schema, tree);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "/children/1/value");
}

#[test]
fn patterns_take_linear_time() {
    let schema = json!({"pattern": "^(a+)+$"});
    let start = Instant::now();
    let long = format!("{}b", "a".repeat(60_000));
    assert_eq!(errors(&schema, json!(long)).len(), 1);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(compile(&json!({"pattern": "(?=a)"})).is_err());
    assert!(compile(&json!({"pattern": "((a{1000}){1000}){1000}"})).is_err());
    let many: Map<String, Value> = (0..65).map(|n| (format!("a{n}"), json!({}))).collect();
    assert!(compile(&json!({"patternProperties": many})).is_err());
}

/// Whatever it says, it says it soon, and nothing ends but the check.
fn ends(schema: &Value, config: Value) {
    let start = Instant::now();
    if let Ok(schema) = compile(schema) {
        schema.check(config);
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{schema}");
}

#[test]
fn hostile_schemas_end() {
    ends(&json!({"$ref": "#"}), json!(1));
    ends(
        &json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"a": 1}),
    );
    ends(&json!({"not": {"$ref": "#"}}), json!([]));
    let defs = json!({"$ref": "#/$defs/a", "$defs": {
        "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]},
        "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"not": {"$ref": "#/$defs/a"}}]},
    }});
    ends(&defs, json!("x"));

    // Each of 300 definitions asks for the next one twice.
    let doubling: Map<String, Value> = (0..300)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (
                format!("d{n}"),
                json!({"allOf": [next, next], "oneOf": [next, next]}),
            )
        })
        .chain([("d300".to_owned(), json!({"type": "string"}))])
        .collect();
    ends(&json!({"$ref": "#/$defs/d0", "$defs": doubling}), json!(1));

    // A configuration of 100 levels, where each level is looked at three times.
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    let again = json!({"properties": {"a": {"$ref": "#"}}});
    ends(
        &json!({"allOf": [again, again, again], "type": "object"}),
        deep.clone(),
    );
    ends(
        &json!({"anyOf": [again, again, again], "unevaluatedProperties": false, "type": "object"}),
        deep,
    );

    // Numbers at the end of what there is.
    for number in [
        "1e-308",
        "1e308",
        "5e-324",
        "-0.0",
        "9223372036854775808",
        "1e999",
        "0",
    ] {
        for keyword in [
            "multipleOf",
            "minimum",
            "minLength",
            "maxItems",
            "minContains",
            "maxProperties",
        ] {
            let text = format!("{{\"{keyword}\": {number}, \"contains\": true}}");
            if let Ok(schema) = Schema::compile(&text) {
                for value in [
                    json!(1e308),
                    json!(u64::MAX),
                    json!(i64::MIN),
                    json!([1]),
                    json!("a"),
                    json!({"a": 1}),
                ] {
                    schema.check(value);
                }
            }
        }
    }

    // A chain of references as long as a schema can be.
    let chain: Map<String, Value> = (0..2000)
        .map(|n| (n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)})))
        .chain([("2000".to_owned(), json!(true))])
        .collect();
    ends(&json!({"$ref": "#/$defs/0", "$defs": chain}), json!(1));
}
