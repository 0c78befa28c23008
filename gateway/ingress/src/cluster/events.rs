//! Events: what is wrong with an object, and that it is no longer, where `kubectl describe` shows it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

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
    manifest::Key,
    objects::Kind,
    problem::{Problem, Severity},
};

use super::{seen::Seen, server::Server, write::outcome};

/// Writes events of problems as they come and go.
pub(super) struct Events {
    server: Server,
    instance: String,
    known: BTreeMap<Id, Known>,
    /// Whether it has learned of problems before.
    begun: bool,
    /// Problems that are gone, and were told of.
    resolved: Vec<Id>,
    allowance: Allowance,
}

/// The object, and the text of what is wrong.
type Id = (Key, String);

/// A problem that is there now.
struct Known {
    since: Instant,
    told: bool,
    news: News,
}

/// Whether a problem came while this gateway ran.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    /// It did: an event that is there already is of another time.
    Fresh,
    /// It was there at the start: whoever led before may have told of it.
    Found,
}

/// How many events may be written: some at once, and then one a second.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let grown = self.left + self.at.elapsed().as_secs_f64() * A_SECOND;
        (self.left, self.at) = (grown.min(AT_ONCE), Instant::now());
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

impl Events {
    pub(super) fn new(server: Server, instance: String) -> Self {
        let (left, at) = (AT_ONCE, Instant::now());
        Self {
            server,
            instance,
            known: BTreeMap::new(),
            begun: false,
            resolved: Vec::new(),
            allowance: Allowance { left, at },
        }
    }

    /// Takes the problems that are there now.
    pub(super) fn learn(&mut self, problems: &[Problem]) {
        let mut before = std::mem::take(&mut self.known);
        let news = if std::mem::replace(&mut self.begun, true) {
            News::Fresh
        } else {
            News::Found
        };
        for id in problems.iter().filter_map(identify) {
            let now = || {
                let (since, told) = (Instant::now(), false);
                Known { since, told, news }
            };
            let known = before.remove(&id).unwrap_or_else(now);
            self.known.insert(id, known);
        }
        let told = before.into_iter().filter(|(_, known)| known.told);
        self.resolved.extend(told.map(|(id, _)| id));
    }

    /// Tells what was not told yet, as far as the rate allows: the rest the next time.
    pub(super) async fn write(&mut self, seen: &Seen) -> Result<(), String> {
        let Self {
            server,
            instance,
            known,
            resolved,
            allowance,
            begun: _,
        } = self;
        let (server, instance) = (&*server, instance.as_str());
        while let Some((key, text)) = resolved.last() {
            if !allowance.take() {
                return Ok(());
            }
            let note = format!("resolved: {text}");
            let words = ("Normal", "Resolved", note.as_str());
            write((server, instance), seen, key, words, News::Fresh).await?;
            resolved.pop();
        }
        for ((key, text), known) in known.iter_mut().filter(|(_, known)| !known.told) {
            // Whoever led before has told of what was there for longer.
            if known.since.elapsed() < HANDOVER {
                if !allowance.take() {
                    return Ok(());
                }
                let words = ("Warning", "Problem", text.as_str());
                write((server, instance), seen, key, words, known.news).await?;
            }
            known.told = true;
        }
        Ok(())
    }
}

/// Which object a problem is about, if it is one that gets events.
fn identify(problem: &Problem) -> Option<Id> {
    let kind = match problem.kind.as_str() {
        "Ingress" => Kind::Ingress,
        "Plugin" => Kind::Plugin,
        _ => return None,
    };
    if problem.severity == Severity::Note {
        return None;
    }
    let (namespace, name) = (problem.namespace.clone(), problem.name.clone());
    let key = Key {
        kind,
        namespace,
        name,
    };
    let field = problem.field.as_deref().unwrap_or_default();
    let text = match (field, problem.hint.as_str()) {
        ("", "") => problem.message.clone(),
        ("", hint) => format!("{}; {hint}", problem.message),
        (field, "") => format!("{field}: {}", problem.message),
        (field, hint) => format!("{field}: {}; {hint}", problem.message),
    };
    Some((key, text))
}

async fn write(
    (server, instance): (&Server, &str),
    seen: &Seen,
    key: &Key,
    (kind, reason, note): (&str, &str, &str),
    news: News,
) -> Result<(), String> {
    // An object that is gone has nobody who would look.
    let Some(facts) = seen.find(key) else {
        return Ok(());
    };
    // One that is written again, by another leader, is the same event.
    let mut hasher = DefaultHasher::new();
    (&facts.uid, reason, note).hash(&mut hasher);
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
            uid: Some(facts.uid),
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
            if status.reason == "AlreadyExists" && news == News::Found =>
        {
            Ok(())
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
            outcome(server.answer(patched).await)
        }
        created => outcome(created),
    }
}

/// Who reports, as the API wants it named.
const CONTROLLER: &str = "portcullis.dev/ingress-controller";
/// The longest note that the API takes, with room for wide characters.
const NOTE: usize = 1000;
const AT_ONCE: f64 = 50.0;
const A_SECOND: f64 = 1.0;
/// As long as nobody may have led.
const HANDOVER: Duration = Duration::from_secs(20);
