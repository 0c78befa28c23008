//! The text of a manifest file into objects: documents one by one, each with its own problems.

mod decode;
mod json;
mod legacy;
mod node;
mod unknown;
mod validate;
mod yaml;

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{Endpoints, Secret, Service},
    discovery::v1::EndpointSlice,
    networking::v1::{Ingress, IngressClass},
};
use serde::de::DeserializeOwned;

pub(crate) use node::{Lines, push_key, shorten};

use crate::{
    objects::{Build, Kind, Object},
    problem::{Problem, Severity, Source, Subject},
};
use node::{Entry, Node, Value};
use validate::Validate;

/// Why a text is no document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) line: u32,
    pub(crate) message: String,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) found: Vec<Found>,
    /// Of documents that are no objects.
    pub(crate) failures: Vec<Problem>,
}

/// An object of ours in a file.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    /// The object, unless the API server would refuse it.
    pub(crate) object: Option<Object>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) subject: Subject,
}

/// An object's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The formats of manifest files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
}

/// Reads the text of a file.
pub(crate) fn read(file: &Arc<str>, bytes: &[u8], format: Format) -> Contents {
    let mut contents = Contents::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            let message = "the file is not UTF-8 text".to_owned();
            contents.failures.push(Problem::of_document(
                file,
                line,
                message,
                "save it as UTF-8",
            ));
            return contents;
        }
    };
    match format {
        Format::Json => read_json(file, text, &mut contents),
        Format::Yaml => {
            for (chunk, line) in split(text) {
                read_chunk(file, chunk, line, &mut contents);
            }
        }
    }
    contents
}

fn read_json(file: &Arc<str>, text: &str, contents: &mut Contents) {
    let (mut rest, mut line) = (text, 1);
    loop {
        match json::parse(rest, line) {
            Ok((Some(node), after, at)) => {
                read_object(file, node, contents);
                (rest, line) = (after, at);
            }
            Ok((None, ..)) => return,
            Err(failure) => return contents.fail(file, failure),
        }
    }
}

fn read_chunk(file: &Arc<str>, chunk: &str, line: u32, contents: &mut Contents) {
    // JSON is YAML, but its own parser is quicker and takes tabs.
    if chunk.trim_start().starts_with('{')
        && let Ok((Some(node), rest, _)) = json::parse(chunk, line)
        && rest.trim().is_empty()
    {
        return read_object(file, node, contents);
    }
    // No input brings the process down, not even one that the YAML parser itself trips over.
    let parsed = match std::panic::catch_unwind(|| yaml::parse(chunk, line)) {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(failure)) => return contents.fail(file, failure),
        Err(_) => {
            let message = "the document is not YAML: the parser gives up".to_owned();
            return contents.fail(file, Failure { line, message });
        }
    };
    let Some(root) = parsed.root else { return };
    let before = contents.found.len();
    read_object(file, root, contents);
    let Some(found) = contents.found.get_mut(before) else {
        return;
    };
    for (key, line) in parsed.doubled {
        let message = format!(
            "the key \"{}\" stands twice in a map; the last counts",
            shorten(&key)
        );
        let mut problem = found
            .subject
            .problem(Severity::Warning, "", message, "take one out");
        problem.line = usize::try_from(line).ok();
        found.problems.push(problem);
    }
}

impl Contents {
    fn fail(&mut self, file: &str, failure: Failure) {
        let line = usize::try_from(failure.line).unwrap_or_default();
        let hint = "mend the text there: indentation, quotes, brackets, or an end that is missing";
        self.failures
            .push(Problem::of_document(file, line, failure.message, hint));
    }
}

/// Splits a file at the document markers of YAML, which count wherever a line begins with them; gives
/// each document with its first line.
fn split(text: &str) -> Vec<(&str, u32)> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    let mut directives = false;
    let mut line: u32 = 0;
    for row in text.split_inclusive('\n') {
        line = line.saturating_add(1);
        let marker = |m: &str| {
            row.strip_prefix(m)
                .is_some_and(|r| r.trim_end() == "" || r.starts_with([' ', '\t']))
        };
        if marker("---") && !directives {
            chunks.push((text.get(start..at).unwrap_or_default(), start_line));
            (start, start_line) = (at, line);
        } else if marker("...") {
            chunks.push((text.get(start..at).unwrap_or_default(), start_line));
            (start, start_line) = (at + row.len(), line.saturating_add(1));
        }
        // Directives stand before the marker of their own document.
        directives = (directives && !marker("---")) || (row.starts_with('%') && start == at);
        at += row.len();
    }
    chunks.push((text.get(start..).unwrap_or_default(), start_line));
    chunks.retain(|(chunk, _)| !chunk.trim().is_empty());
    chunks
}

/// Reads one object, or the items of a list of objects.
fn read_object(file: &Arc<str>, node: Node<'_>, contents: &mut Contents) {
    let line = node.entries().first().map_or(node.line, |e| e.line);
    let text = |key: &str| {
        node.find(key)
            .and_then(Node::text)
            .map(str::to_owned)
            .filter(|t| !t.is_empty())
    };
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        let message = match node.value {
            Value::Map(_) => {
                "the document is no object: it has no apiVersion or no kind".to_owned()
            }
            Value::Null
            | Value::Bool(..)
            | Value::Int(_)
            | Value::Float(..)
            | Value::Text(_)
            | Value::List(_) => format!("the document is {}, not an object", node.describe()),
        };
        let line = usize::try_from(line).unwrap_or_default();
        let hint = "write an object with apiVersion and kind, or take it out";
        contents
            .failures
            .push(Problem::of_document(file, line, message, hint));
        return;
    };
    if let Some(of) = kind.strip_suffix("List")
        && (of.is_empty() || kinds().any(|(known, _)| known == of))
    {
        return read_list(file, node, &version, of, contents);
    }
    read_kind(file, node, (&version, &kind), contents);
}

