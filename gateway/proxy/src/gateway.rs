//! The data plane as a whole: what is served, and the workers that serve it.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use route::{Cluster, ClusterId, Config, IngressName};
use rustls::ServerConfig;
use tokio::{
    runtime::LocalOptions,
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{
    access::AccessLog,
    filter::Filters,
    listener::{Kind, Listeners},
    metrics::{self, EndpointCount, FilterName, FilterStats, RouteStats, WorkerStats},
    overload::{Overload, Pressure},
    resolver::Resolver,
    settings::Settings,
    snapshot::{Builder, CertificateProblem, LiveRoute, Snapshot},
    stalls,
    tls::{self, CertificateError},
    worker::{Inboxes, Start, Worker},
};

/// The data plane. It serves nothing until a configuration is published, and no socket until it is
/// started.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) access: AccessLog,
    pub(crate) stats: Vec<Arc<WorkerStats>>,
    pub(crate) overload: Overload,
    builder: Mutex<Builder>,
    resolver: Resolver,
    tls: Arc<ServerConfig>,
    draining: AtomicU64,
    housekeeping: fn(),
}

/// Why the data plane cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct StartError(#[from] CertificateError);

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Accepting.
    Serving,
    /// Finishing what runs.
    Draining,
    /// Time is up.
    Over,
}

/// The threads that serve. Dropped without a drain, they are left to the end of the process.
#[derive(Debug)]
pub struct Workers {
    gateway: Arc<Gateway>,
    stage: watch::Sender<Stage>,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
}

impl Gateway {
    /// A data plane with these settings. `housekeeping` is called every second on each worker, for what
    /// filters keep there.
    pub fn new(
        settings: Settings,
        access: AccessLog,
        housekeeping: fn(),
    ) -> Result<Arc<Self>, StartError> {
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
        Ok(Arc::new(Self {
            stats: (0..settings.workers.max(1))
                .map(|_| Arc::default())
                .collect(),
            builder: Mutex::default(),
            overload: Overload::default(),
            resolver: Resolver::new(settings.external_loopback),
            tls: tls::server_config(&snapshot)?,
            draining: AtomicU64::new(0),
            snapshot,
            settings,
            access,
            housekeeping,
        }))
    }

    /// Serves `config` from now on. What did not change is shared with what served before; an equal
    /// configuration changes nothing. Blocks for as long as it takes to build: never call it from a
    /// worker.
    pub fn publish(&self, config: &Arc<Config>, filters: &Filters) -> Vec<CertificateProblem> {
        let mut builder = lock(&self.builder);
        let (snapshot, problems) = builder.build(config, filters, &self.settings);
        if let Some(snapshot) = snapshot {
            self.resolver.watch(snapshot.clusters.values());
            let retired = self.snapshot.swap(Arc::new(snapshot));
            // Freeing a large snapshot takes milliseconds: that is this thread's work, not a
            // worker's that happens to hold it last.
            for _ in 0..RETIRE_LOOKS {
                if Arc::strong_count(&retired) == 1 {
                    break;
                }
                std::thread::sleep(RETIRE_LOOK);
            }
        }
        problems
    }

    /// Gives clusters of what is served other endpoints, where nothing else changed: requests from now on go there.
    pub fn update_endpoints(&self, clusters: &[(ClusterId, Cluster)]) {
        lock(&self.builder).update_endpoints(clusters);
    }

