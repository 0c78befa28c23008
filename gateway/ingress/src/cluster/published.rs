//! What is live, for those who write about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Instant,
};

use crate::{manifest::Key, problem::Problem};

use super::watch::Message;

/// A configuration that is live.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// The Ingresses of ours, by namespace and name.
    pub(super) ours: Arc<BTreeSet<(String, String)>>,
    pub(super) problems: Arc<Vec<Problem>>,
    pub(super) plugins: Arc<BTreeMap<(String, String), PluginState>>,
    /// Objects that would have been refused, and why.
    pub(super) rejected: Arc<BTreeMap<Key, String>>,
    /// When it was read.
    pub(super) at: Instant,
}

/// How a Plugin that a chain names fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginState {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether a version of it runs.
    pub runs: bool,
    /// Whether the newest version is still being loaded.
    pub loading: bool,
    /// What is wrong with the newest version.
    pub reason: Option<String>,
}

/// Tells what stands in the way of writing, when that changes.
#[derive(Debug)]
pub(super) struct Reports {
    messages: mpsc::Sender<Message>,
    known: Mutex<BTreeMap<Topic, String>>,
}

impl Reports {
    pub(super) fn new(messages: mpsc::Sender<Message>) -> Self {
        let known = Mutex::default();
        Self { messages, known }
    }

    pub(super) fn tell(&self, topic: Topic, trouble: Option<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&topic) == trouble.as_ref() {
            return;
        }
        match trouble.clone() {
            Some(trouble) => drop(known.insert(topic, trouble)),
            None => drop(known.remove(&topic)),
        }
        // Whoever listened is gone when the program ends.
        let _ = self.messages.send(Message::Writing(topic, trouble));
    }
}

/// Something that is written, for problems with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Addresses,
    Conditions,
    Events,
    Lease,
    Status,
}

impl Topic {
    /// What is written, and the rule of RBAC that lets it.
    pub(super) fn rule(self) -> (&'static str, &'static str) {
        match self {
            Self::Addresses => (
                "the addresses of --publish-service or --publish-nodes cannot be read",
                "{apiGroups: [\"\"], resources: [services], verbs: [get]} or [pods], [list]",
            ),
            Self::Conditions => (
                "the status of Plugins cannot be written",
                "{apiGroups: [portcullis.dev], resources: [plugins/status], verbs: [patch]}",
            ),
            Self::Events => (
                "events cannot be written",
                "{apiGroups: [events.k8s.io], resources: [events], verbs: [create, get, patch]}",
            ),
            Self::Lease => (
                "the Lease that elects who writes cannot be held",
                "{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}",
            ),
            Self::Status => (
                "the status of Ingresses cannot be written",
                "{apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [patch]}",
            ),
        }
    }
}
