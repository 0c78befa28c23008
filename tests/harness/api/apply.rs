//! Patches: server-side apply with its owners, and merges.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The way to a value: keys of maps, and for conditions their type.
type Path = Vec<String>;

/// Which manager applied what, by manager and subresource.
#[derive(Clone, Default)]
pub(super) struct Owners(BTreeMap<(String, String), BTreeMap<Path, Value>>);

impl Owners {
    /// Applies a manager's view of an object; the managers that it conflicts with, unless forced.
    pub(super) fn apply(
        &mut self,
        (manager, subresource): (&str, &str),
        object: &mut Value,
        wanted: &Value,
        force: bool,
    ) -> Result<(), Vec<String>> {
        let mut leaves = BTreeMap::new();
        flatten(wanted, &mut Vec::new(), &mut leaves);
        leaves.retain(|path, _| {
            let step = |at: usize| path.get(at).map(String::as_str);
            let named = matches!(
                step(1),
                Some("name" | "namespace" | "uid" | "resourceVersion")
            );
            match step(0) {
                Some("apiVersion" | "kind") => false,
                Some("metadata") if named => false,
                first => subresource.is_empty() != (first == Some("status")),
            }
        });
        let own = (manager.to_owned(), subresource.to_owned());
        let against: Vec<String> = self
            .0
            .iter()
            .filter(|(other, _)| **other != own)
            .filter(|(_, held)| {
                leaves
                    .iter()
                    .any(|(path, value)| held.get(path).is_some_and(|theirs| theirs != value))
            })
            .map(|((manager, _), _)| manager.clone())
            .collect();
        if !force && !against.is_empty() {
            return Err(against);
        }
        let before = self
            .0
            .insert(own.clone(), leaves.clone())
            .unwrap_or_default();
        for (other, held) in &mut self.0 {
            if *other != own {
                held.retain(|path, value| leaves.get(path).is_none_or(|new| new == value));
            }
        }
        let held: BTreeSet<&Path> = self.0.values().flat_map(BTreeMap::keys).collect();
        for path in before.keys().filter(|path| !held.contains(path)) {
            remove(object, path);
        }
        for (path, value) in &leaves {
            set(object, path, value.clone());
        }
        Ok(())
    }

    /// A write that is no apply takes what it changes from all others.
    pub(super) fn overwrite(&mut self, object: &Value) {
        let mut leaves = BTreeMap::new();
        flatten(object, &mut Vec::new(), &mut leaves);
        for held in self.0.values_mut() {
            held.retain(|path, value| leaves.get(path) == Some(value));
        }
        self.0.retain(|_, held| !held.is_empty());
    }

    pub(super) fn managed_fields(&self) -> Value {
        let entries = self.0.iter().filter(|(_, held)| !held.is_empty());
        entries
            .map(|((manager, subresource), held)| {
                let mut fields = json!({});
                held.keys().for_each(|path| own(&mut fields, path));
                let mut entry = json!({"manager": manager, "operation": "Apply",
                    "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                    "fieldsType": "FieldsV1", "fieldsV1": fields});
                if !subresource.is_empty() {
                    entry["subresource"] = json!(subresource);
                }
                entry
            })
            .collect()
    }
}

/// Marks a path as owned.
fn own(fields: &mut Value, path: &[String]) {
    let mut at = fields;
    for step in path {
        at = &mut at[format!("f:{step}")];
        if at.is_null() {
            *at = json!({});
        }
    }
}

/// The leaves of an object. Lists are leaves, but for conditions, which are apart by their type.
fn flatten(value: &Value, path: &mut Path, leaves: &mut BTreeMap<Path, Value>) {
    let conditions = path.last().is_some_and(|key| key == "conditions");
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                flatten(value, path, leaves);
                path.pop();
            }
        }
        Value::Array(items) if conditions => {
            for item in items {
                path.push(item["type"].as_str().unwrap_or_default().to_owned());
                leaves.insert(path.clone(), item.clone());
                path.pop();
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            leaves.insert(path.clone(), value.clone());
        }
    }
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let [key, rest @ ..] = path else {
        *object = value;
        return;
    };
    if key == "conditions" && rest.len() == 1 {
        if !object["conditions"].is_array() {
            object["conditions"] = json!([]);
        }
        let items = object["conditions"].as_array_mut().expect("a list");
        items.retain(|item| item["type"] != json!(rest[0]));
        items.push(value);
        return;
    }
    if !object.is_object() {
        *object = json!({});
    }
    set(&mut object[key.as_str()], rest, value);
}

fn remove(object: &mut Value, path: &[String]) {
    match path {
        [conditions, kind] if conditions == "conditions" => {
            if let Some(items) = object["conditions"].as_array_mut() {
                items.retain(|item| item["type"] != json!(kind));
            }
        }
        [key] => drop(object.as_object_mut().and_then(|map| map.remove(key))),
        [key, rest @ ..] => {
            if let Some(inner) = object.get_mut(key.as_str()) {
                remove(inner, rest);
            }
        }
        [] => {}
    }
}

/// JSON merge patch (RFC 7396).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().expect("a map");
    for (key, change) in changes {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}
