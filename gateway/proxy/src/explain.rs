//! What would happen to a request, and why: the data plane's own decisions, without the data.

mod text;

use std::net::SocketAddr;

use http::{HeaderMap, Method, Request, Uri, header};
use route::{EndpointState, FilterRef, HostPattern, PathPattern, Verdict};
use serde::Serialize;

use crate::{
    authority::Subject,
    error::Reason,
    filter::{Fault, Link},
    forwarded::Peer,
    redirect,
    snapshot::{LiveRoute, Snapshot, Upstream, describe},
    stalls,
};

/// A request to explain.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its whole URL, with scheme and host.
    pub url: Uri,
    /// Its fields. A `Host` among them goes before the URL's.
    pub headers: HeaderMap,
}

/// What happens to a request, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    method: String,
    url: String,
    host: String,
    path: String,
    /// What the client gets if the backend does not decide it: a status, the word in
    /// `portcullis-reason`, where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<OwnAnswer>,
    /// How the route was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteView>,
    /// The other rules and default backends whose host matches, and why each lost.
    others: Vec<Other>,
}

#[derive(Clone, Debug, Serialize)]
struct OwnAnswer {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    message: String,
}

#[derive(Clone, Debug, Serialize)]
struct Other {
    #[serde(flatten)]
    route: RouteView,
    lost: &'static str,
}

/// A route as the admin listener shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteView {
    host: String,
    path: String,
    path_type: &'static str,
    ingress: String,
    backend: BackendView,
    filters: Vec<String>,
    chain: Vec<FilterView>,
    endpoints: Vec<EndpointView>,
    tls: bool,
}

/// A filter of the chain, and why it is there.
#[derive(Clone, Debug, Serialize)]
struct FilterView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    from: String,
    /// How it fails at every request, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct BackendView {
    service: String,
    port: String,
}

#[derive(Clone, Debug, Serialize)]
struct EndpointView {
    address: SocketAddr,
    state: &'static str,
}

impl Snapshot {
    /// All routes, rules before default backends.
    pub fn routes(&self) -> Vec<RouteView> {
        let rules = self
            .table
            .rules()
            .map(|(host, path, route)| self.view(host, Some(path), route));
        let defaults = self
            .table
            .defaults()
            .map(|(host, route)| self.view(host, None, route));
        rules.chain(defaults).collect()
    }

    /// What happens to a request that asks for `ask`, sent by an untrusted client.
    pub fn explain(&self, ask: &Ask) -> Explanation {
        let mut explanation = Explanation {
            method: ask.method.to_string(),
            url: ask.url.to_string(),
            host: String::new(),
            path: ask.url.path().to_owned(),
            answer: None,
            by: None,
            route: None,
            others: Vec::new(),
        };
        let head = match head(ask) {
            Ok(head) => head,
            Err(reason) => return explanation.refused(reason),
        };
        let subject = match Subject::read(&head) {
            Ok(subject) => subject,
            Err(reason) => return explanation.refused(reason),
        };
        let path = subject.path(&head);
        explanation.host.clone_from(&subject.host);
        path.clone_into(&mut explanation.path);
        let candidates = self.table.candidates(&subject.host, path);
        let others = candidates.iter().filter_map(|candidate| {
            let lost = lost(candidate.verdict)?;
            let route = self.view(candidate.host, candidate.path, candidate.target);
            Some(Other { route, lost })
        });
        explanation.others = others.collect();
        let Some(found) = self.table.find(&subject.host, path) else {
            return explanation.refused(Reason::NoRoute);
        };
        let chosen = candidates
            .iter()
            .find(|candidate| candidate.verdict == Verdict::Chosen);
        explanation.by = Some(describe(found.by));
        explanation.route = chosen.map(|chosen| self.view(chosen.host, chosen.path, found.target));
        let tls = ask.url.scheme_str() == Some("https");
        let origin =
            Peer::new(SocketAddr::from(([0, 0, 0, 0], 0)), tls, &[]).origin(&head.headers, &[]);
        if let Some(location) =
            redirect::location(self.redirect_port, found.target, &subject, &head, &origin)
        {
            let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
            let message = format!("redirected to {location}");
            explanation.answer = Some(OwnAnswer {
                status: 308,
                reason: None,
                location: Some(location),
                message,
            });
            return explanation;
        }
        match unavailable(found.target) {
            Some(reason) => explanation.refused(reason),
            None => explanation,
        }
    }

