//! Who gets a connection to a backend when there are few left.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use crate::{cluster::Cluster, metrics::WorkerStats, settings::Settings, worker::Worker};

/// Counts a connection to a backend for as long as it is held. An upgraded one is counted as a tunnel.
pub(super) struct Open(Arc<WorkerStats>);

impl Open {
    /// `None` where the worker has its part of the connections and none of them is idle, and where a
    /// Service asks for more than its share.
    pub(super) fn new(worker: &Worker, cluster: &Cluster) -> Option<Self> {
        let Settings {
            workers, upstream, ..
        } = &worker.gateway.settings;
        let part = (upstream.connections / workers.max(&1)) as u64;
        let stats = &worker.stats;
        let open = connections(stats);
        if exceeds_share(worker, cluster, is_last_tenth(open, part))
            || (open >= part && !worker.pools.evict())
        {
            return None;
        }
        stats.upstream_open.fetch_add(1, Relaxed);
        stats.upstream_connections.fetch_add(1, Relaxed);
        Some(Self(Arc::clone(stats)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.upstream_open.fetch_sub(1, Relaxed);
    }
}

/// Whether a Service wants of the last tenth, of connections to backends or of clients, though it has
/// more than half of them already: a slow one would else take what the others need.
fn exceeds_share(worker: &Worker, cluster: &Cluster, few_backends: bool) -> bool {
    let all = &worker.gateway.stats;
    let sum = |count: fn(&WorkerStats) -> u64| all.iter().map(|stats| count(stats)).sum::<u64>();
    let clients = sum(|stats| stats.open.load(Relaxed));
    let limit = worker.gateway.settings.limits.connections as u64;
    let few_clients = is_last_tenth(clients, limit);
    if !few_backends && !few_clients {
        return false;
    }
    let held = cluster.in_flight() * 2;
    (few_backends && held > sum(connections)) || (few_clients && held > clients)
}

fn connections(stats: &WorkerStats) -> u64 {
    stats.upstream_open.load(Relaxed) + stats.tunnels.load(Relaxed)
}

/// Whether only the last tenth of a limit is left.
fn is_last_tenth(count: u64, limit: u64) -> bool {
    count >= limit - limit / 10
}
