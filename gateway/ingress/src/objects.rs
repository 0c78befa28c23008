//! The last known objects, by kind, namespace and name.

mod changes;
pub(crate) mod code;
#[cfg(test)]
mod crd;
pub(crate) mod model;
mod object;
mod place;
pub(crate) mod plugin;
mod slice;
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use route::Certificate;

use crate::problem::Subject;
use code::ConfigMap;
use model::{Class, Ingress, Secret, Service, Slice};
use object::Stored;
use plugin::Plugin;
use store::Store;

pub use changes::Changes;
pub(crate) use object::Build;
pub use object::{Kind, Object};

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

/// The last known objects.
#[derive(Clone, Debug)]
pub struct Objects {
    inspect: Inspect,
    pub(crate) classes: BTreeMap<String, Arc<Class>>,
    ingresses: Store<Arc<Ingress>>,
    by_age: BTreeMap<Age, Arc<Ingress>>,
    pub(crate) services: Store<Arc<Service>>,
    /// By the Service they belong to, then by name.
    slices: Store<BTreeMap<String, Arc<Slice>>>,
    /// The Service that each EndpointSlice belongs to.
    slice_service: Store<String>,
    endpoints: Store<Arc<Vec<Slice>>>,
    pub(crate) plugins: Store<Arc<Plugin>>,
    pub(crate) config_maps: Store<Arc<ConfigMap>>,
    secrets: Store<SecretState>,
    /// Deleted Secrets that are kept, as an Ingress names them.
    deleted: BTreeSet<(String, String)>,
    pinned: Option<(String, String)>,
    changes: Changes,
}

/// The order of Ingresses: by the time of creation, those without one last, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    undated: bool,
    created: Option<Timestamp>,
    namespace: String,
    name: String,
}

impl Age {
    fn of(ingress: &Ingress) -> Self {
        let Subject {
            namespace, name, ..
        } = &ingress.subject;
        let (namespace, name) = (namespace.clone(), name.clone());
        Self {
            undated: ingress.created.is_none(),
            created: ingress.created,
            namespace,
            name,
        }
    }
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
            by_age: BTreeMap::new(),
            services: Store::default(),
            slices: Store::default(),
            slice_service: Store::default(),
            endpoints: Store::default(),
            plugins: Store::default(),
            config_maps: Store::default(),
            secrets: Store::default(),
            deleted: BTreeSet::new(),
            pinned: None,
            changes: Changes::default(),
        }
    }

    /// Keeps the last usable certificate of this Secret although no Ingress names it: the default's.
    pub fn pin_secret(&mut self, namespace: &str, name: &str) {
        self.pinned = Some((namespace.to_owned(), name.to_owned()));
    }

    /// What changed since this was last asked for.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Adds or replaces an object.
    pub fn apply(&mut self, object: Object) {
        if self.holds(&object) {
            return;
        }
        self.changes.note(&object);
        let Subject {
            namespace, name, ..
        } = object.subject().clone();
        match object.0 {
            Stored::Class(class) => drop(self.classes.insert(name, class)),
            Stored::Ingress(ingress) => {
                self.remove_ingress(&namespace, &name);
                self.by_age.insert(Age::of(&ingress), ingress.clone());
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
            Stored::ConfigMap(map) => self.config_maps.insert(&namespace, name, map),
            Stored::Plugin(plugin) => self.plugins.insert(&namespace, name, plugin),
            Stored::Secret(secret) => self.apply_secret(secret),
        }
    }

    /// Removes an object, if it is there.
    pub fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.changes.gone(kind, namespace, name);
        match kind {
            Kind::IngressClass => drop(self.classes.remove(name)),
            Kind::Ingress => {
                self.remove_ingress(namespace, name);
                self.forget_secrets(namespace);
            }
            Kind::Service => drop(self.services.remove(namespace, name)),
            Kind::EndpointSlice => {
                let Some(service) = self.slice_service.remove(namespace, name) else {
                    return;
                };
                self.changes.moved(namespace, &service);
                let of_service = self.slices.entry(namespace, service.clone());
                of_service.remove(name);
                if of_service.is_empty() {
                    self.slices.remove(namespace, &service);
                }
            }
            Kind::Endpoints => drop(self.endpoints.remove(namespace, name)),
            Kind::ConfigMap => drop(self.config_maps.remove(namespace, name)),
            Kind::Plugin => drop(self.plugins.remove(namespace, name)),
            Kind::Secret => {
                if let Some(state) = self.secrets.find_mut(namespace, name) {
                    state.current = None;
                    self.deleted.insert((namespace.to_owned(), name.to_owned()));
                }
                self.forget_secrets(namespace);
            }
        }
    }

    /// Whether an object of this kind is known.
    pub(crate) fn contains(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.subject(kind, namespace, name).is_some()
    }

    /// Whether this very object is known.
    pub(crate) fn holds(&self, object: &Object) -> bool {
        let Subject {
            namespace, name, ..
        } = object.subject();
        match &object.0 {
            Stored::Class(class) => self.classes.get(name) == Some(class),
            Stored::Ingress(ingress) => self.ingresses.find(namespace, name) == Some(ingress),
            Stored::Service(service) => self.services.find(namespace, name) == Some(service),
            Stored::Slice(slice) => {
                let of_service = self.slices.find(namespace, &slice.service);
                of_service.and_then(|slices| slices.get(name)) == Some(slice)
            }
            Stored::Endpoints(_, subsets) => self.endpoints.find(namespace, name) == Some(subsets),
            Stored::ConfigMap(map) => self.config_maps.find(namespace, name) == Some(map),
            Stored::Plugin(plugin) => self.plugins.find(namespace, name) == Some(plugin),
            Stored::Secret(secret) => {
                let current = self.secrets.find(namespace, name);
                let current = current.and_then(|state| state.current.as_ref());
                current.is_some_and(|(current, _)| current == secret)
            }
        }
    }

    /// The namespaces and names of all objects of a kind.
    pub(crate) fn names(&self, kind: Kind) -> BTreeSet<(String, String)> {
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
            Kind::ConfigMap => self.config_maps.names().collect(),
            Kind::Plugin => self.plugins.names().collect(),
            Kind::Secret => self.secrets.names().collect(),
        }
    }

    /// All Ingresses, oldest first; one without a time of creation is the youngest.
    pub(crate) fn ingresses(&self) -> impl Iterator<Item = &Ingress> {
        self.by_age.values().map(Arc::as_ref)
    }

    fn remove_ingress(&mut self, namespace: &str, name: &str) {
        if let Some(old) = self.ingresses.remove(namespace, name) {
            self.by_age.remove(&Age::of(&old));
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

#[cfg(test)]
mod tests;
