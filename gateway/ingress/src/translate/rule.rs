//! Rules and default backends, who owns which host, and conflicts.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use route::{Backend, Config, HostDefault, HostPattern, IngressName, PathPattern, Route, Rule};

use crate::{
    annotations::{Redirect, Settings},
    objects::model::{Ingress, Path},
    problem::{Problem, Severity},
};

use super::{
    Owned,
    backend::{Backends, Place},
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
        hosts: HashMap::new(),
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
    hosts: HashMap<HostPattern, Host<'a>>,
    catch_all: Option<&'a Ingress>,
}

/// What is known of a host so far.
struct Host<'a> {
    /// The oldest Ingress with a rule for it, and the rule.
    owner: (&'a Ingress, usize),
    /// Whose default backend it has.
    default: Option<&'a Ingress>,
    paths: HashMap<(Exactness, String), Taken<'a>>,
}

/// Only paths of one exactness can take the same requests with equal right.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Exactness {
    Exact,
    Prefix,
}

/// A path that has an owner.
struct Taken<'a> {
    ingress: &'a Ingress,
    field: String,
    pattern: PathPattern,
}

impl<'a> Builder<'a, '_> {
    fn finish(self) -> Config {
        let Self {
            mut config,
            backends,
            hosts,
            ..
        } = self;
        // A host with rules is known although none of them has a path: its misses are its own.
        let served: HashSet<&HostPattern> = config
            .rules
            .iter()
            .map(|rule| &rule.host)
            .chain(config.defaults.iter().map(|d| &d.host))
            .collect();
        let mut bare: Vec<_> = hosts
            .into_keys()
            .filter(|host| !served.contains(host))
            .collect();
        bare.sort();
        config.defaults.extend(
            bare.into_iter()
                .map(|host| HostDefault { host, route: None }),
        );
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
            field,
            problems: self.problems,
        };
        let backend = self.backends.find(reference, place);
        let redirect = settings.redirect == Redirect::Always;
        self.catch_all = Some(ingress);
        self.config.catch_all = Some(Arc::new(route(ingress, settings, "/", backend, redirect)));
    }

    fn add(&mut self, owned: &Owned<'a>) {
        let Owned { ingress, settings } = owned;
        let mut hosts: Vec<(HostPattern, usize)> = Vec::new();
        for (index, rule) in ingress.rules.iter().enumerate() {
            let host = match HostPattern::parse(&rule.host) {
                Ok(host) => host,
                Err(error) => {
                    let message = format!(
                        "the host \"{}\" {error}",
                        crate::manifest::shorten(&rule.host)
                    );
                    let field = format!("spec.rules[{index}].host");
                    self.problems.push(ingress.subject.problem(
                        Severity::Error,
                        &field,
                        message,
                        "",
                    ));
                    continue;
                }
            };
            self.visit(ingress, index, &host, &mut hosts);
            for (path_index, path) in rule.paths.iter().enumerate() {
                let field = format!("spec.rules[{index}].http.paths[{path_index}]");
                self.add_path(ingress, settings, &host, (path, field));
            }
        }
        self.add_defaults(owned, &hosts);
    }

    /// Notes that an Ingress has a rule for a host, and to whom the host belongs.
    fn visit(
        &mut self,
        ingress: &'a Ingress,
        index: usize,
        host: &HostPattern,
        hosts: &mut Vec<(HostPattern, usize)>,
    ) {
        if hosts.iter().any(|(known, _)| known == host) {
            return;
        }
        hosts.push((host.clone(), index));
        let Some(known) = self.hosts.get(host) else {
            let new = Host {
                owner: (ingress, index),
                default: None,
                paths: HashMap::new(),
            };
            self.hosts.insert(host.clone(), new);
            return;
        };
        let (owner, owner_index) = known.owner;
        if owner.subject.namespace == ingress.subject.namespace {
            return;
        }
        let field = format!("spec.rules[{index}].host");
        let owner_field = format!("spec.rules[{owner_index}].host");
        let hint = "make sure that both teams know";
        let message = format!(
            "the host {host} belongs to {}, of another namespace",
            owner.subject.place(&owner_field)
        );
        self.problems.push(
            ingress
                .subject
                .problem(Severity::Note, &field, message, hint),
        );
        let message = format!(
            "{}, of another namespace, has rules for the host {host} too",
            ingress.subject.place(&field)
        );
        self.problems.push(
            owner
                .subject
                .problem(Severity::Note, &owner_field, message, hint),
        );
    }

    fn add_path(
        &mut self,
        ingress: &'a Ingress,
        settings: &Settings,
        host: &HostPattern,
        (path, field): (&Path, String),
    ) {
        let path_field = format!("{field}.path");
        let pattern = match pattern(path) {
            Ok(pattern) => pattern,
            Err((part, message, hint)) => {
                let field = format!("{field}.{part}");
                self.problems.push(
                    ingress
                        .subject
                        .problem(Severity::Error, &field, message, hint),
                );
                return;
            }
        };
        if let Some(message) = looks_like_a_pattern(path) {
            let hint = "write the path's beginning with pathType: Prefix";
            self.problems.push(ingress.subject.problem(
                Severity::Warning,
                &path_field,
                message,
                hint,
            ));
        }
        self.claim(ingress, host, &pattern, path_field);
        let field = format!("{field}.backend");
        let place = Place {
            subject: &ingress.subject,
            field: &field,
            problems: self.problems,
        };
        let backend = self.backends.find(&path.backend, place);
        let redirect = self.redirect(settings, host);
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
    }

    /// Notes whose a path is; of two alike the oldest's, and a typed one goes before one that is
    /// ImplementationSpecific.
    fn claim(
        &mut self,
        ingress: &'a Ingress,
        host: &HostPattern,
        pattern: &PathPattern,
        field: String,
    ) {
        let exactness = match pattern {
            PathPattern::Exact(_) => Exactness::Exact,
            PathPattern::Prefix(_) | PathPattern::ImplementationSpecific(_) => Exactness::Prefix,
        };
        let Some(known) = self.hosts.get_mut(host) else {
            return;
        };
        let key = (exactness, pattern.as_str().to_owned());
        let new = Taken {
            ingress,
            field,
            pattern: pattern.clone(),
        };
        let Some(old) = known.paths.remove(&key) else {
            known.paths.insert(key, new);
            return;
        };
        let specific =
            |taken: &Taken<'_>| matches!(taken.pattern, PathPattern::ImplementationSpecific(_));
        let (winner, loser, why) = if specific(&old) && !specific(&new) {
            (new, old, "goes before ImplementationSpecific")
        } else if !specific(&old) && specific(&new) {
            (old, new, "goes before ImplementationSpecific")
        } else if std::ptr::eq(old.ingress, new.ingress) {
            (old, new, "stands before it")
        } else {
            (old, new, "is older")
        };
        let hint = "take one out, or change its host or path";
        let (path, whose) = (&loser.pattern, winner.ingress.subject.place(&winner.field));
        let message = format!(
            "the path {path} of host {host} belongs to {whose}, which {why}; this one gets no requests"
        );
        self.problems.push(loser.ingress.subject.problem(
            Severity::Warning,
            &loser.field,
            message,
            hint,
        ));
        if !std::ptr::eq(winner.ingress, loser.ingress) {
            let whose = loser.ingress.subject.place(&loser.field);
            let message = format!(
                "{whose} has the path {path} of host {host} too, and loses: this one {why}"
            );
            self.problems.push(winner.ingress.subject.problem(
                Severity::Note,
                &winner.field,
                message,
                hint,
            ));
        }
        known.paths.insert(key, winner);
    }

    /// The default backend of an Ingress with rules is that of its hosts, where no older one has it.
    fn add_defaults(&mut self, owned: &Owned<'a>, hosts: &[(HostPattern, usize)]) {
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
            field,
            problems: self.problems,
        };
        let backend = self.backends.find(reference, place);
        for (host, _) in hosts {
            let redirect = self.redirect(settings, host);
            let Some(known) = self.hosts.get_mut(host) else {
                continue;
            };
            let Some(winner) = known.default else {
                known.default = Some(ingress);
                let route = route(ingress, settings, "/", backend.clone(), redirect);
                self.config.defaults.push(HostDefault {
                    host: host.clone(),
                    route: Some(Arc::new(route)),
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

fn route(
    ingress: &Ingress,
    settings: &Settings,
    path: &str,
    backend: Backend,
    ssl_redirect: bool,
) -> Route {
    let Settings {
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
        protocol: *protocol,
        ssl_redirect,
        hsts: hsts.clone(),
        max_body: *max_body,
        connect_timeout: *connect_timeout,
        response_timeout: *response_timeout,
        idle_timeout: *idle_timeout,
    }
}

/// The pattern of a rule's path in the form in which requests are matched; the error has the field,
/// what is wrong and what to write.
fn pattern(path: &Path) -> Result<PathPattern, (&'static str, String, &'static str)> {
    let make = match path.path_type.as_str() {
        "Exact" => PathPattern::Exact,
        "Prefix" => PathPattern::Prefix,
        "ImplementationSpecific" => PathPattern::ImplementationSpecific,
        other => {
            let message = format!("\"{}\" is no path type", crate::manifest::shorten(other));
            return Err((
                "pathType",
                message,
                "write Prefix, Exact or ImplementationSpecific",
            ));
        }
    };
    let written = if path.path.is_empty() && path.path_type == "ImplementationSpecific" {
        "/"
    } else {
        &path.path
    };
    let encoded = encode(written);
    let normal = route::normalise(&encoded).map_err(|error| {
        let shown = crate::manifest::shorten(written);
        (
            "path",
            format!("no request has the path \"{shown}\": {error}"),
            "write it as it stands in URLs",
        )
    })?;
    Ok(make(route::collapse(&normal).into_owned()))
}

/// Percent-encodes what a URL cannot have, as clients do; what is encoded stays.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if matches!(byte, 0x21..=0x7e) && !matches!(byte, b'#' | b'?') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Paths are no patterns, though other controllers take some for one.
fn looks_like_a_pattern(path: &Path) -> Option<String> {
    let specific = path.path_type == "ImplementationSpecific";
    let star = path.path_type != "Exact" && path.path.ends_with('*');
    let regex = specific && path.path.contains(['(', '[', '^', '$', '*', '|']);
    let shown = crate::manifest::shorten(&path.path);
    (star || regex).then(|| format!("the path \"{shown}\" is taken as it stands, not as a pattern"))
}
