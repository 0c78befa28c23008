//! How much of a worker's time goes into instances that take long to be made: beyond that, calls that
//! need a new one run aside.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use crate::limits::cpu_time;

/// What is known of the time that instances of a plugin take to be made. Clocks are only read where
/// there is a doubt.
#[derive(Debug)]
pub(crate) struct Making(AtomicU8);

impl Default for Making {
    /// The first one is measured.
    fn default() -> Self {
        Self(AtomicU8::new(DOUBTED))
    }
}

impl Making {
    /// Whether one of them took longer on a CPU than a hook may on a worker. That is not forgotten: code
    /// may take its time only now and then.
    pub(crate) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) == SLOW
    }

    /// Makes one on this thread, which does nothing else until it is made.
    pub(crate) async fn measure<R>(&self, make: impl Future<Output = R>) -> R {
        if self.0.load(Ordering::Relaxed) == QUICK {
            let began = Instant::now();
            let made = make.await;
            // It may only have been preempted.
            if began.elapsed() > INLINE {
                self.0.fetch_max(AGAIN, Ordering::Relaxed);
            }
            return made;
        }
        let began = cpu_time();
        let made = make.await;
        if spend(cpu_time().saturating_sub(began)) {
            self.0.store(SLOW, Ordering::Relaxed);
        } else {
            let states = (DOUBTED, QUICK, Ordering::Relaxed);
            let _ = self
                .0
                .compare_exchange(states.0, states.1, states.2, states.2);
        }
        made
    }
}

/// Whether this worker still makes what takes long.
pub(crate) fn is_left() -> bool {
    LEFT.get().is_left(Instant::now())
}

/// Time that this worker has spent; whether it was long.
pub(crate) fn spend(time: Duration) -> bool {
    let long = time > INLINE;
    if long {
        LEFT.set(LEFT.get().without(time, Instant::now()));
    }
    long
}

thread_local! {
    static LEFT: Cell<Allowance> = const { Cell::new(Allowance { whole: None }) };
}

/// A fiftieth of the time, and so much at once.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    /// When all of it is there again.
    whole: Option<Instant>,
}

impl Allowance {
    fn is_left(self, now: Instant) -> bool {
        self.whole.is_none_or(|whole| whole < now + AT_ONCE * PART)
    }

    fn without(self, time: Duration, now: Instant) -> Self {
        let whole = self.whole.map_or(now, |whole| whole.max(now));
        Self {
            whole: Some(whole + time * PART),
        }
    }
}

/// Up to here, a call is short enough for a worker to wait for it.
pub(crate) const INLINE: Duration = Duration::from_millis(1);
const AT_ONCE: Duration = Duration::from_millis(100);
const PART: u32 = 50;

/// None is known that took long.
const QUICK: u8 = 0;
/// None was measured yet.
const DOUBTED: u8 = 1;
/// One may have taken long: from then on, all are measured.
const AGAIN: u8 = 2;
const SLOW: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn so_much_at_once_and_then_a_fiftieth_of_the_time() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        let mut spent = Duration::ZERO;
        for ms in 0..60_000 {
            let now = start + MS * ms;
            if allowance.is_left(now) {
                allowance = allowance.without(MS * 80, now);
                spent += MS * 80;
            }
            assert!(
                spent < AT_ONCE + MS * 80 + MS * ms / PART,
                "{spent:?} after {ms} ms"
            );
        }
        assert!(spent > MS * 60_000 / PART, "{spent:?}");
    }

    #[test]
    fn few_that_take_some_milliseconds_use_none_up() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            assert!(allowance.is_left(now));
            allowance = allowance.without(MS * 15, now);
        }
    }

    fn spin(time: Duration) {
        let began = cpu_time();
        while cpu_time() - began < time {}
    }

    #[test]
    fn one_that_took_long_is_remembered() {
        let making = Making::default();
        let make = |time| crate::instance::here(making.measure(async { spin(time) }));
        make(Duration::ZERO);
        assert!(!making.is_slow());
        // The first one is only noticed, the next one measured.
        make(MS * 5);
        assert!(!making.is_slow());
        make(Duration::ZERO);
        make(MS * 5);
        assert!(making.is_slow());
        make(Duration::ZERO);
        assert!(making.is_slow());
        assert!(is_left());
        make(MS * 100);
        assert!(!is_left());
    }
}
