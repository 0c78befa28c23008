//! Endpoints of ExternalName Services: DNS names, resolved off the request path, again and again.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use route::EndpointState;

use crate::cluster::Cluster;

/// Resolves the names of the clusters it was last given. Its thread begins with the first name.
#[derive(Debug, Default)]
pub(crate) struct Resolver(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    clusters: Vec<Arc<Cluster>>,
    changed: bool,
    running: bool,
    loopback: bool,
}

impl Resolver {
    /// A resolver that takes loopback addresses, or does not.
    pub(crate) fn new(loopback: bool) -> Self {
        let shared = Shared {
            state: Mutex::new(State {
                loopback,
                ..State::default()
            }),
            ..Shared::default()
        };
        Self(Arc::new(shared))
    }

    /// Resolves the names of these clusters from now on, and those of no others.
    pub(crate) fn watch<'a>(&self, clusters: impl Iterator<Item = &'a Arc<Cluster>>) {
        let external: Vec<_> = clusters
            .filter(|c| c.external.is_some())
            .map(Arc::clone)
            .collect();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if external.is_empty() && !state.running {
            return;
        }
        state.clusters = external;
        state.changed = true;
        self.0.changed.notify_one();
        if !state.running {
            let shared = Arc::downgrade(&self.0);
            let thread = std::thread::Builder::new().name("resolver".to_owned());
            let spawned = thread.spawn(move || {
                let mut names = HashMap::new();
                while let Some(shared) = shared.upgrade() {
                    shared.round(&mut names);
                }
            });
            match spawned {
                Ok(_) => state.running = true,
                Err(error) => {
                    tracing::error!(%error, "cannot resolve the names of ExternalName Services");
                }
            }
        }
    }
}

/// A name and its port.
type Name = (String, u16);

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// When it was last resolved.
    resolved: Option<Instant>,
    /// When that was last tried.
    tried: Option<Instant>,
    /// Whether it failed since: it is told when that changes, not every time.
    fails: bool,
}

/// Clusters of one name each.
type Named<'a> = BTreeMap<&'a Name, Vec<&'a Arc<Cluster>>>;

impl Shared {
    /// Resolves what is due, then waits for a change or for the next round.
    fn round(&self, names: &mut HashMap<Name, Known>) {
        let (clusters, loopback) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.changed = false;
            (state.clusters.clone(), state.loopback)
        };
        let mut named = Named::new();
        for cluster in &clusters {
            if let Some(name) = &cluster.external {
                named.entry(name).or_default().push(cluster);
            }
        }
        names.retain(|name, _| named.contains_key(name));
        let due = due(&named, names);
        let next = Mutex::new(due.iter());
        let outcomes = Mutex::new(Vec::with_capacity(due.len()));
        let work = || {
            while let Some(name) = lock(&next).next() {
                let outcome = resolve(&name.0, name.1, loopback).map(endpoints);
                let clusters = named.get(name).into_iter().flatten();
                if let Ok(endpoints) = &outcome {
                    clusters.for_each(|cluster| cluster.update(endpoints));
                }
                lock(&outcomes).push((*name, outcome.map(drop)));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..due.len().min(AT_ONCE) {
                let helper = std::thread::Builder::new().name("resolver".to_owned());
                // Without them it takes longer.
                let _ = helper.spawn_scoped(scope, work);
            }
            work();
        });
        for (name, outcome) in outcomes
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
        {
            let clusters = named.get(name).map(Vec::as_slice).unwrap_or_default();
            names
                .entry(name.clone())
                .or_default()
                .after(outcome, &name.0, clusters);
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.changed
                .wait_timeout_while(state, EVERY, |state| !state.changed),
        );
    }
}

/// What to resolve now: all that was resolved last time, and of what was not some of each namespace, longest
/// untried first. A server that does not answer takes half a minute a name, and others wait for that.
fn due<'a>(named: &Named<'a>, names: &HashMap<Name, Known>) -> Vec<&'a Name> {
    let (mut due, mut doubtful) = (Vec::new(), Vec::new());
    for (name, clusters) in named {
        match names.get(*name) {
            Some(known) if !known.fails => due.push(*name),
            known => doubtful.push((known.and_then(|known| known.tried), *name, clusters)),
        }
    }
    doubtful.sort_by_key(|(tried, ..)| *tried);
    let mut held = HashMap::new();
    due.extend(doubtful.into_iter().filter_map(|(_, name, clusters)| {
        let namespace = clusters.first().map(|cluster| &*cluster.id.namespace);
        let count = held.entry(namespace).or_insert(0);
        *count += 1;
        (*count <= DOUBTFUL).then_some(name)
    }));
    due
}

