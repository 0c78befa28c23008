//! Who owns hosts and paths: always the oldest Ingress that names them.

use std::collections::{BTreeMap, HashMap};

use route::{HostPattern, PathPattern};

use crate::{
    objects::model::Ingress,
    problem::{Problem, Severity},
};

use super::backend::Spot;

/// All hosts that Ingresses name.
#[derive(Default)]
pub(super) struct Hosts<'a>(HashMap<HostPattern, Host<'a>>);

/// What is known of a host so far.
pub(super) struct Host<'a> {
    /// The oldest Ingress with a rule for it, and the rule.
    owner: (&'a Ingress, usize),
    /// The last Ingress with a rule for it.
    latest: &'a Ingress,
    /// Whose default backend it has.
    pub(super) default: Option<&'a Ingress>,
    /// Its Exact paths and its others: only paths of one kind can take the same requests with equal
    /// right.
    paths: [BTreeMap<String, Taken<'a>>; 2],
}

/// A path that has an owner.
struct Taken<'a> {
    ingress: &'a Ingress,
    spot: Spot,
    typed: bool,
}

impl<'a> Hosts<'a> {
    pub(super) fn find_mut(&mut self, host: &HostPattern) -> Option<&mut Host<'a>> {
        self.0.get_mut(host)
    }

    pub(super) fn into_names(self) -> impl Iterator<Item = HostPattern> {
        self.0.into_keys()
    }

    /// Notes that an Ingress has a rule for a host, and to whom the host belongs; adds the host to those
    /// of the Ingress.
    pub(super) fn visit(
        &mut self,
        (ingress, index): (&'a Ingress, usize),
        host: &HostPattern,
        of_ingress: &mut Vec<HostPattern>,
        problems: &mut Vec<Problem>,
    ) {
        let Some(known) = self.0.get_mut(host) else {
            let new = Host {
                owner: (ingress, index),
                latest: ingress,
                default: None,
                paths: Default::default(),
            };
            self.0.insert(host.clone(), new);
            of_ingress.push(host.clone());
            return;
        };
        if std::ptr::eq(known.latest, ingress) {
            return;
        }
        known.latest = ingress;
        of_ingress.push(host.clone());
        let (owner, owner_index) = known.owner;
        if owner.subject.namespace == ingress.subject.namespace {
            return;
        }
        let field = format!("spec.rules[{index}].host");
        let owner_field = format!("spec.rules[{owner_index}].host");
        let hint = "make sure that both teams know";
        let whose = owner.subject.place(&owner_field);
        let message = format!("the host {host} belongs to {whose}, of another namespace");
        problems.push(
            ingress
                .subject
                .problem(Severity::Note, &field, message, hint),
        );
        let whose = ingress.subject.place(&field);
        let message = format!("{whose}, of another namespace, has rules for the host {host} too");
        problems.push(
            owner
                .subject
                .problem(Severity::Note, &owner_field, message, hint),
        );
    }

    /// Notes whose a path is; of two alike the oldest's, and a typed one goes before one that is
    /// ImplementationSpecific.
    pub(super) fn claim(
        &mut self,
        ingress: &'a Ingress,
        host: &HostPattern,
        (pattern, spot): (&PathPattern, Spot),
        problems: &mut Vec<Problem>,
    ) {
        let Some(known) = self.0.get_mut(host) else {
            return;
        };
        let [exact, other] = &mut known.paths;
        let (paths, typed) = match pattern {
            PathPattern::Exact(_) => (exact, true),
            PathPattern::Prefix(_) => (other, true),
            PathPattern::ImplementationSpecific(_) => (other, false),
        };
        let new = Taken {
            ingress,
            spot,
            typed,
        };
        let Some(old) = paths.get_mut(pattern.as_str()) else {
            paths.insert(pattern.as_str().to_owned(), new);
            return;
        };
        let why = if old.typed != new.typed {
            "goes before ImplementationSpecific"
        } else if std::ptr::eq(old.ingress, new.ingress) {
            "stands before it"
        } else {
            "is older"
        };
        let loser = if new.typed && !old.typed {
            std::mem::replace(old, new)
        } else {
            new
        };
        report_conflict(old, &loser, (host, pattern.as_str(), why), problems);
    }
}

fn report_conflict(
    winner: &Taken<'_>,
    loser: &Taken<'_>,
    (host, path, why): (&HostPattern, &str, &str),
    problems: &mut Vec<Problem>,
) {
    let hint = "take one out, or change its host or path";
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
