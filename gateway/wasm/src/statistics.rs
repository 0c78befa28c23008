//! How many instances of a plugin there are, and what became of the others.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The instances of a plugin, on all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceCounts {
    /// How many there are.
    pub alive: usize,
    /// How many bytes of memory these have.
    pub memory: usize,
    /// How many were ever made.
    pub made: u64,
    /// How many of them ended with a failure. Others leave as they are idle or worn.
    pub failed: u64,
}

/// Counts the instances of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    alive: AtomicUsize,
    memory: AtomicUsize,
    made: AtomicU64,
    failed: AtomicU64,
}

impl Statistics {
    pub(crate) fn read(&self) -> InstanceCounts {
        InstanceCounts {
            alive: self.alive.load(Relaxed),
            memory: self.memory.load(Relaxed),
            made: self.made.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }
}

/// Counts one instance for as long as it lives.
#[derive(Debug)]
pub(crate) struct Life {
    /// None before there is a plugin.
    counted: Option<Arc<Statistics>>,
    memory: usize,
}

impl Life {
    /// Of an instance that no plugin has yet.
    pub(crate) fn uncounted() -> Self {
        Self {
            counted: None,
            memory: 0,
        }
    }

    /// Of a plugin's instance, from now on.
    pub(crate) fn of(statistics: Arc<Statistics>) -> Self {
        statistics.alive.fetch_add(1, Relaxed);
        statistics.made.fetch_add(1, Relaxed);
        Self {
            counted: Some(statistics),
            memory: 0,
        }
    }

    /// The memory that it has now.
    pub(crate) fn has(&mut self, memory: usize) {
        // It rarely grows: what all workers count together is not touched at each call.
        if memory != self.memory
            && let Some(counted) = &self.counted
        {
            counted.memory.fetch_add(memory, Relaxed);
            counted.memory.fetch_sub(self.memory, Relaxed);
            self.memory = memory;
        }
    }

    /// It failed, and is dropped.
    pub(crate) fn failed(&self) {
        if let Some(counted) = &self.counted {
            counted.failed.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(counted) = &self.counted {
            counted.alive.fetch_sub(1, Relaxed);
            counted.memory.fetch_sub(self.memory, Relaxed);
        }
    }
}
