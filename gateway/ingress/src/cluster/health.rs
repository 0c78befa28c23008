//! What is wrong with watches, and what an operator can do about it.

use std::collections::BTreeMap;

use crate::{
    manifest::shorten,
    objects::Kind,
    problem::{Problem, Severity, mark_last_good},
};

use super::{kinds::Target, published::Topic, watch::Health};

/// The problems of all watches. `serving` says whether something was known before, `late` whether what
/// is not known yet is no longer waited for.
pub(super) fn problems(
    watches: &BTreeMap<Target, Health>,
    server: &str,
    serving: bool,
    late: bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut away = None;
    for (target, health) in watches {
        match health {
            Health::Waiting if late => problems.push(unlisted(target)),
            Health::Waiting | Health::Up => {}
            // The server is one, however many watches miss it.
            Health::Away(reason) => away = away.or(Some(reason)),
            Health::Forbidden(said) => problems.push(forbidden(target, said)),
            Health::Absent => problems.push(absent(target)),
            Health::Failing(reason) => {
                let message = format!("{target} cannot be listed and watched: {}", shorten(reason));
                let hint = "it is tried again; see the log of the API server";
                problems.push(problem(target, Severity::Error, message, hint.to_owned()));
            }
        }
    }
    if let Some(reason) = away {
        problems.push(Problem {
            severity: Severity::Error,
            kind: CLUSTER.to_owned(),
            namespace: String::new(),
            name: "api-server".to_owned(),
            field: None,
            file: None,
            line: None,
            message: format!("the API server at {server} does not answer: {reason}"),
            hint:
                "it is tried again; see that it runs, that the network leads to it, and that the \
                   credentials are good"
                    .to_owned(),
        });
    }
    let lasting = |problem: &&mut Problem| serving && problem.severity == Severity::Error;
    for problem in problems.iter_mut().filter(lasting) {
        mark_last_good(std::slice::from_mut(problem));
    }
    problems
}

/// Something that cannot be written.
pub(super) fn unwritten(topic: Topic, reason: &str) -> Problem {
    let (what, rule) = topic.rule();
    let hint = if reason.contains("status 403") {
        format!("add to the Role of the gateway's ServiceAccount the rule {rule}")
    } else {
        "it is tried again".to_owned()
    };
    Problem {
        severity: Severity::Warning,
        kind: CLUSTER.to_owned(),
        namespace: String::new(),
        name: format!("{topic:?}").to_lowercase(),
        field: None,
        file: None,
        line: None,
        message: format!("{what}: {}", shorten(reason)),
        hint,
    }
}

fn forbidden(target: &Target, said: &str) -> Problem {
    let without = target.row().map_or("", |row| row.without);
    let said = match said {
        "" => String::new(),
        said => format!(" ({said})"),
    };
    let message = format!(
        "the API server does not let this gateway list and watch {target}: {without}{said}"
    );
    problem(target, severity(target), message, target.rule())
}

/// That objects which something names are not watched, beside so many that are.
pub(super) fn left_out(targets: &[&Target], watched: usize) -> Problem {
    let mut namespaces: BTreeMap<&str, usize> = BTreeMap::new();
    for target in targets {
        *namespaces.entry(target.namespace()).or_default() += 1;
    }
    let most = namespaces.into_iter().max_by_key(|(_, count)| *count);
    let (namespace, count) = most.unwrap_or_default();
    let of = |kind: Kind| targets.iter().filter(|target| target.kind == kind).count();
    let message = format!(
        "{} Secrets and {} ConfigMaps that Ingresses and Plugins name are not watched, {count} of \
         them of the namespace {namespace}: {} are named and no list has them, and {watched} can be \
         watched one by one, which namespaces share; what these were stays",
        of(Kind::Secret),
        of(Kind::ConfigMap),
        targets.len() + watched,
    );
    Problem {
        severity: Severity::Warning,
        kind: CLUSTER.to_owned(),
        namespace: String::new(),
        name: "named-objects".to_owned(),
        field: None,
        file: None,
        line: None,
        message,
        hint:
            "take out the names of Secrets that do not exist, and give those with certificates the \
               type kubernetes.io/tls: one list has all of these"
                .to_owned(),
    }
}

fn unlisted(target: &Target) -> Problem {
    let without = target.row().map_or("", |row| row.without);
    let message = format!("the API server has not listed {target} so far: {without}");
    let hint = "it is still waited for; see the log of the API server";
    problem(target, severity(target), message, hint.to_owned())
}

fn absent(target: &Target) -> Problem {
    let without = target.row().map_or("", |row| row.without);
    let message = format!(
        "the API server does not have {}: {without}",
        target.resource()
    );
    let hint = match target.kind {
        Kind::Plugin => {
            "install the CustomResourceDefinition that comes with the Helm chart, crds/plugins.yaml"
        }
        Kind::Ingress
        | Kind::IngressClass
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Endpoints
        | Kind::Secret
        | Kind::ConfigMap => "use a cluster of Kubernetes 1.21 or later",
    };
    problem(target, severity(target), message, hint.to_owned())
}

/// Whether the rest is of use without a target.
pub(super) fn is_optional(target: &Target) -> bool {
    severity(target) == Severity::Warning
}

/// How bad it is to be without a kind.
fn severity(target: &Target) -> Severity {
    match target.kind {
        Kind::IngressClass | Kind::Plugin | Kind::ConfigMap => Severity::Warning,
        Kind::Ingress | Kind::Service | Kind::EndpointSlice | Kind::Endpoints | Kind::Secret => {
            Severity::Error
        }
    }
}

fn problem(target: &Target, severity: Severity, message: String, hint: String) -> Problem {
    Problem {
        severity,
        kind: CLUSTER.to_owned(),
        namespace: target.namespace().to_owned(),
        name: target.resource(),
        field: None,
        file: None,
        line: None,
        message,
        hint,
    }
}

/// The kind that problems of the cluster itself have.
const CLUSTER: &str = "Cluster";
