//! A document into the objects of ours that it holds.

use std::sync::Arc;

use k8s_openapi::api::{
    core::v1::{ConfigMap, Endpoints, Secret, Service},
    discovery::v1::EndpointSlice,
    networking::v1::{Ingress, IngressClass},
};
use serde::de::DeserializeOwned;

use crate::{
    objects::{Build, Kind, Object, plugin::ApiPlugin},
    problem::{Problem, Severity, Source, Subject},
};

use super::{
    Contents, Found, Key, Lines, decode, legacy,
    node::{Entry, Node, Value},
    unknown,
    validate::{self, Validate},
};

/// Reads one object, or the items of a list of objects.
pub(super) fn read_object(file: &Arc<str>, node: Node<'_>, contents: &mut Contents) {
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
        ("ConfigMap", "v1"),
        ("Plugin", "portcullis.dev/v1alpha1"),
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
    let ours = match known {
        "Plugin" => group == "portcullis.dev",
        _ => group.ends_with(".k8s.io"),
    };
    if group.contains('.') && !ours {
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
    let mut found = match known {
        "Ingress" => in_file::<Ingress>(file, &node, Kind::Ingress),
        "IngressClass" => in_file::<IngressClass>(file, &node, Kind::IngressClass),
        "Service" => in_file::<Service>(file, &node, Kind::Service),
        "EndpointSlice" => in_file::<EndpointSlice>(file, &node, Kind::EndpointSlice),
        "Endpoints" => in_file::<Endpoints>(file, &node, Kind::Endpoints),
        "ConfigMap" => in_file::<ConfigMap>(file, &node, Kind::ConfigMap),
        "Plugin" => in_file::<ApiPlugin>(file, &node, Kind::Plugin),
        _ => in_file::<Secret>(file, &node, Kind::Secret),
    };
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

/// Decodes and validates an object of ours that a file holds.
fn in_file<T>(file: &Arc<str>, node: &Node<'_>, kind: Kind) -> Found
where
    T: DeserializeOwned + Validate,
    Object: Build<T>,
{
    // Problems name the deep fields of these kinds; the others are many, and keep few lines.
    let depth = match kind {
        Kind::Ingress | Kind::Plugin => usize::MAX,
        Kind::IngressClass
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Endpoints
        | Kind::Secret
        | Kind::ConfigMap => 3,
    };
    let source = Arc::new(Source {
        file: file.clone(),
        lines: Lines::build(node, depth),
    });
    found::<T>(Some(source), node, kind)
}

/// Decodes and validates an object of ours, wherever it comes from.
pub(super) fn found<T>(source: Option<Arc<Source>>, node: &Node<'_>, kind: Kind) -> Found
where
    T: DeserializeOwned + Validate,
    Object: Build<T>,
{
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
        source: source.clone(),
    };
    let mut problems = Vec::new();
    let object = match decode::decode::<T>(node) {
        Ok(object) => {
            validate::metadata(object.metadata(), &subject, &mut problems);
            object.validate(&subject, &mut problems);
            let refused = problems.iter().any(|p| p.severity == Severity::Error);
            (!refused).then(|| Object::build(object, source))
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
    unknown::check(kind, node, &subject, &mut problems);
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
