//! What all instances of a plugin share, on all workers, and what a new version inherits.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{Metrics, Rates, Sample, Values};
use crate::{
    flood::Gate,
    statistics::{InstanceCounts, Statistics},
};

/// The state of a plugin that outlives its versions. Give the same to each of them.
#[derive(Debug)]
pub struct Shared {
    metrics: Metrics,
    statistics: Arc<Statistics>,
    /// What its guests write into the log.
    lines: Gate,
    /// By the item of an Ingress's chain. What no chain has any more is forgotten.
    rates: Mutex<HashMap<String, Weak<Rates>>>,
    /// By namespace.
    values: Mutex<HashMap<Arc<str>, Weak<Values>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            metrics: Metrics::default(),
            statistics: Arc::default(),
            lines: Gate::new(LINES),
            rates: Mutex::default(),
            values: Mutex::default(),
        }
    }
}

impl Shared {
    /// What its instances have counted.
    pub fn samples(&self) -> Vec<Sample> {
        self.metrics.samples()
    }

    /// The instances of all its versions.
    pub fn instances(&self) -> InstanceCounts {
        self.statistics.read()
    }

    pub(crate) fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    pub(crate) fn lines(&self) -> &Gate {
        &self.lines
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn rates(&self, scope: &str) -> Arc<Rates> {
        find(&self.rates, scope.to_owned())
    }

    pub(crate) fn values(&self, namespace: &Arc<str>) -> Arc<Values> {
        find(&self.values, Arc::clone(namespace))
    }
}

fn find<K: Eq + Hash, V: Default>(all: &Mutex<HashMap<K, Weak<V>>>, key: K) -> Arc<V> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = all.get(&key).and_then(Weak::upgrade) {
        return found;
    }
    all.retain(|_, value| value.strong_count() > 0);
    let new = Arc::new(V::default());
    all.insert(key, Arc::downgrade(&new));
    new
}

/// How many lines a second the guests of a plugin write into the log.
const LINES: u32 = 100;
