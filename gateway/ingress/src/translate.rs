//! The translation: objects to the configuration that is to be served. Pure, total, deterministic.
//!
//! Ingresses are taken oldest first, so that "the first wins" is "the oldest wins" everywhere.

mod backend;
mod certificate;
mod class;
mod endpoint;
mod host;
mod path;
mod rule;

use route::Config;

use crate::{
    annotations::{self, Role, Settings},
    objects::{Objects, model::Ingress},
    problem::{Problem, Severity},
};

/// What the translation goes by besides the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The names of the classes whose Ingresses are served.
    pub classes: Vec<String>,
    /// The controller names that an IngressClass of these may say.
    pub controllers: Vec<String>,
    /// The namespaces whose objects count; empty for all.
    pub watch_namespaces: Vec<String>,
    /// Whether Services of type ExternalName are served.
    pub allow_external_name: bool,
    /// The Secret with the certificate for hosts without one, as namespace and name.
    pub default_tls_secret: Option<(String, String)>,
    /// Where the objects come from.
    pub mode: Mode,
    /// The time, in seconds since 1970.
    pub now: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            classes: vec!["portcullis".to_owned()],
            controllers: vec!["portcullis.dev/ingress-controller".to_owned()],
            watch_namespaces: Vec::new(),
            allow_external_name: false,
            default_tls_secret: None,
            mode: Mode::Manifests,
            now: 0,
        }
    }
}

/// Where the objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A folder of manifests is all there is.
    Manifests,
    /// Manifests are looked over; what is not among them may be in the cluster.
    Check,
    /// The API server.
    Cluster,
}

impl Options {
    fn watches(&self, namespace: &str) -> bool {
        self.watch_namespaces.is_empty() || self.watch_namespaces.iter().any(|ns| ns == namespace)
    }

    /// The severity of something that is missing, and may be in the cluster when files are checked.
    fn missing(&self, severity: Severity) -> Severity {
        match self.mode {
            Mode::Check => Severity::Note,
            Mode::Manifests | Mode::Cluster => severity,
        }
    }
}

/// An Ingress of ours with what its annotations ask for.
struct Owned<'a> {
    ingress: &'a Ingress,
    settings: Settings,
}

/// Translates all objects; problems come by file and line.
pub fn translate(objects: &Objects, options: &Options) -> (Config, Vec<Problem>) {
    let mut problems = Vec::new();

    // Which Ingresses are ours, oldest first, and what they ask for. Rules of a canary are alternatives
    // of its primary, and never rules of their own.
    let ours = class::select(objects, options, &mut problems);
    let ours: Vec<_> = ours
        .into_iter()
        .map(|ingress| Owned {
            ingress,
            settings: annotations::parse(ingress, &mut problems),
        })
        .filter(|owned| owned.settings.role == Role::Primary)
        .collect();

    // Certificates, and with them the hosts that have TLS.
    let tls = certificate::select(objects, options, &ours, &mut problems);

    // Rules, default backends and what they lead to.
    let backends = backend::Backends::new(objects, options);
    let mut config = rule::build(&ours, &tls.hosts, backends, &mut problems);
    config.certificates = tls.certificates;
    config.default_certificate = tls.default;

    problems.sort_by(Problem::order);
    problems.dedup();
    (config, problems)
}

#[cfg(test)]
mod tests;
