//! The last known objects, by kind, namespace and name.

pub(crate) mod model;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use k8s_openapi::api::{
    core::v1::{Endpoints, Secret as ApiSecret, Service as ApiService},
    discovery::v1::EndpointSlice,
    networking::v1::{Ingress as ApiIngress, IngressClass as ApiClass},
};
use route::Certificate;

use model::{Class, Ingress, Secret, Service, Slice};

use crate::problem::Subject;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The DNS names that it is for, else its common name; lower case, perhaps wildcards.
    pub names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
    /// When it begins, in seconds since 1970.
    pub not_before: i64,
}

/// Looks at a chain and its key, both PEM: the code that serves certificates decides what is usable.
pub type Inspect = fn(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertificateFacts, String>;

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
            fn build(object: $api, source: Option<Arc<crate::problem::Source>>) -> Self {
                let make: fn($api, Option<Arc<crate::problem::Source>>) -> Stored = $make;
                Self(make(object, source))
            }
        })*
    };
}

/// Makes an object that remembers where it was read.
pub(crate) trait Build<T> {
    fn build(object: T, source: Option<Arc<crate::problem::Source>>) -> Self;
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
}

/// The last known objects.
#[derive(Clone, Debug)]
pub struct Objects {
    inspect: Inspect,
    pub(crate) classes: BTreeMap<String, Arc<Class>>,
    pub(crate) ingresses: Store<Arc<Ingress>>,
    pub(crate) services: Store<Arc<Service>>,
    /// By the Service they belong to, then by name.
    slices: Store<BTreeMap<String, Arc<Slice>>>,
    /// The Service that each EndpointSlice belongs to.
    slice_service: Store<String>,
    endpoints: Store<Arc<Vec<Slice>>>,
    secrets: Store<SecretState>,
    /// Deleted Secrets that are kept, as an Ingress names them.
    deleted: BTreeSet<(String, String)>,
    pinned: Option<(String, String)>,
}

/// What is known of a Secret.
#[derive(Clone, Debug)]
pub(crate) struct SecretState {
    /// The Secret itself, and why it cannot be used if so; `None` once it is deleted.
    pub(crate) current: Option<(Arc<Secret>, Option<String>)>,
    /// The last certificate that could be used.
    pub(crate) usable: Option<Usable>,
}

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Usable {
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) facts: Arc<CertificateFacts>,
}

impl Objects {
    /// An empty store. `inspect` decides which certificates are usable, once for each change.
    pub fn new(inspect: Inspect) -> Self {
        Self {
            inspect,
            classes: BTreeMap::new(),
            ingresses: Store::default(),
            services: Store::default(),
            slices: Store::default(),
            slice_service: Store::default(),
            endpoints: Store::default(),
            secrets: Store::default(),
            deleted: BTreeSet::new(),
            pinned: None,
        }
    }

    /// Keeps the last usable certificate of this Secret although no Ingress names it: the default's.
    pub fn pin_secret(&mut self, namespace: &str, name: &str) {
        self.pinned = Some((namespace.to_owned(), name.to_owned()));
    }

    /// Adds or replaces an object.
    pub fn apply(&mut self, object: Object) {
        let Subject {
            namespace, name, ..
        } = object.subject().clone();
        match object.0 {
            Stored::Class(class) => drop(self.classes.insert(name, class)),
            Stored::Ingress(ingress) => {
                self.ingresses.insert(&namespace, name, ingress);
                self.forget_secrets(&namespace);
            }
            Stored::Service(service) => self.services.insert(&namespace, name, service),
            Stored::Slice(slice) => {
                self.delete(Kind::EndpointSlice, &namespace, &name);
                self.slice_service
                    .insert(&namespace, name.clone(), slice.service.clone());
                let service = slice.service.clone();
                self.slices.entry(&namespace, service).insert(name, slice);
            }
            Stored::Endpoints(_, subsets) => self.endpoints.insert(&namespace, name, subsets),
            Stored::Secret(secret) => self.apply_secret(secret),
        }
    }

