//! Counters: each worker has cells of its own, and a scrape sums them.

mod cells;
mod scrape;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;

use crate::{filter::Fault, listener::Kind};

pub(crate) use scrape::{EndpointCount, FilterName, render};

/// What one worker counts. Only that worker writes, so that no cache line is contended.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerStats {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) handed_over: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) open_http: AtomicU64,
    pub(crate) open_https: AtomicU64,
    pub(crate) handshakes: AtomicU64,
    pub(crate) failed_handshakes: AtomicU64,
    pub(crate) cut: AtomicU64,
    /// Connections cut to free memory.
    pub(crate) shed_connections: AtomicU64,
    /// Requests refused for want of memory or descriptors.
    pub(crate) shed_requests: AtomicU64,
    pub(crate) upstream_open: AtomicU64,
    pub(crate) upstream_connections: AtomicU64,
    pub(crate) upstream_failures: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) ejections: AtomicU64,
    pub(crate) tunnels: AtomicU64,
    /// Requests without a route, by class of status.
    pub(crate) unrouted: Classes,
}

/// What is counted for the routes of one Ingress, shared by them.
#[derive(Clone, Debug)]
pub(crate) struct RouteStats {
    workers: Arc<[RouteCells]>,
}

/// One worker's part of it.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct RouteCells {
    // In this order what most requests count is in one line of the cache.
    sum_micros: AtomicU64,
    classes: Classes,
    /// Cumulative counts are made on scrape; these count each bucket alone.
    seconds: [AtomicU64; BUCKETS.len() + 1],
}

/// What is counted for one filter in the chains of one Ingress.
#[derive(Debug)]
pub(crate) struct FilterStats {
    workers: Box<[FilterCells]>,
}

/// One worker's part of it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct FilterCells {
    calls: AtomicU64,
    nanos: AtomicU64,
    settled: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
}

impl WorkerStats {
    /// Connections open on a listener.
    pub(crate) fn open_on(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Http => &self.open_http,
            Kind::Https => &self.open_https,
        }
    }
}

impl FilterStats {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| FilterCells::default()).collect(),
        }
    }

    /// Counts a call of a hook.
    pub(crate) fn count(&self, worker: usize, time: Duration, fault: Option<Fault>) {
        let Some(cells) = self.workers.get(worker) else {
            return;
        };
        cells.calls.fetch_add(1, Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(0);
        cells.nanos.fetch_add(nanos, Relaxed);
        let index = fault.and_then(|fault| Fault::ALL.iter().position(|other| *other == fault));
        if let Some(cell) = index.and_then(|index| cells.faults.get(index)) {
            cell.fetch_add(1, Relaxed);
        }
    }

    /// Counts a request for which the request hook need not be called.
    pub(crate) fn count_settled(&self, worker: usize) {
        if let Some(cells) = self.workers.get(worker) {
            cells.settled.fetch_add(1, Relaxed);
        }
    }

    fn sum(&self, cell: impl Fn(&FilterCells) -> u64) -> u64 {
        self.workers.iter().map(cell).sum()
    }
}

/// Counts by class of status: 1xx to 5xx.
#[derive(Debug, Default)]
pub(crate) struct Classes([AtomicU64; 5]);

impl Classes {
    pub(crate) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(cell) = self.0.get(class) {
            cell.fetch_add(1, Relaxed);
        }
    }
}

impl RouteStats {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| RouteCells::default()).collect(),
        }
    }

    /// Counts a request that took `time` to the last byte of its response.
    pub(crate) fn count(&self, worker: usize, status: StatusCode, time: Duration) {
        let Some(cells) = self.workers.get(worker) else {
            return;
        };
        cells.classes.count(status);
        let bucket = BUCKETS.partition_point(|&bound| bound < time.as_secs_f64());
        if let Some(cell) = cells.seconds.get(bucket) {
            cell.fetch_add(1, Relaxed);
        }
        cells
            .sum_micros
            .fetch_add(u64::try_from(time.as_micros()).unwrap_or(0), Relaxed);
    }
}

/// Upper bounds in seconds.
const BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
