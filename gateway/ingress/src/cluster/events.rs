//! Events: what is wrong with an object, and that it is no longer, where `kubectl describe` shows it.

mod event;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    manifest::Key,
    objects::Kind,
    problem::{Problem, Severity},
};

use super::{
    seen::Seen,
    server::Server,
    write::{Worst, is_silent},
};

/// Writes events of problems as they come and go.
pub(super) struct Events {
    server: Server,
    instance: String,
    /// Whether this gateway led when it last learned.
    leads: bool,
    /// The problems that are there now, with what is to be told of them.
    known: BTreeMap<Id, Option<News>>,
    /// Problems that are gone, were told of, and whose end is not told yet.
    resolved: BTreeMap<Id, News>,
    /// What is told next, if there is both.
    next: What,
    allowance: Allowance,
}

/// The object, and the text of what is wrong.
type Id = (Key, String);

/// What an event says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Problem,
    Resolved,
}

/// Something that is to be told.
struct News {
    since: Instant,
    origin: Origin,
    /// When it was last tried, and what stood in the way.
    failed: Option<(Instant, String)>,
}

/// Who led when something came; what was ours all along is told first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// This gateway: an event that is there already is of another time.
    Here,
    /// Another one until just now, or nobody: there may be an event of it.
    Inherited,
    /// Another one, whose task it is.
    Elsewhere,
}

/// Whether an event had to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Now,
    /// Whoever led before did.
    Before,
}

/// How many events may be written: some at once, and then one a second.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let grown = self.left + self.at.elapsed().as_secs_f64() * A_SECOND;
        (self.left, self.at) = (grown.min(AT_ONCE), Instant::now());
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }

    fn give_back(&mut self) {
        self.left += 1.0;
    }
}

impl News {
    fn new(leads: bool) -> Self {
        Self {
            since: Instant::now(),
            origin: if leads {
                Origin::Here
            } else {
                Origin::Elsewhere
            },
            failed: None,
        }
    }

    /// Whether whoever led has told it by now.
    fn is_told_elsewhere(&self) -> bool {
        self.origin == Origin::Elsewhere && self.since.elapsed() >= HANDOVER
    }

    /// What never failed comes first, in the order that it came in.
    fn order(&self) -> impl Ord + use<> {
        let failed = self.failed.as_ref().map(|(at, _)| *at);
        (failed, self.origin, self.since)
    }
}

impl Events {
    pub(super) fn new(server: Server, instance: String) -> Self {
        let (left, at) = (AT_ONCE, Instant::now());
        Self {
            server,
            instance,
            leads: false,
            known: BTreeMap::new(),
            resolved: BTreeMap::new(),
            next: What::Problem,
            allowance: Allowance { left, at },
        }
    }

    /// Takes the problems that are there now, and whether this gateway leads.
    pub(super) fn learn(&mut self, problems: &[Problem], leads: bool) {
        self.hand_over(leads);
        let mut before = std::mem::take(&mut self.known);
        for id in problems.iter().filter_map(identify) {
            if self.known.contains_key(&id) {
                continue;
            }
            let news = match before.remove(&id) {
                Some(news) => news,
                // Nobody was told that it went.
                None if self.resolved.remove(&id).is_some() => None,
                None => Some(News::new(leads)),
            };
            self.known.insert(id, news);
        }
        // Who was not told of a problem need not hear of its end.
        let told = before.into_iter().filter(|(_, news)| news.is_none());
        let ended = told.map(|(id, _)| (id, News::new(leads)));
        self.resolved.extend(ended);
    }

    /// Whoever leads tells of what comes. Who takes over tells of what came so shortly before that it may not
    /// have been told.
    fn hand_over(&mut self, leads: bool) {
        for news in self.known.values_mut() {
            if news.as_ref().is_some_and(News::is_told_elsewhere) {
                *news = None;
            }
        }
        self.resolved.retain(|_, news| !news.is_told_elsewhere());
        if std::mem::replace(&mut self.leads, leads) != leads {
            let pending = self.known.values_mut().flatten();
            for news in pending.chain(self.resolved.values_mut()) {
                news.origin = Origin::Inherited;
            }
        }
    }

