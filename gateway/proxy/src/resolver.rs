//! Endpoints of ExternalName Services: DNS names, resolved off the request path, again and again.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, Condvar, Mutex, PoisonError},
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
                let mut names = Names::new();
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

type Names = HashMap<(String, u16), Known>;

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// When it was last resolved.
    resolved: Option<Instant>,
    /// Whether it failed since: it is told when that changes, not every time.
    fails: bool,
}

impl Shared {
    /// Resolves every name once, then waits for a change or for the next round.
    fn round(&self, names: &mut Names) {
        let (clusters, loopback) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.changed = false;
            (state.clusters.clone(), state.loopback)
        };
        names.retain(|key, _| clusters.iter().any(|c| c.external.as_ref() == Some(key)));
        for cluster in &clusters {
            let Some((name, port)) = &cluster.external else {
                continue;
            };
            let known = names.entry((name.clone(), *port)).or_default();
            match resolve(name, *port, loopback) {
                Ok(addresses) => {
                    if std::mem::take(&mut known.fails) {
                        tracing::info!(service = %cluster.id, name, "an ExternalName is resolved again");
                    }
                    known.resolved = Some(Instant::now());
                    cluster.update(&endpoints(addresses));
                }
                Err(error) => {
                    if !std::mem::replace(&mut known.fails, true) {
                        tracing::warn!(service = %cluster.id, name, %error, "cannot resolve an ExternalName");
                    }
                    if known.resolved.is_none_or(|at| at.elapsed() > STALE) {
                        cluster.update(&[]);
                    }
                }
            }
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.changed
                .wait_timeout_while(state, EVERY, |state| !state.changed),
        );
    }
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

const EVERY: Duration = Duration::from_secs(5);
/// How long the last answer is used when there is none any more.
const STALE: Duration = Duration::from_secs(60);
const MAX_ADDRESSES: usize = 64;
