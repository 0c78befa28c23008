//! The JSON Schema that a component gives for its configuration, and what does not fulfil it.
//!
//! It comes from whoever wrote the component, and may mean harm: it can refer to nothing outside of
//! itself, patterns run in linear time, and whatever it makes of a configuration ends soon.

mod fuel;

use std::{sync::Arc, thread};

use jsonschema::{Draft, PatternOptions, Validator};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::{failure::ConfigError, text::line};

/// A schema, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Schema(Arc<Validator>);

impl Schema {
    /// Compiles a schema, or says what is wrong with it.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA {
            return Err("it has more than 64 KiB".to_owned());
        }
        let parsed: Result<Value, _> = serde_json::from_str(text);
        let mut schema = parsed.map_err(|error| format!("it is not JSON: {error}"))?;
        // Later on, what has it was walked through.
        if names(&schema, fuel::KEYWORD) {
            return Err(format!("`{}` is the gateway's own", fuel::KEYWORD));
        }
        let Some(root) = schema.as_object_mut() else {
            return Err("it is not a JSON object".to_owned());
        };
        let dialect = root.remove("$schema");
        let dialect = dialect.as_ref().and_then(Value::as_str).unwrap_or(DIALECT);
        if dialect.trim_end_matches('#') != DIALECT {
            let dialect = shorten(dialect);
            return Err(format!("it is of `{dialect}`; write one of {DIALECT}"));
        }
        root.remove("$id");

        let mut walk = Walk::default();
        walk.subschema(&mut schema)?;
        if walk.patterns > PATTERNS {
            return Err(format!("it has more than {PATTERNS} patterns"));
        }
        for reference in &walk.references {
            check(&schema, reference)?;
        }
        let build = move || {
            jsonschema::options()
                .with_draft(Draft::Draft202012)
                .offline()
                .with_pattern_options(
                    PatternOptions::regex()
                        .size_limit(PATTERN)
                        .dfa_size_limit(PATTERN),
                )
                .with_keyword(fuel::KEYWORD, fuel::keyword)
                .build(&schema)
                .map_err(|error| shorten(&error.to_string()))
        };
        let built = apart(build).ok_or("it is too complicated")?;
        Ok(Self(Arc::new(built?)))
    }

    /// What in a configuration does not fulfil it, up to ten places. The values themselves are left
    /// out: they may be secret.
    pub(crate) fn check(&self, config: Value) -> Vec<ConfigError> {
        let schema = Arc::clone(&self.0);
        let errors = apart(move || {
            // Most do fulfil it, and that is known sooner than what is wrong.
            if schema.is_valid(&config) {
                return Vec::new();
            }
            let errors = schema.iter_errors(&config).take(ERRORS);
            let error = |error: jsonschema::ValidationError<'_>| ConfigError {
                pointer: error.instance_path().as_str().to_owned(),
                message: shorten(&error.masked_with("the value").to_string()),
            };
            errors.map(error).collect()
        });
        errors.unwrap_or_else(|| {
            vec![ConfigError {
                pointer: String::new(),
                message: "the plugin's schema takes too long to check it".to_owned(),
            }]
        })
    }
}

/// Runs what may go deep, on a stack that is large enough, and with fuel that ends. None where it
/// did not end by itself.
fn apart<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    let thread = thread::Builder::new()
        .name("wasm-schema".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            fuel::fill(STACK / 4 * 3);
            run()
        });
    thread.ok()?.join().ok()
}

/// What is found on the way through a schema.
#[derive(Default)]
struct Walk {
    references: Vec<String>,
    patterns: usize,
}

impl Walk {
    /// Looks at a schema within the schema, and puts into it what burns fuel.
    fn subschema(&mut self, schema: &mut Value) -> Result<(), String> {
        let Some(schema) = schema.as_object_mut() else {
            return Ok(());
        };
        for unsupported in UNSUPPORTED {
            if schema.contains_key(unsupported) {
                return Err(format!("`{unsupported}` is not supported there"));
            }
        }
        if let Some(Value::String(reference)) = schema.get("$ref") {
            self.references.push(reference.clone());
        }
        self.patterns += usize::from(schema.contains_key("pattern"));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        self.patterns += patterns.map_or(0, Map::len);
        for (keyword, value) in schema.iter_mut() {
            match value {
                Value::Object(all) if OF_MANY.contains(&keyword.as_str()) => {
                    for (_, subschema) in all.iter_mut() {
                        self.subschema(subschema)?;
                    }
                }
                Value::Array(all) if OF_LIST.contains(&keyword.as_str()) => {
                    for subschema in all {
                        self.subschema(subschema)?;
                    }
                }
                Value::Object(_) if OF_ONE.contains(&keyword.as_str()) => self.subschema(value)?,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => {}
            }
        }
        schema.shift_insert(0, fuel::KEYWORD.to_owned(), Value::Bool(true));
        Ok(())
    }
}

/// Whether any object in it has this key.
fn names(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(object) => {
            object.contains_key(key) || object.values().any(|value| names(value, key))
        }
        Value::Array(array) => array.iter().any(|value| names(value, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A reference must lead to a schema within the schema, where fuel burns.
fn check(schema: &Value, reference: &str) -> Result<(), String> {
    let Some(pointer) = reference.strip_prefix('#') else {
        return Err(format!(
            "it refers to `{}`; a schema can only refer to what is in itself, as `#/$defs/name`",
            shorten(reference)
        ));
    };
    let pointer = percent_decode_str(pointer).decode_utf8_lossy();
    let target = schema.pointer(&pointer);
    let sound = |target: &Value| target.is_boolean() || target.get(fuel::KEYWORD).is_some();
    if target.is_some_and(sound) {
        return Ok(());
    }
    let reference = shorten(reference);
    Err(format!(
        "it refers to `{reference}`, which is no schema in it"
    ))
}

fn shorten(text: &str) -> String {
    line(text, MESSAGE)
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// What would make a reference mean something else than it says.
const UNSUPPORTED: [&str; 4] = ["$id", "$schema", "$dynamicRef", "$recursiveRef"];
/// Keywords that have a schema by name.
const OF_MANY: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords that have a list of schemas.
const OF_LIST: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords that have one schema.
const OF_ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// The largest schema.
const SCHEMA: usize = 64 << 10;
/// How many patterns it may have.
const PATTERNS: usize = 64;
/// The size of one, compiled.
const PATTERN: usize = 256 << 10;
/// How many errors are told.
const ERRORS: usize = 10;
/// The longest message of one.
const MESSAGE: usize = 300;
/// What is used of it is all that it takes.
const STACK: usize = 64 << 20;

#[cfg(test)]
mod tests;
