//! What is measured while it runs, and the verdict.

use std::{
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use harness::{Gateway, pause};

/// What clients count.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    requests: AtomicU64,
    /// Clients that broke off on purpose.
    pub(crate) aborted: AtomicU64,
    /// Requests that a failing backend failed.
    pub(crate) expected: AtomicU64,
    /// Changes of the configuration, and of plugins.
    pub(crate) changes: AtomicU64,
    pub(crate) reloads: AtomicU64,
    errors: AtomicU64,
    first: Mutex<Vec<String>>,
    latencies: Mutex<Vec<Duration>>,
}

impl Figures {
    /// Counts a request that went as it should.
    pub(crate) fn done(&self, began: Instant) {
        self.requests.fetch_add(1, Relaxed);
        lock(&self.latencies).push(began.elapsed());
    }

    /// Counts what should not happen; the first ones are told.
    pub(crate) fn error(&self, what: &str) {
        self.errors.fetch_add(1, Relaxed);
        let mut first = lock(&self.first);
        if first.len() < MOST_TOLD {
            first.push(what.to_owned());
        }
    }
}

/// One second.
#[derive(Clone, Copy, Debug)]
struct Sample {
    resident: u64,
    files: u64,
    threads: u64,
}

/// Looks every second, prints every ten.
pub(crate) struct Watch {
    gateway: Arc<Gateway>,
    figures: Arc<Figures>,
    samples: Vec<Sample>,
}

impl Watch {
    pub(crate) fn of(gateway: Arc<Gateway>, figures: Arc<Figures>) -> Self {
        Self {
            gateway,
            figures,
            samples: Vec::new(),
        }
    }

    /// Watches for so long.
    pub(crate) async fn run(&mut self, time: Duration) {
        println!(
            "{:>6} {:>8} {:>5} {:>7} {:>9} {:>8} {:>8} {:>7} {:>7} {:>9} {:>8} {:>6}",
            "s",
            "RSS MiB",
            "files",
            "threads",
            "requests",
            "p50 ms",
            "p99 ms",
            "changes",
            "reloads",
            "instances",
            "aborted",
            "errors"
        );
        let started = Instant::now();
        let mut printed = Duration::ZERO;
        while started.elapsed() < time {
            pause(Duration::from_secs(1)).await;
            self.samples.push(self.sample());
            if started.elapsed() >= printed + LINE {
                printed += LINE;
                self.print(printed).await;
            }
        }
    }

    fn sample(&self) -> Sample {
        let entries = |name: &str| {
            let folder = fs::read_dir(format!("/proc/{}/{name}", self.gateway.id()));
            folder.map_or(0, |entries| entries.count() as u64)
        };
        Sample {
            resident: self.gateway.resident(),
            files: entries("fd"),
            threads: entries("task"),
        }
    }

    async fn print(&self, at: Duration) {
        let Some(Sample {
            resident,
            files,
            threads,
        }) = self.samples.last().copied()
        else {
            return;
        };
        let figures = &self.figures;
        let mut latencies = std::mem::take(&mut *lock(&figures.latencies));
        latencies.sort_unstable();
        let part = |thousandths: usize| {
            let found = latencies.get(latencies.len() * thousandths / 1000);
            found.map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        let text = self.gateway.admin_get("/metrics").await.text();
        let instances: f64 = text
            .lines()
            .filter(|line| line.starts_with("portcullis_plugin_instances{"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum();
        println!(
            "{:>6} {:>8.1} {:>5} {:>7} {:>9} {:>8.2} {:>8.2} {:>7} {:>7} {:>9} {:>8} {:>6}",
            at.as_secs(),
            mebibytes(resident),
            files,
            threads,
            figures.requests.load(Relaxed),
            part(500),
            part(990),
            figures.changes.load(Relaxed),
            figures.reloads.load(Relaxed),
            instances,
            figures.aborted.load(Relaxed),
            figures.errors.load(Relaxed)
        );
    }

    /// What is not as it should be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let errors = self.figures.errors.load(Relaxed);
        if errors > 0 {
            faults.push(format!("{errors} errors, first:"));
            faults.extend(lock(&self.figures.first).iter().cloned());
        }
        for (name, count) in [
            ("requests", &self.figures.requests),
            ("changes", &self.figures.changes),
            ("reloads of plugins", &self.figures.reloads),
            ("failures of the failing backend", &self.figures.expected),
        ] {
            if count.load(Relaxed) == 0 {
                faults.push(format!("there were no {name}"));
            }
        }
        let log = self.gateway.log();
        let panics = log.iter().filter(|line| line.contains("panicked"));
        faults.extend(panics.take(MOST_TOLD).cloned());
        faults.extend(self.growth());
        faults
    }

    /// What grew from the second third of the time to the last.
    fn growth(&self) -> Vec<String> {
        let third = self.samples.len() / 3;
        let (Some(middle), Some(last)) = (
            self.samples.get(third..2 * third),
            self.samples.get(2 * third..),
        ) else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        let mut compare = |what: &str, of: fn(&Sample) -> u64, room: u64| {
            let (before, after) = (median(middle, of), median(last, of));
            println!("soak: {what}: median {before} in the second third, {after} in the last");
            if after > before + before / 20 + room {
                faults.push(format!("{what} grew from {before} to {after}"));
            }
        };
        compare("bytes of resident memory", |s| s.resident, 2 << 20);
        compare("open files", |s| s.files, 16);
        compare("threads", |s| s.threads, 0);
        faults
    }
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people, to a tenth of a mebibyte"
)]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const LINE: Duration = Duration::from_secs(10);
const MOST_TOLD: usize = 20;
