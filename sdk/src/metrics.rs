//! Numbers for the gateway's `/metrics`. Grant: `metrics`. At most 50 series a plugin, with 8 labels
//! each, names of letters, digits and `_`, names and values of labels of at most 128 bytes; what goes
//! beyond is not counted.
//!
//! Make them in [`crate::Filter::new`] and keep them: then counting passes only a number.

use crate::sys;

/// A number that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// The counter of that name and these labels; the same ones give the same again.
    pub fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        Self(sys::metrics_counter(name, labels))
    }

    /// Adds one.
    pub fn increment(self) {
        self.add(1);
    }

    /// Adds that many.
    pub fn add(self, delta: u64) {
        sys::metrics_add(self.0, delta);
    }
}

/// How many values there were up to each bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(u32);

impl Histogram {
    /// The histogram of that name with these upper bounds, at most 32, ascending.
    pub fn new(name: &str, bounds: &[f64]) -> Self {
        Self(sys::metrics_histogram(name, bounds))
    }

    /// Puts a value in.
    pub fn observe(self, value: f64) {
        sys::metrics_observe(self.0, value);
    }
}
