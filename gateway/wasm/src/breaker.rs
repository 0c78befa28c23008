//! The breaker: a filter that fails again and again is left alone for a while.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Opens after 5 failures in 10 s, for 1 s, doubling to 60 s. One belongs to one version of one
/// configuration: a new one begins closed.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// Whether anything ever failed: until then, nobody asks what time it is.
    touched: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    failures: VecDeque<Instant>,
    open_until: Option<Instant>,
    /// For how long it opens next.
    pause: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            touched: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                failures: VecDeque::with_capacity(FAILURES),
                open_until: None,
                pause: FIRST_PAUSE,
            }),
        }
    }
}

impl Breaker {
    /// Whether the filter has failed of late.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Whether the filter may be called.
    pub(crate) fn admits(&self) -> bool {
        !self.is_touched() || self.admits_at(Instant::now())
    }

    /// After a failure. If that opens it: for how long.
    pub(crate) fn failed(&self) -> Option<Duration> {
        self.failed_at(Instant::now())
    }

    fn admits_at(&self, now: Instant) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.open_until.is_some_and(|until| now < until) {
            return false;
        }
        // It has behaved for a whole window since the last failure: all is forgotten.
        let last = inner.failures.back().copied().max(inner.open_until);
        if last.is_none_or(|last| now.saturating_duration_since(last) > WINDOW) {
            inner.failures.clear();
            inner.open_until = None;
            inner.pause = FIRST_PAUSE;
            self.touched.store(false, Ordering::Relaxed);
        }
        true
    }

    fn failed_at(&self, now: Instant) -> Option<Duration> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.touched.store(true, Ordering::Relaxed);
        inner
            .failures
            .retain(|&failure| now.saturating_duration_since(failure) <= WINDOW);
        if inner.failures.len() == FAILURES {
            inner.failures.pop_front();
        }
        inner.failures.push_back(now);
        let already = inner.open_until.is_some_and(|until| now < until);
        if inner.failures.len() == FAILURES && !already {
            let pause = inner.pause;
            inner.open_until = Some(now + pause);
            inner.pause = (pause * 2).min(LAST_PAUSE);
            inner.failures.clear();
            return Some(pause);
        }
        None
    }
}

const FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whenever failures come: it is never open without five of them within ten seconds, never for less than a
        /// second or more than a minute, and the next pause is at most twice the last one.
        #[test]
        fn a_pause_is_bounded_and_has_its_failures(gaps in proptest::collection::vec(0_u64..20_000, 1..80)) {
            let (breaker, mut now) = (Breaker::default(), Instant::now());
            let mut failures: Vec<Instant> = Vec::new();
            let mut last = Duration::ZERO;
            for gap in gaps {
                now += Duration::from_millis(gap);
                let admits = breaker.admits_at(now);
                if let Some(pause) = breaker.failed_at(now) {
                    failures.push(now);
                    prop_assert!(admits);
                    prop_assert!((FIRST_PAUSE..=LAST_PAUSE).contains(&pause));
                    prop_assert!(pause == FIRST_PAUSE || pause <= last * 2);
                    let recent = failures.iter().filter(|at| now - **at <= WINDOW);
                    prop_assert!(recent.count() >= FAILURES);
                    prop_assert!(!breaker.admits_at(now + pause - Duration::from_millis(1)));
                    prop_assert!(breaker.admits_at(now + pause));
                    now += pause;
                    last = pause;
                } else {
                    failures.push(now);
                }
            }
        }
    }

    fn fail(breaker: &Breaker, times: usize, at: Instant) {
        for _ in 0..times {
            breaker.failed_at(at);
        }
    }

    #[test]
    fn five_failures_open_it_for_a_second() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        fail(&breaker, 4, start);
        assert!(breaker.admits_at(start));
        fail(&breaker, 1, start);
        assert!(!breaker.admits_at(start));
        assert!(!breaker.admits_at(start + Duration::from_millis(999)));
        assert!(breaker.admits_at(start + Duration::from_secs(1)));
    }

    #[test]
    fn failures_further_apart_than_the_window_do_not_open_it() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for number in 0..20 {
            breaker.failed_at(start + Duration::from_secs(3) * number);
        }
        assert!(breaker.admits_at(start + Duration::from_secs(57)));
    }

    #[test]
    fn the_pause_doubles_to_a_minute_and_starts_over_after_a_good_while() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            fail(&breaker, 5, now);
            let until = now + Duration::from_secs(pause);
            assert!(
                !breaker.admits_at(until - Duration::from_millis(1)),
                "{pause}"
            );
            assert!(breaker.admits_at(until), "{pause}");
            now = until;
        }
        now += WINDOW + Duration::from_millis(1);
        assert!(breaker.admits_at(now));
        fail(&breaker, 5, now);
        assert!(breaker.admits_at(now + Duration::from_secs(1)));
    }
}
