//! Plugins and the chains that name them, as plain comparable data.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// Which plugin is meant. Displays as people write it: `rate-limit`, `my-team/geo`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginId {
    /// One that ships with the gateway.
    Shipped(String),
    /// A Plugin object.
    Object {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A file of the operator's folder, by its name without `.wasm`.
    File(String),
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped(name) | Self::File(name) => f.write_str(name),
            Self::Object { namespace, name } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// An item of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilterRef {
    /// What it is called in its chain: no two items are called the same.
    pub alias: String,
    /// The plugin; `None` where there is none that this Ingress may use: then the route is closed.
    pub plugin: Option<PluginId>,
    /// Its configuration, a JSON object with the plugin's defaults under it; `None` where it cannot be
    /// read: then the last good one of this alias counts.
    pub config: Option<String>,
    /// The field of the Ingress that problems of the configuration are about.
    pub field: String,
    /// What put it into the chain, for people: an annotation key.
    pub origin: String,
}

/// A plugin as configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Where its code comes from.
    pub source: Source,
    /// The SHA-256 that the code must have, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// What it may use.
    pub grants: Grants,
    /// What it may take.
    pub limits: Limits,
    /// How far requests are kept apart.
    pub isolation: Isolation,
    /// What becomes of requests when it fails.
    pub on_error: OnError,
}

/// Where the code of a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is part of the program, under this name.
    Embedded(String),
    /// A file, looked up in these folders in turn; it may not lead out of them.
    File {
        /// Its name, or path below a folder.
        name: String,
        /// The folders.
        folders: Vec<PathBuf>,
    },
    /// An artifact in an OCI registry.
    Oci(Image),
    /// A file of a web server; the plugin has its SHA-256.
    Url(String),
    /// The code itself, out of an object.
    Inline(Arc<[u8]>),
    /// Nowhere: what is wrong, and what to do.
    Missing {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Where nobody looks now: manifests are only read over.
    Unseen,
}

/// An artifact in an OCI registry, pinned by the digest of its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The registry, `host` or `host:port`.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// The SHA-256 of the manifest, in lower-case hexadecimal.
    pub digest: String,
    /// Who pulls it; nobody in particular where there is none.
    pub login: Option<Login>,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}@sha256:{}",
            self.registry, self.repository, self.digest
        )
    }
}

/// Who pulls an image.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, or a token in its place.
    pub password: String,
}

impl fmt::Debug for Login {
    // Neither reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// What a plugin may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Random numbers.
    pub random: bool,
    /// Series in `/metrics`.
    pub metrics: bool,
    /// Token buckets and permits.
    pub rate_limit: bool,
    /// Values in memory, of so many bytes.
    pub key_value: Option<usize>,
    /// Hosts, with or without port, that it may send requests to.
    pub http: Vec<String>,
    /// Backends to reroute to.
    pub backends: Backends,
}

/// The backends that a plugin may reroute to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backends {
    /// Those, `service:port`.
    Listed(Vec<String>),
    /// All of the Ingress's namespace.
    All,
}

impl Default for Backends {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// What a plugin may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The memory of one instance, in bytes.
    pub memory: usize,
    /// The CPU time of one hook.
    pub time: Duration,
    /// The body that a whole-body hook is given, in bytes.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            time: Duration::from_millis(1),
            body: 64 << 10,
        }
    }
}

/// How far requests are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// One instance serves many requests.
    #[default]
    Shared,
    /// Each call of a hook gets a new instance.
    Request,
}

/// What becomes of requests when a filter fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// They are answered 503.
    #[default]
    Closed,
    /// They go on as if the filter were not there.
    Open,
}
