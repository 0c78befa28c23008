//! The retired v1beta1 forms of Ingress and IngressClass into v1.

use super::node::{Entry, Node, Value};

/// Converts an object in place; gives the hint that shows the v1 form.
pub(super) fn convert(object: &mut Node<'_>, kind: &str) -> Option<String> {
    if let Some(version) = object.find_mut("apiVersion") {
        version.value = Value::Text("networking.k8s.io/v1".into());
    }
    if kind == "Ingress"
        && let Some(spec) = object.find_mut("spec")
    {
        convert_spec(spec);
    }
    let shown = ["apiVersion", "kind", "spec"].into_iter();
    let shown = shown.filter_map(|key| Some((key.to_owned(), object.find(key)?.to_json())));
    Some(format!(
        "write {}",
        serde_json::Value::Object(shown.collect())
    ))
}

fn convert_spec(spec: &mut Node<'_>) {
    if let Some(mut entry) = spec.take("backend") {
        convert_backend(&mut entry.value);
        entry.key = "defaultBackend".into();
        if let Some(entries) = spec.entries_mut() {
            entries.push(entry);
        }
    }
    let rules = spec
        .find_mut("rules")
        .map(Node::items_mut)
        .unwrap_or_default();
    for rule in rules {
        let paths = rule
            .find_mut("http")
            .and_then(|http| http.find_mut("paths"));
        for path in paths.map(Node::items_mut).unwrap_or_default() {
            convert_path(path);
        }
    }
}

fn convert_path(path: &mut Node<'_>) {
    if let Some(backend) = path.find_mut("backend") {
        convert_backend(backend);
    }
    let missing = path.find("pathType").is_none_or(|t| t.value == Value::Null);
    let line = path.line;
    if missing {
        path.take("pathType");
        if let Some(entries) = path.entries_mut() {
            entries.push(entry(
                "pathType",
                line,
                Value::Text("ImplementationSpecific".into()),
            ));
        }
    }
}

/// `{serviceName, servicePort}` into `{service: {name, port: {name or number}}}`.
fn convert_backend(backend: &mut Node<'_>) {
    let name = backend.take("serviceName");
    let port = backend.take("servicePort");
    let line = name
        .as_ref()
        .or(port.as_ref())
        .map_or(backend.line, |e| e.line);
    if name.is_none() && port.is_none() {
        return;
    }
    let mut service = Vec::new();
    if let Some(mut name) = name {
        name.key = "name".into();
        service.push(name);
    }
    if let Some(port) = port {
        let number = matches!(port.value.value, Value::Int(_));
        let key = if number { "number" } else { "name" };
        let inner = Entry {
            key: key.into(),
            ..port
        };
        service.push(entry("port", inner.line, Value::Map(vec![inner])));
    }
    if let Some(entries) = backend.entries_mut() {
        entries.push(entry("service", line, Value::Map(service)));
    }
}

fn entry<'a>(key: &'static str, line: u32, value: Value<'a>) -> Entry<'a> {
    Entry {
        key: key.into(),
        line,
        value: Node { line, value },
    }
}
