//! A Service port's endpoints, and the choice among them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use route::{ClusterId, EndpointState};

mod steer;

use crate::{filter::Steering, settings::UpstreamLimits, stalls};

/// The endpoints of a Service port. It outlives snapshots, so that its cursor and its endpoints'
/// counters go on, and endpoints that come and go rebuild no route.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    /// The DNS name of an ExternalName Service.
    pub(crate) external: Option<(String, u16)>,
    endpoints: ArcSwap<Endpoints>,
    cursor: AtomicUsize,
}

/// The endpoints at one time.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    /// All of them with their states.
    pub(crate) all: Vec<(Arc<Endpoint>, EndpointState)>,
    /// Those that take new requests: the ready ones; if none is ready, those that still serve.
    pub(crate) usable: Vec<Arc<Endpoint>>,
}

/// One endpoint, with what all workers know of it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// What filters call it: the same on every replica, and telling nobody what it is.
    pub(crate) id: Arc<str>,
    uid: Option<String>,
    in_flight: AtomicU32,
    failures: AtomicU32,
    /// Until when it gets no requests while others are left, in [`stalls::now`]'s time.
    ejected_until: AtomicU64,
}

/// Counts a request as in flight at its endpoint for as long as it is held.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Endpoint>);

impl Cluster {
    pub(crate) fn new(id: ClusterId, config: &route::Cluster) -> Self {
        let cluster = Self {
            id,
            external: config.external.clone(),
            endpoints: ArcSwap::default(),
            cursor: AtomicUsize::new(0),
        };
        cluster.update(&config.endpoints);
        cluster
    }

    /// Puts other endpoints in place; one with the same address and `uid` keeps its counters.
    pub(crate) fn update(&self, endpoints: &[route::Endpoint]) {
        let before = self.endpoints.load_full();
        let same = |((old, state), new): (&(Arc<Endpoint>, EndpointState), &route::Endpoint)| {
            old.address == new.address && old.uid == new.uid && *state == new.state
        };
        if before.all.len() == endpoints.len() && before.all.iter().zip(endpoints).all(same) {
            return;
        }
        let known: HashMap<SocketAddr, &Arc<Endpoint>> = before
            .all
            .iter()
            .map(|(endpoint, _)| (endpoint.address, endpoint))
            .collect();
        let all: Vec<(Arc<Endpoint>, EndpointState)> = endpoints
            .iter()
            .map(|new| {
                let same = known.get(&new.address).filter(|old| old.uid == new.uid);
                (
                    same.map_or_else(|| Arc::new(Endpoint::new(new)), |old| Arc::clone(old)),
                    new.state,
                )
            })
            .collect();
        let of = |wanted: EndpointState| -> Vec<Arc<Endpoint>> {
            all.iter()
                .filter(|(_, state)| *state == wanted)
                .map(|(e, _)| Arc::clone(e))
                .collect()
        };
        let ready = of(EndpointState::Ready);
        let usable = if ready.is_empty() {
            of(EndpointState::Serving)
        } else {
            ready
        };
        self.endpoints.store(Arc::new(Endpoints { all, usable }));
    }

    /// The endpoints now.
    pub(crate) fn endpoints(&self) -> Arc<Endpoints> {
        self.endpoints.load_full()
    }

    /// Requests in flight at all of its endpoints.
    pub(crate) fn in_flight(&self) -> u64 {
        let endpoints = self.endpoints();
        let counts = endpoints.all.iter().map(|(e, _)| e.in_flight.load(Relaxed));
        counts.map(u64::from).sum()
    }

    /// Chooses an endpoint for a request that has not been tried at those in `tried`, as filters want
    /// it where they want anything.
    pub(crate) fn choose_for(
        &self,
        steering: Option<&Steering>,
        tried: &[SocketAddr],
        random: usize,
    ) -> Option<Arc<Endpoint>> {
        match steering.filter(|steering| steering.pin.is_some() || steering.hash.is_some()) {
            Some(steering) => match steer::choose(&self.endpoints(), steering, tried) {
                steer::Choice::This(endpoint) => Some(endpoint),
                steer::Choice::Nothing => None,
                steer::Choice::Any => self.choose(tried, random),
            },
            None => self.choose(tried, random),
        }
    }

    /// Chooses an endpoint for a request that has not been tried at those in `tried`.
    ///
    /// The cursor is shared by all workers, so that N requests meet N endpoints. A random other
    /// endpoint goes first if it has strictly fewer requests in flight, so that a slow one does not
    /// collect them. At most half of the endpoints are passed over as ejected.
    pub(crate) fn choose(&self, tried: &[SocketAddr], random: usize) -> Option<Arc<Endpoint>> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the endpoints are a snapshot of their own"
        )]
        let endpoints = self.endpoints.load();
        let usable = &endpoints.usable;
        let count = usable.len();
        if count <= 1 {
            return usable
                .first()
                .filter(|e| !tried.contains(&e.address))
                .cloned();
        }
        let now = stalls::now();
        let ejected = usable.iter().filter(|e| e.ejected(now)).count();
        let respect = ejected * 2 <= count;
        let fit = |e: &&Arc<Endpoint>| !(tried.contains(&e.address) || respect && e.ejected(now));
        let start = self.cursor.fetch_add(1, Relaxed) % count;
        let (before, from) = usable.split_at_checked(start)?;
        let mut order = from.iter().chain(before);
        let Some(next) = order.clone().find(fit) else {
            // All fit ones were tried: an ejected one is better than none.
            return order.find(|e| !tried.contains(&e.address)).cloned();
        };
        let other = usable
            .get((start + 1 + random % (count - 1)) % count)
            .filter(fit);
        match other.filter(|o| o.in_flight.load(Relaxed) < next.in_flight.load(Relaxed)) {
            Some(other) => Some(Arc::clone(other)),
            None => Some(Arc::clone(next)),
        }
    }
}

impl Endpoint {
    fn new(config: &route::Endpoint) -> Self {
        Self {
            address: config.address,
            id: steer::id(config),
            uid: config.uid.clone(),
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
        }
    }

    /// Begins a request at this endpoint.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// A connection was made or a response came.
    pub(crate) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.ejected_until.store(0, Relaxed);
        }
    }

    /// A connection was refused or timed out; returns whether this ejects the endpoint.
    pub(crate) fn failed(&self, limits: &UpstreamLimits) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        if failures < limits.eject_after {
            return false;
        }
        let length = u64::try_from(limits.eject_for.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until
            .store(stalls::now().saturating_add(length), Relaxed);
        failures == limits.eject_after
    }

    /// Whether it gets no requests at `now` while others are left.
    pub(crate) fn ejected(&self, now: u64) -> bool {
        self.ejected_until.load(Relaxed) > now
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
