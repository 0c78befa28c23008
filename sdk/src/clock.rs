//! Time. Needs no grant. `std::time` has no clock in a filter.

use std::time::{Duration, SystemTime};

use crate::sys;

/// The time since an arbitrary moment. Never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(sys::clock_monotonic())
}

/// The time of day.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + since_epoch()
}

/// The time since 1970-01-01T00:00:00Z, in milliseconds at best.
pub fn since_epoch() -> Duration {
    Duration::from_millis(sys::clock_wall())
}
