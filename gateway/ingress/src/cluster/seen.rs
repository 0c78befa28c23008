//! What the API server has of objects whose status is ours to write, as it was last seen.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use crate::{manifest::Key, objects::Kind};

use super::{item::Facts, kinds::Target};

/// Written by the watches, read by the writers.
#[derive(Debug, Default)]
pub(super) struct Seen {
    facts: Mutex<BTreeMap<Key, Facts>>,
    /// Told when something changes.
    pub(super) changed: Notify,
}

impl Seen {
    pub(super) fn apply(&self, key: &Key, facts: Option<Facts>) {
        if let Some(mut facts) = facts {
            // It was told before: whoever reads from now on has it.
            facts.at = Instant::now();
            self.lock().insert(key.clone(), facts);
            self.changed.notify_one();
        }
    }

    pub(super) fn delete(&self, key: &Key) {
        if matches!(key.kind, Kind::Ingress | Kind::Plugin) {
            self.lock().remove(key);
        }
    }

    pub(super) fn reset(&self, target: &Target, facts: Vec<(Key, Facts)>) {
        if !matches!(target.kind, Kind::Ingress | Kind::Plugin) {
            return;
        }
        let mut known = self.lock();
        known.retain(|key, _| key.kind != target.kind || !target.covers(&key.namespace, &key.name));
        let at = Instant::now();
        known.extend(
            facts
                .into_iter()
                .map(|(key, facts)| (key, Facts { at, ..facts })),
        );
        drop(known);
        self.changed.notify_one();
    }

    pub(super) fn find(&self, key: &Key) -> Option<Facts> {
        self.lock().get(key).cloned()
    }

    /// Those of a kind for which `pick` makes something.
    pub(super) fn collect<T>(
        &self,
        kind: Kind,
        pick: impl FnMut((&Key, &Facts)) -> Option<T>,
    ) -> Vec<T> {
        let known = self.lock();
        let of_kind = known.iter().filter(|(key, _)| key.kind == kind);
        of_kind.filter_map(pick).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Facts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
