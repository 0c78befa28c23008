//! Objects with their versions, and what happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{apply::Owners, resources::Resource};

/// Resource, namespace and name.
pub(super) type Key = (&'static str, String, String);

/// Everything that the server remembers.
#[derive(Default)]
pub(super) struct Store {
    pub(super) version: u64,
    created: u64,
    objects: BTreeMap<Key, Value>,
    pub(super) owners: BTreeMap<Key, Owners>,
    /// What happened after `compacted`.
    history: Vec<Change>,
    pub(super) compacted: u64,
}

/// Something that happened to an object.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
}

impl Store {
    pub(super) fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
        let namespace = if resource.namespaced { namespace } else { "" };
        (resource.stored, namespace.to_owned(), name.to_owned())
    }

    pub(super) fn find(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// Puts an object in its place, as it is but for what the server decides.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Value {
        self.version += 1;
        let old = self.objects.get(&key).cloned();
        let meta = &mut object["metadata"];
        match &old {
            Some(old) => {
                for field in ["uid", "creationTimestamp"] {
                    meta[field] = old["metadata"][field].clone();
                }
                let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
                let changed = old["spec"] != object["spec"];
                object["metadata"]["generation"] = json!(generation + i64::from(changed));
            }
            None => {
                self.created += 1;
                meta["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.created));
                if meta["creationTimestamp"].is_null() {
                    meta["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
                }
                meta["generation"] = json!(1);
            }
        }
        let fields = self.owners.get(&key).map(Owners::managed_fields);
        if let Some(fields) = fields {
            object["metadata"]["managedFields"] = fields;
        }
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key.clone(), object.clone());
        self.history.push(Change {
            version: self.version,
            key,
            old,
            new: Some(object.clone()),
        });
        object
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let mut old = self.objects.remove(key)?;
        self.owners.remove(key);
        self.version += 1;
        old["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.history.push(Change {
            version: self.version,
            key: key.clone(),
            old: Some(old.clone()),
            new: None,
        });
        Some(old)
    }

    /// The objects of a resource, in a namespace if one is named.
    pub(super) fn list<'a>(
        &'a self,
        stored: &'a str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        let of = move |key: &Key| key.0 == stored && namespace.is_none_or(|own| own == key.1);
        self.objects.iter().filter(move |(key, _)| of(key))
    }

    /// What happened since a version.
    pub(super) fn since(&self, version: u64) -> Vec<Change> {
        let start = self
            .history
            .partition_point(|change| change.version <= version);
        self.history[start..].to_vec()
    }

    /// Forgets what happened: whoever wants to go on from before must list.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.version;
    }

    /// Goes back to small versions, as a server does whose data were restored.
    pub(super) fn set_back(&mut self) {
        self.history.clear();
        (self.version, self.compacted) = (1, 1);
        for object in self.objects.values_mut() {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
    }
}
