//! The configuration that the data plane serves, as plain comparable data without handles.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{FilterRef, HostPattern, PathPattern, Plugin, PluginId};

/// Everything that is to be served. Two equal values serve the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Rules of the oldest Ingress first: of two that match alike, the first wins.
    pub rules: Vec<Rule>,
    /// What hosts serve where no path matches; of two for one host, the first wins. An entry
    /// without a route makes the host known: its path misses are 404, never the catch-all's.
    pub defaults: Vec<HostDefault>,
    /// What serves requests that no host takes.
    pub catch_all: Option<Arc<Route>>,
    /// The Service ports that routes name, with their endpoints.
    pub clusters: BTreeMap<ClusterId, Cluster>,
    /// Certificates by the host they were asked for.
    pub certificates: BTreeMap<HostPattern, Arc<Certificate>>,
    /// The certificate for hosts without one of their own; self-signed where absent.
    pub default_certificate: Option<Arc<Certificate>>,
    /// The plugins that chains name.
    pub plugins: BTreeMap<PluginId, Arc<Plugin>>,
    /// By namespace, the backends that filters may send its requests to: `service:port` as filters
    /// name them, with the port's number or its name.
    pub reroutes: BTreeMap<String, Arc<BTreeMap<String, Target>>>,
}

/// One path of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose requests it takes.
    pub host: HostPattern,
    /// Which of their paths it takes.
    pub path: PathPattern,
    /// What happens to them.
    pub route: Arc<Route>,
}

/// What a host serves where no path matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDefault {
    /// The host.
    pub host: HostPattern,
    /// Its default backend's route, if an Ingress gives one.
    pub route: Option<Arc<Route>>,
}

/// What happens to a request once it is matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The Ingress that owns it.
    pub ingress: IngressName,
    /// The rule's path as written; `/` for a default backend.
    pub rule_path: String,
    /// The rule's host as written; empty where it names none.
    pub rule_host: String,
    /// Where requests go.
    pub backend: Backend,
    /// What the backend speaks.
    pub protocol: Protocol,
    /// Its filter chain, in order. A route is never served without its filters.
    pub filters: Arc<[FilterRef]>,
    /// Whether plain HTTP is redirected to HTTPS (308).
    pub ssl_redirect: bool,
    /// The value of `Strict-Transport-Security` on answers over HTTPS.
    pub hsts: Option<String>,
    /// The largest request body in bytes; `None` is the gateway's default, 0 unlimited.
    pub max_body: Option<u64>,
    /// How long to wait for a connection to the backend; `None` is the gateway's default.
    pub connect_timeout: Option<Duration>,
    /// How long to wait for the head of the response; `None` is the gateway's default.
    pub response_timeout: Option<Duration>,
    /// How long to wait between two reads or writes; `None` is the gateway's default.
    pub idle_timeout: Option<Duration>,
}

/// An Ingress by name. Displays as `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IngressName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for IngressName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The Service port that a rule names. Displays as `service:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// The Service's name, in the Ingress's namespace; the kind and name of a resource backend.
    pub service: String,
    /// The port as the rule writes it: a number or a name.
    pub port: String,
    /// What was found under that name.
    pub target: Target,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

/// What a backend reference leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Endpoints, perhaps none, under this key of [`Config::clusters`].
    Cluster(ClusterId),
    /// The Service exists but lacks the port: 503 `no-port`.
    NoPort,
    /// The Service is missing, or cannot be used: 503 `no-service`.
    #[default]
    NoService,
}

/// A port of a Service. Displays as `namespace/service:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
    /// The number of the Service's port.
    pub port: u16,
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.service, self.port)
    }
}

/// The endpoints behind a Service port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// All endpoints that take or may still take requests, each address once.
    pub endpoints: Vec<Endpoint>,
    /// For a Service of type ExternalName: the DNS name and port that give the endpoints.
    pub external: Option<(String, u16)>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its conditions.
    pub state: EndpointState,
    /// The `uid` of the object behind it: another one at the same address is another endpoint.
    pub uid: Option<String>,
}

/// The conditions of an endpoint, with the nil rules of EndpointSlice applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndpointState {
    /// Takes new requests.
    Ready,
    /// Terminating but still serving: for existing sessions, and for all where none is ready.
    Serving,
    /// Terminating and no longer serving: takes nothing.
    Terminating,
}

/// What a backend speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1 in the clear.
    #[default]
    Http,
    /// HTTP/1.1 over TLS; the certificate is not verified.
    Https,
    /// gRPC: HTTP/2 in the clear with prior knowledge.
    Grpc,
    /// gRPC over TLS: HTTP/2, the certificate is not verified.
    Grpcs,
    /// HTTP/2 in the clear with prior knowledge.
    H2c,
}

/// A certificate with its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Where it comes from, as `namespace/name`.
    pub secret: String,
    /// The chain, leaf first.
    pub chain: Vec<u8>,
    /// The leaf's private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    // The key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}
