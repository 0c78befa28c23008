//! Conditions of Plugins: whether they are accepted, loaded, and take part in what is served.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use crate::{
    manifest::Key,
    objects::{Kind, plugin::ApiPlugin},
};

use super::{
    item::Facts,
    published::{PluginState, Published},
    seen::Seen,
    server::Server,
    write::{Worst, outcome},
};

/// Writes the status of Plugins.
pub(super) struct Conditions {
    server: Server,
    manager: String,
    /// What was written last: of which object and generation, and when.
    written: BTreeMap<Key, (Judgement, Instant)>,
}

/// How a generation of an object fares, by its UID.
#[derive(PartialEq, Eq)]
struct Judgement {
    uid: String,
    generation: i64,
    conditions: [Condition; 3],
}

/// A condition without the times.
#[derive(PartialEq, Eq)]
struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Conditions {
    pub(super) fn new(server: Server, manager: String) -> Self {
        let written = BTreeMap::new();
        Self {
            server,
            manager,
            written,
        }
    }

    /// Brings the status of every Plugin up to date.
    pub(super) async fn write(&mut self, live: &Published, seen: &Seen) -> Result<(), String> {
        let todo = seen.collect(Kind::Plugin, |(key, facts)| {
            let id = (key.namespace.clone(), key.name.clone());
            let rejected = live.rejected.get(key).map(String::as_str);
            let conditions = judge(rejected, live.plugins.get(&id));
            let new = merged(&conditions, facts);
            let judgement = Judgement {
                uid: facts.uid.clone(),
                generation: facts.generation,
                conditions,
            };
            // Gateways of other namespaces may see a Plugin that is shared in another way.
            let just = self
                .written
                .get(key)
                .is_some_and(|(written, at)| *written == judgement && at.elapsed() < RESPITE);
            // What was read since is not live yet.
            let stale = facts.at <= live.at && Some(&new) != facts.status.get("conditions");
            (stale && !just).then(|| (key.clone(), judgement, new))
        });
        let mut worst = Worst::default();
        for (key, judgement, conditions) in todo {
            let patched = self.patch(&key, &judgement.uid, conditions).await;
            let done = patched.is_ok();
            if !worst.add(&key.namespace, patched) {
                break;
            }
            if done {
                self.written.insert(key, (judgement, Instant::now()));
            }
        }
        self.written.retain(|key, _| seen.find(key).is_some());
        worst.result()
    }

    async fn patch(&self, key: &Key, uid: &str, conditions: Value) -> Result<(), String> {
        let resource = ApiResource::erase::<ApiPlugin>(&());
        let plugins: Api<DynamicObject> =
            Api::namespaced_with(self.server.client.clone(), &key.namespace, &resource);
        let whole = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
            "status": {"conditions": conditions},
        });
        let parameters = PatchParams::apply(&self.manager).force();
        let patch = Patch::Apply(&whole);
        let patched = plugins.patch_status(&key.name, &parameters, &patch);
        outcome(self.server.answer(patched).await)
    }
}

/// How a Plugin fares.
fn judge(rejected: Option<&str>, state: Option<&PluginState>) -> [Condition; 3] {
    let condition = |kind, status, reason, message: &str| Condition {
        kind,
        status,
        reason,
        message: message.to_owned(),
    };
    let accepted = match rejected {
        None => condition("Accepted", "True", "Valid", "the object is as it should be"),
        Some(why) => condition("Accepted", "False", "Invalid", why),
    };
    let Some(state) = state else {
        let nobody = "no chain of an Ingress names it";
        return [
            accepted,
            condition("Loaded", "Unknown", "NotUsed", nobody),
            condition("Programmed", "False", "NotUsed", nobody),
        ];
    };
    let loaded = match &state.reason {
        Some(why) => condition("Loaded", "False", "LoadFailed", why),
        None if state.loading => condition("Loaded", "Unknown", "Loading", "it is being loaded"),
        None => condition("Loaded", "True", "Loaded", "its code runs"),
    };
    let programmed = match (state.runs, loaded.status) {
        (true, "True") => condition("Programmed", "True", "Programmed", "requests meet it"),
        (true, _) => {
            let message = "requests meet the last good version";
            condition("Programmed", "True", "LastGood", message)
        }
        (false, _) => {
            let message = "requests that need it are answered by its onError";
            condition("Programmed", "False", "NotLoaded", message)
        }
    };
    [accepted, loaded, programmed]
}

/// The conditions with their times: that of a change stays while the status does.
fn merged(conditions: &[Condition], facts: &Facts) -> Value {
    let old = facts.status.get("conditions").and_then(Value::as_array);
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let all = conditions.iter().map(|new| {
        let known = old.and_then(|old| old.iter().find(|old| old["type"] == new.kind));
        let kept = known.filter(|old| old["status"] == new.status);
        let since = kept.map_or_else(|| json!(now), |old| old["lastTransitionTime"].clone());
        let message: String = new.message.chars().take(MESSAGE).collect();
        json!({
            "type": new.kind,
            "status": new.status,
            "reason": new.reason,
            "message": message,
            "observedGeneration": facts.generation,
            "lastTransitionTime": since,
        })
    });
    all.collect()
}

/// How long the same is not written again over what somebody else wrote.
const RESPITE: Duration = Duration::from_secs(5);
/// The longest message that the API takes.
const MESSAGE: usize = 32_000;
