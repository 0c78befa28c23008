//! Rules and default backends, who owns which host, and conflicts.

use std::{collections::HashSet, sync::Arc};

use route::{
    Backend, Config, FilterRef, HostDefault, HostError, HostPattern, IngressName, Route, Rule,
};

use crate::{
    annotations::{Redirect, Settings},
    objects::model::{Ingress, Path},
    problem::{Problem, Severity, Subject},
};

use super::{
    Owned,
    backend::{Backends, Place, Spot},
    host::{Hosts, Origin, report_conflicts},
    path::{looks_like_a_pattern, pattern},
};

/// Builds all of the configuration but its certificates.
pub(super) fn build(
    ours: &[Owned<'_>],
    tls: &HashSet<HostPattern>,
    backends: Backends<'_>,
    problems: &mut Vec<Problem>,
) -> Config {
    let mut builder = Builder {
        config: Config::default(),
        tls,
        backends,
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

struct Builder<'a, 'p> {
    config: Config,
    tls: &'p HashSet<HostPattern>,
    backends: Backends<'a>,
    problems: &'p mut Vec<Problem>,
    hosts: Hosts<'a>,
    /// Where each rule comes from.
    origins: Vec<Origin<'a>>,
    catch_all: Option<&'a Ingress>,
}

impl<'a> Builder<'a, '_> {
    fn finish(self) -> Config {
        let Self {
            mut config,
            backends,
            hosts,
            origins,
            problems,
            ..
        } = self;
        report_conflicts(&config.rules, &origins, problems);
        // A host with rules is known although none of them has a path: its misses are its own.
        let bare = hosts
            .into_hosts()
            .filter(|host| host.paths == 0 && host.default.is_none());
        let known = bare.map(|host| HostDefault {
            host: host.pattern,
            route: None,
        });
        config.defaults.extend(known);
        config.clusters = backends.into_clusters();
        config
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
        let redirect = settings.redirect == Redirect::Always;
        self.catch_all = Some(ingress);
        self.config.catch_all = Some(Arc::new(route(ingress, settings, "/", backend, redirect)));
    }

    fn add(&mut self, owned: &Owned<'a>) {
        let ingress = owned.ingress;
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
            let redirect = self.redirect(&owned.settings, &host);
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
                self.add_path(&owned.settings, (&host, redirect), path, origin);
            }
        }
        self.add_defaults(owned, &hosts);
    }

    fn add_path(
        &mut self,
        settings: &Settings,
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
        let route = Arc::new(route(ingress, settings, written, backend, redirect));
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
    fn add_defaults(&mut self, owned: &Owned<'a>, hosts: &[usize]) {
        let Owned { ingress, settings } = owned;
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
                let redirect = self.redirect(settings, &host);
                let route = Arc::new(route(ingress, settings, "/", backend.clone(), redirect));
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

    fn redirect(&self, settings: &Settings, host: &HostPattern) -> bool {
        match settings.redirect {
            Redirect::Always => true,
            Redirect::Never => false,
            Redirect::WithTls => {
                self.tls.contains(host)
                    || match host {
                        HostPattern::Exact(name) => {
                            name.split_once('.').is_some_and(|(_, rest)| {
                                self.tls.contains(&HostPattern::Wildcard(rest.to_owned()))
                            })
                        }
                        HostPattern::Wildcard(_) | HostPattern::Any => false,
                    }
            }
        }
    }
}

/// A host that is none.
pub(super) fn wrong_host(subject: &Subject, field: &str, host: &str, error: HostError) -> Problem {
    // The error says what is wrong and what to write.
    let error = error.to_string();
    let (what, hint) = error.split_once("; ").unwrap_or((&error, ""));
    let message = format!("the host \"{}\" {what}", crate::manifest::shorten(host));
    subject.problem(Severity::Error, field, message, hint)
}

fn route(
    ingress: &Ingress,
    settings: &Settings,
    path: &str,
    backend: Backend,
    ssl_redirect: bool,
) -> Route {
    let Settings {
        filters,
        protocol,
        redirect: _,
        hsts,
        max_body,
        connect_timeout,
        response_timeout,
        idle_timeout,
        role: _,
    } = settings;
    Route {
        ingress: IngressName {
            namespace: ingress.subject.namespace.clone(),
            name: ingress.subject.name.clone(),
        },
        rule_path: path.to_owned(),
        backend,
        filters: filters
            .iter()
            .map(|item| FilterRef {
                alias: item.clone(),
                plugin: None,
                config: None,
                field: String::new(),
                origin: String::new(),
            })
            .collect(),
        protocol: *protocol,
        ssl_redirect,
        hsts: hsts.clone(),
        max_body: *max_body,
        connect_timeout: *connect_timeout,
        response_timeout: *response_timeout,
        idle_timeout: *idle_timeout,
    }
}
