//! The chart's README, its values and their schema say the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{documents, read};

/// What is no group of further values, by its path.
fn leaves(values: &Value, schema: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
    for (key, value) in values.as_object().expect("a map") {
        let schema = &schema["properties"][key];
        assert!(!schema.is_null(), "values.schema.json lacks {path}{key}");
        let path = format!("{path}{key}");
        let group = value.as_object().is_some_and(|group| !group.is_empty());
        if group && schema["properties"].is_object() {
            leaves(value, schema, &format!("{path}."), into);
        } else {
            into.insert(path, value.clone());
        }
    }
}

#[test]
fn the_readme_has_every_value_with_its_default() {
    let values = documents(&read("helm/portcullis/values.yaml")).remove(0);
    let schema: Value =
        serde_json::from_str(&read("helm/portcullis/values.schema.json")).expect("JSON");
    let mut expected = BTreeMap::new();
    leaves(&values, &schema, "", &mut expected);

    let readme = read("helm/portcullis/README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut told = BTreeMap::new();
    for row in rows {
        let (path, rest) = row.split_once("` | `").expect("a path and a default");
        let (default, what) = rest.split_once("` | ").expect("a default and what it is");
        assert!(what.len() > 6, "{path} says what it is");
        let default = serde_json::from_str(default)
            .unwrap_or_else(|_| panic!("{path}: {default} is no JSON"));
        assert!(
            told.insert(path.to_owned(), default).is_none(),
            "{path} stands twice"
        );
    }
    assert_eq!(told, expected);
}

/// Every object of the schema is closed, but for what Kubernetes itself checks.
#[test]
fn the_schema_knows_every_key() {
    let schema: Value =
        serde_json::from_str(&read("helm/portcullis/values.schema.json")).expect("JSON");
    let mut open = Vec::new();
    find_open(&schema, "", &mut open);
    open.sort();
    let kubernetes = [
        "/affinity",
        "/autoscaling/behavior",
        "/extraVolumeMounts/items",
        "/extraVolumes/items",
        "/global",
        "/networkPolicy/egress/items",
        "/networkPolicy/from/items",
        "/networkPolicy/metricsFrom/items",
        "/resources/limits",
        "/resources/requests",
        "/tolerations/items",
        "/updateStrategy",
    ];
    assert_eq!(open, kubernetes);
}

fn find_open(schema: &Value, path: &str, open: &mut Vec<String>) {
    if schema["type"] == "object" && schema["additionalProperties"].is_null() {
        open.push(path.to_owned());
    }
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        find_open(below, &format!("{path}/{key}"), open);
    }
    if schema["items"].is_object() {
        find_open(&schema["items"], &format!("{path}/items"), open);
    }
}
