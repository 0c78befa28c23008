//! Values that filters keep, bounded by their grant.

use std::{collections::HashMap, time::Duration};

use crate::key_value::KeyValueError;

/// The values of a plugin in one namespace.
#[derive(Debug, Default)]
pub(crate) struct Values(HashMap<String, Value>);

#[derive(Debug)]
struct Value {
    bytes: Vec<u8>,
    until: Option<Duration>,
}

impl Value {
    fn is_alive(&self, now: Duration) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Values {
    pub(crate) fn get(&self, key: &str, now: Duration) -> Option<&[u8]> {
        let value = self.0.get(key).filter(|value| value.is_alive(now));
        value.map(|value| value.bytes.as_slice())
    }

    pub(crate) fn set(
        &mut self,
        key: &str,
        bytes: Vec<u8>,
        until: Option<Duration>,
        terms: (usize, Duration),
    ) -> Result<(), KeyValueError> {
        let (most, now) = terms;
        if key.len() > KEY || bytes.len() > VALUE {
            return Err(KeyValueError::TooLarge);
        }
        let new = cost(key, &bytes);
        if self.others(key) + new > most {
            self.0.retain(|_, value| value.is_alive(now));
        }
        if self.others(key) + new > most {
            return Err(KeyValueError::Full);
        }
        self.0.insert(key.to_owned(), Value { bytes, until });
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &str) {
        self.0.remove(key);
    }

    pub(crate) fn increment(
        &mut self,
        key: &str,
        delta: i64,
        until: Option<Duration>,
        terms: (usize, Duration),
    ) -> Result<i64, KeyValueError> {
        let present = self.0.get(key).filter(|value| value.is_alive(terms.1));
        let (before, until) = match present {
            None => (0, until),
            Some(value) => {
                let text = std::str::from_utf8(&value.bytes).ok();
                let number = text.and_then(|text| text.parse::<i64>().ok());
                (number.ok_or(KeyValueError::Conflict)?, value.until)
            }
        };
        let sum = before.checked_add(delta).ok_or(KeyValueError::Conflict)?;
        self.set(key, sum.to_string().into_bytes(), until, terms)?;
        Ok(sum)
    }

    /// What all values but this one take.
    fn others(&self, key: &str) -> usize {
        let others = self.0.iter().filter(|(other, _)| *other != key);
        others.map(|(key, value)| cost(key, &value.bytes)).sum()
    }
}

/// What an entry takes, with what the map needs for it.
fn cost(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + 96
}

/// The longest key.
const KEY: usize = 1 << 10;
/// The largest value.
const VALUE: usize = 64 << 10;
