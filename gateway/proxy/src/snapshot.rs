//! What is served at one time: immutable, built off the request path, swapped whole.

mod live;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use route::{ClusterId, Config, HostPattern, IngressName, Match, Table};

pub(crate) use live::{LiveRoute, Upstream};

use crate::{
    cluster::Cluster,
    filter::Filters,
    metrics::{FilterName, FilterStats, RouteStats},
    settings::Settings,
    tls::{Certificates, certified_key},
};
use live::{Parts, Reroutes};

/// Everything a request or a handshake needs to know.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) table: Table<Arc<LiveRoute>>,
    certificates: Certificates,
    pub(crate) clusters: HashMap<ClusterId, Arc<Cluster>>,
    /// The hosts that have a certificate of their own.
    pub(crate) tls_hosts: Vec<HostPattern>,
    pub(crate) generation: u64,
    pub(crate) redirect_port: Option<u16>,
}

/// A certificate that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateProblem {
    /// The Secret it comes from, as `namespace/name`.
    pub secret: String,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

impl Snapshot {
    /// What is served before the first configuration: nothing.
    pub(crate) fn empty() -> Self {
        Self {
            table: Table::build([], [], None),
            certificates: Certificates::default(),
            clusters: HashMap::new(),
            tls_hosts: Vec::new(),
            generation: 0,
            redirect_port: None,
        }
    }

    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }
}

/// Builds snapshots, and knows what the last one was built from, to share what did not change.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    config: Arc<Config>,
    /// Live routes by the address of their configuration: an unchanged rule keeps its `Arc`.
    routes: HashMap<usize, Arc<LiveRoute>>,
    clusters: HashMap<ClusterId, Arc<Cluster>>,
    /// Keys by their Secret: parsing one costs more than comparing it.
    keys: HashMap<String, (Arc<route::Certificate>, Arc<rustls::sign::CertifiedKey>)>,
    stats: HashMap<IngressName, RouteStats>,
    filter_stats: HashMap<FilterName, Arc<FilterStats>>,
    /// What filters may send requests to, by namespace.
    reroutes: HashMap<String, Arc<Reroutes>>,
    /// Which filters the last snapshot has.
    filters: u64,
    generation: u64,
}

impl Builder {
    /// Builds the snapshot of `config`; `None` where only endpoints changed, or nothing.
    pub(crate) fn build(
        &mut self,
        config: &Arc<Config>,
        filters: &Filters,
        settings: &Settings,
    ) -> (Option<Snapshot>, Vec<CertificateProblem>) {
        self.update_clusters(&config.clusters);
        let mut problems = Vec::new();
        let same = self.generation > 0 && self.filters == filters.generation() && {
            let Config {
                rules,
                defaults,
                catch_all,
                clusters,
                certificates,
                default_certificate,
                plugins: _,
                reroutes,
            } = &**config;
            let shape = |clusters: &BTreeMap<ClusterId, route::Cluster>| {
                clusters
                    .iter()
                    .map(|(id, c)| (id.clone(), c.external.clone()))
                    .collect::<Vec<_>>()
            };
            *rules == self.config.rules
                && *defaults == self.config.defaults
                && *catch_all == self.config.catch_all
                && *certificates == self.config.certificates
                && *default_certificate == self.config.default_certificate
                && *reroutes == self.config.reroutes
                && shape(clusters) == shape(&self.config.clusters)
        };
        if same {
            self.config = Arc::clone(config);
            return (None, problems);
        }
        self.generation += 1;
        self.filters = filters.generation();
        let certificates = self.certificates(config, &mut problems);
        let table = self.table(config, filters, settings);
        let snapshot = Snapshot {
            table,
            certificates,
            clusters: self.clusters.clone(),
            tls_hosts: config.certificates.keys().cloned().collect(),
            generation: self.generation,
            redirect_port: settings.redirect_port,
        };
        self.config = Arc::clone(config);
        (Some(snapshot), problems)
    }

    /// Brings clusters up to date in place: routes that name them need not know.
    fn update_clusters(&mut self, configs: &BTreeMap<ClusterId, route::Cluster>) {
        self.clusters.retain(|id, cluster| {
            configs
                .get(id)
                .is_some_and(|config| config.external == cluster.external)
        });
        for (id, config) in configs {
            match self.clusters.get(id) {
                // An ExternalName's endpoints are the resolver's to set.
                Some(cluster) if cluster.external.is_none() => cluster.update(&config.endpoints),
                Some(_) => {}
                None => {
                    self.clusters
                        .insert(id.clone(), Arc::new(Cluster::new(id.clone(), config)));
                }
            }
        }
    }

    /// Puts other endpoints in place where only these changed.
    pub(crate) fn update_endpoints(&self, clusters: &[(ClusterId, route::Cluster)]) {
        for (id, config) in clusters {
            if let Some(cluster) = self.clusters.get(id) {
                cluster.update(&config.endpoints);
            }
        }
    }