fn read_list(
    file: &Arc<str>,
    mut list: Node<'_>,
    version: &str,
    of: &str,
    contents: &mut Contents,
) {
    let Some(items) = list.take("items") else {
        return;
    };
    let line = items.line;
    let Value::List(items) = items.value.value else {
        return;
    };
    for mut item in items {
        // The items of a typed list need not say what they are.
        let add = |item: &mut Node<'_>, key: &'static str, text: &str| {
            let missing = item.find(key).is_none();
            if let Some(entries) = item.entries_mut().filter(|_| missing && !of.is_empty()) {
                let value = Node {
                    line,
                    value: Value::Text(text.to_owned().into()),
                };
                let line = entries.first().map_or(line, |e| e.line);
                entries.insert(
                    0,
                    Entry {
                        key: key.into(),
                        line,
                        value,
                    },
                );
            }
        };
        add(&mut item, "kind", of);
        add(&mut item, "apiVersion", version);
        read_object(file, item, contents);
    }
}

/// The kinds of ours and the version in which each is served.
fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        ("Ingress", "networking.k8s.io/v1"),
        ("IngressClass", "networking.k8s.io/v1"),
        ("Service", "v1"),
        ("EndpointSlice", "discovery.k8s.io/v1"),
        ("Endpoints", "v1"),
        ("Secret", "v1"),
    ]
    .into_iter()
}

fn read_kind(
    file: &Arc<str>,
    mut node: Node<'_>,
    (version, kind): (&str, &str),
    contents: &mut Contents,
) {
    let known = kinds().find(|(known, _)| known.eq_ignore_ascii_case(kind));
    let Some((known, served)) = known else { return };
    let group = version.split_once('/').map_or("", |(group, _)| group);
    // The same word in a group of somebody else is another kind.
    if group.contains('.') && !group.ends_with(".k8s.io") {
        return;
    }
    let retired = match (known, version) {
        ("Ingress", "extensions/v1beta1" | "networking.k8s.io/v1beta1")
        | ("IngressClass", "networking.k8s.io/v1beta1") => legacy::convert(&mut node, known),
        _ => None,
    };
    if (kind, version) != (known, served) && retired.is_none() {
        let line = node.find("apiVersion").map_or(node.line, |n| n.line);
        let message = format!("the API has no kind {kind} in {version}");
        let hint = format!("write apiVersion: {served} and kind: {known}");
        let line = usize::try_from(line).unwrap_or_default();
        contents
            .failures
            .push(Problem::of_document(file, line, message, &hint));
        return;
    }
    let found = match known {
        "Ingress" => found::<Ingress>(file, &node, Kind::Ingress),
        "IngressClass" => found::<IngressClass>(file, &node, Kind::IngressClass),
        "Service" => found::<Service>(file, &node, Kind::Service),
        "EndpointSlice" => found::<EndpointSlice>(file, &node, Kind::EndpointSlice),
        "Endpoints" => found::<Endpoints>(file, &node, Kind::Endpoints),
        _ => found::<Secret>(file, &node, Kind::Secret),
    };
    let mut found = found;
    if let Some(hint) = retired {
        let message = format!("{version} is retired; it is taken as its v1 form");
        found.problems.push(
            found
                .subject
                .problem(Severity::Note, "apiVersion", message, hint),
        );
    }
    contents.found.push(found);
}

/// Decodes and validates an object of ours.
fn found<T>(file: &Arc<str>, node: &Node<'_>, kind: Kind) -> Found
where
    T: DeserializeOwned + Validate,
    Object: Build<T>,
{
    let depth = if kind == Kind::Ingress { usize::MAX } else { 3 };
    let source = Arc::new(Source {
        file: file.clone(),
        lines: Lines::build(node, depth),
    });
    let meta = |key: &str| {
        let value = node
            .find("metadata")
            .and_then(|m| m.find(key))
            .and_then(Node::text);
        value.unwrap_or_default().to_owned()
    };
    let (name, mut namespace) = (meta("name"), meta("namespace"));
    if kind == Kind::IngressClass {
        namespace.clear();
    } else if namespace.is_empty() {
        "default".clone_into(&mut namespace);
    }
    let subject = Subject {
        kind: kind.name(),
        namespace: namespace.clone(),
        name: name.clone(),
        source: Some(source.clone()),
    };
    let mut problems = Vec::new();
    let object = match decode::decode::<T>(node) {
        Ok(object) => {
            validate::metadata(object.metadata(), &subject, &mut problems);
            object.validate(&subject, &mut problems);
            let refused = problems.iter().any(|p| p.severity == Severity::Error);
            (!refused).then(|| Object::build(object, Some(source)))
        }
        Err(mismatch) => {
            let decode::Mismatch {
                field,
                message,
                hint,
            } = mismatch;
            problems.push(subject.problem(Severity::Error, &field, message, hint));
            None
        }
    };
    if kind == Kind::Ingress {
        unknown::check(node, &subject, &mut problems);
    }
    Found {
        key: Key {
            kind,
            namespace,
            name,
        },
        object,
        problems,
        subject,
    }
}

/// How deep a document may be nested; objects of ours are nested far less.
const MAX_DEPTH: usize = 128;

#[cfg(test)]
mod tests;
