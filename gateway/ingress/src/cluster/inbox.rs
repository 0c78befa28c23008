//! What the watches tell, put into the objects, and what is wrong with objects and watches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use crate::{
    manifest::{Found, Key},
    objects::{Kind, Objects},
    problem::{Problem, Severity, mark_last_good},
};

use super::{
    health,
    kinds::{Scope, Target},
    published::Topic,
    watch::{Health, Message},
};

/// What is known besides the objects themselves.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) health: BTreeMap<Target, Health>,
    problems: BTreeMap<Key, Vec<Problem>>,
    /// What stands in the way of writing.
    writing: BTreeMap<Topic, String>,
    /// Which watches have a Secret: a list of all, or one of its own, or both.
    secrets: HashMap<(String, String), Origin>,
    /// Whether there was a list of Ingresses ever.
    ingresses: bool,
    /// Since when nothing is lacking but what the rest is of use without.
    pub(super) lacking: Option<Instant>,
    /// Whether Ingresses, classes, Secrets or Plugins changed since this was last taken.
    pub(super) turned: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Origin {
    listed: bool,
    named: bool,
}

impl Origin {
    fn has(self, target: &Target) -> bool {
        if target.is_named() {
            self.named
        } else {
            self.listed
        }
    }

    fn set(&mut self, target: &Target, has: bool) {
        if target.is_named() {
            self.named = has;
        } else {
            self.listed = has;
        }
    }
}

impl Inbox {
    /// Nothing is known yet of these.
    pub(super) fn expect(&mut self, target: Target) {
        self.health.entry(target).or_default();
    }

    /// Takes one message; whether anything is other than before.
    pub(super) fn take(&mut self, message: Message, objects: &mut Objects) -> bool {
        match message {
            Message::Wake => true,
            Message::Writing(topic, trouble) => {
                match trouble {
                    Some(reason) => drop(self.writing.insert(topic, reason)),
                    None => drop(self.writing.remove(&topic)),
                }
                true
            }
            // A watch that was given up may still have a word on its way.
            Message::Health(target, health) => match self.health.get_mut(&target) {
                Some(known) => std::mem::replace(known, health.clone()) != health,
                None => false,
            },
            Message::Apply(target, found) if self.health.contains_key(&target) => {
                self.apply(&target, *found, objects)
            }
            Message::Delete(target, key) if self.health.contains_key(&target) => {
                self.delete(&target, &key, objects);
                true
            }
            Message::Reset(target, all) if self.health.contains_key(&target) => {
                self.reset(&target, all, objects)
            }
            Message::Apply(..) | Message::Delete(..) | Message::Reset(..) => false,
        }
    }

    fn turn(&mut self, kind: Kind) {
        self.turned |= matches!(
            kind,
            Kind::Ingress | Kind::IngressClass | Kind::Secret | Kind::Plugin
        );
    }

    fn apply(&mut self, target: &Target, found: Found, objects: &mut Objects) -> bool {
        let Found {
            key,
            object,
            mut problems,
            subject: _,
        } = found;
        if key.kind == Kind::Secret {
            let id = (key.namespace.clone(), key.name.clone());
            self.secrets.entry(id).or_default().set(target, true);
        }
        let same = object.as_ref().is_some_and(|object| objects.holds(object));
        match object {
            Some(_) if same => {}
            Some(object) => {
                self.turn(key.kind);
                objects.apply(object);
            }
            None if objects.contains(key.kind, &key.namespace, &key.name) => {
                mark_last_good(&mut problems);
            }
            None => {}
        }
        let before = if problems.is_empty() {
            self.problems.remove(&key)
        } else {
            self.problems.insert(key.clone(), problems)
        };
        !same || before.as_ref() != self.problems.get(&key)
    }

    fn delete(&mut self, target: &Target, key: &Key, objects: &mut Objects) {
        if key.kind == Kind::Secret {
            let id = (key.namespace.clone(), key.name.clone());
            let origin = self.secrets.entry(id.clone()).or_default();
            origin.set(target, false);
            if *origin != Origin::default() {
                return;
            }
            self.secrets.remove(&id);
        }
        self.turn(key.kind);
        self.problems.remove(key);
        objects.delete(key.kind, &key.namespace, &key.name);
    }

    fn reset(&mut self, target: &Target, all: Vec<Found>, objects: &mut Objects) -> bool {
        let kind = target.kind;
        let mut changed = kind == Kind::Ingress && !self.ingresses;
        self.ingresses |= kind == Kind::Ingress;
        let mut gone = self.held(target, objects);
        for found in all {
            let Key {
                namespace, name, ..
            } = found.key.clone();
            gone.remove(&(namespace, name));
            changed |= self.apply(target, found, objects);
        }
        changed |= !gone.is_empty();
        for (namespace, name) in gone {
            let key = Key {
                kind,
                namespace,
                name,
            };
            self.delete(target, &key, objects);
        }
        changed
    }

