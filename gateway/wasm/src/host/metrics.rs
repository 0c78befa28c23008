//! Numbers that guests count, bounded.

use std::sync::{Mutex, PoisonError};

use wasmtime::Result;

use super::{Guest, wit};

/// The series of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Vec<Sample>>);

/// One series of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// What was counted.
    pub value: Counted,
}

/// What a series holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Counted {
    /// A sum.
    Counter(u64),
    /// How many values there were up to each bound.
    Histogram {
        /// The upper bounds, ascending, each with the number of values that it is the first for.
        buckets: Vec<(f64, u64)>,
        /// The number of all values, also those beyond the last bound.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl Metrics {
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.lock().clone()
    }

    /// The id of a series; that of none where it is not one, or there are too many.
    fn register(&self, sample: Sample) -> u32 {
        let kind = std::mem::discriminant(&sample.value);
        let mut all = self.lock();
        let same = all.iter().position(|other| {
            other.name == sample.name
                && other.labels == sample.labels
                && std::mem::discriminant(&other.value) == kind
        });
        let index = same.unwrap_or(all.len());
        if same.is_none() {
            if all.len() == SERIES || !sample.is_sound() {
                return NONE;
            }
            all.push(sample);
        }
        u32::try_from(index).unwrap_or(NONE)
    }

    fn update(&self, id: u32, update: impl FnOnce(&mut Counted)) {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        if let Some(sample) = self.lock().get_mut(index) {
            update(&mut sample.value);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    /// Whether it can stand in the Prometheus text format.
    fn is_sound(&self) -> bool {
        let word = |text: &str| {
            let mut bytes = text.bytes();
            bytes
                .next()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && text.len() <= LENGTH
        };
        let bounds = match &self.value {
            Counted::Counter(_) => true,
            Counted::Histogram { buckets, .. } => {
                buckets.len() <= 32
                    && buckets.iter().all(|(bound, _)| bound.is_finite())
                    && buckets.is_sorted_by(|(a, _), (b, _)| a < b)
            }
        };
        bounds
            && word(&self.name)
            && self.labels.len() <= 8
            && self.labels.iter().enumerate().all(|(index, (name, _))| {
                // A scrape that has one twice, or a name of Prometheus' own, is refused as a whole.
                let mut before = self.labels.iter().take(index);
                let reserved =
                    name.starts_with("__") || name == "label_le" || name == "label_plugin";
                !reserved && before.all(|(other, _)| other != name)
            })
            && self
                .labels
                .iter()
                .all(|(name, value)| word(name) && value.len() <= LENGTH)
    }
}

impl wit::metrics::Host for Guest {
    fn counter(&mut self, name: String, labels: Vec<(String, String)>) -> Result<u32> {
        let metrics = self.acting()?.plugin().shared().metrics();
        Ok(metrics.register(Sample {
            name,
            labels,
            value: Counted::Counter(0),
        }))
    }

    fn histogram(&mut self, name: String, buckets: Vec<f64>) -> Result<u32> {
        let metrics = self.acting()?.plugin().shared().metrics();
        Ok(metrics.register(Sample {
            name,
            labels: Vec::new(),
            value: Counted::Histogram {
                buckets: buckets.into_iter().map(|bound| (bound, 0)).collect(),
                count: 0,
                sum: 0.0,
            },
        }))
    }

    fn add(&mut self, id: u32, delta: u64) -> Result<()> {
        let metrics = self.acting()?.plugin().shared().metrics();
        metrics.update(id, |counted| match counted {
            Counted::Counter(value) => *value = value.saturating_add(delta),
            Counted::Histogram { .. } => {}
        });
        Ok(())
    }

    fn observe(&mut self, id: u32, value: f64) -> Result<()> {
        let metrics = self.acting()?.plugin().shared().metrics();
        metrics.update(id, |counted| match counted {
            Counted::Counter(_) => {}
            Counted::Histogram {
                buckets,
                count,
                sum,
            } => {
                let first = buckets.iter_mut().find(|(bound, _)| value <= *bound);
                if let Some((_, number)) = first {
                    *number += 1;
                }
                *count += 1;
                *sum += value;
            }
        });
        Ok(())
    }
}

/// How many series a plugin may have.
const SERIES: usize = 50;
/// The longest name or label.
const LENGTH: usize = 128;
/// The id of what is not counted.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(name: &str) -> Sample {
        Sample {
            name: name.to_owned(),
            labels: Vec::new(),
            value: Counted::Counter(0),
        }
    }

    #[test]
    fn labels_have_names_of_their_own() {
        let metrics = Metrics::default();
        for names in [
            &["a", "b", "a"][..],
            &["__name__"],
            &["label_le"],
            &["le", "label_le"],
        ] {
            let mut sample = counter("one");
            sample.labels = names
                .iter()
                .map(|name| ((*name).to_owned(), "x".to_owned()))
                .collect();
            assert_eq!(metrics.register(sample), NONE, "{names:?}");
        }
    }

    #[test]
    fn a_plugin_has_at_most_fifty_sound_series() {
        let metrics = Metrics::default();
        for wrong in ["", "1a", "a b", "a\nb", &"a".repeat(129)] {
            assert_eq!(metrics.register(counter(wrong)), NONE, "{wrong:?}");
        }
        for number in 0..50 {
            assert_eq!(metrics.register(counter(&format!("a{number}"))), number);
        }
        assert_eq!(metrics.register(counter("one_more")), NONE);
        assert_eq!(metrics.register(counter("a7")), 7, "the same again");
        metrics.update(NONE, |_| panic!("nothing is counted"));
        assert_eq!(metrics.samples().len(), 50);
    }
}
