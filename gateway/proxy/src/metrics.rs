//! Counters: each worker has cells of its own, and a scrape sums them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};
use route::IngressName;

use crate::gateway::Gateway;

/// What one worker counts. Only that worker writes, so that no cache line is contended.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerStats {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) handed_over: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) handshakes: AtomicU64,
    pub(crate) failed_handshakes: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) upstream_connections: AtomicU64,
    pub(crate) upstream_failures: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) ejections: AtomicU64,
    pub(crate) tunnels: AtomicU64,
    /// Requests without a route, by class of status.
    pub(crate) unrouted: Classes,
}

/// What is counted for the routes of one Ingress.
#[derive(Debug)]
pub(crate) struct RouteStats {
    workers: Box<[RouteCells]>,
}

/// One worker's part of it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct RouteCells {
    classes: Classes,
    /// Cumulative counts are made on scrape; these count each bucket alone.
    seconds: [AtomicU64; BUCKETS.len() + 1],
    sum_micros: AtomicU64,
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

/// Renders all metrics as Prometheus text.
pub(crate) fn render(gateway: &Gateway) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        workers: gateway.stats.clone(),
        routes: gateway.route_stats(),
        generation: gateway.generation(),
        endpoints: gateway.endpoint_counts(),
    }));
    let mut text = String::new();
    // Writing to a String fails only where a value's own formatting does; none does.
    if encode(&mut text, &registry).is_err() {
        text.clear();
    }
    text
}

/// Endpoints of a Service port: usable, and ejected among them.
#[derive(Debug)]
pub(crate) struct EndpointCount {
    pub(crate) cluster: String,
    pub(crate) usable: u64,
    pub(crate) ejected: u64,
}

#[derive(Debug)]
struct Scrape {
    workers: Vec<Arc<WorkerStats>>,
    routes: Vec<(IngressName, Arc<RouteStats>)>,
    generation: u64,
    endpoints: Vec<EndpointCount>,
}

/// A counter or gauge of all workers: its name, what it counts, its type, its cell.
type WorkerMetric = (
    &'static str,
    &'static str,
    MetricType,
    fn(&WorkerStats) -> &AtomicU64,
);

const WORKER_METRICS: [WorkerMetric; 12] = [
    (
        "portcullis_connections_accepted",
        "Client connections accepted",
        MetricType::Counter,
        |s| &s.accepted,
    ),
    (
        "portcullis_connections_refused",
        "Client connections closed at accept, over the limit",
        MetricType::Counter,
        |s| &s.refused_connections,
    ),
    (
        "portcullis_connections_handed_over",
        "Client connections given to a less loaded worker",
        MetricType::Counter,
        |s| &s.handed_over,
    ),
    (
        "portcullis_connections_open",
        "Client connections open",
        MetricType::Gauge,
        |s| &s.open,
    ),
    (
        "portcullis_connections_cut",
        "Client connections ended because the peer stalled",
        MetricType::Counter,
        |s| &s.cut,
    ),
    (
        "portcullis_tls_handshakes",
        "TLS handshakes completed",
        MetricType::Counter,
        |s| &s.handshakes,
    ),
    (
        "portcullis_tls_handshakes_failed",
        "TLS handshakes that failed",
        MetricType::Counter,
        |s| &s.failed_handshakes,
    ),
    (
        "portcullis_upstream_connections",
        "Connections made to endpoints",
        MetricType::Counter,
        |s| &s.upstream_connections,
    ),
    (
        "portcullis_upstream_failures",
        "Connections to endpoints that failed",
        MetricType::Counter,
        |s| &s.upstream_failures,
    ),
    (
        "portcullis_upstream_retries",
        "Requests tried again",
        MetricType::Counter,
        |s| &s.retries,
    ),
    (
        "portcullis_upstream_ejections",
        "Endpoints ejected",
        MetricType::Counter,
        |s| &s.ejections,
    ),
    (
        "portcullis_tunnels_open",
        "Upgraded connections open",
        MetricType::Gauge,
        |s| &s.tunnels,
    ),
];

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, kind, cell) in WORKER_METRICS {
            let sum = self.workers.iter().map(|w| cell(w).load(Relaxed)).sum();
            Value(sum, kind).encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        let kind = MetricType::Gauge;
        let help = "Number of the configuration that serves";
        let metric = encoder.encode_descriptor("portcullis_config_generation", help, None, kind)?;
        Value(self.generation, kind).encode(metric)?;
        self.requests(&mut encoder)?;
        self.durations(&mut encoder)?;
        self.endpoints(&mut encoder)
    }
}

impl Scrape {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = MetricType::Counter;
        let help = "Requests answered, by the route's Ingress and the status' class";
        let mut family = encoder.encode_descriptor("portcullis_requests", help, None, kind)?;
        let none = IngressName::default();
        let unrouted = self.workers.iter().map(|w| &w.unrouted).collect();
        let routed = self.routes.iter().map(|(name, stats)| {
            (
                name,
                stats.workers.iter().map(|w| &w.classes).collect::<Vec<_>>(),
            )
        });
        for (name, cells) in std::iter::once((&none, unrouted)).chain(routed) {
            for (index, class) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
                let sum: u64 = cells
                    .iter()
                    .filter_map(|c| c.0.get(index))
                    .map(|cell| cell.load(Relaxed))
                    .sum();
                if sum > 0 {
                    let labels = [
                        ("namespace", name.namespace.as_str()),
                        ("ingress", name.name.as_str()),
                        ("status", class),
                    ];
                    Value(sum, kind).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn durations(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Time from a request's head to the last byte of its response, in seconds";
        let mut family = encoder.encode_descriptor(
            "portcullis_request_duration_seconds",
            help,
            None,
            MetricType::Histogram,
        )?;
        for (name, stats) in &self.routes {
            let sum: u64 = stats
                .workers
                .iter()
                .map(|w| w.sum_micros.load(Relaxed))
                .sum();
            let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds
                .enumerate()
                .map(|(index, bound)| {
                    let cells = stats.workers.iter().filter_map(|w| w.seconds.get(index));
                    (bound, cells.map(|cell| cell.load(Relaxed)).sum())
                })
                .collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            if count > 0 {
                let labels = [
                    ("namespace", name.namespace.as_str()),
                    ("ingress", name.name.as_str()),
                ];
                let seconds = Duration::from_micros(sum).as_secs_f64();
                family
                    .encode_family(&labels)?
                    .encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
            }
        }
        Ok(())
    }

    fn endpoints(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = MetricType::Gauge;
        let help =
            "Endpoints of a Service port that can take requests, and those ejected among them";
        let mut family = encoder.encode_descriptor("portcullis_endpoints", help, None, kind)?;
        for count in &self.endpoints {
            for (state, value) in [("usable", count.usable), ("ejected", count.ejected)] {
                let labels = [("service", count.cluster.as_str()), ("state", state)];
                Value(value, kind).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// A number of the type that its descriptor says.
struct Value(u64, MetricType);

impl Value {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.1 {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&self.0, None),
            MetricType::Gauge | MetricType::Histogram | MetricType::Info | MetricType::Unknown => {
                encoder.encode_gauge(&i64::try_from(self.0).unwrap_or(i64::MAX))
            }
        }
    }
}

impl EncodeMetric for Value {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        Self::encode(self, encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.1
    }
}

/// Upper bounds in seconds.
const BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
