//! Who owns hosts and paths: always the oldest Ingress that names them.

use std::collections::HashMap;

use route::{HostError, HostPattern, PathPattern, Rule};

use crate::{
    objects::model::Ingress,
    problem::{Problem, Severity, Subject},
};

use super::backend::Spot;

/// All hosts that Ingresses name, by their number.
#[derive(Default)]
pub(super) struct Hosts<'a> {
    numbers: HashMap<HostPattern, usize>,
    hosts: Vec<Host<'a>>,
}

/// What is known of a host so far.
pub(super) struct Host<'a> {
    pub(super) pattern: HostPattern,
    /// The oldest Ingress with a rule for it, and the rule.
    owner: (&'a Ingress, usize),
    /// The last Ingress with a rule for it.
    latest: &'a Ingress,
    /// Whose default backend it has.
    pub(super) default: Option<&'a Ingress>,
    pub(super) paths: usize,
}

/// Where a rule of the configuration comes from.
pub(super) struct Origin<'a> {
    pub(super) ingress: &'a Ingress,
    pub(super) spot: Spot,
    /// The number of its host.
    pub(super) host: usize,
}

impl<'a> Hosts<'a> {
    pub(super) fn find_mut(&mut self, number: usize) -> Option<&mut Host<'a>> {
        self.hosts.get_mut(number)
    }

    pub(super) fn know(&self, host: &HostPattern) -> bool {
        self.numbers.contains_key(host)
    }

    pub(super) fn into_hosts(self) -> impl Iterator<Item = Host<'a>> {
        self.hosts.into_iter()
    }

    /// Notes that an Ingress has a rule for a host, and to whom the host belongs; gives the host's
    /// number, and adds it to those of the Ingress.
    pub(super) fn visit(
        &mut self,
        (ingress, index): (&'a Ingress, usize),
        pattern: &HostPattern,
        of_ingress: &mut Vec<usize>,
        problems: &mut Vec<Problem>,
    ) -> usize {
        let known = self.numbers.get(pattern).copied();
        let Some((number, host)) = known.and_then(|n| Some((n, self.hosts.get_mut(n)?))) else {
            let number = self.hosts.len();
            let pattern = pattern.clone();
            self.numbers.insert(pattern.clone(), number);
            let owner = (ingress, index);
            self.hosts.push(Host {
                pattern,
                owner,
                latest: ingress,
                default: None,
                paths: 0,
            });
            of_ingress.push(number);
            return number;
        };
        if std::ptr::eq(host.latest, ingress) {
            return number;
        }
        host.latest = ingress;
        of_ingress.push(number);
        let (owner, owner_index) = host.owner;
        if owner.subject.namespace == ingress.subject.namespace {
            return number;
        }
        let field = format!("spec.rules[{index}].host");
        let owner_field = format!("spec.rules[{owner_index}].host");
        let hint = "make sure that both teams know";
        let whose = owner.subject.place(&owner_field);
        let message = format!("the host {pattern} belongs to {whose}, of another namespace");
        problems.push(
            ingress
                .subject
                .problem(Severity::Note, &field, message, hint),
        );
        let whose = ingress.subject.place(&field);
        let message =
            format!("{whose}, of another namespace, has rules for the host {pattern} too");
        problems.push(
            owner
                .subject
                .problem(Severity::Note, &owner_field, message, hint),
        );
        number
    }
}

/// Reports the paths that several rules have: of those alike the oldest Ingress's serves, and a typed
/// one before one that is ImplementationSpecific. Rules come oldest first, each with its origin.
pub(super) fn report_conflicts(
    rules: &[Rule],
    origins: &[Origin<'_>],
    problems: &mut Vec<Problem>,
) {
    let exact = |rule: &Rule| matches!(rule.path, PathPattern::Exact(_));
    let mut all: Vec<_> = rules.iter().zip(origins).collect();
    // Only paths of one kind can take the same requests with equal right.
    let key = |(rule, origin): &(&Rule, &Origin<'_>)| (origin.host, exact(rule));
    all.sort_by(|a, b| {
        key(a)
            .cmp(&key(b))
            .then_with(|| a.0.path.as_str().cmp(b.0.path.as_str()))
    });
    let alike = |a: &(&Rule, &Origin<'_>), b: &(&Rule, &Origin<'_>)| {
        key(a) == key(b) && a.0.path.as_str() == b.0.path.as_str()
    };
    for group in all.chunk_by(alike).filter(|group| group.len() > 1) {
        let typed = |(rule, _): &&(&Rule, &Origin<'_>)| !is_specific(rule);
        let Some(winner) = group.iter().find(typed).or_else(|| group.first()) else {
            continue;
        };
        for loser in group
            .iter()
            .filter(|loser| !std::ptr::eq(loser.1, winner.1))
        {
            report_conflict(*winner, *loser, problems);
        }
    }
}

fn is_specific(rule: &Rule) -> bool {
    matches!(rule.path, PathPattern::ImplementationSpecific(_))
}

fn report_conflict(
    (winning, winner): (&Rule, &Origin<'_>),
    (losing, loser): (&Rule, &Origin<'_>),
    problems: &mut Vec<Problem>,
) {
    let why = if is_specific(losing) != is_specific(winning) {
        "goes before ImplementationSpecific"
    } else if std::ptr::eq(winner.ingress, loser.ingress) {
        "stands before it"
    } else {
        "is older"
    };
    let hint = "take one out, or change its host or path";
    let (path, host) = (losing.path.as_str(), &losing.host);
    let winner_field = format!("{}.path", winner.spot);
    let loser_field = format!("{}.path", loser.spot);
    let whose = winner.ingress.subject.place(&winner_field);
    let message = format!(
        "the path {path} of host {host} belongs to {whose}, which {why}; this one gets no requests"
    );
    problems.push(
        loser
            .ingress
            .subject
            .problem(Severity::Warning, &loser_field, message, hint),
    );
    if std::ptr::eq(winner.ingress, loser.ingress) {
        return;
    }
    let whose = loser.ingress.subject.place(&loser_field);
    let message =
        format!("{whose} has the path {path} of host {host} too, and loses: this one {why}");
    problems.push(
        winner
            .ingress
            .subject
            .problem(Severity::Note, &winner_field, message, hint),
    );
}

/// A host that is none.
pub(super) fn wrong_host(subject: &Subject, field: &str, host: &str, error: HostError) -> Problem {
    // The error says what is wrong and what to write.
    let error = error.to_string();
    let (what, hint) = error.split_once("; ").unwrap_or((&error, ""));
    let message = format!("the host \"{}\" {what}", crate::manifest::shorten(host));
    subject.problem(Severity::Error, field, message, hint)
}
