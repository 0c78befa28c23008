//! Memory: what the process may take, how much it has, and the thread that has the data plane shed
//! load before the kernel ends the process.

mod allocator;
mod cgroup;

use std::{
    fs, io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ingress::{Problem, Severity};
use proxy::{Gateway, Pressure};

use crate::state::State;
use cgroup::Cgroup;

/// What the operator says about the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// That of the cgroup, else what the machine has.
    Auto,
    /// There is none.
    Off,
    /// So many bytes.
    Bytes(u64),
}

/// A limit, and what is held against it.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    /// Where the process is alone in its cgroup, the kernel's own account counts its sockets too.
    cgroup: Option<Cgroup>,
}

impl Budget {
    /// The budget that applies to this process; `None` where nothing limits it.
    pub(crate) fn find(limit: Limit) -> Option<Self> {
        let (bytes, source, cgroup) = match limit {
            Limit::Off => return None,
            Limit::Bytes(bytes) => (bytes, "--memory-limit", None),
            Limit::Auto => match (Cgroup::find(), machine()) {
                (Some(cgroup), machine) if cgroup.limit <= machine.unwrap_or(u64::MAX) => {
                    (cgroup.limit, "cgroup", Some(cgroup).filter(Cgroup::is_own))
                }
                (_, Some(machine)) => (machine, "machine", None),
                (_, None) => {
                    tracing::warn!(
                        "memory is not watched: the system tells neither limit nor size"
                    );
                    return None;
                }
            },
        };
        let measure = if cgroup.is_some() {
            "cgroup"
        } else {
            "resident"
        };
        tracing::info!(limit = bytes, source, measure, "memory limit");
        Some(Self {
            limit: bytes,
            cgroup,
        })
    }

    /// Watches it for as long as the process lives.
    pub(crate) fn watch(self, gateway: Arc<Gateway>, state: Arc<State>) -> io::Result<()> {
        state.memory.set_limit(self.limit);
        let mut watch = Watch {
            budget: self,
            gateway,
            state,
            used: 0,
            pressure: Pressure::None,
            told: Pressure::None,
            lower_since: None,
        };
        let watching = move || {
            loop {
                thread::sleep(watch.look());
            }
        };
        let thread = thread::Builder::new().name("memory".to_owned());
        thread.spawn(watching).map(drop)
    }

    /// Bytes that are held; `None` where the system does not tell.
    fn used(&self) -> Option<u64> {
        match &self.cgroup {
            Some(cgroup) => cgroup.used(self.limit / 10 * 8),
            None => resident(),
        }
    }
}

/// What the watching thread knows.
struct Watch {
    budget: Budget,
    gateway: Arc<Gateway>,
    state: Arc<State>,
    /// At the last look.
    used: u64,
    pressure: Pressure,
    /// What the operator was told.
    told: Pressure,
    /// Since when the pressure is lower than that.
    lower_since: Option<Instant>,
}

impl Watch {
    /// Looks once; returns when to look again.
    fn look(&mut self) -> Duration {
        let limit = self.budget.limit;
        // Better none than a wrong one: the next look may tell.
        let used = self.budget.used().unwrap_or(0);
        let near = used >= limit / 4 * 3;
        // A burst goes on: what counts is where it will be when what follows shows, in two looks.
        let growth = if near {
            used.saturating_sub(self.used).saturating_mul(2)
        } else {
            0
        };
        let before = self.pressure;
        self.used = used;
        self.pressure = before.after(used.saturating_add(growth), limit);
        self.gateway.press(self.pressure);
        if (before == Pressure::None) != (self.pressure == Pressure::None) {
            // What is freed under pressure must go back at once, as the next look counts on it.
            allocator::keep_free_memory(self.pressure == Pressure::None);
        }
        self.tell();
        if near {
            CLOSE
        } else {
            calm(limit / 4 * 3 - used)
        }
    }

    /// Tells the operator: what is worse at once, what is better once it lasts.
    fn tell(&mut self) {
        let (told, now) = (self.told, self.pressure);
        if now >= told {
            self.lower_since = None;
        }
        if now == told {
            return;
        }
        let since = *self.lower_since.get_or_insert_with(Instant::now);
        if now < told && since.elapsed() < LASTING {
            return;
        }
        let (used, limit) = (self.used, self.budget.limit);
        tracing::warn!(used, limit, before = ?told, now = ?now, "memory pressure");
        self.state.set_overload(problem(now, limit));
        self.told = now;
        self.lower_since = None;
    }
}

/// What the operator should know under pressure.
fn problem(pressure: Pressure, limit: u64) -> Option<Problem> {
    let consequence = match pressure {
        Pressure::None => return None,
        Pressure::High => "connections are closed after each request",
        Pressure::Critical | Pressure::Extreme => {
            "new requests get 503 overload, and clients that do not take their responses are cut off"
        }
    };
    Some(Problem {
        severity: Severity::Error,
        kind: "Portcullis".to_owned(),
        namespace: String::new(),
        name: String::new(),
        field: None,
        file: None,
        line: None,
        message: format!("memory is short of the limit of {limit} bytes: {consequence}"),
        hint: "raise the container's memory limit or --memory-limit, run more replicas, or lower \
               --max-connections"
            .to_owned(),
    })
}

/// Bytes of memory that the process has resident.
pub(crate) fn resident() -> Option<u64> {
    bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Bytes of memory that the machine has.
fn machine() -> Option<u64> {
    bytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// What a line of the kernel says in kibibytes.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// When to look again while there is so much room: before it can be filled, by 4 GB a second, which no machine
/// does.
fn calm(room: u64) -> Duration {
    Duration::from_nanos(room / 4).clamp(CALM, FAR)
}

/// Between two looks, at least.
const CALM: Duration = Duration::from_millis(50);
/// And at most.
const FAR: Duration = Duration::from_secs(1);
/// Between two looks from three quarters of the limit: a burst of requests takes much within
/// milliseconds.
const CLOSE: Duration = Duration::from_millis(10);
/// How long it must be better before it is said to be.
const LASTING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_and_the_machine_have_memory() {
        let (resident, machine) = (resident().unwrap(), machine().unwrap());
        assert!(resident > 1 << 20 && resident < machine, "{resident}");
    }

    #[test]
    fn it_looks_more_often_where_there_is_less_room() {
        assert_eq!(calm(0), CALM);
        assert_eq!(calm(128 << 20), CALM, "a container of 256 MiB");
        assert_eq!(calm(1_000_000_000), Duration::from_millis(250));
        assert_eq!(calm(18 << 30), FAR);
    }

    #[test]
    fn a_given_limit_is_the_limit() {
        let budget = Budget::find(Limit::Bytes(1 << 30)).unwrap();
        assert_eq!((budget.limit, budget.cgroup.is_none()), (1 << 30, true));
        assert!(Budget::find(Limit::Off).is_none());
        assert!(Budget::find(Limit::Auto).unwrap().limit <= machine().unwrap());
    }
}