    /// Tells what was not told yet, as far as the rate allows: the rest the next time. What cannot be
    /// written does not stand in the way of what is elsewhere.
    pub(super) async fn write(&mut self, seen: &Seen) -> Result<(), String> {
        // An object that is gone has nobody who would look.
        self.resolved.retain(|(key, _), _| seen.find(key).is_some());
        let mut refused = BTreeSet::new();
        for (what, id) in self.queue().into_iter().take(A_ROUND) {
            let (key, text) = &id;
            // One that is not seen yet will be.
            let Some(facts) = seen.find(key) else {
                continue;
            };
            if refused.contains(&key.namespace) {
                continue;
            }
            if !self.allowance.take() {
                break;
            }
            let from = (&self.server, self.instance.as_str());
            let about = (key, facts.uid.as_str());
            let news = match what {
                What::Problem => self.known.get_mut(&id).and_then(Option::as_mut),
                What::Resolved => self.resolved.get_mut(&id),
            };
            let Some(news) = news else { continue };
            match event::write(from, (what, news.origin), about, text).await {
                Ok(written) => {
                    self.told(what, &id);
                    if written == Written::Before {
                        self.allowance.give_back();
                    }
                }
                Err(reason) => {
                    self.allowance.give_back();
                    let silent = is_silent(&reason);
                    news.failed = Some((Instant::now(), reason));
                    refused.insert(key.namespace.clone());
                    if silent {
                        break;
                    }
                }
            }
        }
        let mut worst = Worst::default();
        for (_, (key, _), news) in self.news() {
            if let Some((_, reason)) = &news.failed {
                worst.add(&key.namespace, Err(reason.clone()));
            }
        }
        worst.result()
    }

    /// All that is to be told.
    fn news(&self) -> impl Iterator<Item = (What, &Id, &News)> {
        let known = self.known.iter();
        let problems = known.filter_map(|(id, news)| Some((What::Problem, id, news.as_ref()?)));
        let resolved = self.resolved.iter();
        problems.chain(resolved.map(|(id, news)| (What::Resolved, id, news)))
    }

    /// What is to be told now, in this order: problems and ends in turn, and nothing in a namespace where
    /// it was just refused.
    fn queue(&self) -> Vec<(What, Id)> {
        let just = |(at, _): &(Instant, String)| at.elapsed() < RETRY;
        let refused = self
            .news()
            .filter(|(_, _, n)| n.failed.as_ref().is_some_and(just));
        let refused: BTreeSet<&str> = refused.map(|(_, id, _)| id.0.namespace.as_str()).collect();
        let mut ready: Vec<_> = self
            .news()
            .filter(|(_, id, _)| !refused.contains(id.0.namespace.as_str()))
            .collect();
        ready.sort_by_key(|(_, _, news)| news.order());
        let (first, second): (Vec<_>, Vec<_>) = ready
            .into_iter()
            .partition(|(what, _, _)| *what == self.next);
        let mut second = second.into_iter();
        let mut turns = Vec::new();
        for one in first {
            turns.push(one);
            turns.extend(second.next());
        }
        let turns = turns.into_iter().chain(second);
        turns.map(|(what, id, _)| (what, id.clone())).collect()
    }

    fn told(&mut self, what: What, id: &Id) {
        match what {
            What::Problem => drop(self.known.insert(id.clone(), None)),
            What::Resolved => drop(self.resolved.remove(id)),
        }
        self.next = match what {
            What::Problem => What::Resolved,
            What::Resolved => What::Problem,
        };
    }
}

/// Which object a problem is about, if it is one that gets events.
fn identify(problem: &Problem) -> Option<Id> {
    let kind = match problem.kind.as_str() {
        "Ingress" => Kind::Ingress,
        "Plugin" => Kind::Plugin,
        _ => return None,
    };
    if problem.severity == Severity::Note {
        return None;
    }
    let (namespace, name) = (problem.namespace.clone(), problem.name.clone());
    let key = Key {
        kind,
        namespace,
        name,
    };
    let field = problem.field.as_deref().unwrap_or_default();
    let text = match (field, problem.hint.as_str()) {
        ("", "") => problem.message.clone(),
        ("", hint) => format!("{}; {hint}", problem.message),
        (field, "") => format!("{field}: {}", problem.message),
        (field, hint) => format!("{field}: {}; {hint}", problem.message),
    };
    Some((key, text))
}

const AT_ONCE: f64 = 50.0;
const A_SECOND: f64 = 1.0;
/// How many are tried at once, written or not: other things are to be written, too.
const A_ROUND: usize = 200;
/// As long as nobody may have led.
const HANDOVER: Duration = Duration::from_secs(20);
/// How long nothing is tried in a namespace that refused something.
const RETRY: Duration = Duration::from_secs(5);
