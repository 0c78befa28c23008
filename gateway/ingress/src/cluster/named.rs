//! Watches of single objects: Secrets that no list has, and ConfigMaps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    objects::{Kind, Objects, code::Code},
    problem::{Problem, Subject},
    translate::{Options, select},
};

use super::{Cluster, health, kinds::Target, thread::Order, watch::Health};

/// What is watched one by one.
#[derive(Debug, Default)]
pub(super) struct Named {
    watched: BTreeSet<Target>,
    /// What is no longer watched, though something names it: what it was stays.
    kept: BTreeSet<Target>,
    /// That there are too many.
    pub(super) left_out: Option<Problem>,
}

impl Cluster {
    /// Watches those Secrets one by one that Ingresses of ours and Plugins name and no list has, and
    /// the ConfigMaps that Plugins name.
    pub(super) fn name(&mut self, objects: &mut Objects, options: &Options) {
        let (mut secrets, mut ours) = (BTreeSet::new(), BTreeSet::new());
        for ingress in select(objects, options) {
            let Subject {
                namespace, name, ..
            } = &ingress.subject;
            ours.insert((namespace.clone(), name.clone()));
            let names = ingress.tls.iter().filter_map(|tls| tls.secret.clone());
            secrets.extend(names.map(|name| (namespace.clone(), name)));
        }
        self.ours = Arc::new(ours);
        secrets.extend(options.default_tls_secret.clone());
        // Before there is a list, there is no saying what it lacks.
        let listing = |(target, health): (&Target, &Health)| {
            target.kind == Kind::Secret && !target.is_named() && *health == Health::Waiting
        };
        if self.inbox.health.iter().any(listing) {
            self.inbox.turned = true;
            return;
        }
        let plugins = objects.plugins.values().filter_map(|plugin| {
            let (kind, name) = match &plugin.code {
                Code::ConfigMap { name, .. } => (Kind::ConfigMap, name),
                Code::Oci(_, Some(secret)) => (Kind::Secret, secret),
                Code::File(_) | Code::Oci(_, None) | Code::Url(_) | Code::Wrong(_) => return None,
            };
            let id = (plugin.subject.namespace.clone(), name.clone());
            Some(Target::named(kind, id))
        });
        let secret = |id| Target::named(Kind::Secret, id);
        let mut wanted: BTreeSet<Target> = secrets.into_iter().map(secret).chain(plugins).collect();
        wanted.retain(|target| !self.inbox.is_listed(target));

        // What is watched keeps its place, and first what is there.
        let own = options.default_tls_secret.clone().map(secret);
        let rank = |target: &Target| match () {
            () if own.as_ref() == Some(target) => Rank::Operator,
            () if !self.named.watched.contains(target) => Rank::New,
            () if self.inbox.has(target, objects) => Rank::Found,
            () => Rank::Missing,
        };
        let chosen = share(&wanted, MOST, rank);
        self.turn_to(&wanted, chosen, objects);
    }

    /// Ends the watches of all but these, and begins those that are new.
    fn turn_to(
        &mut self,
        wanted: &BTreeSet<Target>,
        chosen: BTreeSet<Target>,
        objects: &mut Objects,
    ) {
        let Named { watched, kept, .. } = std::mem::take(&mut self.named);
        for target in watched.difference(&chosen) {
            // It was not deleted: only nobody looks any longer.
            self.inbox.release(target);
            let _ = self.orders.send(Order::End(target.clone()));
        }
        for target in chosen.difference(&watched) {
            self.begin(target.clone());
        }
        let mut kept: BTreeSet<Target> = watched.union(&kept).cloned().collect();
        kept.retain(|target| {
            let is_wanted = wanted.contains(target);
            if !is_wanted {
                self.inbox.forget(target, objects);
            }
            is_wanted && !chosen.contains(target)
        });
        let out: Vec<&Target> = wanted.difference(&chosen).collect();
        let left_out = (!out.is_empty()).then(|| health::left_out(&out, chosen.len()));
        self.named = Named {
            watched: chosen,
            kept,
            left_out,
        };
    }
}

/// Which of the objects of a namespace are watched if there are too many, the first of these first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The operator names it.
    Operator,
    /// It is watched, and there.
    Found,
    /// It is watched, and not there.
    Missing,
    /// It is not watched yet.
    New,
}

/// At most so many of these, shared by namespaces: one that names more than its part takes nothing from
/// the others.
fn share(
    wanted: &BTreeSet<Target>,
    most: usize,
    rank: impl Fn(&Target) -> Rank,
) -> BTreeSet<Target> {
    if wanted.len() <= most {
        return wanted.clone();
    }
    let mut namespaces: BTreeMap<&str, Vec<(Rank, &Target)>> = BTreeMap::new();
    for target in wanted {
        let own = namespaces.entry(target.namespace()).or_default();
        own.push((rank(target), target));
    }
    // Each has a first one, a second one…; these in turn are ordered as those of a namespace are.
    let mut turns: Vec<(bool, usize, Rank, &Target)> = Vec::with_capacity(wanted.len());
    for own in namespaces.values_mut() {
        own.sort();
        let own = own.iter().enumerate();
        turns.extend(own.map(|(turn, (rank, target))| {
            let others = *rank != Rank::Operator;
            (others, turn, *rank, *target)
        }));
    }
    turns.sort();
    let chosen = turns.into_iter().take(most);
    chosen.map(|(.., target)| target.clone()).collect()
}

/// How many are watched one by one: each takes a connection.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(namespace: &str, count: usize) -> impl Iterator<Item = Target> {
        let target = move |number| {
            let id = (namespace.to_owned(), format!("s{number:03}"));
            Target::named(Kind::Secret, id)
        };
        (0..count).map(target)
    }

    fn of(chosen: &BTreeSet<Target>, namespace: &str) -> usize {
        let of = |target: &&Target| target.namespace() == namespace;
        chosen.iter().filter(of).count()
    }

    #[test]
    fn a_namespace_takes_nothing_from_those_that_name_less() {
        let all = secrets("a", 300)
            .chain(secrets("b", 100))
            .chain(secrets("z", 2));
        let wanted: BTreeSet<Target> = all.collect();
        let chosen = share(&wanted, 256, |_| Rank::New);
        assert_eq!(["a", "b", "z"].map(|name| of(&chosen, name)), [154, 100, 2]);
        let few: BTreeSet<Target> = secrets("a", 256).collect();
        assert_eq!(share(&few, 256, |_| Rank::New), few);
    }

    #[test]
    fn what_is_there_stays() {
        let wanted: BTreeSet<Target> = secrets("a", 300).chain(secrets("b", 300)).collect();
        let last = |name: &str| secrets(name, 300).last();
        let (found, operator) = (last("b"), last("a"));
        let first = share(&wanted, 8, |_| Rank::New);
        let chosen = share(&wanted, 8, |target| match () {
            () if operator.as_ref() == Some(target) => Rank::Operator,
            () if found.as_ref() == Some(target) => Rank::Found,
            () if first.contains(target) => Rank::Missing,
            () => Rank::New,
        });
        assert!(operator.is_some_and(|own| chosen.contains(&own)));
        assert!(found.is_some_and(|own| chosen.contains(&own)));
        assert_eq!(chosen.intersection(&first).count(), 6);
        assert_eq!(["a", "b"].map(|name| of(&chosen, name)), [4, 4]);
    }
}