    fn view(&self, host: &HostPattern, path: Option<&PathPattern>, route: &LiveRoute) -> RouteView {
        let config = &route.config;
        let endpoints = match &route.upstream {
            Upstream::Cluster(cluster) => {
                let now = stalls::tick();
                let endpoints = cluster.endpoints();
                let view = endpoints.all.iter().map(|(endpoint, state)| EndpointView {
                    address: endpoint.address,
                    state: match state {
                        EndpointState::Ready if endpoint.ejected(now) => "ejected",
                        EndpointState::Ready => "ready",
                        EndpointState::Serving => "serving",
                        EndpointState::Terminating => "terminating",
                    },
                });
                view.collect()
            }
            Upstream::NoPort | Upstream::NoService => Vec::new(),
        };
        RouteView {
            host: host.to_string(),
            path: path.map_or("/", PathPattern::as_str).to_owned(),
            path_type: path.map_or("DefaultBackend", PathPattern::type_name),
            ingress: config.ingress.to_string(),
            backend: BackendView {
                service: config.backend.service.clone(),
                port: config.backend.port.clone(),
            },
            filters: chain(route).map(|(item, _)| item.alias.clone()).collect(),
            chain: chain(route)
                .map(|(item, link)| FilterView {
                    name: item.alias.clone(),
                    plugin: item.plugin.as_ref().map(ToString::to_string),
                    from: item.origin.clone(),
                    reason: link.filter.fault().map(Fault::word),
                })
                .collect(),
            endpoints,
            tls: self.has_certificate(host),
        }
    }

    fn has_certificate(&self, host: &HostPattern) -> bool {
        let own = self.tls_hosts.contains(host);
        own || match host {
            HostPattern::Exact(name) => self
                .tls_hosts
                .iter()
                .any(|tls| *tls != HostPattern::Any && tls.matches(name)),
            HostPattern::Any | HostPattern::Wildcard(_) => false,
        }
    }
}

impl Explanation {
    fn refused(mut self, reason: Reason) -> Self {
        self.answer = Some(OwnAnswer {
            status: reason.status().as_u16(),
            reason: Some(reason.word()),
            location: None,
            message: reason.to_string(),
        });
        self
    }
}

/// The head of the request as it would come in.
fn head(ask: &Ask) -> Result<http::request::Parts, Reason> {
    let authority = ask
        .url
        .authority()
        .map(|authority| authority.as_str().to_owned());
    let target = ask
        .url
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = Request::builder().method(&ask.method).uri(target);
    if let Some(headers) = request.headers_mut() {
        *headers = ask.headers.clone();
        if !headers.contains_key(header::HOST)
            && let Some(authority) = authority
            && let Ok(authority) = http::HeaderValue::try_from(authority)
        {
            headers.insert(header::HOST, authority);
        }
    }
    let request = request
        .body(())
        .map_err(|_| Reason::BadRequest("has a target that is none"))?;
    Ok(request.into_parts().0)
}

/// The filters that requests on a route meet: none where it answers a challenge of ACME.
fn chain(route: &LiveRoute) -> impl Iterator<Item = (&FilterRef, &Link)> {
    route.config.filters.iter().zip(route.chain.links())
}

/// Why no endpoint of a route could be asked.
fn unavailable(route: &LiveRoute) -> Option<Reason> {
    let closed = route.chain.links().iter().find_map(Link::closes);
    if let Some(fault) = closed {
        return Some(fault.into());
    }
    match &route.upstream {
        Upstream::Cluster(cluster) if cluster.endpoints().usable.is_empty() => {
            Some(Reason::NoEndpoints)
        }
        Upstream::Cluster(..) => None,
        Upstream::NoPort => Some(Reason::NoPort),
        Upstream::NoService => Some(Reason::NoService),
    }
}

fn lost(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Chosen | Verdict::HostDiffers => None,
        Verdict::HostLessSpecific => Some("a more specific host has rules of its own"),
        Verdict::PathDiffers => Some("its path does not match"),
        Verdict::ExactFirst => Some("an Exact path matches too, and goes first"),
        Verdict::FewerElements => Some("a path of more elements matches too, and goes first"),
        Verdict::Shorter => Some("a longer path matches too, and goes first"),
        Verdict::TypeLast => Some("the same path of type Exact or Prefix goes first"),
        Verdict::Younger => {
            Some("an older Ingress, or an earlier rule, has the same host and path")
        }
        Verdict::OnlyDefault => {
            Some("it is a default backend, and something more specific matches")
        }
    }
}
