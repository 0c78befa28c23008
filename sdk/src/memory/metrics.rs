//! Numbers that filters count, bounded.

/// The series of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Vec<Sample>);

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
        /// The upper bounds, each with the number of values that it is the first for.
        buckets: Vec<(f64, u64)>,
        /// The number of all values, also those beyond the last bound.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl Metrics {
    pub(crate) fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The id of a series; that of none where it is not one, or there are too many.
    pub(crate) fn register(&mut self, sample: Sample) -> u32 {
        let kind = std::mem::discriminant(&sample.value);
        let same = self.0.iter().position(|other| {
            let alike = other.name == sample.name && other.labels == sample.labels;
            alike && std::mem::discriminant(&other.value) == kind
        });
        let index = match same {
            Some(index) => index,
            None if self.0.len() == SERIES || !sample.is_sound() => return u32::MAX,
            None => {
                self.0.push(sample);
                self.0.len() - 1
            }
        };
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    pub(crate) fn add(&mut self, id: u32, delta: u64) {
        if let Some(Counted::Counter(sum)) = self.value(id) {
            *sum = sum.saturating_add(delta);
        }
    }

    pub(crate) fn observe(&mut self, id: u32, value: f64) {
        if let Some(Counted::Histogram {
            buckets,
            count,
            sum,
        }) = self.value(id)
        {
            let first = buckets.iter_mut().find(|(bound, _)| value <= *bound);
            if let Some((_, number)) = first {
                *number += 1;
            }
            *count += 1;
            *sum += value;
        }
    }

    fn value(&mut self, id: u32) -> Option<&mut Counted> {
        let index = usize::try_from(id).ok()?;
        self.0.get_mut(index).map(|sample| &mut sample.value)
    }
}

impl Sample {
    /// Whether it can stand in the Prometheus text format.
    fn is_sound(&self) -> bool {
        let word = |text: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let digit = text.starts_with(|first: char| first.is_ascii_digit());
            !text.is_empty() && !digit && text.len() <= LENGTH && text.bytes().all(inner)
        };
        let bounds = match &self.value {
            Counted::Counter(_) => true,
            Counted::Histogram { buckets, .. } => {
                let finite = buckets.iter().all(|(bound, _)| bound.is_finite());
                buckets.len() <= 32 && finite && buckets.is_sorted_by(|(a, _), (b, _)| a < b)
            }
        };
        let mut labels = self.labels.iter();
        let labelled = labels.all(|(name, value)| word(name) && value.len() <= LENGTH);
        bounds && word(&self.name) && self.labels.len() <= 8 && labelled
    }
}

/// How many series a plugin may have.
const SERIES: usize = 50;
/// The longest name or label.
const LENGTH: usize = 128;
