//! A gate that lets so many lines a second into the log, and counts the others.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lets through at most so many in a second.
#[derive(Debug)]
pub(crate) struct Gate {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    passed: u32,
    left_out: u64,
}

/// Whether a line is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is, after one that says how many were not since the last, unless that is 0.
    Written { left_out: u64 },
    /// It is not.
    LeftOut,
}

impl Gate {
    /// A gate that lets so many through.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// Asks for a line.
    pub(crate) fn line(&self) -> Line {
        self.line_at(Instant::now())
    }

    fn line_at(&self, now: Instant) -> Line {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |since| now.saturating_duration_since(since) >= SECOND;
        let mut left_out = 0;
        if state.since.is_none_or(over) {
            state.since = Some(now);
            state.passed = 0;
            left_out = std::mem::take(&mut state.left_out);
        }
        if state.passed == self.most {
            state.left_out += 1;
            return Line::LeftOut;
        }
        state.passed += 1;
        Line::Written { left_out }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_in_one_second_is_counted_in_the_next() {
        let (gate, now) = (Gate::new(2), Instant::now());
        let at = |milliseconds| gate.line_at(now + Duration::from_millis(milliseconds));
        assert_eq!(at(0), Line::Written { left_out: 0 });
        assert_eq!(at(1), Line::Written { left_out: 0 });
        assert_eq!(at(2), Line::LeftOut);
        assert_eq!(at(999), Line::LeftOut);
        assert_eq!(at(1000), Line::Written { left_out: 2 });
        assert_eq!(at(1001), Line::Written { left_out: 0 });
        assert_eq!(at(1002), Line::LeftOut);
    }
}
