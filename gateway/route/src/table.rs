//! The routing table: hosts, then paths, with one total order of precedence.
//!
//! Precedence is the `Ord` of [`Rank`] and nothing else. The table keeps only rules that can win,
//! indexed; [`Table::candidates`] goes over all of them and says why each lost.

mod candidate;

use std::{cmp::Ordering, collections::HashMap};

use foldhash::fast::RandomState;

pub use candidate::{Candidate, Verdict};

use crate::{HostPattern, PathPattern, collapse};

/// Rules compiled for look-up; `T` is what a rule leads to.
#[derive(Debug)]
pub struct Table<T> {
    exact: HashMap<Box<str>, Paths, RandomState>,
    wildcard: HashMap<Box<str>, Paths, RandomState>,
    any: Option<Paths>,
    rules: Vec<(HostPattern, PathPattern, T)>,
    defaults: Vec<(HostPattern, Option<T>)>,
    catch_all: Option<T>,
}

/// The paths of one host, by index into the table's rules.
#[derive(Debug, Default)]
struct Paths {
    exact: HashMap<Box<str>, usize, RandomState>,
    /// By the path without its trailing slash: all patterns alike but for that slash take the same
    /// requests, so that only one of them can ever win.
    prefix: HashMap<Box<str>, usize, RandomState>,
    /// Bytes of the longest of these.
    longest: usize,
    /// Index into the table's defaults.
    default: Option<usize>,
}

/// What a look-up led to.
#[derive(Debug)]
pub struct Found<'a, T> {
    /// The rule's target.
    pub target: &'a T,
    /// How it was found.
    pub by: Match<'a>,
}

/// How a target was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// By this rule's host and path.
    Rule(&'a HostPattern, &'a PathPattern),
    /// As the default backend of this host.
    HostDefault(&'a HostPattern),
    /// As the default backend of everything.
    CatchAll,
}

/// How specific a matching pattern is: the greater goes first. The contract's order is Exact, more
/// elements, longer, ImplementationSpecific last, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    exact: bool,
    elements: usize,
    length: usize,
    typed: bool,
    age: std::cmp::Reverse<usize>,
}

impl Rank {
    fn of(path: &PathPattern, index: usize) -> Self {
        Self {
            exact: matches!(path, PathPattern::Exact(_)),
            elements: path.as_str().split('/').filter(|e| !e.is_empty()).count(),
            length: path.as_str().len(),
            typed: !matches!(path, PathPattern::ImplementationSpecific(_)),
            age: std::cmp::Reverse(index),
        }
    }

    /// Why this rank loses against a greater one.
    fn loses_to(&self, winner: &Self) -> Verdict {
        let by = [
            (self.exact.cmp(&winner.exact), Verdict::ExactFirst),
            (self.elements.cmp(&winner.elements), Verdict::FewerElements),
            (self.length.cmp(&winner.length), Verdict::Shorter),
            (self.typed.cmp(&winner.typed), Verdict::TypeLast),
        ];
        by.into_iter()
            .find(|(order, _)| *order != Ordering::Equal)
            .map_or(Verdict::Younger, |(_, v)| v)
    }
}

impl PathPattern {
    /// Whether this pattern takes `path`, which is normalised and collapsed.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => own == path,
            Self::ImplementationSpecific(own) | Self::Prefix(own) => path
                .strip_prefix(trimmed(own))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl<T> Table<T> {
    /// Compiles rules, of which the first wins among equals, the default backends of hosts, likewise,
    /// and the default backend of everything. A default without a target makes its host known.
    pub fn build(
        rules: impl IntoIterator<Item = (HostPattern, PathPattern, T)>,
        defaults: impl IntoIterator<Item = (HostPattern, Option<T>)>,
        catch_all: Option<T>,
    ) -> Self {
        let mut table = Self {
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            any: None,
            rules: rules.into_iter().collect(),
            defaults: Vec::new(),
            catch_all,
        };
        let rules = std::mem::take(&mut table.rules);
        for (index, (host, path, _)) in rules.iter().enumerate() {
            let rank = Rank::of(path, index);
            let paths = table.paths_mut(host);
            let (index_of, key) = match path {
                PathPattern::Exact(own) => (&mut paths.exact, own.as_str()),
                PathPattern::ImplementationSpecific(own) | PathPattern::Prefix(own) => {
                    let own = trimmed(own);
                    paths.longest = paths.longest.max(own.len());
                    (&mut paths.prefix, own)
                }
            };
            let other = index_of
                .get(key)
                .and_then(|&i| rules.get(i).map(|(_, p, _)| Rank::of(p, i)));
            if other.is_none_or(|other| rank > other) {
                index_of.insert(key.into(), index);
            }
        }
        table.rules = rules;
        for (index, (host, target)) in defaults.into_iter().enumerate() {
            let known = target.is_some();
            let paths = table.paths_mut(&host);
            if known && paths.default.is_none() {
                paths.default = Some(index);
            }
            table.defaults.push((host, target));
        }
        table
    }

    /// The target for a host (lower case, without port) and a path (normalised).
    pub fn find(&self, host: &str, path: &str) -> Option<Found<'_, T>> {
        let path = collapse(path);
        let named = self.named(host);
        if let Some(paths) = named.or(self.any.as_ref()) {
            if let Some(index) = paths.find(&path) {
                let (host, path, target) = self.rules.get(index)?;
                return Some(Found {
                    target,
                    by: Match::Rule(host, path),
                });
            }
            if let Some((host, Some(target))) = paths.default.and_then(|i| self.defaults.get(i)) {
                return Some(Found {
                    target,
                    by: Match::HostDefault(host),
                });
            }
        }
        // A path miss of a named host stays with that host.
        if named.is_some() {
            return None;
        }
        self.catch_all.as_ref().map(|target| Found {
            target,
            by: Match::CatchAll,
        })
    }

