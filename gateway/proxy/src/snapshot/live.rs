//! A route with everything resolved that configuration can resolve.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use http::HeaderValue;
use route::{ClusterId, EndpointState, IngressName, Protocol, Target};

use crate::{
    cluster::Cluster,
    filter::{Chain, Filters, Link, Services, Steering, same},
    metrics::{FilterName, FilterStats, RouteStats},
    settings::Settings,
};

/// What happens to a request, ready to be done.
#[derive(Debug)]
pub(crate) struct LiveRoute {
    pub(crate) config: Arc<route::Route>,
    /// The two of it that every request looks at: with many routes it is not in the cache.
    pub(crate) protocol: Protocol,
    pub(crate) ssl_redirect: bool,
    pub(crate) upstream: Upstream,
    /// The name of its Ingress, as the access log says it.
    pub(crate) ingress: Box<str>,
    /// The name of its backend, as filters are told it and the access log says it.
    pub(crate) backend: Arc<str>,
    pub(crate) chain: Chain,
    /// What its filters may send requests to.
    reroutes: Option<Arc<Reroutes>>,
    pub(crate) hsts: Option<HeaderValue>,
    /// In bytes; `None` is unlimited.
    pub(crate) max_body: Option<u64>,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    /// Whether the Ingress sets the idle timeout itself: then it counts for streams as well.
    pub(crate) idle_is_own: bool,
    pub(crate) stats: RouteStats,
}

/// Where a route leads.
#[derive(Debug)]
pub(crate) enum Upstream {
    Cluster(Arc<Cluster>),
    NoPort,
    NoService,
}

/// The backends of a namespace, as filters name them.
#[derive(Debug, PartialEq)]
pub(crate) struct Reroutes(HashMap<String, Upstream, RandomState>);

/// What routes are made from.
pub(super) struct Parts<'a> {
    pub(super) clusters: &'a HashMap<ClusterId, Arc<Cluster>>,
    /// Those of the route's namespace.
    pub(super) reroutes: Option<&'a Arc<Reroutes>>,
    pub(super) filters: &'a Filters,
    pub(super) settings: &'a Settings,
    pub(super) stats: &'a mut HashMap<IngressName, RouteStats>,
    pub(super) filter_stats: &'a mut HashMap<FilterName, Arc<FilterStats>>,
}

impl LiveRoute {
    pub(super) fn new(config: &Arc<route::Route>, parts: &mut Parts<'_>) -> Self {
        let workers = parts.settings.workers;
        let links = config.filters.iter().map(|item| {
            let name = (config.ingress.clone(), item.alias.clone());
            let stats = parts.filter_stats.entry(name);
            let stats = stats.or_insert_with(|| Arc::new(FilterStats::new(workers)));
            Link::new(parts.filters.find(&config.ingress, item), Arc::clone(stats))
        });
        // Whoever asks for a certificate by HTTP cannot pass filters that guard the site.
        // A rule may leave the slash at its end out.
        let path = config.rule_path.strip_prefix(ACME);
        let chain = if path.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            Chain::default()
        } else {
            Chain::new(links.collect())
        };
        let stats = parts.stats.entry(config.ingress.clone());
        let stats = stats.or_insert_with(|| RouteStats::new(workers));
        let max_body = config.max_body.unwrap_or(parts.settings.limits.max_body);
        let timeouts = &parts.settings.timeouts;
        Self {
            config: Arc::clone(config),
            protocol: config.protocol,
            ssl_redirect: config.ssl_redirect,
            upstream: Upstream::new(&config.backend.target, parts.clusters),
            ingress: config.ingress.to_string().into(),
            backend: config.backend.to_string().into(),
            reroutes: parts.reroutes.filter(|_| !chain.is_empty()).cloned(),
            chain,
            hsts: config
                .hsts
                .as_deref()
                .and_then(|value| HeaderValue::from_str(value).ok()),
            max_body: (max_body > 0).then_some(max_body),
            connect_timeout: config.connect_timeout.unwrap_or(timeouts.connect),
            response_timeout: config.response_timeout.unwrap_or(timeouts.response),
            idle_timeout: config.idle_timeout.unwrap_or(timeouts.idle),
            idle_is_own: config.idle_timeout.is_some(),
            stats: stats.clone(),
        }
    }

    /// Whether it is still what these parts make of its configuration.
    pub(super) fn stands(&self, parts: &Parts<'_>) -> bool {
        let links = self.chain.links();
        let reroutes = parts.reroutes.filter(|_| !links.is_empty());
        self.upstream == Upstream::new(&self.config.backend.target, parts.clusters)
            && self.reroutes.as_ref().map(Arc::as_ptr) == reroutes.map(Arc::as_ptr)
            && self.config.filters.iter().zip(links).all(|(item, link)| {
                same(
                    &link.filter,
                    &parts.filters.find(&self.config.ingress, item),
                )
            })
    }

    /// Where a request goes that filters steer so.
    pub(crate) fn leads(&self, steering: Option<&Steering>) -> &Upstream {
        match steering.and_then(|steering| steering.backend.as_ref()) {
            None => &self.upstream,
            Some(backend) => self.reroute(backend).unwrap_or(&Upstream::NoService),
        }
    }

    fn reroute(&self, backend: &str) -> Option<&Upstream> {
        self.reroutes.as_ref()?.0.get(backend)
    }
}

impl Services for LiveRoute {
    fn has(&self, backend: &str) -> bool {
        self.reroute(backend).is_some()
    }

    fn keeps_session(&self, steering: &Steering, endpoint: &str) -> bool {
        let Upstream::Cluster(cluster) = self.leads(Some(steering)) else {
            return false;
        };
        let endpoints = cluster.endpoints();
        let mut all = endpoints.all.iter();
        all.any(|(known, state)| *state != EndpointState::Terminating && &*known.id == endpoint)
    }
}

impl Upstream {
    fn new(target: &Target, clusters: &HashMap<ClusterId, Arc<Cluster>>) -> Self {
        match target {
            Target::Cluster(id) => clusters.get(id).map_or(Self::NoService, |cluster| {
                Self::Cluster(Arc::clone(cluster))
            }),
            Target::NoPort => Self::NoPort,
            Target::NoService => Self::NoService,
        }
    }
}

/// The same cluster, not one that looks alike.
impl PartialEq for Upstream {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cluster(own), Self::Cluster(other)) => Arc::ptr_eq(own, other),
            (Self::NoPort, Self::NoPort) | (Self::NoService, Self::NoService) => true,
            _ => false,
        }
    }
}

impl Reroutes {
    pub(super) fn new(
        targets: &BTreeMap<String, Target>,
        clusters: &HashMap<ClusterId, Arc<Cluster>>,
    ) -> Self {
        let live = targets
            .iter()
            .map(|(name, target)| (name.clone(), Upstream::new(target, clusters)));
        Self(live.collect())
    }
}

/// Where the challenges of RFC 8555 section 8.3 are answered.
const ACME: &str = "/.well-known/acme-challenge";
