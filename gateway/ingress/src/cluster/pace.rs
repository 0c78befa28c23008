//! How long to wait before trying again.

use std::time::{Duration, Instant};

/// Waits that double from one failure to the next, with jitter, so that many gateways do not come back
/// as one.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
    last: Option<Instant>,
}

impl Pace {
    /// The wait after another failure.
    pub(super) fn next(&mut self) -> Duration {
        if self.last.is_some_and(|last| last.elapsed() > CALM) {
            self.failures = 0;
        }
        self.last = Some(Instant::now());
        let longest = FIRST.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.failures += 1;
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

const FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
pub(super) const MOST: Duration = Duration::from_secs(30);
/// After so long without a failure, the next one is the first.
const CALM: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_half_a_minute() {
        let mut pace = Pace::default();
        let mut longest = Duration::from_millis(200);
        for _ in 0..40 {
            let wait = pace.next();
            assert!(wait <= longest && wait >= longest / 2, "{wait:?}");
            longest = (longest * 2).min(MOST);
        }
    }
}