    /// What is served now.
    #[expect(
        clippy::disallowed_methods,
        reason = "for admin and explain, off the request path"
    )]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.load())
    }

    /// To be called every second on each worker.
    pub(crate) fn housekeeping(&self) {
        (self.housekeeping)();
    }

    /// All metrics as Prometheus text.
    pub fn metrics(&self) -> String {
        metrics::render(self)
    }

    /// Starts the workers on these listeners.
    pub fn start(self: &Arc<Self>, listeners: Listeners) -> io::Result<Workers> {
        listeners.listen()?;
        let (stage, stages) = watch::channel(Stage::Serving);
        let (alive, ended) = mpsc::channel(1);
        let (inboxes, outlets): (Vec<_>, Vec<_>) =
            self.stats.iter().map(|_| mpsc::unbounded_channel()).unzip();
        let inboxes: Inboxes = inboxes.into();
        let mut threads = Vec::new();
        let parts = listeners.workers.into_iter().zip(outlets).enumerate();
        for (index, (listeners, inbox)) in parts {
            let Some(stats) = self.stats.get(index).cloned() else {
                break;
            };
            let (gateway, inboxes) = (Arc::clone(self), Arc::clone(&inboxes));
            let start = Start {
                gateway,
                index,
                stats,
                listeners,
                inbox,
                inboxes,
                stage: stages.clone(),
            };
            let alive = alive.clone();
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            threads.push(thread.spawn(move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                match runtime.enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => runtime.block_on(Worker::run(start)),
                    Err(error) => tracing::error!(%error, "a worker cannot start"),
                }
                drop(alive);
            })?);
        }
        Ok(Workers {
            gateway: Arc::clone(self),
            stage,
            threads,
            ended,
        })
    }

    /// The live route for a host and a path: the one look into the snapshot that a request takes.
    #[expect(clippy::disallowed_methods, reason = "once a request")]
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<Arc<LiveRoute>> {
        self.snapshot
            .load()
            .table
            .find(host, path)
            .map(|found| Arc::clone(found.target))
    }

    pub(crate) fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.tls)
    }

    /// Tells how short of memory the process is: to be called often, by whoever watches it.
    pub fn press(&self, pressure: Pressure) {
        self.overload.press(pressure);
    }

    /// Whether no further connection can be taken on this listener.
    pub(crate) fn is_full(&self, kind: Kind) -> bool {
        let limits = &self.settings.limits;
        let sum = |count: &dyn Fn(&WorkerStats) -> u64| self.stats.iter().map(|s| count(s)).sum();
        let open: u64 = sum(&|stats| stats.open.load(Relaxed));
        let over_it: u64 = sum(&|stats| stats.open_on(kind).load(Relaxed));
        self.overload.sheds()
            || open >= limits.connections as u64
            || over_it >= limits.listener_connections as u64
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed) != 0
    }

    /// Whether connections are not kept for another request.
    pub(crate) fn keeps_none(&self) -> bool {
        self.is_draining() || self.overload.saves()
    }

    /// Since when connections are to be finished, in [`stalls::now`]'s time.
    pub(crate) fn finishing_since(&self) -> Option<u64> {
        let draining = Some(self.draining.load(Relaxed)).filter(|since| *since != 0);
        draining.or_else(|| self.overload.since())
    }

    pub(crate) fn route_stats(&self) -> Vec<(IngressName, RouteStats)> {
        lock(&self.builder).stats()
    }

    pub(crate) fn filter_stats(&self) -> Vec<(FilterName, Arc<FilterStats>)> {
        lock(&self.builder).filter_stats()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.snapshot().generation
    }

    pub(crate) fn endpoint_counts(&self) -> Vec<EndpointCount> {
        let now = stalls::tick();
        let snapshot = self.snapshot();
        let counts = snapshot.clusters.values().map(|cluster| {
            let endpoints = cluster.endpoints();
            let ejected = endpoints.usable.iter().filter(|e| e.ejected(now)).count();
            EndpointCount {
                cluster: cluster.id.to_string(),
                usable: endpoints.usable.len() as u64,
                ejected: ejected as u64,
            }
        });
        counts.collect()
    }
}

impl Workers {
    /// Goes on accepting for the drain delay, then stops accepting and finishes what runs, for as
    /// long as the drain timeout allows.
    pub async fn drain(mut self) {
        let settings = &self.gateway.settings;
        tokio::time::sleep(settings.drain_delay).await;
        self.gateway.draining.store(stalls::tick(), Relaxed);
        self.stage.send_replace(Stage::Draining);
        // Ends when every worker has dropped its end.
        if timeout(settings.drain_timeout, self.ended.recv())
            .await
            .is_err()
        {
            tracing::warn!("drain timeout: closing what still runs");
        }
        self.stage.send_replace(Stage::Over);
        drop(timeout(OVER, self.ended.recv()).await);
        for thread in self.threads {
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const RETIRE_LOOKS: u32 = 50;
const RETIRE_LOOK: Duration = Duration::from_millis(1);
/// How long workers may take to notice that time is up.
const OVER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