    fn table(
        &mut self,
        config: &Config,
        filters: &Filters,
        settings: &Settings,
    ) -> Table<Arc<LiveRoute>> {
        let before = std::mem::take(&mut self.routes);
        self.update_reroutes(config);
        let mut alive: HashSet<FilterName> = HashSet::new();
        let mut live = |route: &Arc<route::Route>| {
            let key = Arc::as_ptr(route).addr();
            if let Some(done) = self.routes.get(&key) {
                return Arc::clone(done);
            }
            let mut parts = Parts {
                clusters: &self.clusters,
                reroutes: self.reroutes.get(&route.ingress.namespace),
                filters,
                settings,
                stats: &mut self.stats,
                filter_stats: &mut self.filter_stats,
            };
            let names = route.filters.iter();
            alive.extend(names.map(|item| (route.ingress.clone(), item.alias.clone())));
            let kept = before
                .get(&key)
                .filter(|old| Arc::ptr_eq(&old.config, route) && old.stands(&parts));
            let built = match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(LiveRoute::new(route, &mut parts)),
            };
            self.routes.insert(key, Arc::clone(&built));
            built
        };
        let rules: Vec<_> = config
            .rules
            .iter()
            .map(|rule| (rule.host.clone(), rule.path.clone(), live(&rule.route)))
            .collect();
        let defaults: Vec<_> = config
            .defaults
            .iter()
            .map(|default| (default.host.clone(), default.route.as_ref().map(&mut live)))
            .collect();
        let catch_all = config.catch_all.as_ref().map(&mut live);
        self.filter_stats.retain(|name, _| alive.contains(name));
        let alive: HashSet<&IngressName> = self
            .routes
            .values()
            .map(|route| &route.config.ingress)
            .collect();
        self.stats.retain(|ingress, _| alive.contains(ingress));
        Table::build(rules, defaults, catch_all)
    }

    /// Backends for filters; a namespace where nothing changed keeps its own.
    fn update_reroutes(&mut self, config: &Config) {
        let before = std::mem::take(&mut self.reroutes);
        for (namespace, targets) in &config.reroutes {
            let new = Reroutes::new(targets, &self.clusters);
            let kept = before.get(namespace).filter(|old| ***old == new);
            let reroutes = kept.map_or_else(|| Arc::new(new), Arc::clone);
            self.reroutes.insert(namespace.clone(), reroutes);
        }
    }

    fn certificates(
        &mut self,
        config: &Config,
        problems: &mut Vec<CertificateProblem>,
    ) -> Certificates {
        let before = std::mem::take(&mut self.keys);
        let mut key_of = |certificate: &Arc<route::Certificate>| {
            let at = &certificate.secret;
            if let Some((_, key)) = self.keys.get(at) {
                return Some(Arc::clone(key));
            }
            let kept = before.get(at).filter(|(old, _)| old == certificate);
            let key = match kept {
                Some((_, key)) => Arc::clone(key),
                None => match certified_key(&certificate.chain, &certificate.key) {
                    Ok(key) => key,
                    Err(error) => {
                        let secret = certificate.secret.clone();
                        problems.push(CertificateProblem {
                            secret,
                            message: error.to_string(),
                        });
                        return None;
                    }
                },
            };
            self.keys
                .insert(at.clone(), (Arc::clone(certificate), Arc::clone(&key)));
            Some(key)
        };
        let mut certificates = Certificates::default();
        for (host, certificate) in &config.certificates {
            let Some(key) = key_of(certificate) else {
                continue;
            };
            match host {
                HostPattern::Exact(name) => certificates.exact.insert(name.as_str().into(), key),
                HostPattern::Wildcard(suffix) => {
                    certificates.wildcard.insert(suffix.as_str().into(), key)
                }
                HostPattern::Any => certificates.default.replace(key),
            };
        }
        if let Some(certificate) = &config.default_certificate {
            certificates.default = key_of(certificate).or(certificates.default);
        }
        certificates
    }

    /// The counters of each filter in a chain.
    pub(crate) fn filter_stats(&self) -> Vec<(FilterName, Arc<FilterStats>)> {
        let mut all: Vec<_> = self
            .filter_stats
            .iter()
            .map(|(name, stats)| (name.clone(), Arc::clone(stats)))
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The counters of each Ingress that has routes.
    pub(crate) fn stats(&self) -> Vec<(IngressName, RouteStats)> {
        self.stats
            .iter()
            .map(|(name, stats)| (name.clone(), stats.clone()))
            .collect()
    }
}

/// Text of how a route was found, for `explain`.
pub(crate) fn describe(by: Match<'_>) -> String {
    match by {
        Match::Rule(host, path) => format!("host {host}, path {path}"),
        Match::HostDefault(host) => format!("default backend of host {host}"),
        Match::CatchAll => "default backend of everything".to_owned(),
    }
}
