//! How short of memory the process is, and what the data plane gives up so that it lives.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

use crate::stalls;

/// How short of memory the process is. Each level gives up what the ones before it do, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is enough.
    #[default]
    None,
    /// From 92 % of the limit: connections are not kept for another request.
    High,
    /// From 95 %: new requests get 503, new connections are closed, and clients that do not take their
    /// responses lose them.
    Critical,
    /// From 98 %: whoever has requests open may lose them.
    Extreme,
}

impl Pressure {
    /// The pressure that follows this one, with so many bytes `used` of `limit`. A level is left only
    /// well below where it began, so that it does not flicker.
    #[must_use]
    pub fn after(self, used: u64, limit: u64) -> Self {
        let used = u128::from(used) * 1000;
        let reached = |per_mille: u128| used >= u128::from(limit) * per_mille;
        let risen = LEVELS.iter().filter(|level| reached(level.begins)).count();
        let held = LEVELS.iter().filter(|level| reached(level.ends)).count();
        Self::of(risen.max(held.min(self as usize)))
    }

    fn of(level: usize) -> Self {
        match level {
            0 => Self::None,
            1 => Self::High,
            2 => Self::Critical,
            _ => Self::Extreme,
        }
    }
}

/// Where a level begins and ends, in thousandths of the limit.
struct Level {
    begins: u128,
    ends: u128,
}

const LEVELS: [Level; 3] = [
    Level {
        begins: 920,
        ends: 880,
    },
    Level {
        begins: 950,
        ends: 900,
    },
    Level {
        begins: 980,
        ends: 950,
    },
];

/// The pressure as the workers see it.
#[derive(Debug)]
pub(crate) struct Overload {
    pressure: AtomicU8,
    /// Since when connections are not kept, in [`stalls::now`]'s time; 0 while they are.
    since: AtomicU64,
    told: watch::Sender<Pressure>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            pressure: AtomicU8::new(0),
            since: AtomicU64::new(0),
            told: watch::Sender::new(Pressure::None),
        }
    }
}

impl Overload {
    /// Takes the pressure as it is now, and tells the workers, each time that it is critical.
    pub(crate) fn press(&self, pressure: Pressure) {
        let before = self.pressure.swap(pressure as u8, Relaxed);
        if pressure == Pressure::None {
            self.since.store(0, Relaxed);
        } else if before == 0 {
            self.since.store(stalls::tick(), Relaxed);
        }
        if before != pressure as u8 || pressure >= Pressure::Critical {
            self.told.send_replace(pressure);
        }
    }

    pub(crate) fn pressure(&self) -> Pressure {
        Pressure::of(self.pressure.load(Relaxed).into())
    }

    /// Whether connections are not kept for another request.
    pub(crate) fn saves(&self) -> bool {
        self.pressure.load(Relaxed) >= Pressure::High as u8
    }

    /// Whether new requests and connections are refused.
    pub(crate) fn sheds(&self) -> bool {
        self.pressure.load(Relaxed) >= Pressure::Critical as u8
    }

    /// Since when connections are not kept.
    pub(crate) fn since(&self) -> Option<u64> {
        Some(self.since.load(Relaxed)).filter(|since| *since != 0)
    }

    /// Yields what [`Self::press`] tells.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Pressure> {
        self.told.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_rises_at_once_and_falls_late() {
        let steps = [
            (919, Pressure::None),
            (920, Pressure::High),
            (949, Pressure::High),
            (900, Pressure::High),
            (950, Pressure::Critical),
            (901, Pressure::Critical),
            (899, Pressure::High),
            (879, Pressure::None),
            (1_500, Pressure::Extreme),
            (960, Pressure::Extreme),
            (949, Pressure::Critical),
            (0, Pressure::None),
        ];
        let mut pressure = Pressure::None;
        for (used, expected) in steps {
            pressure = pressure.after(used, 1000);
            assert_eq!(pressure, expected, "at {used}");
        }
    }

    #[test]
    fn workers_are_told_at_each_look_while_it_is_critical() {
        let overload = Overload::default();
        let mut told = overload.subscribe();
        let mut tell = |pressure| {
            overload.press(pressure);
            let new = told.has_changed().unwrap();
            told.mark_unchanged();
            new
        };
        assert!(!tell(Pressure::None));
        assert!(tell(Pressure::High) && !tell(Pressure::High));
        assert!(tell(Pressure::Critical) && tell(Pressure::Critical));
        assert!(overload.sheds() && overload.saves() && overload.since().is_some());
        assert!(tell(Pressure::None));
        assert!(!overload.sheds() && !overload.saves() && overload.since().is_none());
    }
}