    /// Removes an object, if it is there.
    pub fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        match kind {
            Kind::IngressClass => drop(self.classes.remove(name)),
            Kind::Ingress => {
                self.ingresses.remove(namespace, name);
                self.forget_secrets(namespace);
            }
            Kind::Service => drop(self.services.remove(namespace, name)),
            Kind::EndpointSlice => {
                let Some(service) = self.slice_service.remove(namespace, name) else {
                    return;
                };
                let of_service = self.slices.entry(namespace, service.clone());
                of_service.remove(name);
                if of_service.is_empty() {
                    self.slices.remove(namespace, &service);
                }
            }
            Kind::Endpoints => drop(self.endpoints.remove(namespace, name)),
            Kind::Secret => {
                if let Some(state) = self.secrets.find_mut(namespace, name) {
                    state.current = None;
                    self.deleted.insert((namespace.to_owned(), name.to_owned()));
                }
                self.forget_secrets(namespace);
            }
        }
    }

    /// Makes these the only objects of their kind, as after a new list from the API server.
    pub fn reset(&mut self, kind: Kind, objects: Vec<Object>) {
        let mut gone = self.names(kind);
        for object in objects.into_iter().filter(|o| o.kind() == kind) {
            let subject = object.subject();
            gone.remove(&(subject.namespace.clone(), subject.name.clone()));
            self.apply(object);
        }
        for (namespace, name) in gone {
            self.delete(kind, &namespace, &name);
        }
    }

    fn names(&self, kind: Kind) -> BTreeSet<(String, String)> {
        match kind {
            Kind::IngressClass => self
                .classes
                .keys()
                .map(|k| (String::new(), k.clone()))
                .collect(),
            Kind::Ingress => self.ingresses.names().collect(),
            Kind::Service => self.services.names().collect(),
            Kind::EndpointSlice => self.slice_service.names().collect(),
            Kind::Endpoints => self.endpoints.names().collect(),
            Kind::Secret => self.secrets.names().collect(),
        }
    }

    /// What is known of a Secret.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&SecretState> {
        self.secrets.find(namespace, name)
    }

    /// The endpoints of a Service: its EndpointSlices, else its Endpoints.
    pub(crate) fn slices(&self, namespace: &str, service: &str) -> Vec<&Slice> {
        if let Some(slices) = self.slices.find(namespace, service) {
            return slices.values().map(Arc::as_ref).collect();
        }
        self.endpoints
            .find(namespace, service)
            .map_or_else(Vec::new, |subsets| subsets.iter().collect())
    }

    fn apply_secret(&mut self, secret: Arc<Secret>) {
        let Subject {
            namespace, name, ..
        } = secret.subject.clone();
        self.deleted.remove(&(namespace.clone(), name.clone()));
        let old = self.secrets.remove(&namespace, &name);
        let (old_current, mut usable) = old.map_or((None, None), |s| (s.current, s.usable));
        let same =
            |o: &(Arc<Secret>, Option<String>)| o.0.chain == secret.chain && o.0.key == secret.key;
        let fault = match (old_current.filter(same), &secret.chain, &secret.key) {
            (Some((_, fault)), ..) => fault,
            (None, Some(chain), Some(key)) => match (self.inspect)(chain, key) {
                Ok(facts) => {
                    let secret = format!("{namespace}/{name}");
                    let certificate = Certificate {
                        secret,
                        chain: chain.clone(),
                        key: key.clone(),
                    };
                    let certificate = Arc::new(certificate);
                    usable = Some(Usable {
                        certificate,
                        facts: Arc::new(facts),
                    });
                    None
                }
                Err(reason) => Some(reason),
            },
            (None, None, _) => Some("it has no tls.crt".to_owned()),
            (None, Some(_), None) => Some("it has no tls.key".to_owned()),
        };
        let state = SecretState {
            current: Some((secret, fault)),
            usable,
        };
        self.secrets.insert(&namespace, name, state);
    }

    /// Drops deleted Secrets of a namespace that no Ingress names any longer.
    fn forget_secrets(&mut self, namespace: &str) {
        if self.deleted.is_empty() {
            return;
        }
        let Self {
            ingresses,
            secrets,
            deleted,
            pinned,
            ..
        } = self;
        let names: BTreeSet<&str> = ingresses
            .of_namespace(namespace)
            .flat_map(|ingress| ingress.tls.iter().filter_map(|tls| tls.secret.as_deref()))
            .collect();
        deleted.retain(|key| {
            let kept = key.0 != namespace
                || names.contains(key.1.as_str())
                || pinned.as_ref() == Some(key);
            if !kept {
                secrets.remove(&key.0, &key.1);
            }
            kept
        });
    }
}

/// Objects by namespace and name.
#[derive(Clone, Debug)]
pub(crate) struct Store<T>(HashMap<String, HashMap<String, T>>);

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Store<T> {
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<&T> {
        self.0.get(namespace)?.get(name)
    }

    fn find_mut(&mut self, namespace: &str, name: &str) -> Option<&mut T> {
        self.0.get_mut(namespace)?.get_mut(name)
    }

    fn entry(&mut self, namespace: &str, name: String) -> &mut T
    where
        T: Default,
    {
        self.0
            .entry(namespace.to_owned())
            .or_default()
            .entry(name)
            .or_default()
    }

    fn insert(&mut self, namespace: &str, name: String, value: T) {
        match self.0.get_mut(namespace) {
            Some(names) => drop(names.insert(name, value)),
            None => drop(
                self.0
                    .insert(namespace.to_owned(), HashMap::from([(name, value)])),
            ),
        }
    }

    fn remove(&mut self, namespace: &str, name: &str) -> Option<T> {
        let names = self.0.get_mut(namespace)?;
        let value = names.remove(name);
        if names.is_empty() {
            self.0.remove(namespace);
        }
        value
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.0.get(namespace).into_iter().flat_map(HashMap::values)
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().flat_map(HashMap::values)
    }

    fn names(&self) -> impl Iterator<Item = (String, String)> {
        self.0
            .iter()
            .flat_map(|(ns, names)| names.keys().map(|name| (ns.clone(), name.clone())))
    }
}

#[cfg(test)]
mod tests;
