//! Whose filters are made in a round, and whose wait for the next one.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The time that a round has for filters to be configured, which is code of their plugins. Each
/// namespace has its own: one whose filters take long holds up the changes of others by no more.
pub(super) struct Turns<'a> {
    /// Until then, all are made; none: for ever.
    until: Option<Instant>,
    share: Duration,
    spent: HashMap<&'a str, Duration>,
    waiting: HashMap<&'a str, usize>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(until: Option<Instant>, share: Duration) -> Self {
        Self {
            until,
            share,
            spent: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// Makes a filter of a namespace, unless that has to wait. The first one never has.
    pub(super) fn take<R>(&mut self, namespace: &'a str, make: impl FnOnce() -> R) -> Option<R> {
        let now = Instant::now();
        let spent = self.spent.entry(namespace).or_default();
        if *spent >= self.share && self.until.is_some_and(|until| until <= now) {
            *self.waiting.entry(namespace).or_default() += 1;
            return None;
        }
        let made = make();
        *spent += now.elapsed();
        Some(made)
    }

    /// How many filters of which namespaces wait.
    pub(super) fn waiting(self) -> HashMap<&'a str, usize> {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    const SHARE: Duration = Duration::from_millis(2);

    /// How many of ten slow ones are made, and whether one of another namespace is.
    fn made(until: Option<Instant>) -> (usize, bool) {
        let mut turns = Turns::new(until, SHARE);
        let slow = (0..10).filter_map(|_| turns.take("slow", || sleep(SHARE)));
        let slow = slow.count();
        let quick = turns.take("quick", || ()).is_some();
        let waiting = turns.waiting();
        assert_eq!(waiting.get("slow").copied().unwrap_or_default(), 10 - slow);
        (slow, quick)
    }

    #[test]
    fn what_takes_long_waits_and_holds_up_no_other_namespace() {
        assert_eq!(made(Some(Instant::now())), (1, true));
    }

    #[test]
    fn where_nobody_is_served_yet_none_waits() {
        assert_eq!(made(None), (10, true));
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(made(Some(later)), (10, true));
    }
}
