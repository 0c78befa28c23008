//! All metrics of the data plane as Prometheus text.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};
use route::IngressName;

use super::{BUCKETS, FilterCells, FilterStats, RouteStats, WorkerStats, cells::WORKER_METRICS};
use crate::{filter::Fault, gateway::Gateway, overload::Pressure};

/// Renders all metrics as Prometheus text.
pub(crate) fn render(gateway: &Gateway) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        workers: gateway.stats.clone(),
        routes: gateway.route_stats(),
        generation: gateway.generation(),
        pressure: gateway.overload.pressure(),
        endpoints: gateway.endpoint_counts(),
        filters: gateway.filter_stats(),
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
    routes: Vec<(IngressName, RouteStats)>,
    generation: u64,
    pressure: Pressure,
    endpoints: Vec<EndpointCount>,
    filters: Vec<(FilterName, Arc<FilterStats>)>,
}

/// A filter in the chains of an Ingress: by Ingress and alias.
pub(crate) type FilterName = (IngressName, String);

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
        let help = "Memory pressure: 1 keeps no connection, 2 refuses requests, 3 ends open ones";
        let metric = encoder.encode_descriptor("portcullis_memory_pressure", help, None, kind)?;
        Value(self.pressure as u64, kind).encode(metric)?;
        self.requests(&mut encoder)?;
        self.durations(&mut encoder)?;
        self.endpoints(&mut encoder)?;
        self.filters(&mut encoder)
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

    fn filters(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (seen, rest) = self.filters.split_at(self.filters.len().min(SERIES));
        let kind = MetricType::Counter;
        let mut number = |name: &str, help: &str, cell: &dyn Fn(&FilterCells) -> u64| {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            let mut add = |labels: &[(&str, &str)], sum: u64| {
                Value(sum, kind).encode(family.encode_family(&labels)?)
            };
            for ((ingress, alias), stats) in seen {
                let namespace = ("namespace", ingress.namespace.as_str());
                let ingress = ("ingress", ingress.name.as_str());
                add(&[namespace, ingress, ("filter", alias)], stats.sum(cell))?;
            }
            if !rest.is_empty() {
                let others = [("namespace", ""), ("ingress", ""), ("filter", "others")];
                add(&others, rest.iter().map(|(_, stats)| stats.sum(cell)).sum())?;
            }
            Ok::<_, std::fmt::Error>(())
        };
        number(
            "portcullis_filter_calls",
            "Calls of a filter's hooks",
            &|c| c.calls.load(Relaxed),
        )?;
        number(
            "portcullis_filter_nanoseconds",
            "Time in a filter's hooks, in nanoseconds",
            &|c| c.nanos.load(Relaxed),
        )?;
        number(
            "portcullis_filter_settled",
            "Requests for which a filter's request hook was not called, as it had said what it would do",
            &|c| c.settled.load(Relaxed),
        )?;
        self.faults(encoder)
    }

    /// A series only for what has happened.
    fn faults(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (seen, rest) = self.filters.split_at(self.filters.len().min(SERIES));
        let kind = MetricType::Counter;
        let help = "Calls of a filter's hooks that failed, by what the answer says";
        let mut family =
            encoder.encode_descriptor("portcullis_filter_failures", help, None, kind)?;
        let others = (IngressName::default(), "others".to_owned());
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            let count = |stats: &FilterStats| {
                stats.sum(|cells| cells.faults.get(index).map_or(0, |cell| cell.load(Relaxed)))
            };
            let left: u64 = rest.iter().map(|(_, stats)| count(stats)).sum();
            let seen = seen.iter().map(|(name, stats)| (name, count(stats)));
            for ((ingress, alias), sum) in seen.chain([(&others, left)]) {
                if sum > 0 {
                    let labels = [
                        ("namespace", ingress.namespace.as_str()),
                        ("ingress", ingress.name.as_str()),
                        ("filter", alias.as_str()),
                        ("reason", fault.word()),
                    ];
                    Value(sum, kind).encode(family.encode_family(&labels)?)?;
                }
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

/// How many filters of chains have series of their own; the others are summed up.
const SERIES: usize = 1000;
