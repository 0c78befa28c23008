//! Rules and default backends, who owns which host, and conflicts.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use route::{Backend, ClusterId, Config, FilterRef, HostDefault, HostPattern, Rule};

use crate::{
    annotations::Redirect,
    objects::model::{Ingress, Path},
    problem::{Problem, Severity},
};

use super::{
    Owned,
    backend::{Backends, Place, Spot},
    canary::{At, Canaries},
    chain::{Chain, Chains, Maker},
    host::{Hosts, Origin, report_conflicts, wrong_host},
    parts::{Parts, redirects, route},
    path::{looks_like_a_pattern, pattern},
};

/// Builds all of the configuration but its certificates; with the clusters whose endpoints there is a problem
/// with.
pub(super) fn build(
    ours: &[Owned<'_>],
    tls: &HashSet<HostPattern>,
    (backends, chains, canaries): (Backends<'_>, Chains<'_>, Canaries<'_>),
    problems: &mut Vec<Problem>,
) -> (Config, BTreeSet<ClusterId>) {
    let mut builder = Builder {
        config: Config::default(),
        tls,
        backends,
        chains,
        canaries,
        problems,
        hosts: Hosts::default(),
        origins: Vec::new(),
        catch_all: None,
    };
    for owned in ours {
        if owned.ingress.rules.is_empty() {
            builder.add_catch_all(owned);
        } else {
            builder.add(owned);
        }
    }
    builder.finish()
}

struct Builder<'a: 'p, 'p> {
    config: Config,
    tls: &'p HashSet<HostPattern>,
    backends: Backends<'a>,
    chains: Chains<'a>,
    canaries: Canaries<'p>,
    problems: &'p mut Vec<Problem>,
    hosts: Hosts<'a>,
    /// Where each rule comes from.
    origins: Vec<Origin<'a>>,
    catch_all: Option<&'a Ingress>,
}

/// An Ingress whose routes are built, with its chain.
struct Serving<'s, 'a> {
    owned: &'s Owned<'a>,
    chain: Chain,
}

impl<'a: 'p, 'p> Builder<'a, 'p> {
    fn finish(self) -> (Config, BTreeSet<ClusterId>) {
        let Self {
            mut config,
            mut backends,
            chains,
            canaries,
            hosts,
            origins,
            problems,
            ..
        } = self;
        report_conflicts(&config.rules, &origins, problems);
        // A host with rules is known although none of them has a path: its misses are its own.
        let left = canaries.finish((&config.rules, &origins), problems);
        let left: Vec<_> = left.filter(|left| !hosts.know(&left.host)).collect();
        let bare = hosts
            .into_hosts()
            .filter(|host| host.paths == 0 && host.default.is_none());
        let known = bare.map(|host| HostDefault {
            host: host.pattern,
            route: None,
        });
        config.defaults.extend(known);
        config.defaults.extend(left);
        let (plugins, reroutes) = chains.into_parts();
        config.plugins = plugins;
        config.reroutes = reroutes.finish(&mut backends);
        let troubled;
        (config.clusters, troubled) = backends.into_clusters();
        (config, troubled)
    }

    fn add_catch_all(&mut self, owned: &Owned<'a>) {
        let Owned { ingress, settings } = owned;
        let field = "spec.defaultBackend";
        let Some(reference) = &ingress.default_backend else {
            let message = "the Ingress has neither rules nor a default backend";
            let hint = "write rules or a defaultBackend";
            self.problems.push(
                ingress
                    .subject
                    .problem(Severity::Error, "spec", message, hint),
            );
            return;
        };
        let mut serving = self.serve(owned);
        if let Some(winner) = self.catch_all {
            let message = format!(
                "requests that no host takes go to {}, which is older; this default backend gets none",
                winner.subject.place(field)
            );
            let hint = "keep one Ingress without rules";
            self.problems.push(
                ingress
                    .subject
                    .problem(Severity::Warning, field, message, hint),
            );
            let message = format!(
                "{} has a default backend for everything too, and gets nothing",
                ingress.subject.place(field)
            );
            self.problems
                .push(winner.subject.problem(Severity::Note, field, message, hint));
            return;
        }
        let place = Place {
            subject: &ingress.subject,
            spot: Spot::Default,
            problems: self.problems,
        };
        let backend = self.backends.find(reference, place);
        let filters = self.filters(&mut serving, || At::CatchAll, &backend);
        let parts = Parts {
            path: "/",
            host: &HostPattern::Any,
            backend,
            filters,
            redirect: settings.redirect == Redirect::Always,
        };
        self.catch_all = Some(ingress);
        self.config.catch_all = Some(Arc::new(route(ingress, settings, parts)));
    }

    fn serve<'s>(&mut self, owned: &'s Owned<'a>) -> Serving<'s, 'a> {
        let maker = Maker {
            ingress: owned.ingress,
            backends: &mut self.backends,
            problems: self.problems,
        };
        let chain = self.chains.make(&owned.settings, maker);
        Serving { owned, chain }
    }

    /// The chain of a route, with the canary of its place if there is one.
    fn filters(
        &mut self,
        serving: &mut Serving<'_, 'a>,
        at: impl FnOnce() -> At,
        primary: &Backend,
    ) -> Arc<[FilterRef]> {
        let ingress = serving.owned.ingress;
        if self.canaries.is_empty() {
            return serving.chain.plain();
        }
        let Some(alternative) = self.canaries.find(&ingress.subject.namespace, at()) else {
            return serving.chain.plain();
        };
        let maker = Maker {
            ingress,
            backends: &mut self.backends,
            problems: self.problems,
        };
        let canary = (alternative, primary);
        self.chains.with_canary(&mut serving.chain, canary, maker)
    }

    fn add(&mut self, owned: &Owned<'a>) {
        let ingress = owned.ingress;
        let mut serving = self.serve(owned);
        let mut hosts: Vec<usize> = Vec::new();
        for (index, rule) in ingress.rules.iter().enumerate() {
            let host = match HostPattern::parse(&rule.host) {
                Ok(host) => host,
                Err(error) => {
                    let field = format!("spec.rules[{index}].host");
                    self.problems
                        .push(wrong_host(&ingress.subject, &field, &rule.host, error));
                    continue;
                }
            };
            let number = self
                .hosts
                .visit((ingress, index), &host, &mut hosts, self.problems);
            let redirect = redirects(self.tls, &owned.settings, &host);
            for (path_index, path) in rule.paths.iter().enumerate() {
                let spot = Spot::Path {
                    rule: index,
                    path: path_index,
                };
                let origin = Origin {
                    ingress,
                    spot,
                    host: number,
                };
                self.add_path(&mut serving, (&host, redirect), path, origin);
            }
        }
        self.add_defaults(&mut serving, &hosts);
    }

    fn add_path(
        &mut self,
        serving: &mut Serving<'_, 'a>,
        (host, redirect): (&HostPattern, bool),
        path: &Path,
        origin: Origin<'a>,
    ) {
        let Origin {
            ingress,
            spot,
            host: number,
        } = origin;
        let subject = &ingress.subject;
        let pattern = match pattern(path) {
            Ok(pattern) => pattern,
            Err((part, message, hint)) => {
                let field = format!("{spot}.{part}");
                self.problems
                    .push(subject.problem(Severity::Error, &field, message, hint));
                return;
            }
        };
        if let Some(message) = looks_like_a_pattern(path) {
            let field = format!("{spot}.path");
            let hint = "write the path's beginning with pathType: Prefix";
            self.problems
                .push(subject.problem(Severity::Warning, &field, message, hint));
        }
        let place = Place {
            subject,
            spot,
            problems: self.problems,
        };
        let backend = self.backends.find(&path.backend, place);
        let written = if path.path.is_empty() {
            "/"
        } else {
            &path.path
        };
        let at = || At::Path(host.clone(), pattern.clone());
        let filters = self.filters(serving, at, &backend);
        let parts = Parts {
            path: written,
            host,
            backend,
            filters,
            redirect,
        };
        let route = Arc::new(route(ingress, &serving.owned.settings, parts));
        self.config.rules.push(Rule {
            host: host.clone(),
            path: pattern,
            route,
        });
        self.origins.push(origin);
        if let Some(host) = self.hosts.find_mut(number) {
            host.paths += 1;
        }
    }

    /// The default backend of an Ingress with rules is that of its hosts, where no older one has it.
    fn add_defaults(&mut self, serving: &mut Serving<'_, 'a>, hosts: &[usize]) {
        let Owned { ingress, settings } = serving.owned;
        let Some(reference) = ingress
            .default_backend
            .as_ref()
            .filter(|_| !hosts.is_empty())
        else {
            return;
        };
        let field = "spec.defaultBackend";
        let place = Place {
            subject: &ingress.subject,
            spot: Spot::Default,
            problems: self.problems,
        };
        let backend = self.backends.find(reference, place);
        for number in hosts {
            let Some(known) = self.hosts.find_mut(*number) else {
                continue;
            };
            let host = known.pattern.clone();
            let Some(winner) = known.default else {
                known.default = Some(ingress);
                let redirect = redirects(self.tls, settings, &host);
                let filters = self.filters(serving, || At::Default(host.clone()), &backend);
                let parts = Parts {
                    path: "/",
                    host: &host,
                    backend: backend.clone(),
                    filters,
                    redirect,
                };
                let route = Arc::new(route(ingress, settings, parts));
                self.config.defaults.push(HostDefault {
                    host,
                    route: Some(route),
                });
                continue;
            };
            let same_namespace = winner.subject.namespace == ingress.subject.namespace;
            if same_namespace && winner.default_backend == ingress.default_backend {
                continue;
            }
            let hint = "keep one default backend for a host";
            let message = format!(
                "the host {host} has its default backend from {}, which is older; this one gets none of its requests",
                winner.subject.place(field)
            );
            self.problems.push(
                ingress
                    .subject
                    .problem(Severity::Warning, field, message, hint),
            );
            let message = format!(
                "{} has a default backend for host {host} too, and loses: this one is older",
                ingress.subject.place(field)
            );
            self.problems
                .push(winner.subject.problem(Severity::Note, field, message, hint));
        }
    }
}
