//! What is kept of Kubernetes objects: small, and already in the terms of the translation.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{Secret as ApiSecret, Service as ApiService},
        networking::v1::{Ingress as ApiIngress, IngressBackend, IngressClass as ApiClass},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
    jiff::Timestamp,
};
use route::EndpointState;

use crate::{
    annotations,
    problem::{Source, Subject},
};

#[derive(Debug, PartialEq)]
pub(crate) struct Ingress {
    pub(crate) subject: Subject,
    pub(crate) created: Option<Timestamp>,
    pub(crate) class: Option<String>,
    /// Those that mean something here.
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) default_backend: Option<BackendRef>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tls: Vec<Tls>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Rule {
    /// Empty for any.
    pub(crate) host: String,
    pub(crate) paths: Vec<Path>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) path: String,
    pub(crate) path_type: String,
    pub(crate) backend: BackendRef,
}

#[derive(Debug, PartialEq)]
pub(crate) enum BackendRef {
    Service { name: String, port: PortRef },
    Resource { kind: String, name: String },
    Nothing,
}

#[derive(Debug, PartialEq, Eq, Clone, Hash)]
pub(crate) enum PortRef {
    Name(String),
    Number(u16),
    Nothing,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Tls {
    pub(crate) hosts: Vec<String>,
    pub(crate) secret: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Class {
    pub(crate) subject: Subject,
    pub(crate) controller: String,
    pub(crate) marking: Marking,
    pub(crate) parameters: bool,
}

/// Whether a class is marked as the cluster's default.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Marking {
    Default,
    Plain,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Service {
    pub(crate) subject: Subject,
    /// The DNS name of a Service of type ExternalName.
    pub(crate) external_name: Option<String>,
    pub(crate) ports: Vec<ServicePort>,
    pub(crate) first_family: Family,
}

#[derive(Debug, PartialEq)]
pub(crate) struct ServicePort {
    pub(crate) name: String,
    pub(crate) number: u16,
    /// The port of the endpoints where no EndpointSlice says: `None` if it has a name.
    pub(crate) target: Option<u16>,
    pub(crate) transport: Transport,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Transport {
    Tcp,
    Other,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Family {
    V4,
    V6,
    /// Names, which are not used.
    Fqdn,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) subject: Subject,
    pub(crate) service: String,
    pub(crate) family: Family,
    pub(crate) ports: Vec<SlicePort>,
    pub(crate) endpoints: Vec<SliceEndpoint>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct SlicePort {
    pub(crate) name: String,
    pub(crate) number: Option<u16>,
    pub(crate) transport: Transport,
}

#[derive(Debug, PartialEq)]
pub(crate) struct SliceEndpoint {
    pub(crate) address: IpAddr,
    pub(crate) state: EndpointState,
    pub(crate) uid: Option<String>,
}

#[derive(PartialEq)]
pub(crate) struct Secret {
    pub(crate) subject: Subject,
    pub(crate) chain: Option<Vec<u8>>,
    pub(crate) key: Option<Vec<u8>>,
    /// Logins for registries.
    pub(crate) logins: Option<Vec<u8>>,
}

impl std::fmt::Debug for Secret {
    // The key never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

pub(crate) fn subject(
    kind: &'static str,
    meta: &ObjectMeta,
    source: Option<Arc<Source>>,
) -> Subject {
    let namespace = meta.namespace.clone().filter(|n| !n.is_empty());
    let namespace = if kind == "IngressClass" {
        String::new()
    } else {
        namespace.unwrap_or_else(|| "default".to_owned())
    };
    Subject {
        kind,
        namespace,
        name: meta.name.clone().unwrap_or_default(),
        source,
    }
}

impl Ingress {
    pub(crate) fn build(object: ApiIngress, source: Option<Arc<Source>>) -> Self {
        let subject = subject("Ingress", &object.metadata, source);
        let spec = object.spec.unwrap_or_default();
        let annotations = object.metadata.annotations.unwrap_or_default().into_iter();
        let rules = spec.rules.unwrap_or_default().into_iter().map(|rule| Rule {
            host: rule.host.unwrap_or_default(),
            paths: rule.http.map_or_else(Vec::new, |http| {
                let path = |p: k8s_openapi::api::networking::v1::HTTPIngressPath| Path {
                    path: p.path.unwrap_or_default(),
                    path_type: p.path_type,
                    backend: BackendRef::build(p.backend),
                };
                http.paths.into_iter().map(path).collect()
            }),
        });
        let tls = spec.tls.unwrap_or_default().into_iter().map(|tls| Tls {
            hosts: tls.hosts.unwrap_or_default(),
            secret: tls.secret_name.filter(|name| !name.is_empty()),
        });
        Self {
            subject,
            created: object.metadata.creation_timestamp.map(|t| t.0),
            class: spec.ingress_class_name.filter(|name| !name.is_empty()),
            annotations: annotations
                .filter(|(key, _)| annotations::concerns_us(key))
                .collect(),
            default_backend: spec.default_backend.map(BackendRef::build),
            rules: rules.collect(),
            tls: tls.collect(),
        }
    }

    /// An annotation's value.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }
}

impl BackendRef {
    fn build(backend: IngressBackend) -> Self {
        if let Some(resource) = backend.resource {
            return Self::Resource {
                kind: resource.kind,
                name: resource.name,
            };
        }
        let Some(service) = backend.service else {
            return Self::Nothing;
        };
        let port = service.port.unwrap_or_default();
        let number = port
            .number
            .and_then(|n| u16::try_from(n).ok())
            .filter(|n| *n > 0);
        let port = match (port.name.filter(|name| !name.is_empty()), number) {
            (Some(name), _) => PortRef::Name(name),
            (None, Some(number)) => PortRef::Number(number),
            (None, None) => PortRef::Nothing,
        };
        Self::Service {
            name: service.name,
            port,
        }
    }
}

impl Class {
    pub(crate) fn build(object: ApiClass, source: Option<Arc<Source>>) -> Self {
        let subject = subject("IngressClass", &object.metadata, source);
        let marked = object.metadata.annotations.is_some_and(|a| {
            a.get(annotations::DEFAULT_CLASS)
                .is_some_and(|value| value == "true")
        });
        let spec = object.spec.unwrap_or_default();
        Self {
            subject,
            controller: spec.controller.unwrap_or_default(),
            marking: if marked {
                Marking::Default
            } else {
                Marking::Plain
            },
            parameters: spec.parameters.is_some(),
        }
    }
}

impl Service {
    pub(crate) fn build(object: ApiService, source: Option<Arc<Source>>) -> Self {
        let subject = subject("Service", &object.metadata, source);
        let spec = object.spec.unwrap_or_default();
        let ports = spec
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter_map(|port| {
                let number = u16::try_from(port.port).ok()?;
                let target = match port.target_port {
                    None => Some(number),
                    Some(IntOrString::Int(target)) => u16::try_from(target).ok().filter(|t| *t > 0),
                    Some(IntOrString::String(_)) => None,
                };
                let transport = Transport::of(port.protocol.as_deref());
                Some(ServicePort {
                    name: port.name.unwrap_or_default(),
                    number,
                    target,
                    transport,
                })
            });
        let v6 = match spec.ip_families.unwrap_or_default().first() {
            Some(family) => family == "IPv6",
            None => spec.cluster_ip.is_some_and(|ip| ip.contains(':')),
        };
        let external = spec.type_.as_deref() == Some("ExternalName");
        Self {
            subject,
            external_name: external.then(|| spec.external_name.unwrap_or_default()),
            ports: ports.collect(),
            first_family: if v6 { Family::V6 } else { Family::V4 },
        }
    }
}

impl Secret {
    pub(crate) fn build(object: ApiSecret, source: Option<Arc<Source>>) -> Self {
        let subject = subject("Secret", &object.metadata, source);
        let mut data = object.data.unwrap_or_default();
        let mut text = object.string_data.unwrap_or_default();
        // What `stringData` has goes over what `data` has.
        let mut take = |key: &str| {
            let own = data.remove(key).map(|bytes| bytes.0);
            text.remove(key).map(String::into_bytes).or(own)
        };
        Self {
            subject,
            chain: take("tls.crt"),
            key: take("tls.key"),
            logins: take(".dockerconfigjson"),
        }
    }
}
