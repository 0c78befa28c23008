//! What one instance may take: memory, tables, time on the CPU, calls of the host.

use std::time::Duration;

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

/// How long the call that runs may still take. It is only looked at when an epoch has passed: calls
/// that end before that never read a clock.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    limit: Duration,
    since: Option<Duration>,
    passed: bool,
}

impl Deadline {
    /// Before a call.
    pub(crate) fn arm(&mut self, limit: Duration) {
        self.limit = limit;
        self.since = None;
        self.passed = false;
    }

    /// Whether the last call was ended.
    pub(crate) fn passed(&self) -> bool {
        self.passed
    }

    /// When an epoch has passed. The time limit is CPU time: a call that was only preempted goes on.
    /// The first epoch ends somewhere within a tick, and starts the count.
    pub(crate) fn check(&mut self) -> UpdateDeadline {
        let now = cpu_time();
        let since = *self.since.get_or_insert(now);
        // Wasmtime charges the next check with a tick: stop where that would be too late.
        if now.saturating_sub(since) >= self.limit {
            self.passed = true;
            return UpdateDeadline::Interrupt;
        }
        UpdateDeadline::Continue(1)
    }
}

/// The time that this thread has spent on a CPU.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests;
