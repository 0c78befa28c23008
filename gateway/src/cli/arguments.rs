//! From flags to what they mean: complete, or every mistake at once.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ingress::{Access, Mode, Place, Publishing};
use tracing_subscriber::EnvFilter;

use crate::{log, memory::Limit, publish, shipped::SHIPPED};

use super::{
    Mistakes, Reader, ReadingFlags, RunFlags, ServingFlags, StatusFlags, limits::Read,
    listen::Addresses, plugins::names, value::Zero,
};

/// What to run, read and checked.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) settings: proxy::Settings,
    /// How objects are read.
    pub(crate) options: ingress::Options,
    /// What plugins run in.
    pub(crate) sandbox: wasm::Settings,
    pub(crate) origin: Origin,
    pub(crate) admin: SocketAddr,
    pub(crate) metrics: Option<SocketAddr>,
    /// What memory the process may take.
    pub(crate) memory: Limit,
    /// Whether redirects name the port that the HTTPS listener turns out to have.
    pub(crate) redirect: Redirect,
    pub(crate) access: AccessTarget,
    pub(crate) log: EnvFilter,
    /// What is written into the status of Ingresses.
    pub(crate) publishing: Publishing,
    /// Flags that were given and do nothing here.
    pub(crate) idle: Vec<&'static str>,
}

/// Where objects come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// These folders.
    Manifests(Vec<PathBuf>),
    /// An API server.
    Cluster(Access),
}

/// Which port redirects to https name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// This one.
    Port(u16),
    /// The HTTPS listener's.
    Listener,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccessTarget {
    /// Nowhere.
    Off,
    /// To standard output.
    Output,
    /// To the end of this file.
    File(PathBuf),
}

impl RunFlags {
    /// Reads all flags.
    pub(crate) fn read(self) -> Result<Arguments, Mistakes> {
        let Self {
            manifests,
            kubeconfig,
            listen,
            reading,
            serving,
            status,
            limits,
        } = self;
        let mut reader = Reader::default();
        let addresses = listen.read(&mut reader);
        let limits = limits.read(&mut reader);
        let memory = limits.memory;
        let patience = limits.api_server;
        let (origin, mode) = origin(manifests, kubeconfig, patience, &mut reader);
        let options = reading.read(mode, &mut reader);
        let publishing = status.read(&mut reader);
        let idle = match mode {
            Mode::Manifests | Mode::Check => status.given(),
            Mode::Cluster => Vec::new(),
        };
        let mut sandbox = reading.plugins.sandbox(&options.ceilings);
        // Whoever serves a folder tries things out on this machine.
        sandbox.http.allow_loopback = mode == Mode::Manifests;
        let log = log_filter(serving.log_level.as_deref(), &mut reader);
        let redirect = serving
            .redirect_port
            .as_deref()
            .map(|text| reader.count("--redirect-port", text));
        let redirect = redirect.map_or_else(
            || match mode {
                Mode::Manifests | Mode::Check => Redirect::Listener,
                // A Service stands before the listener.
                Mode::Cluster => Redirect::Port(HTTPS),
            },
            Redirect::Port,
        );
        let mut settings = serving.settings(&addresses, limits, &mut reader);
        settings.external_loopback = mode == Mode::Manifests;
        let arguments = Arguments {
            settings,
            options,
            sandbox,
            origin,
            admin: addresses.admin,
            metrics: addresses.metrics,
            memory,
            redirect,
            access: match serving.access_log.as_str() {
                "off" => AccessTarget::Off,
                "json" => AccessTarget::Output,
                file => AccessTarget::File(file.into()),
            },
            log,
            publishing,
            idle,
        };
        reader.finish(arguments)
    }
}

/// Where objects come from: folders if any is named, else a cluster.
fn origin(
    manifests: Vec<PathBuf>,
    kubeconfig: Option<PathBuf>,
    patience: Duration,
    reader: &mut Reader,
) -> (Origin, Mode) {
    if !manifests.is_empty() {
        if let Some(path) = kubeconfig {
            let text = path.display().to_string();
            let hint = "leave out the one or the other";
            reader.mistake("--kubeconfig", &text, "goes with no --manifests", hint);
        }
        return (Origin::Manifests(manifests), Mode::Manifests);
    }
    let named = std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty());
    let pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let place = match kubeconfig {
        Some(path) => Place::File(path),
        None if pod && !named => Place::Pod,
        None => Place::Usual,
    };
    let access = Access { place, patience };
    (Origin::Cluster(access), Mode::Cluster)
}

