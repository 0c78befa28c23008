//! Canaries of ingress-nginx: Ingresses that are alternatives of others with the same host, path and
//! type.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use route::{Backend, HostDefault, HostPattern, PathPattern, Rule, Target};
use serde_json::{Map, Value, json};

use crate::{
    annotations::{self, CANARY_KEY, Canary, Role},
    objects::model::{BackendRef, Ingress, PortRef},
    problem::{Problem, Severity},
};

use super::{
    Owned,
    backend::{Place, Spot},
    chain::Maker,
    host::{Origin, wrong_host},
    path::pattern,
};

/// What a canary is an alternative at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    Path(HostPattern, PathPattern),
    Default(HostPattern),
    CatchAll,
}

/// An alternative of a backend.
pub(super) struct Alternative<'c> {
    ingress: &'c Ingress,
    canary: &'c Canary,
    spot: Spot,
    reference: &'c BackendRef,
    state: State,
}

/// Whether a primary was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Found,
}

/// All canaries, by namespace and what they are alternatives at.
#[derive(Default)]
pub(super) struct Canaries<'c> {
    all: HashMap<(&'c str, At), Alternative<'c>>,
    /// Their hosts, in order.
    hosts: Vec<HostPattern>,
}

impl<'c> Canaries<'c> {
    /// Gathers the canaries among Ingresses that come oldest first.
    pub(super) fn new(ours: &'c [Owned<'_>], problems: &mut Vec<Problem>) -> Self {
        let mut canaries = Self::default();
        for owned in ours {
            if let Role::Canary(canary) = &owned.settings.role {
                canaries.add(owned.ingress, canary, problems);
            }
        }
        canaries
    }

    fn add(&mut self, ingress: &'c Ingress, canary: &'c Canary, problems: &mut Vec<Problem>) {
        let subject = &ingress.subject;
        let alternative = |spot, reference| Alternative {
            ingress,
            canary,
            spot,
            reference,
            state: State::Waiting,
        };
        let mut hosts = HashSet::new();
        for (index, rule) in ingress.rules.iter().enumerate() {
            let host = match HostPattern::parse(&rule.host) {
                Ok(host) => host,
                Err(error) => {
                    let field = format!("spec.rules[{index}].host");
                    problems.push(wrong_host(subject, &field, &rule.host, error));
                    continue;
                }
            };
            for (path_index, path) in rule.paths.iter().enumerate() {
                let spot = Spot::Path {
                    rule: index,
                    path: path_index,
                };
                match pattern(path) {
                    Ok(pattern) => {
                        let at = At::Path(host.clone(), pattern);
                        self.insert(at, alternative(spot, &path.backend), problems);
                    }
                    Err((part, message, hint)) => {
                        let field = format!("{spot}.{part}");
                        problems.push(subject.problem(Severity::Error, &field, message, hint));
                    }
                }
            }
            if hosts.insert(host.clone()) {
                self.hosts.push(host.clone());
                if let Some(default) = &ingress.default_backend {
                    let at = At::Default(host);
                    self.insert(at, alternative(Spot::Default, default), problems);
                }
            }
        }
        if let Some(default) = ingress
            .default_backend
            .as_ref()
            .filter(|_| ingress.rules.is_empty())
        {
            self.insert(At::CatchAll, alternative(Spot::Default, default), problems);
        }
    }

    fn insert(&mut self, at: At, new: Alternative<'c>, problems: &mut Vec<Problem>) {
        let namespace = new.ingress.subject.namespace.as_str();
        match self.all.entry((namespace, at)) {
            Entry::Vacant(entry) => drop(entry.insert(new)),
            Entry::Occupied(entry) => {
                let older = entry.get();
                let whose = older.ingress.subject.place(&older.field());
                let message =
                    format!("{whose} is a canary here too, and counts; this one is dropped");
                let hint = "keep one, or name several backends under portcullis.dev/filter.canary of the primary";
                new.report(Severity::Warning, message, hint, problems);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The alternative of a primary of this namespace.
    pub(super) fn find(&mut self, namespace: &'c str, at: At) -> Option<&Alternative<'c>> {
        let found = self.all.get_mut(&(namespace, at))?;
        found.state = State::Found;
        Some(found)
    }

    /// Reports the canaries without a primary. Their hosts are known all the same: what no path of
    /// theirs takes is 404.
    pub(super) fn finish(
        self,
        (rules, origins): (&[Rule], &[Origin<'_>]),
        problems: &mut Vec<Problem>,
    ) -> impl Iterator<Item = HostDefault> {
        let lost = self.all.iter();
        let lost: Vec<_> = lost
            .filter(|(_, alternative)| alternative.state == State::Waiting)
            .collect();
        let mut known: HashMap<(&HostPattern, &str), (&Rule, &Ingress)> = HashMap::new();
        if !lost.is_empty() {
            for (rule, origin) in rules.iter().zip(origins) {
                let key = (&rule.host, rule.path.as_str());
                known.entry(key).or_insert((rule, origin.ingress));
            }
        }
        for ((_, at), alternative) in lost {
            let (message, hint) = alternative.lost(at, &known);
            alternative.report(Severity::Warning, message, &hint, problems);
        }
        self.hosts
            .into_iter()
            .map(|host| HostDefault { host, route: None })
    }
}

impl Alternative<'_> {
    fn field(&self) -> String {
        match self.spot {
            Spot::Default => self.spot.to_string(),
            Spot::Path { .. } => format!("{}.path", self.spot),
        }
    }

    fn report(&self, severity: Severity, message: String, hint: &str, problems: &mut Vec<Problem>) {
        let subject = &self.ingress.subject;
        problems.push(subject.problem(severity, &self.field(), message, hint));
    }

    /// Why it has no primary, and what to write.
    fn lost(
        &self,
        at: &At,
        known: &HashMap<(&HostPattern, &str), (&Rule, &Ingress)>,
    ) -> (String, String) {
        let namespace = &self.ingress.subject.namespace;
        let At::Path(host, path) = at else {
            let message = format!(
                "no other Ingress of the namespace {namespace} has a default backend here; the canary is dropped"
            );
            return (message, "write the primary, or take it out".to_owned());
        };
        let message = format!(
            "no other Ingress of the namespace {namespace} has host {host} with path {path}; the canary is dropped"
        );
        let hint = match known.get(&(host, path.as_str())) {
            Some((_, owner)) if owner.subject.namespace != *namespace => format!(
                "move it, with its Service, to the namespace of {}",
                owner.subject.place("")
            ),
            Some((rule, owner)) if rule.path != *path => {
                format!("write the pathType of {}", owner.subject.place(""))
            }
            Some(_) | None => "write the host, path and pathType of the primary".to_owned(),
        };
        (message, hint)
    }

    /// The primary's chain has the filter already.
    pub(super) fn report_named(&self, primary: &Ingress, problems: &mut Vec<Problem>) {
        let key = annotations::field(CANARY_KEY);
        let message = format!(
            "the chain of {} names canary itself, which counts; this canary is dropped",
            primary.subject
        );
        let hint = "name its Service under portcullis.dev/filter.canary there";
        let subject = &self.ingress.subject;
        problems.push(subject.problem(Severity::Note, &key, message, hint));
    }

    /// The program lacks the filter.
    pub(super) fn report_missing(&self, problems: &mut Vec<Problem>) {
        let key = annotations::field(CANARY_KEY);
        let message = "this program has no filter canary; requests of the primary get 503";
        let subject = &self.ingress.subject;
        problems.push(subject.problem(Severity::Error, &key, message, "take the Ingress out"));
    }

    /// The configuration of the filter at a primary's backend, and the canary's own backend.
    pub(super) fn config(
        &self,
        primary: &Backend,
        cookie: Option<&str>,
        maker: &mut Maker<'_, '_>,
    ) -> Option<(Map<String, Value>, Backend)> {
        let place = Place {
            subject: &self.ingress.subject,
            spot: self.spot,
            problems: maker.problems,
        };
        let backend = maker.backends.find(self.reference, place);
        let BackendRef::Service { name, port } = self.reference else {
            return None;
        };
        // What no Service is behind has its own problem.
        if matches!(port, PortRef::Nothing) || primary.port.is_empty() {
            return None;
        }
        let same = match (&backend.target, &primary.target) {
            (Target::Cluster(own), Target::Cluster(other)) => own == other,
            (
                Target::Cluster(_) | Target::NoPort | Target::NoService,
                Target::Cluster(_) | Target::NoPort | Target::NoService,
            ) => (&backend.service, &backend.port) == (&primary.service, &primary.port),
        };
        if same {
            let message = format!(
                "the canary leads to the Service {name} as its primary does; it is dropped"
            );
            let hint = "name another Service";
            self.report(Severity::Warning, message, hint, maker.problems);
            return None;
        }
        let port = match port {
            PortRef::Number(number) => json!(number),
            PortRef::Name(name) => json!(name),
            PortRef::Nothing => json!(null),
        };
        let mut entry = Map::new();
        entry.insert("service".to_owned(), json!(name));
        entry.insert("port".to_owned(), port);
        entry.extend(self.canary.choice.clone());
        let mut config = Map::new();
        config.insert("backends".to_owned(), json!([entry]));
        config.insert("weightTotal".to_owned(), json!(self.canary.total));
        // Whose session it is only matters where there are sessions.
        if let Some(cookie) = cookie {
            let own = format!("{}:{}", primary.service, primary.port);
            config.insert("primary".to_owned(), json!(own));
            config.insert("stickyCookie".to_owned(), json!(cookie));
        }
        Some((config, backend))
    }

    /// The field of the primary that stands for it.
    pub(super) fn primary_field(&self) -> &'static str {
        match self.spot {
            Spot::Default => "spec.defaultBackend",
            Spot::Path { .. } => "spec.rules",
        }
    }

    /// Where it comes from, for people.
    pub(super) fn origin(&self) -> String {
        format!("{CANARY_KEY} of {}", self.ingress.subject)
    }
}
