//! What one instance may take: memory, tables, time on the CPU, calls of the host.

use std::{cell::Cell, time::Duration};

use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::engine::TABLE;

/// How many times a hook may call the host.
pub(crate) const CALLS: u32 = 1000;

/// Guards the memory of one instance.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: usize,
    used: usize,
    exceeded: Option<Exceeded>,
}

/// What an instance wanted more of than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Memory,
    Table,
}

impl Exceeded {
    /// What it is called.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Table => "table elements",
        }
    }
}

impl Limiter {
    pub(crate) fn new(memory: usize) -> Self {
        Self {
            memory,
            used: 0,
            exceeded: None,
        }
    }

    /// How many bytes of memory the instance has.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded
    }

    /// Whether the instance has grown so far that a new one is better.
    pub(crate) fn is_bloated(&self) -> bool {
        self.used > self.memory / 2
    }
}

impl ResourceLimiter for Limiter {
    // A refusal traps: few guests look at what `memory.grow` returns.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.memory {
            self.exceeded = Some(Exceeded::Memory);
            return Err(wasmtime::Error::msg("memory limit"));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE {
            self.exceeded = Some(Exceeded::Table);
            return Err(wasmtime::Error::msg("table limit"));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        2
    }
}

/// What a call does when an epoch has passed and it still has time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It goes on: its thread has nothing else to do.
    #[default]
    Straight,
    /// It lets others go on first.
    Yielding,
}

/// How long the call that runs may still take. It is only looked at when an epoch has passed: calls
/// that end before that never read a clock.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    limit: Duration,
    pace: Pace,
    since: Option<Duration>,
    used: Duration,
    passed: bool,
}

impl Deadline {
    /// Before a call.
    pub(crate) fn arm(&mut self, limit: Duration, pace: Pace) {
        *self = Self {
            limit,
            pace,
            ..Self::default()
        };
    }

    /// Whether the last call was ended.
    pub(crate) fn passed(&self) -> bool {
        self.passed
    }

    /// When an epoch has passed. The time limit is CPU time: a call that was only preempted goes on.
    pub(crate) fn check(&mut self) -> UpdateDeadline {
        let now = cpu_time();
        let used = match self.pace {
            // The first epoch ends somewhere within a tick, and starts the count.
            Pace::Straight => now.saturating_sub(*self.since.get_or_insert(now)),
            // Others have run on this thread meanwhile: what counts is the time since it was resumed.
            Pace::Yielding => {
                self.used += now.saturating_sub(RESUMED.replace(now));
                self.used
            }
        };
        // Wasmtime charges the next check with a tick: stop where that would be too late.
        if used >= self.limit {
            self.passed = true;
            return UpdateDeadline::Interrupt;
        }
        match self.pace {
            Pace::Straight => UpdateDeadline::Continue(1),
            Pace::Yielding => UpdateDeadline::Yield(1),
        }
    }
}

/// A call goes on that yields: from here on, its time counts.
pub(crate) fn resume() {
    RESUMED.set(cpu_time());
}

thread_local! {
    /// The time that this thread had spent when it last resumed a call.
    static RESUMED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// How long a call may take in all that has so much time on the CPU: it shares a thread with others,
/// and the machine with workers that come first.
pub(crate) fn wall(time: Duration) -> Duration {
    time.saturating_mul(10)
        .saturating_add(Duration::from_secs(1))
}

/// The time that this thread has spent on a CPU.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests;
