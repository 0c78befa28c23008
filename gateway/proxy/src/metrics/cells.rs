//! What each worker counts, by the names that it is scraped by.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::MetricType;

use super::WorkerStats;

/// A counter or gauge of all workers: its name, what it counts, its type, its cell.
pub(super) type WorkerMetric = (
    &'static str,
    &'static str,
    MetricType,
    fn(&WorkerStats) -> &AtomicU64,
);

pub(super) const WORKER_METRICS: [WorkerMetric; 15] = [
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
        "portcullis_connections_shed",
        "Client connections ended to free memory",
        MetricType::Counter,
        |s| &s.shed_connections,
    ),
    (
        "portcullis_requests_shed",
        "Requests refused for want of memory or descriptors",
        MetricType::Counter,
        |s| &s.shed_requests,
    ),
    (
        "portcullis_upstream_connections_open",
        "Connections to endpoints open",
        MetricType::Gauge,
        |s| &s.upstream_open,
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