    /// Every rule and default backend with its verdict on a request, in the order they were given.
    pub fn candidates(&self, host: &str, path: &str) -> Vec<Candidate<'_, T>> {
        let path = collapse(path);
        let owner = self.owner(host);
        let winner = self.find(host, &path);
        let rank = self
            .rules
            .iter()
            .enumerate()
            .filter(|(_, (h, p, _))| Some(h) == owner.as_ref() && p.matches(&path))
            .map(|(index, (_, p, _))| Rank::of(p, index))
            .max();
        let rules = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, (own, pattern, target))| {
                let mine = Rank::of(pattern, index);
                let verdict = match rank {
                    _ if !own.matches(host) => Verdict::HostDiffers,
                    _ if Some(own) != owner.as_ref() => Verdict::HostLessSpecific,
                    _ if !pattern.matches(&path) => Verdict::PathDiffers,
                    Some(best) if mine != best => mine.loses_to(&best),
                    _ => Verdict::Chosen,
                };
                Candidate {
                    host: own,
                    path: Some(pattern),
                    target,
                    verdict,
                }
            });
        let chosen_default = |target: &T| {
            winner
                .as_ref()
                .is_some_and(|w| std::ptr::eq(w.target, target))
        };
        let defaults = self
            .defaults
            .iter()
            .filter_map(|(own, target)| Some((own, target.as_ref()?)));
        let defaults = defaults.map(|(own, target)| {
            let verdict = match rank {
                _ if !own.matches(host) => Verdict::HostDiffers,
                _ if Some(own) != owner.as_ref() => Verdict::HostLessSpecific,
                Some(_) => Verdict::OnlyDefault,
                None if chosen_default(target) => Verdict::Chosen,
                None => Verdict::Younger,
            };
            Candidate {
                host: own,
                path: None,
                target,
                verdict,
            }
        });
        let catch_all = self.catch_all.iter().map(|target| {
            let verdict = match rank {
                _ if chosen_default(target) => Verdict::Chosen,
                None if owner.as_ref().is_none_or(|o| *o == HostPattern::Any) => {
                    Verdict::OnlyDefault
                }
                None => Verdict::HostLessSpecific,
                Some(_) => Verdict::OnlyDefault,
            };
            Candidate {
                host: &HostPattern::Any,
                path: None,
                target,
                verdict,
            }
        });
        rules.chain(defaults).chain(catch_all).collect()
    }

    /// The host pattern whose rules decide on requests for `host`.
    pub fn owner(&self, host: &str) -> Option<HostPattern> {
        if self.exact.contains_key(host) {
            return Some(HostPattern::Exact(host.to_owned()));
        }
        let split = host.split_once('.').filter(|(label, _)| !label.is_empty());
        if let Some((_, suffix)) = split.filter(|(_, suffix)| self.wildcard.contains_key(*suffix)) {
            return Some(HostPattern::Wildcard(suffix.to_owned()));
        }
        self.any.is_some().then_some(HostPattern::Any)
    }

    /// All rules, in the order they were given.
    pub fn rules(&self) -> impl Iterator<Item = &(HostPattern, PathPattern, T)> {
        self.rules.iter()
    }

    /// All default backends: those of hosts, then that of everything.
    pub fn defaults(&self) -> impl Iterator<Item = (&HostPattern, &T)> {
        let hosts = self
            .defaults
            .iter()
            .filter_map(|(host, target)| Some((host, target.as_ref()?)));
        hosts.chain(
            self.catch_all
                .iter()
                .map(|target| (&HostPattern::Any, target)),
        )
    }

    fn named(&self, host: &str) -> Option<&Paths> {
        self.exact.get(host).or_else(|| {
            let (label, suffix) = host.split_once('.')?;
            self.wildcard.get(suffix).filter(|_| !label.is_empty())
        })
    }

    fn paths_mut(&mut self, host: &HostPattern) -> &mut Paths {
        match host {
            HostPattern::Exact(name) => self.exact.entry(name.as_str().into()).or_default(),
            HostPattern::Wildcard(suffix) => {
                self.wildcard.entry(suffix.as_str().into()).or_default()
            }
            HostPattern::Any => self.any.get_or_insert_default(),
        }
    }
}

impl Paths {
    fn find(&self, path: &str) -> Option<usize> {
        if let Some(&index) = self.exact.get(path) {
            return Some(index);
        }
        // From the whole path up, an element at a time; the root is the empty prefix. What is longer than
        // all that could match is not tried: a path may have more elements than that has bytes.
        let mut rest = start(trimmed(path), self.longest);
        loop {
            if let Some(&index) = self.prefix.get(rest) {
                return Some(index);
            }
            rest = rest.rsplit_once('/')?.0;
        }
    }
}

/// The whole elements that a path begins with, in at most so many bytes.
fn start(path: &str, most: usize) -> &str {
    match path.split_at_checked(most) {
        None | Some((_, "")) => path,
        Some((start, rest)) if rest.starts_with('/') => start,
        Some((start, _)) => start.rsplit_once('/').map_or("", |(whole, _)| whole),
    }
}

/// A path without its trailing slash; the root is empty.
fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests;
