//! Token buckets by key.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use crate::rate_limit::{Decision, Rule};

/// The buckets of one name.
#[derive(Clone, Debug)]
pub(crate) struct Bucket(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: RefCell<Vec<Rule>>,
    keys: RefCell<Keys>,
}

/// Two generations, so that idle keys leave first.
#[derive(Debug, Default)]
struct Keys {
    young: HashMap<String, Level>,
    old: HashMap<String, Level>,
}

/// How full the bucket of a key is, for each rule, and since when.
#[derive(Debug, Default)]
struct Level {
    tokens: Vec<f64>,
    at: Cell<Duration>,
}

impl Bucket {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self(Rc::new(Shared {
            rules: RefCell::new(rules),
            keys: RefCell::default(),
        }))
    }

    /// From now on. Levels stay; a rule more begins full.
    pub(crate) fn set_rules(&self, rules: Vec<Rule>) {
        *self.0.rules.borrow_mut() = rules;
    }

    pub(crate) fn take(&self, key: &str, wanted: u32, now: Duration) -> Decision {
        let rules = self.0.rules.borrow();
        let mut keys = self.0.keys.borrow_mut();
        let level = keys.level(key, now);
        level.fill(&rules, now);
        level.take(&rules, wanted)
    }
}

impl Keys {
    fn level(&mut self, key: &str, now: Duration) -> &mut Level {
        if !self.young.contains_key(key) && self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key.to_owned()).or_insert_with(|| {
            let new = || Level {
                tokens: Vec::new(),
                at: Cell::new(now),
            };
            old.remove(key).unwrap_or_else(new)
        })
    }
}

impl Level {
    fn fill(&mut self, rules: &[Rule], now: Duration) {
        let passed = now.saturating_sub(self.at.get()).as_secs_f64();
        self.at.set(self.at.get().max(now));
        self.tokens.truncate(rules.len());
        for (tokens, rule) in self.tokens.iter_mut().zip(rules) {
            *tokens = (*tokens + passed * per_second(rule)).min(f64::from(rule.burst));
        }
        for rule in rules.iter().skip(self.tokens.len()) {
            self.tokens.push(f64::from(rule.burst));
        }
    }

    /// All rules must pass, and only then is any charged.
    fn take(&mut self, rules: &[Rule], wanted: u32) -> Decision {
        let cost = f64::from(wanted);
        let allowed = self.tokens.iter().all(|tokens| tokens + HAIR >= cost);
        if allowed {
            for tokens in &mut self.tokens {
                *tokens = (*tokens - cost).max(0.0);
            }
        }
        let wait = |tokens: f64, rule: &Rule| {
            if allowed {
                0.0
            } else if wanted > rule.burst {
                f64::INFINITY
            } else {
                ((cost - tokens) / per_second(rule)).max(0.0)
            }
        };
        // The rule that is nearest to its end: the longest wait, else the least that is left.
        let states = self.tokens.iter().zip(rules);
        let nearest = states.max_by(|(a, x), (b, y)| {
            let waits = wait(**a, x).total_cmp(&wait(**b, y));
            waits.then(b.total_cmp(a))
        });
        let Some((&tokens, rule)) = nearest else {
            return REFUSED;
        };
        let wait = Duration::try_from_secs_f64(wait(tokens, rule)).unwrap_or(Duration::MAX);
        let wait = wait.as_nanos().div_ceil(1_000_000);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float's cast saturates"
        )]
        let remaining = (tokens + HAIR) as u32;
        Decision {
            allowed,
            limit: rule.burst,
            remaining,
            retry_after_ms: u32::try_from(wait).unwrap_or(u32::MAX),
        }
    }
}

fn per_second(rule: &Rule) -> f64 {
    f64::from(rule.tokens) * 1000.0 / f64::from(rule.per_ms)
}

const REFUSED: Decision = Decision {
    allowed: false,
    limit: 0,
    remaining: 0,
    retry_after_ms: u32::MAX,
};
/// How many keys one generation has.
const GENERATION: usize = 50_000;
/// What is computed in binary fractions may miss a whole token by so much.
const HAIR: f64 = 1e-6;
