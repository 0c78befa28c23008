//! Objects on their way into the store.

use std::sync::Arc;

use crate::problem::{Source, Subject};
use k8s_openapi::api::{
    core::v1::{ConfigMap as ApiConfigMap, Endpoints, Secret as ApiSecret, Service as ApiService},
    discovery::v1::EndpointSlice,
    networking::v1::{Ingress as ApiIngress, IngressClass as ApiClass},
};

use super::{
    code::ConfigMap,
    model::{self, Class, Ingress, Secret, Service, Slice},
    plugin::{ApiPlugin, Plugin},
};

/// The kinds of objects that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `networking.k8s.io/v1 IngressClass`
    IngressClass,
    /// `networking.k8s.io/v1 Ingress`
    Ingress,
    /// `v1 Service`
    Service,
    /// `discovery.k8s.io/v1 EndpointSlice`
    EndpointSlice,
    /// `v1 Endpoints`, which count for Services without an EndpointSlice.
    Endpoints,
    /// `v1 Secret`
    Secret,
    /// `v1 ConfigMap`, which may hold the code of Plugins.
    ConfigMap,
    /// `portcullis.dev/v1alpha1 Plugin`
    Plugin,
}

impl Kind {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::IngressClass => "IngressClass",
            Self::Ingress => "Ingress",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Plugin => "Plugin",
        }
    }
}

/// An object to be applied; made from the Kubernetes types.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(pub(crate) Stored);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stored {
    Class(Arc<Class>),
    Ingress(Arc<Ingress>),
    Service(Arc<Service>),
    Slice(Arc<Slice>),
    Endpoints(Subject, Arc<Vec<Slice>>),
    Secret(Arc<Secret>),
    ConfigMap(Arc<ConfigMap>),
    Plugin(Arc<Plugin>),
}

impl Object {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Stored::Class(_) => Kind::IngressClass,
            Stored::Ingress(_) => Kind::Ingress,
            Stored::Service(_) => Kind::Service,
            Stored::Slice(_) => Kind::EndpointSlice,
            Stored::Endpoints(..) => Kind::Endpoints,
            Stored::Secret(_) => Kind::Secret,
            Stored::ConfigMap(_) => Kind::ConfigMap,
            Stored::Plugin(_) => Kind::Plugin,
        }
    }

    pub(crate) fn subject(&self) -> &Subject {
        match &self.0 {
            Stored::Class(class) => &class.subject,
            Stored::Ingress(ingress) => &ingress.subject,
            Stored::Service(service) => &service.subject,
            Stored::Slice(slice) => &slice.subject,
            Stored::Endpoints(subject, _) => subject,
            Stored::Secret(secret) => &secret.subject,
            Stored::ConfigMap(map) => &map.subject,
            Stored::Plugin(plugin) => &plugin.subject,
        }
    }
}

macro_rules! object_from {
    ($($api:ty => $make:expr),* $(,)?) => {
        $(impl From<$api> for Object {
            fn from(object: $api) -> Self {
                Self::build(object, None)
            }
        }
        impl Build<$api> for Object {
            fn build(object: $api, source: Option<Arc<Source>>) -> Self {
                let make: fn($api, Option<Arc<Source>>) -> Stored = $make;
                Self(make(object, source))
            }
        })*
    };
}

/// Makes an object that remembers where it was read.
pub(crate) trait Build<T> {
    fn build(object: T, source: Option<Arc<Source>>) -> Self;
}

object_from! {
    ApiClass => |object, source| Stored::Class(Arc::new(Class::build(object, source))),
    ApiIngress => |object, source| Stored::Ingress(Arc::new(Ingress::build(object, source))),
    ApiService => |object, source| Stored::Service(Arc::new(Service::build(object, source))),
    EndpointSlice => |object, source| Stored::Slice(Arc::new(Slice::build(object, source))),
    Endpoints => |object, source| {
        let subject = model::subject("Endpoints", &object.metadata, source.clone());
        Stored::Endpoints(subject, Arc::new(Slice::build_all(object, source)))
    },
    ApiSecret => |object, source| Stored::Secret(Arc::new(Secret::build(object, source))),
    ApiConfigMap => |object, source| Stored::ConfigMap(Arc::new(ConfigMap::build(object, source))),
    ApiPlugin => |object, source| Stored::Plugin(Arc::new(Plugin::build(object, source))),
}
