//! Token buckets by key.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

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

/// The buckets of one name.
#[derive(Debug)]
pub(crate) struct Bucket(Mutex<Keys>);

#[derive(Debug)]
struct Keys {
    rules: Vec<Rule>,
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
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'k> {
    Text(&'k str),
    /// A client, or a network of them.
    Client(IpAddr),
}

/// How full the bucket of a key is, for each rule.
#[derive(Clone, Debug)]
struct Level {
    tokens: Vec<f64>,
    at: Instant,
}

impl<'k> From<&'k str> for Key<'k> {
    fn from(text: &'k str) -> Self {
        Self::Text(text)
    }
}

impl Bucket {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self(Mutex::new(Keys {
            rules,
            young: Generation::default(),
            old: Generation::default(),
        }))
    }

    /// From now on. Levels stay; a rule more begins full.
    pub(super) fn set_rules(&self, rules: Vec<Rule>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rules = rules;
    }

    pub(in crate::host) fn take<'k>(
        &self,
        key: impl Into<Key<'k>>,
        wanted: u32,
        now: Instant,
    ) -> Decision {
        let key = key.into();
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = &mut *keys;
        if keys.young.get(key).is_none() {
            if keys.young.len() >= GENERATION {
                keys.old = std::mem::take(&mut keys.young);
            }
            let level = keys.old.remove(key).unwrap_or_else(|| Level {
                tokens: Vec::new(),
                at: now,
            });
            keys.young.insert(key, level);
        }
        let Some(level) = keys.young.get(key) else {
            return REFUSED;
        };
        level.fill(&keys.rules, now);
        level.take(&keys.rules, wanted)
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

/// How many keys one generation has.
const GENERATION: usize = 50_000;
const HAIR: f64 = 1e-6;

#[cfg(test)]
mod tests;
