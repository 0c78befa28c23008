//! An object as the API server sends it, made small while it is read: what cannot be decoded is a
//! problem of that object, and never one of the list that it is in.

use std::{borrow::Cow, fmt, marker::PhantomData, time::Instant};

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{Ingress, IngressClass},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{Deserialize, de::Deserializer};
use serde_json::Value;

use crate::{
    manifest::{self, Found, Node},
    objects::{Kind, plugin::ApiPlugin},
};

/// A kind that can be watched.
pub(super) trait Watched: Resource<DynamicType = ()> + Send + Sync + 'static {
    const KIND: Kind;

    fn read(node: &Node<'_>) -> Found;
}

macro_rules! watched {
    ($($api:ty => $kind:ident),* $(,)?) => {
        $(impl Watched for $api {
            const KIND: Kind = Kind::$kind;

            fn read(node: &Node<'_>) -> Found {
                manifest::read_node::<Self>(node, Self::KIND)
            }
        })*
    };
}

watched! {
    Ingress => Ingress,
    IngressClass => IngressClass,
    Service => Service,
    EndpointSlice => EndpointSlice,
    Secret => Secret,
    ConfigMap => ConfigMap,
    ApiPlugin => Plugin,
}

/// An object of a kind.
pub(super) struct Item<T> {
    meta: ObjectMeta,
    pub(super) found: Found,
    pub(super) facts: Option<Facts>,
    kind: PhantomData<fn() -> T>,
}

/// What the writers of status and events need to know of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) status: Value,
    /// Who wrote fields of the status by server-side apply.
    pub(super) managers: Vec<String>,
    /// When it was seen.
    pub(super) at: Instant,
}

impl<T> Item<T> {
    /// Its version, if the server says one.
    pub(super) fn version(&self) -> Option<&str> {
        self.meta.resource_version.as_deref()
    }
}

impl<'de, T: Watched> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let found = T::read(&node);
        let text = |key: &str| Some(node.find("metadata")?.find(key)?.text()?.to_owned());
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        let wanted = matches!(T::KIND, Kind::Ingress | Kind::Plugin);
        let facts = wanted.then(|| Facts {
            uid: text("uid").unwrap_or_default(),
            generation: node
                .find("metadata")
                .and_then(|meta| meta.find("generation")?.to_json().as_i64())
                .unwrap_or_default(),
            status: node.find("status").map_or(Value::Null, Node::to_json),
            managers: managers(&node),
            at: Instant::now(),
        });
        let kind = PhantomData;
        Ok(Self {
            meta,
            found,
            facts,
            kind,
        })
    }
}

/// Who applied the status.
fn managers(node: &Node<'_>) -> Vec<String> {
    let entries = node
        .find("metadata")
        .and_then(|meta| meta.find("managedFields"))
        .map(Node::items)
        .unwrap_or_default();
    let is = |entry: &Node<'_>, key: &str, value: &str| {
        entry.find(key).and_then(Node::text) == Some(value)
    };
    let of_status = entries
        .iter()
        .filter(|entry| is(entry, "subresource", "status") && is(entry, "operation", "Apply"));
    of_status
        .filter_map(|entry| entry.find("manager")?.text().map(str::to_owned))
        .collect()
}

impl<T> fmt::Debug for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.found.subject.fmt(f)
    }
}

impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            found: self.found.clone(),
            facts: self.facts.clone(),
            kind: PhantomData,
        }
    }
}

impl<T: Resource<DynamicType = ()>> Resource for Item<T> {
    type DynamicType = ();
    type Scope = T::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        T::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        T::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        T::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        T::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