/// The port of https.
const HTTPS: u16 = 443;

impl ReadingFlags {
    /// How objects are to be read, in this mode.
    pub(crate) fn read(&self, mode: Mode, reader: &mut Reader) -> ingress::Options {
        let secret = self.default_tls_secret.as_deref();
        let plugins = &self.plugins;
        let folder = plugins.plugins.as_deref();
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let text = folder.display().to_string();
            reader.mistake(
                "--plugins",
                &text,
                "is no folder",
                "write one that is there",
            );
        }
        plugins.check_ca(reader);
        let shared = &plugins.shared_plugin_namespaces;
        ingress::Options {
            classes: reader.names("--ingress-class", &self.ingress_class),
            controllers: reader.names("--controller", &self.controller),
            watch_namespaces: reader.names("--watch-namespace", &self.watch_namespace),
            allow_external_name: self.allow_external_name,
            default_tls_secret: secret.and_then(|text| reader.object("--default-tls-secret", text)),
            shipped: SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect(),
            plugin_folder: folder.map(Path::to_owned),
            plugin_files: names(folder),
            shared_plugin_namespaces: reader.names("--shared-plugin-namespaces", shared),
            ceilings: plugins.ceilings(reader),
            mode,
            loopback: false,
            now: publish::now(),
        }
    }
}

impl ServingFlags {
    fn settings(
        &self,
        addresses: &Addresses,
        limits: Read,
        reader: &mut Reader,
    ) -> proxy::Settings {
        let Read {
            limits,
            timeouts,
            upstream,
            memory: _,
            api_server: _,
        } = limits;
        proxy::Settings {
            http: addresses.http,
            https: addresses.https,
            workers: match &self.workers {
                Some(text) => reader.count("--workers", text),
                None => workers(),
            },
            trusted_proxies: reader.networks("--trusted-proxies", &self.trusted_proxies),
            proxy_protocol: self.proxy_protocol,
            // Only the listeners know the port that the default names.
            redirect_port: None,
            // Only manifests may lead to this machine.
            external_loopback: false,
            drain_delay: reader.time("--drain-delay", &self.drain_delay, Zero::Allowed),
            drain_timeout: reader.time("--drain-timeout", &self.drain_timeout, Zero::Allowed),
            limits,
            timeouts,
            upstream,
        }
    }
}

impl StatusFlags {
    /// What is written, and by whom.
    fn read(&self, reader: &mut Reader) -> Publishing {
        let Self {
            publish_service,
            publish_address,
            publish_nodes,
            leader_lease,
        } = self;
        let lease = leader_lease
            .as_deref()
            .and_then(|text| match text.split_once('/') {
                Some(_) => {
                    let (namespace, name) = reader.object("--leader-lease", text)?;
                    Some((Some(namespace), name))
                }
                None => reader.name("--leader-lease", text).map(|name| (None, name)),
            });
        Publishing {
            addresses: reader.names("--publish-address", publish_address),
            service: publish_service
                .as_deref()
                .and_then(|text| reader.object("--publish-service", text)),
            nodes: publish_nodes
                .as_deref()
                .and_then(|text| reader.pods("--publish-nodes", text)),
            lease,
        }
    }

    /// The flags that were given.
    fn given(&self) -> Vec<&'static str> {
        let given = [
            ("--publish-service", self.publish_service.is_some()),
            ("--publish-address", !self.publish_address.is_empty()),
            ("--publish-nodes", self.publish_nodes.is_some()),
            ("--leader-lease", self.leader_lease.is_some()),
        ];
        let given = given.into_iter().filter(|(_, given)| *given);
        given.map(|(flag, _)| flag).collect()
    }
}

/// The cores that this process may use. The standard library knows CPU affinity and the limits of
/// both versions of cgroups, rounds them down, and never says less than 1.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn log_filter(level: Option<&str>, reader: &mut Reader) -> EnvFilter {
    let Some(text) = level else {
        return log::environment();
    };
    log::filter(text).unwrap_or_else(|| {
        let hint = "write off, error, warn, info, debug or trace, or targets with levels: info,hyper=debug";
        reader.mistake("--log-level", text, "is no level", hint);
        EnvFilter::new("info")
    })
}
