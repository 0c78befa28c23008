//! The one table of what is watched, and which part of it by whom.

use std::{fmt, future::Future, pin::Pin};

use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret, Service},
    discovery::v1::EndpointSlice,
    networking::v1::{Ingress, IngressClass},
};

use crate::objects::{Kind, plugin::ApiPlugin};

use super::watch::Watch;

/// A kind that is watched.
pub(super) struct Row {
    pub(super) kind: Kind,
    group: &'static str,
    resource: &'static str,
    pub(super) reach: Reach,
    /// Whether none is watched but those that an object names.
    named: bool,
    /// Only objects that match this field selector; others of the kind are watched one by one, if an
    /// object names them.
    fields: Option<&'static str>,
    /// What does not work without it.
    pub(super) without: &'static str,
    pub(super) run: Run,
}

/// What runs a watch.
pub(super) type Run = fn(Watch) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether objects of a kind have namespaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Cluster,
    Namespaced,
}

/// Everything that is watched.
pub(super) static TABLE: [Row; 7] = [
    Row {
        kind: Kind::Ingress,
        group: "networking.k8s.io",
        resource: "ingresses",
        reach: Reach::Namespaced,
        named: false,
        fields: None,
        without: "no Ingress of theirs is served",
        run: |watch| Box::pin(watch.run::<Ingress>()),
    },
    Row {
        kind: Kind::IngressClass,
        group: "networking.k8s.io",
        resource: "ingressclasses",
        reach: Reach::Cluster,
        named: false,
        fields: None,
        without: "Ingresses are told by the names of their classes alone, and none is ours by default",
        run: |watch| Box::pin(watch.run::<IngressClass>()),
    },
    Row {
        kind: Kind::Service,
        group: "",
        resource: "services",
        reach: Reach::Namespaced,
        named: false,
        fields: None,
        without: "their routes answer 503",
        run: |watch| Box::pin(watch.run::<Service>()),
    },
    Row {
        kind: Kind::EndpointSlice,
        group: "discovery.k8s.io",
        resource: "endpointslices",
        reach: Reach::Namespaced,
        named: false,
        fields: None,
        without: "their routes answer 503",
        run: |watch| Box::pin(watch.run::<EndpointSlice>()),
    },
    Row {
        kind: Kind::Secret,
        group: "",
        resource: "secrets",
        reach: Reach::Namespaced,
        named: false,
        fields: Some("type=kubernetes.io/tls"),
        without: "only Secrets that Ingresses and Plugins name are looked for, one by one",
        run: |watch| Box::pin(watch.run::<Secret>()),
    },
    Row {
        kind: Kind::ConfigMap,
        group: "",
        resource: "configmaps",
        reach: Reach::Namespaced,
        named: true,
        fields: None,
        without: "Plugins whose code is in one do not work",
        run: |watch| Box::pin(watch.run::<ConfigMap>()),
    },
    Row {
        kind: Kind::Plugin,
        group: "portcullis.dev",
        resource: "plugins",
        reach: Reach::Namespaced,
        named: false,
        fields: None,
        without: "filters that ship work, Plugins do not",
        run: |watch| Box::pin(watch.run::<ApiPlugin>()),
    },
];

/// Something that one watch is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) scope: Scope,
}

/// Which objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scope {
    All,
    Namespace(String),
    Named(String, String),
}

impl Target {
    /// The targets that make up all that is watched from the start: everything, or these namespaces.
    pub(super) fn initial(namespaces: &[String], shared: &[String]) -> Vec<Self> {
        let mut all = Vec::new();
        for row in TABLE.iter().filter(|row| !row.named) {
            let kind = row.kind;
            if row.reach == Reach::Cluster || namespaces.is_empty() {
                let scope = Scope::All;
                all.push(Self { kind, scope });
                continue;
            }
            let shared = if kind == Kind::Plugin { shared } else { &[] };
            all.extend(namespaces.iter().chain(shared).map(|namespace| {
                let scope = Scope::Namespace(namespace.clone());
                Self { kind, scope }
            }));
        }
        all.sort();
        all.dedup();
        all
    }

    pub(super) fn named(kind: Kind, (namespace, name): (String, String)) -> Self {
        let scope = Scope::Named(namespace, name);
        Self { kind, scope }
    }

    pub(super) fn row(&self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.kind == self.kind)
    }

    pub(super) fn covers(&self, namespace: &str, name: &str) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Namespace(own) => own == namespace,
            Scope::Named(own, object) => own == namespace && object == name,
        }
    }

    pub(super) fn is_named(&self) -> bool {
        matches!(self.scope, Scope::Named(..))
    }

    pub(super) fn namespace(&self) -> &str {
        match &self.scope {
            Scope::All => "",
            Scope::Namespace(namespace) | Scope::Named(namespace, _) => namespace,
        }
    }

    pub(super) fn fields(&self) -> Option<String> {
        match &self.scope {
            Scope::Named(_, name) => Some(format!("metadata.name={name}")),
            Scope::All | Scope::Namespace(_) => self.row()?.fields.map(str::to_owned),
        }
    }

    /// Its name in the API, `ingresses.networking.k8s.io`.
    pub(super) fn resource(&self) -> String {
        match self.row() {
            Some(Row {
                group: "",
                resource,
                ..
            }) => (*resource).to_owned(),
            Some(Row {
                group, resource, ..
            }) => format!("{resource}.{group}"),
            None => self.kind.name().to_owned(),
        }
    }

    /// The rule of RBAC that lets it be watched, and where it belongs.
    pub(super) fn rule(&self) -> String {
        let Some(row) = self.row() else {
            return String::new();
        };
        let place = match &self.scope {
            Scope::All => "the ClusterRole".to_owned(),
            Scope::Namespace(namespace) | Scope::Named(namespace, _) => {
                format!("the Role in the namespace {namespace}")
            }
        };
        let Row {
            group, resource, ..
        } = row;
        format!(
            "add to {place} of the gateway's ServiceAccount the rule \
             {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [get, list, watch]}}"
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.resource();
        match &self.scope {
            Scope::All => f.write_str(&resource),
            Scope::Namespace(namespace) => write!(f, "{resource} of the namespace {namespace}"),
            Scope::Named(namespace, name) => write!(f, "{resource} {namespace}/{name}"),
        }
    }
}
