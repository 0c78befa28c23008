//! The translation: objects to the configuration that is to be served. Pure, total, deterministic.
//!
//! Ingresses are taken oldest first, so that "the first wins" is "the oldest wins" everywhere.

mod backend;
mod canary;
mod ceiling;
mod certificate;
mod chain;
mod class;
mod endpoint;
mod host;
mod parts;
mod path;
mod plugin;
mod reroute;
mod rule;
mod source;
mod translation;

use std::{collections::BTreeSet, path::PathBuf};

use route::{ClusterId, Config};

use crate::{
    annotations::{self, Role, Settings},
    objects::{Objects, model::Ingress},
    problem::{Problem, Severity},
};

pub use ceiling::Ceilings;
pub use translation::Translation;

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
    /// The names of the filters that ship.
    pub shipped: Vec<String>,
    /// The operator's folder of plugin files.
    pub plugin_folder: Option<PathBuf>,
    /// The names of the files in it, without `.wasm`: each is a plugin for every namespace.
    pub plugin_files: Vec<String>,
    /// The namespaces whose Plugins every namespace may use.
    pub shared_plugin_namespaces: Vec<String>,
    /// What no Plugin object gets more than.
    pub ceilings: Ceilings,
    /// Where the objects come from.
    pub mode: Mode,
    /// Whether a cluster's endpoints may be on this machine, as the cluster itself is.
    pub loopback: bool,
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
            shipped: SHIPPED.map(str::to_owned).to_vec(),
            plugin_folder: None,
            plugin_files: Vec::new(),
            shared_plugin_namespaces: Vec::new(),
            ceilings: Ceilings::default(),
            mode: Mode::Manifests,
            loopback: false,
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
    let (config, problems, _) = build(objects, options);
    (config, problems)
}

/// Translates all objects; also tells the clusters whose endpoints there is a problem with.
fn build(objects: &Objects, options: &Options) -> (Config, Vec<Problem>, BTreeSet<ClusterId>) {
    let mut problems = Vec::new();

    // Which Ingresses are ours, oldest first, and what they ask for. Rules of a canary are alternatives
    // of its primary's, and never rules of their own.
    let ours = class::select(objects, options, &mut problems);
    let owned = ours.into_iter().map(|ingress| Owned {
        ingress,
        settings: annotations::parse(ingress, &mut problems),
    });
    let (ours, canaries): (Vec<_>, Vec<_>) =
        owned.partition(|owned| owned.settings.role == Role::Primary);

    // Certificates, and with them the hosts that have TLS.
    let tls = certificate::select(objects, options, &ours, &mut problems);

    // Rules, default backends, their filters and what they lead to.
    let parts = (
        backend::Backends::new(objects, options),
        chain::Chains::new(objects, options, &mut problems),
        canary::Canaries::new(&canaries, &mut problems),
    );
    let (mut config, troubled) = rule::build(&ours, &tls.hosts, parts, &mut problems);
    config.certificates = tls.certificates;
    config.default_certificate = tls.default;

    problems.sort_by(Problem::order);
    problems.dedup();
    (config, problems, troubled)
}

/// The Ingresses of ours, oldest first.
pub(crate) fn select<'a>(objects: &'a Objects, options: &Options) -> Vec<&'a Ingress> {
    class::select(objects, options, &mut Vec::new())
}

/// The filters that ship.
const SHIPPED: [&str; 3] = [plugin::RATE_LIMIT, plugin::CANARY, plugin::STICKY_SESSION];

#[cfg(test)]
mod tests;
