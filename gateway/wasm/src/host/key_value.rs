//! Values that guests keep, bounded by their grant.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use wasmtime::Result;

use super::{Guest, wit};
use wit::key_value::KvError;

/// The values of a plugin in one namespace.
#[derive(Debug, Default)]
pub(crate) struct Values(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    values: HashMap<String, Value, RandomState>,
    bytes: usize,
    /// When it was last looked for what has outlived its time.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Value {
    bytes: Vec<u8>,
    until: Option<Instant>,
}

impl Value {
    fn is_alive(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Kept {
    fn find(&self, key: &str, now: Instant) -> Option<&Value> {
        self.values.get(key).filter(|value| value.is_alive(now))
    }

    fn remove(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.bytes = self.bytes.saturating_sub(cost(key, &value.bytes));
        }
    }

    fn set(
        &mut self,
        key: String,
        value: Value,
        most: usize,
        now: Instant,
    ) -> std::result::Result<(), KvError> {
        if key.len() > KEY || value.bytes.len() > VALUE {
            return Err(KvError::TooLarge);
        }
        let new = cost(&key, &value.bytes);
        let present = self.values.get(&key);
        let old = present.map_or(0, |present| cost(&key, &present.bytes));
        if self.bytes.saturating_sub(old).saturating_add(new) > most {
            self.may_sweep(now);
        }
        let present = self.values.get(&key);
        let old = present.map_or(0, |present| cost(&key, &present.bytes));
        let bytes = self.bytes.saturating_sub(old).saturating_add(new);
        if bytes > most {
            return Err(KvError::Full);
        }
        self.bytes = bytes;
        self.values.insert(key, value);
        Ok(())
    }

    /// Sweeps, unless there are many values and it just did: clients can have a filter fill its store, and each
    /// value that does not fit would go over all of it.
    fn may_sweep(&mut self, now: Instant) {
        let since = self.swept.map(|swept| now.saturating_duration_since(swept));
        if self.values.len() <= FEW || since.is_none_or(|since| since >= SWEEP) {
            self.swept = Some(now);
            self.sweep(now);
        }
    }

    /// Removes what has outlived its time.
    fn sweep(&mut self, now: Instant) {
        let mut bytes = 0;
        self.values.retain(|key, value| {
            let alive = value.is_alive(now);
            if alive {
                bytes += cost(key, &value.bytes);
            }
            alive
        });
        self.bytes = bytes;
    }
}

impl Values {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn increment(
        &self,
        key: String,
        delta: i64,
        ttl: Option<u32>,
        most: usize,
    ) -> std::result::Result<i64, KvError> {
        let now = Instant::now();
        let mut kept = self.lock();
        let (before, until) = match kept.find(&key, now) {
            None => (0, deadline(ttl, now)),
            Some(value) => {
                let text = std::str::from_utf8(&value.bytes).ok();
                let number = text.and_then(|text| text.parse().ok());
                (number.ok_or(KvError::Conflict)?, value.until)
            }
        };
        let sum = i64::checked_add(before, delta).ok_or(KvError::Conflict)?;
        let bytes = sum.to_string().into_bytes();
        kept.set(key, Value { bytes, until }, most, now)?;
        Ok(sum)
    }
}

impl wit::key_value::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        let kept = self.acting()?.values().lock();
        let value = kept.find(&key, Instant::now());
        Ok(value.map(|value| value.bytes.clone()))
    }

    fn set(
        &mut self,
        key: String,
        bytes: Vec<u8>,
        ttl: Option<u32>,
    ) -> Result<std::result::Result<(), KvError>> {
        let attachment = self.acting()?;
        let now = Instant::now();
        let until = deadline(ttl, now);
        let most = attachment.plugin().value_bytes();
        let value = Value { bytes, until };
        Ok(attachment.values().lock().set(key, value, most, now))
    }

    fn delete(&mut self, key: String) -> Result<()> {
        self.acting()?.values().lock().remove(&key);
        Ok(())
    }

    fn increment(
        &mut self,
        key: String,
        delta: i64,
        ttl: Option<u32>,
    ) -> Result<std::result::Result<i64, KvError>> {
        let attachment = self.acting()?;
        let most = attachment.plugin().value_bytes();
        Ok(attachment.values().increment(key, delta, ttl, most))
    }
}

fn deadline(ttl: Option<u32>, now: Instant) -> Option<Instant> {
    ttl.map(|milliseconds| now + Duration::from_millis(milliseconds.into()))
}

/// What an entry takes, with what the map needs for it.
fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + 96
}

/// At least so long between two sweeps: of 40,000 values one takes up to a millisecond.
const SWEEP: Duration = Duration::from_millis(100);
/// Of so many one takes microseconds.
const FEW: usize = 500;
/// The longest key.
const KEY: usize = 1 << 10;
/// The largest value.
const VALUE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(kept: &mut Kept, key: &str, size: usize, until: Option<Instant>) -> Option<KvError> {
        let bytes = vec![0; size];
        let value = Value { bytes, until };
        let set = kept.set(key.to_owned(), value, 10_000, Instant::now());
        set.err()
    }

    #[test]
    fn values_are_bounded_and_what_is_past_its_time_makes_room() {
        let mut kept = Kept::default();
        let large = "k".repeat(2000);
        assert!(matches!(
            set(&mut kept, &large, 0, None),
            Some(KvError::TooLarge)
        ));
        assert!(matches!(
            set(&mut kept, "a", 70_000, None),
            Some(KvError::TooLarge)
        ));
        let past = Some(Instant::now());
        assert!(set(&mut kept, "a", 6000, past).is_none());
        assert!(kept.find("a", Instant::now()).is_none());
        assert!(set(&mut kept, "b", 6000, None).is_none(), "a makes room");
        assert!(set(&mut kept, "b", 7000, None).is_none(), "b is replaced");
        assert!(matches!(
            set(&mut kept, "c", 3000, None),
            Some(KvError::Full)
        ));
        kept.remove("b");
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn a_large_store_that_is_full_is_not_gone_over_for_each_value() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut set = |key: &str, until, now| {
            let value = Value {
                bytes: Vec::new(),
                until,
            };
            kept.set(key.to_owned(), value, 100 * (FEW + 1), now)
                .is_ok()
        };
        for number in 0..=FEW {
            assert!(set(&format!("{number:04}"), Some(at(10)), start));
        }
        assert!(!set("next", None, at(9)), "none has outlived its time");
        assert!(!set("next", None, at(11)), "it was just looked for");
        assert!(set("next", None, at(109)));
    }

    #[test]
    fn increments_count_and_conflict_with_what_is_no_number() {
        let values = Values::default();
        let add = |key: &str, delta| values.increment(key.to_owned(), delta, None, 10_000);
        assert!(matches!(add("a", 2), Ok(2)));
        assert!(matches!(add("a", -5), Ok(-3)));
        assert!(matches!(add("a", i64::MIN), Err(KvError::Conflict)));
        set(&mut values.lock(), "b", 3, None);
        assert!(matches!(add("b", 1), Err(KvError::Conflict)));
    }
}
