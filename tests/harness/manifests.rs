//! Kubernetes objects as tests write them.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::Pair;

/// A Kubernetes object.
#[derive(Clone, Debug)]
pub struct Object(pub Value);

impl Object {
    /// The file that holds it: one of its own, named after it.
    pub fn file(&self) -> String {
        let text = |pointer: &str| {
            self.0
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("none")
        };
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        format!("{kind}-{}-{name}.yaml", text("/metadata/namespace"))
    }

    /// Moves it into a namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.0["metadata"]["namespace"] = json!(namespace);
        self
    }

    /// Sets anything, by its JSON pointer without the leading slash; parents must exist.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut at = &mut self.0;
        for key in pointer.split('/') {
            at = match key.parse::<usize>() {
                Ok(index) if at.is_array() => &mut at[index],
                _ => &mut at[key],
            };
        }
        *at = value;
        self
    }
}

/// A Service port: by number or by name.
#[derive(Clone, Debug)]
pub enum Port {
    /// `port.number`.
    Number(u16),
    /// `port.name`.
    Name(String),
}

impl From<u16> for Port {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Port {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

/// An Ingress in the making.
#[derive(Clone, Debug)]
pub struct IngressBuilder(Value);

/// An Ingress of our class, in the namespace `default`, without rules yet.
pub fn ingress(name: &str) -> IngressBuilder {
    IngressBuilder(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ingressClassName": "portcullis"},
    }))
}

impl IngressBuilder {
    /// Moves it into a namespace.
    pub fn namespace(self, namespace: &str) -> Self {
        self.set(|v| v["metadata"]["namespace"] = json!(namespace))
    }

    /// Sets its class.
    pub fn class(self, class: &str) -> Self {
        self.set(|v| v["spec"]["ingressClassName"] = json!(class))
    }

    /// Leaves the class out.
    pub fn without_class(self) -> Self {
        self.set(|v| {
            drop(
                v["spec"]
                    .as_object_mut()
                    .and_then(|spec| spec.remove("ingressClassName")),
            );
        })
    }

    /// When it was created.
    pub fn created(self, time: &str) -> Self {
        self.set(|v| v["metadata"]["creationTimestamp"] = json!(time))
    }

    /// Adds an annotation.
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.set(|v| v["metadata"]["annotations"][key] = json!(value))
    }

    /// Begins a rule for a host.
    pub fn host(self, host: &str) -> Self {
        self.push("rules", json!({"host": host}))
    }

    /// Adds a Prefix path to the last rule.
    pub fn path(self, path: &str, service: &str, port: impl Into<Port>) -> Self {
        self.typed("Prefix", path, service, port)
    }

    /// Adds an Exact path to the last rule.
    pub fn exact(self, path: &str, service: &str, port: impl Into<Port>) -> Self {
        self.typed("Exact", path, service, port)
    }

    /// Adds a path of any type to the last rule; without one, to a rule without a host.
    pub fn typed(self, kind: &str, path: &str, service: &str, port: impl Into<Port>) -> Self {
        let backend = backend(service, &port.into());
        let this = match self.0["spec"]["rules"].as_array() {
            Some(_) => self,
            None => self.push("rules", json!({})),
        };
        this.set(|v| {
            let rules = v["spec"]["rules"].as_array_mut().expect("rules");
            let rule = rules.last_mut().expect("a rule");
            if rule["http"]["paths"].is_null() {
                rule["http"] = json!({"paths": []});
            }
            let paths = rule["http"]["paths"].as_array_mut().expect("paths");
            paths.push(json!({"path": path, "pathType": kind, "backend": backend}));
        })
    }

    /// Sets the default backend.
    pub fn default_backend(self, service: &str, port: impl Into<Port>) -> Self {
        let backend = backend(service, &port.into());
        self.set(|v| v["spec"]["defaultBackend"] = backend)
    }

    /// Adds a `tls` entry.
    pub fn tls(self, hosts: &[&str], secret: &str) -> Self {
        self.push("tls", json!({"hosts": hosts, "secretName": secret}))
    }

    /// The object, to change further.
    pub fn object(self) -> Object {
        Object(self.0)
    }

    fn push(self, list: &str, value: Value) -> Self {
        self.set(|v| {
            if v["spec"][list].is_null() {
                v["spec"][list] = json!([]);
            }
            v["spec"][list].as_array_mut().expect("a list").push(value);
        })
    }

    fn set(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.0);
        self
    }
}

impl From<IngressBuilder> for Object {
    fn from(builder: IngressBuilder) -> Self {
        builder.object()
    }
}

fn backend(service: &str, port: &Port) -> Value {
    let port = match port {
        Port::Number(number) => json!({"number": number}),
        Port::Name(name) => json!({"name": name}),
    };
    json!({"service": {"name": service, "port": port}})
}

/// A Service with these named ports; its target ports are none of the tests' business.
pub fn service(name: &str, ports: &[(&str, u16)]) -> Object {
    let port = |(name, port): &(&str, u16)| json!({"name": name, "port": port, "targetPort": 1, "protocol": "TCP"});
    Object(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": ports.iter().map(port).collect::<Vec<_>>()},
    }))
}

/// An EndpointSlice of a Service with one named port.
pub fn slice(service: &str, suffix: &str, port: (&str, u16), endpoints: &[Value]) -> Object {
    Object(json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-{suffix}"),
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": port.0, "port": port.1, "protocol": "TCP"}],
        "endpoints": endpoints,
    }))
}

/// An endpoint of a slice, with these conditions.
pub fn endpoint(address: SocketAddr, conditions: &Value) -> Value {
    json!({"addresses": [address.ip().to_string()], "conditions": conditions})
}

/// A TLS Secret.
pub fn secret(name: &str, pair: &Pair) -> Object {
    Object(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"tls.crt": STANDARD.encode(&pair.chain), "tls.key": STANDARD.encode(&pair.key)},
    }))
}

/// An IngressClass.
pub fn ingress_class(name: &str, controller: &str, default: bool) -> Object {
    let default = json!({"ingressclass.kubernetes.io/is-default-class": default.to_string()});
    Object(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name, "annotations": default},
        "spec": {"controller": controller},
    }))
}