    /// All that a target gave so far.
    fn held(&self, target: &Target, objects: &Objects) -> BTreeSet<(String, String)> {
        let kind = target.kind;
        if kind == Kind::Secret {
            let own = self.secrets.iter().filter(|((namespace, name), origin)| {
                origin.has(target) && target.covers(namespace, name)
            });
            return own.map(|(id, _)| id.clone()).collect();
        }
        // Objects that were never good are only known by their problems.
        let bad = self.problems.keys().filter(|key| key.kind == kind);
        let bad = bad.map(|key| (key.namespace.clone(), key.name.clone()));
        let mut held = objects.names(kind);
        held.extend(bad);
        held.retain(|(namespace, name)| target.covers(namespace, name));
        held
    }

    /// Whether a list of Secrets has the one that a target names.
    pub(super) fn is_listed(&self, target: &Target) -> bool {
        let Scope::Named(namespace, name) = &target.scope else {
            return false;
        };
        let origin = self.secrets.get(&(namespace.clone(), name.clone()));
        target.kind == Kind::Secret && origin.is_some_and(|origin| origin.listed)
    }

    /// Whether there is what a target names, as far as its own watch can tell.
    pub(super) fn has(&self, target: &Target, objects: &Objects) -> bool {
        let Scope::Named(namespace, name) = &target.scope else {
            return false;
        };
        if target.kind == Kind::Secret {
            let origin = self.secrets.get(&(namespace.clone(), name.clone()));
            return origin.is_some_and(|origin| origin.named);
        }
        objects.contains(target.kind, namespace, name)
    }

    /// Leaves what a target gave as it is: nobody looks any longer.
    pub(super) fn release(&mut self, target: &Target) {
        self.health.remove(target);
    }

    /// Forgets a target, and what only it gave.
    pub(super) fn forget(&mut self, target: &Target, objects: &mut Objects) {
        self.reset(target, Vec::new(), objects);
        self.health.remove(target);
    }

    /// Whether all that can be known is known: every list that is permitted was read, and at least one
    /// of Ingresses. Kinds that the rest is of use without are waited for only a while.
    pub(super) fn is_complete(&mut self, now: Instant) -> bool {
        let settled = |(target, health): &(&Target, &Health)| match health {
            Health::Up | Health::Forbidden(_) | Health::Absent => true,
            Health::Failing(_) | Health::Away(_) => target.is_named(),
            Health::Waiting => false,
        };
        let mut open = self.health.iter().filter(|watch| !settled(watch));
        let enough = self.ingresses && open.clone().all(|(target, _)| health::is_optional(target));
        self.lacking = enough.then(|| self.lacking.unwrap_or(now));
        self.lacking.is_some_and(|since| {
            let waited = now.duration_since(since);
            open.all(|(_, health)| waited >= patience(health))
        })
    }

    /// Objects that would have been refused, and the worst that is wrong with each.
    pub(super) fn rejected(&self) -> BTreeMap<Key, String> {
        let error = |problem: &&Problem| problem.severity == Severity::Error;
        let worst = |(key, problems): (&Key, &Vec<Problem>)| {
            let problem = problems.iter().find(error)?;
            let field = problem.field.as_deref().unwrap_or("metadata");
            Some((key.clone(), format!("{field}: {}", problem.message)))
        };
        self.problems.iter().filter_map(worst).collect()
    }

    /// What is wrong.
    pub(super) fn problems(&self, server: &str) -> Vec<Problem> {
        let late = |since: Instant| since.elapsed() >= SILENT;
        let late = self.lacking.is_some_and(late);
        let mut problems = health::problems(&self.health, server, self.ingresses, late);
        problems.extend(
            self.writing
                .iter()
                .map(|(topic, why)| health::unwritten(*topic, why)),
        );
        problems.extend(self.problems.values().flatten().cloned());
        problems
    }
}

/// How long a kind that is not needed is waited for.
fn patience(health: &Health) -> Duration {
    match health {
        Health::Failing(_) => FAILING,
        Health::Waiting | Health::Up | Health::Forbidden(_) | Health::Absent | Health::Away(_) => {
            SILENT
        }
    }
}

/// For a server that answers, but not with a list.
const FAILING: Duration = Duration::from_secs(10);
/// For one that does not answer: longer than between two tries, as one that was away comes back for
/// each watch at another time.
const SILENT: Duration = Duration::from_secs(40);
