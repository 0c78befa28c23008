//! Token buckets by key.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering::Acquire, Ordering::Release},
    },
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{Decision, WitRule};

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    per_second: f64,
    burst: u32,
}

impl From<WitRule> for Rule {
    fn from(rule: WitRule) -> Self {
        Self {
            per_second: f64::from(rule.tokens) * 1000.0 / f64::from(rule.per_ms),
            burst: rule.burst,
        }
    }
}

/// The buckets of one name, in parts: workers rarely wait for each other, and where the keys of a part move to
/// a larger table, or go, that takes a fraction of a millisecond. A part that has no key takes no memory.
#[derive(Debug)]
pub(crate) struct Bucket {
    rules: Mutex<Vec<Rule>>,
    /// How often the rules have changed.
    changes: AtomicU32,
    parts: [OnceLock<Box<Mutex<Keys>>>; PARTS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Keys {
    /// As of so many changes; of none there are none yet.
    rules: Vec<Rule>,
    changes: u32,
    /// Two generations: a key that is used is in the young one, and when that is full, the old one
    /// goes. So idle keys leave first, and no take ever searches for them.
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    texts: HashMap<String, Level, RandomState>,
    clients: HashMap<IpAddr, Level, RandomState>,
}

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum Key<'k> {
    Text(&'k str),
    /// A client, or a network of them.
    Client(IpAddr),
}

/// How full the bucket of a key is, for each rule.
#[derive(Clone, Debug)]
struct Level {
    tokens: SmallVec<[f64; 2]>,
    at: Instant,
}

impl<'k> From<&'k str> for Key<'k> {
    fn from(text: &'k str) -> Self {
        Self::Text(text)
    }
}

impl Bucket {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules: Mutex::new(rules),
            changes: AtomicU32::new(1),
            parts: Default::default(),
            hasher: RandomState::default(),
        }
    }

    /// From now on. Levels stay; a rule more begins full.
    pub(super) fn set_rules(&self, rules: Vec<Rule>) {
        let mut own = lock(&self.rules);
        *own = rules;
        self.changes.fetch_add(1, Release);
    }

    pub(in crate::host) fn take<'k>(
        &self,
        key: impl Into<Key<'k>>,
        wanted: u32,
        now: Instant,
    ) -> Decision {
        let key = key.into();
        let Some(part) = self.part(key) else {
            return REFUSED;
        };
        let mut keys = lock(part);
        let changes = self.changes.load(Acquire);
        if keys.changes != changes {
            keys.rules.clone_from(&lock(&self.rules));
            keys.changes = changes;
        }
        keys.take(key, wanted, now)
    }

    /// Where a key is.
    fn part(&self, key: Key<'_>) -> Option<&Mutex<Keys>> {
        let index = self.hasher.hash_one(key) % PARTS as u64;
        let part = self.parts.get(usize::try_from(index).ok()?)?;
        Some(part.get_or_init(Box::default))
    }
}

impl Keys {
    fn take(&mut self, key: Key<'_>, wanted: u32, now: Instant) -> Decision {
        if self.young.get(key).is_none() {
            if self.young.len() >= GENERATION {
                self.old = std::mem::take(&mut self.young);
            }
            let level = self.old.remove(key).unwrap_or_else(|| Level {
                tokens: SmallVec::new(),
                at: now,
            });
            self.young.insert(key, level);
        }
        let Some(level) = self.young.get(key) else {
            return REFUSED;
        };
        level.fill(&self.rules, now);
        level.take(&self.rules, wanted)
    }
}

impl Generation {
    fn len(&self) -> usize {
        self.texts.len() + self.clients.len()
    }

    fn get(&mut self, key: Key<'_>) -> Option<&mut Level> {
        match key {
            Key::Text(text) => self.texts.get_mut(text),
            Key::Client(address) => self.clients.get_mut(&address),
        }
    }

    fn remove(&mut self, key: Key<'_>) -> Option<Level> {
        match key {
            Key::Text(text) => self.texts.remove(text),
            Key::Client(address) => self.clients.remove(&address),
        }
    }

    fn insert(&mut self, key: Key<'_>, level: Level) {
        match key {
            Key::Text(text) => self.texts.insert(text.to_owned(), level),
            Key::Client(address) => self.clients.insert(address, level),
        };
    }
}

impl Level {
    fn fill(&mut self, rules: &[Rule], now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens.truncate(rules.len());
        let known = self.tokens.len();
        for (tokens, rule) in self.tokens.iter_mut().zip(rules) {
            *tokens = (*tokens + passed * rule.per_second).min(f64::from(rule.burst));
        }
        let full = rules.iter().skip(known).map(|rule| f64::from(rule.burst));
        self.tokens.extend(full);
    }

    /// All rules must pass, and only then is any charged.
    fn take(&mut self, rules: &[Rule], wanted: u32) -> Decision {
        let cost = f64::from(wanted);
        // What is computed in binary fractions may miss a whole token by a hair.
        let lacks = |tokens: f64| tokens + HAIR < cost;
        let allowed = !self.tokens.iter().any(|&tokens| lacks(tokens));
        if allowed {
            for tokens in &mut self.tokens {
                *tokens = (*tokens - cost).max(0.0);
            }
        }
        let wait = |tokens: f64, rule: &Rule| match (allowed, wanted > rule.burst) {
            (true, _) => 0.0,
            (false, true) => f64::INFINITY,
            (false, false) => ((cost - tokens) / rule.per_second).max(0.0),
        };
        let states = self.tokens.iter().zip(rules);
        // The rule that is nearest to its end: the longest wait, else the least that is left.
        let nearest = states
            .max_by(|(a, x), (b, y)| wait(**a, x).total_cmp(&wait(**b, y)).then(b.total_cmp(a)));
        nearest.map_or(REFUSED, |(&tokens, rule)| Decision {
            allowed,
            limit: rule.burst,
            remaining: whole(tokens + HAIR),
            retry_after_ms: milliseconds(wait(tokens, rule)),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tokens of a bucket are at most a `u32`'s.
fn whole(tokens: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float's cast saturates"
    )]
    let tokens = tokens as u32;
    tokens
}

fn milliseconds(seconds: f64) -> u32 {
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let rounded = wait.as_nanos().div_ceil(1_000_000);
    u32::try_from(rounded).unwrap_or(u32::MAX)
}

const REFUSED: Decision = Decision {
    allowed: false,
    limit: 0,
    remaining: 0,
    retry_after_ms: u32::MAX,
};

const PARTS: usize = 16;
/// How many keys one generation of a part has: 100,000 in all.
const GENERATION: usize = 100_000 / 2 / PARTS;
const HAIR: f64 = 1e-6;

#[cfg(test)]
mod tests;
