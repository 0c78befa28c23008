//! Texts inside of objects that are YAML or JSON themselves, as annotations have them.

use serde_json::{Map, Value as Json};

use super::{
    Failure, json,
    node::{Node, Value},
    shorten, split, yaml,
};

/// A map that stands in a text.
#[derive(Debug, Default)]
pub(crate) struct Inline {
    pub(crate) map: Map<String, Json>,
    /// Keys that a map has twice, with the line of the second, from 1.
    pub(crate) doubled: Vec<(String, u32)>,
}

/// Reads a text that must be a map; one without anything in it is an empty map. Lines of the failure
/// are those of the text, from 1.
pub(crate) fn read(text: &str) -> Result<Inline, Failure> {
    let chunks = split(text);
    let (chunk, line) = match chunks.as_slice() {
        [] => return Ok(Inline::default()),
        [chunk] => *chunk,
        [_, (_, line), ..] => {
            let message = "the value has several documents".to_owned();
            return Err(Failure {
                line: *line,
                message,
            });
        }
    };
    // JSON is YAML, but its own parser takes tabs, too.
    if chunk.trim_start().starts_with('{')
        && let Ok((Some(node), rest, _)) = json::parse(chunk, line)
        && rest.trim().is_empty()
    {
        return finish(Some(&node), Vec::new());
    }
    // No input brings the process down, not even one that the YAML parser itself trips over.
    match std::panic::catch_unwind(|| yaml::parse(chunk, line)) {
        Ok(Ok(parsed)) => finish(parsed.root.as_ref(), parsed.doubled),
        Ok(Err(Failure { line, message })) => {
            let message = message.replacen("the document", "the value", 1);
            Err(Failure { line, message })
        }
        Err(_) => {
            let message = "the value is not YAML: the parser gives up".to_owned();
            Err(Failure { line, message })
        }
    }
}

fn finish(root: Option<&Node<'_>>, doubled: Vec<(String, u32)>) -> Result<Inline, Failure> {
    // Aliases make much of little.
    if let Some(node) = root.filter(|node| node.bytes() > MAX_BYTES) {
        let message = format!("the value expands to more than {MAX_BYTES} bytes");
        let line = node.line;
        return Err(Failure { line, message });
    }
    let map = match root {
        None => Map::new(),
        Some(node) => match (&node.value, node.to_json()) {
            (Value::Map(_), Json::Object(map)) => map,
            _ => {
                let message = format!("the value is {}, not a map", node.describe());
                return Err(Failure {
                    line: node.line,
                    message,
                });
            }
        },
    };
    if let Some(node) = root.filter(|_| map.values().any(|value| !is_shallow(value))) {
        let message = "the value is nested too deeply".to_owned();
        let line = node.line;
        return Err(Failure { line, message });
    }
    let doubled = doubled
        .into_iter()
        .take(super::MAX_DOUBLED)
        .map(|(key, line)| (shorten(&key).into_owned(), line))
        .collect();
    Ok(Inline { map, doubled })
}

/// Whether a value of a map is nested no deeper than its readers go.
pub(crate) fn is_shallow(value: &Json) -> bool {
    fn within(value: &Json, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        match value {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
            Json::Array(items) => items.iter().all(|item| within(item, depth)),
            Json::Object(map) => map.values().all(|value| within(value, depth)),
        }
    }
    within(value, MAX_NESTED)
}

/// As much as the annotations of an object may have together.
const MAX_BYTES: usize = 256 * 1024;
/// Readers of JSON stop at some depth, those of filters perhaps sooner.
const MAX_NESTED: usize = 64;
