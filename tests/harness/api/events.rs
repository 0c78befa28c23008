//! Events have two forms in the API, and are stored once.

use serde_json::{Value, json};

use super::resources::Resource;

/// An object as this resource shows it.
pub(super) fn shown(resource: &Resource, object: &Value) -> Value {
    let mut shown = object.clone();
    if resource.plural != "events" {
        return shown;
    }
    shown["apiVersion"] = json!(resource.api_version());
    shown["kind"] = json!("Event");
    let pairs = [
        ("regarding", "involvedObject"),
        ("note", "message"),
        ("deprecatedCount", "count"),
        ("reportingController", "reportingComponent"),
    ];
    for (new, old) in pairs {
        let (from, to) = if resource.group.is_empty() {
            (new, old)
        } else {
            (old, new)
        };
        if shown[to].is_null() && !shown[from].is_null() {
            shown[to] = shown[from].take();
        }
    }
    if resource.group.is_empty() {
        if shown["source"].is_null() {
            shown["source"] = json!({"component": shown["reportingComponent"]});
        }
        for field in ["firstTimestamp", "lastTimestamp"] {
            if shown[field].is_null() {
                let time = shown["eventTime"]
                    .as_str()
                    .and_then(|time| time.split('.').next());
                shown[field] = json!(time.map(|time| format!("{}Z", time.trim_end_matches('Z'))));
            }
        }
    }
    let map = shown.as_object_mut().expect("an object");
    map.retain(|_, value| !value.is_null());
    shown
}
