//! Fields of an Ingress or Plugin that the API does not have: it drops them, which is surely not what
//! was meant.

use crate::{
    annotations::distance,
    objects::Kind,
    problem::{Problem, Severity, Subject},
};

use super::node::{Node, push_key};

/// Warns of the fields that are not known.
pub(super) fn check(kind: Kind, object: &Node<'_>, subject: &Subject, problems: &mut Vec<Problem>) {
    let shape = match kind {
        Kind::Ingress => INGRESS,
        Kind::Plugin => PLUGIN,
        // Those are written by others, and hold much that is not for a gateway.
        Kind::IngressClass
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Endpoints
        | Kind::Secret
        | Kind::ConfigMap => return,
    };
    let mut walk = Walk { subject, problems };
    walk.check(object, shape, &mut String::new());
}

struct Walk<'a> {
    subject: &'a Subject,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn check(&mut self, node: &Node<'_>, shape: Shape, path: &mut String) {
        let length = path.len();
        for (index, item) in node.items().iter().enumerate() {
            path.push_str(&format!("[{index}]"));
            self.check(item, shape, path);
            path.truncate(length);
        }
        for entry in node.entries() {
            push_key(path, &entry.key);
            match shape.0.iter().find(|(key, _)| *key == entry.key) {
                Some((_, Some(inner))) => self.check(&entry.value, *inner, path),
                Some((_, None)) => {}
                None => self.report(&entry.key, shape, path),
            }
            path.truncate(length);
        }
    }

    fn report(&mut self, key: &str, shape: Shape, path: &str) {
        let near = shape
            .0
            .iter()
            .map(|(known, _)| (distance(known, key), *known))
            .min();
        let hint = match (key, near) {
            ("serviceName" | "servicePort", _) => {
                "write service: {name: …, port: {number: …}}".to_owned()
            }
            ("backend", _) if path == "spec.backend" => "write defaultBackend".to_owned(),
            (_, Some((distance, known))) if distance <= 3 => format!("write {known}"),
            _ => "take it out, or mend its indentation".to_owned(),
        };
        let message = "the API has no such field and drops it";
        self.problems
            .push(self.subject.problem(Severity::Warning, path, message, hint));
    }
}

/// The fields of an object, each with those of its value; `None` for values that are not looked into.
#[derive(Clone, Copy)]
struct Shape(&'static [(&'static str, Option<Self>)]);

const INGRESS: Shape = Shape(&[
    ("apiVersion", None),
    ("kind", None),
    ("metadata", None),
    ("spec", Some(SPEC)),
    ("status", None),
]);
const SPEC: Shape = Shape(&[
    ("defaultBackend", Some(BACKEND)),
    ("ingressClassName", None),
    ("rules", Some(RULE)),
    ("tls", Some(Shape(&[("hosts", None), ("secretName", None)]))),
]);
const RULE: Shape = Shape(&[
    ("host", None),
    ("http", Some(Shape(&[("paths", Some(PATH))]))),
]);
const PATH: Shape = Shape(&[
    ("backend", Some(BACKEND)),
    ("path", None),
    ("pathType", None),
]);
const BACKEND: Shape = Shape(&[("resource", None), ("service", Some(SERVICE))]);
const SERVICE: Shape = Shape(&[
    ("name", None),
    ("port", Some(Shape(&[("name", None), ("number", None)]))),
]);

const PLUGIN: Shape = Shape(&[
    ("apiVersion", None),
    ("kind", None),
    ("metadata", None),
    ("spec", Some(PLUGIN_SPEC)),
    ("status", None),
]);
const PLUGIN_SPEC: Shape = Shape(&[
    ("source", Some(SOURCE)),
    ("sha256", None),
    ("grants", Some(GRANTS)),
    (
        "limits",
        Some(Shape(&[("memory", None), ("time", None), ("body", None)])),
    ),
    ("isolation", None),
    ("onError", None),
    ("allowedNamespaces", None),
    ("config", None),
]);
const SOURCE: Shape = Shape(&[
    ("file", None),
    ("oci", None),
    ("url", None),
    ("pullSecret", None),
    ("configMap", Some(Shape(&[("name", None), ("key", None)]))),
]);
const GRANTS: Shape = Shape(&[
    ("http", None),
    ("keyValue", Some(Shape(&[("maxBytes", None)]))),
    ("rateLimit", None),
    ("metrics", None),
    ("random", None),
    ("backends", None),
]);