impl Known {
    /// After it was tried to resolve the name of these clusters.
    fn after(&mut self, outcome: io::Result<()>, name: &str, clusters: &[&Arc<Cluster>]) {
        let services = || {
            let mut services = clusters.iter().map(|cluster| cluster.id.to_string());
            services.next().unwrap_or_default()
        };
        self.tried = Some(Instant::now());
        match outcome {
            Ok(()) => {
                self.resolved = self.tried;
                if std::mem::take(&mut self.fails) {
                    tracing::info!(
                        service = services(),
                        name,
                        "an ExternalName is resolved again"
                    );
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(service = services(), name, %error, "cannot resolve an ExternalName");
                }
                if self.resolved.is_none_or(|at| at.elapsed() > STALE) {
                    clusters.iter().for_each(|cluster| cluster.update(&[]));
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resolve(name: &str, port: u16, loopback: bool) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = (name, port)
        .to_socket_addrs()?
        .filter(|address| is_allowed(address.ip().to_canonical(), loopback))
        .take(MAX_ADDRESSES)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::other(
            "it has no address that may be connected to",
        ));
    }
    Ok(addresses)
}

/// An Ingress must not reach what only this machine or this link can: metadata services above all.
fn is_allowed(ip: IpAddr, loopback: bool) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !link_local && !ip.is_unspecified() && !ip.is_multicast() && (loopback || !ip.is_loopback())
}

fn endpoints(addresses: Vec<SocketAddr>) -> Vec<route::Endpoint> {
    let ready = |address| route::Endpoint {
        address,
        state: EndpointState::Ready,
        uid: None,
    };
    addresses.into_iter().map(ready).collect()
}

/// Names that are resolved at once.
const AT_ONCE: usize = 8;
/// Names of a namespace that are tried in a round though they may not be resolved.
const DOUBTFUL: usize = 4;
const EVERY: Duration = Duration::from_secs(5);
/// How long the last answer is used when there is none any more.
const STALE: Duration = Duration::from_secs(60);
const MAX_ADDRESSES: usize = 64;

#[cfg(test)]
mod tests {
    use route::ClusterId;

    use super::*;

    fn cluster(namespace: &str, name: &str) -> Arc<Cluster> {
        let id = ClusterId {
            namespace: namespace.to_owned(),
            service: name.to_owned(),
            port: 80,
        };
        let external = Some((name.to_owned(), 80));
        let config = route::Cluster {
            endpoints: Vec::new(),
            external,
        };
        Arc::new(Cluster::new(id, &config))
    }

    #[test]
    fn names_that_fail_hold_up_no_others() {
        let mut clusters: Vec<_> = (0..50)
            .map(|number| cluster("many", &format!("dead-{number}")))
            .collect();
        clusters.extend([cluster("other", "new"), cluster("other", "good")]);
        let mut named = Named::new();
        for cluster in &clusters {
            let name = cluster.external.as_ref().unwrap();
            named.entry(name).or_default().push(cluster);
        }
        let mut names: HashMap<Name, Known> = HashMap::new();
        let good = names.entry(("good".to_owned(), 80)).or_default();
        good.after(Ok(()), "good", &[]);
        let mut tried = std::collections::HashSet::new();
        for _ in 0..13 {
            let due = due(&named, &names);
            assert!(due.len() <= 6 && due[0].0 == "good", "{due:?}");
            for name in due {
                tried.insert(name.0.clone());
                let outcome = match name.0.starts_with("dead") {
                    true => Err(io::Error::other("no answer")),
                    false => Ok(()),
                };
                names
                    .entry(name.clone())
                    .or_default()
                    .after(outcome, &name.0, &[]);
            }
            assert!(tried.contains("new"), "at once");
        }
        assert_eq!(tried.len(), 52, "each in its turn");
    }
}
