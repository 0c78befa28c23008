//! One event, as the API has it.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    cluster::{server::Server, write::outcome},
    manifest::Key,
    objects::Kind,
};

use super::{Origin, What, Written};

/// Writes that this problem of an object came, or went.
pub(super) async fn write(
    (server, instance): (&Server, &str),
    (what, origin): (What, Origin),
    (key, uid): (&Key, &str),
    text: &str,
) -> Result<Written, String> {
    let (kind, reason, note) = match what {
        What::Problem => ("Warning", "Problem", text.to_owned()),
        What::Resolved => ("Normal", "Resolved", format!("resolved: {text}")),
    };
    // One that is written again, by another leader, is the same event.
    let mut hasher = DefaultHasher::new();
    (uid, reason, &note).hash(&mut hasher);
    let stem: String = key.name.chars().take(200).collect();
    let name = format!(
        "{}.{:016x}",
        stem.trim_end_matches(['.', '-']),
        hasher.finish()
    );
    let api_version = match key.kind {
        Kind::Plugin => "portcullis.dev/v1alpha1",
        Kind::Ingress
        | Kind::IngressClass
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Endpoints
        | Kind::Secret
        | Kind::ConfigMap => "networking.k8s.io/v1",
    };
    let now = MicroTime(Timestamp::now());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        action: Some("Configure".to_owned()),
        note: Some(note.chars().take(NOTE).collect()),
        event_time: Some(now.clone()),
        regarding: Some(ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(key.kind.name().to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(server.client.clone(), &key.namespace);
    let parameters = PostParams::default();
    let created = events.create(&parameters, &event);
    match server.answer(created).await {
        Err(kube::Error::Api(status))
            if status.reason == "AlreadyExists" && origin != Origin::Here =>
        {
            Ok(Written::Before)
        }
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            let old = server.answer(events.get_opt(&name)).await;
            let count = old.ok().flatten().and_then(|old| old.series);
            let series = EventSeries {
                count: count.map_or(2, |series| series.count.saturating_add(1)),
                last_observed_time: now,
            };
            let patch = Patch::Merge(json!({"series": series}));
            let parameters = PatchParams::default();
            let patched = events.patch(&name, &parameters, &patch);
            outcome(server.answer(patched).await).map(|()| Written::Now)
        }
        created => outcome(created).map(|()| Written::Now),
    }
}

/// Who reports, as the API wants it named.
const CONTROLLER: &str = "portcullis.dev/ingress-controller";
/// The longest note that the API takes, with room for wide characters.
const NOTE: usize = 1000;
