//! A worker's connections to backends. No other worker sees them, so nothing is locked.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
};

use foldhash::fast::RandomState;
use futures_util::future::Either;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use route::Protocol;
use tokio::sync::Mutex;

use crate::{
    body::RequestBody,
    cluster::{Cluster, InFlight},
    settings::UpstreamLimits,
    stalls,
    worker::Worker,
};

/// What makes two connections interchangeable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    /// The TLS name of an ExternalName Service.
    pub(super) server_name: Option<Arc<str>>,
}

impl Key {
    pub(super) fn new(address: SocketAddr, protocol: Protocol, cluster: &Cluster) -> Self {
        let server_name = cluster
            .external
            .as_ref()
            .map(|(name, _)| Arc::from(name.as_str()));
        Self {
            address,
            protocol,
            server_name,
        }
    }
}

/// The sending half of a connection.
pub(crate) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    /// With the number of requests on it.
    Http2(http2::SendRequest<RequestBody>, Rc<Cell<usize>>),
}

impl Sender {
    /// Sends a request; a failure gives it back where no byte of it was sent.
    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        match self {
            Self::Http1(sender) => Either::Left(sender.try_send_request(request)),
            Self::Http2(sender, _) => Either::Right(sender.try_send_request(request)),
        }
    }
}

/// A connection that serves a request. Dropped early, it is closed: its state is not known.
pub(crate) struct Lease {
    worker: Rc<Worker>,
    key: Key,
    sender: Option<Sender>,
    reusable: bool,
    _in_flight: InFlight,
}

impl Lease {
    pub(super) fn new(worker: &Rc<Worker>, key: Key, sender: Sender, in_flight: InFlight) -> Self {
        if let Sender::Http2(_, requests) = &sender {
            requests.set(requests.get() + 1);
        }
        Self {
            worker: Rc::clone(worker),
            key,
            sender: Some(sender),
            reusable: true,
            _in_flight: in_flight,
        }
    }

    /// The connection must not serve another request.
    pub(crate) fn spoil(&mut self) {
        self.reusable = false;
    }

    /// The response was read to its end.
    pub(crate) fn give_back(mut self) {
        if let (true, Some(Sender::Http1(sender))) = (
            self.reusable,
            self.sender.take_if(|s| matches!(s, Sender::Http1(_))),
        ) {
            self.worker.pools.put(self.key.clone(), sender);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Sender::Http2(_, requests)) = &self.sender {
            requests.set(requests.get().saturating_sub(1));
        }
    }
}

/// Idle HTTP/1 connections, and HTTP/2 connections that have room.
pub(crate) struct Pools {
    limits: UpstreamLimits,
    idle: RefCell<HashMap<Key, Vec<Idle>, RandomState>>,
    count: Cell<usize>,
    shared: RefCell<HashMap<Key, Vec<Shared>, RandomState>>,
    /// Held while an HTTP/2 connection is made.
    gates: RefCell<HashMap<Key, Rc<Mutex<()>>>>,
}

/// An HTTP/2 connection, with the number of requests on it.
type Shared = (http2::SendRequest<RequestBody>, Rc<Cell<usize>>);

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: u64,
}

impl Pools {
    pub(crate) fn new(limits: &UpstreamLimits) -> Self {
        Self {
            limits: limits.clone(),
            idle: RefCell::default(),
            count: Cell::new(0),
            shared: RefCell::default(),
            gates: RefCell::default(),
        }
    }

    /// A connection that can take a request now; the one used last goes first.
    pub(super) fn take(&self, key: &Key) -> Option<Sender> {
        if matches!(key.protocol, Protocol::Http | Protocol::Https) {
            let mut idle = self.idle.borrow_mut();
            let connections = idle.get_mut(key)?;
            while let Some(Idle { sender, .. }) = connections.pop() {
                self.count.set(self.count.get() - 1);
                if sender.is_ready() {
                    return Some(Sender::Http1(sender));
                }
            }
            return None;
        }
        let mut shared = self.shared.borrow_mut();
        let connections = shared.get_mut(key)?;
        connections.retain(|(sender, _)| !sender.is_closed());
        let room = connections
            .iter()
            .find(|(_, requests)| requests.get() < self.limits.h2_streams);
        room.map(|(sender, requests)| Sender::Http2(sender.clone(), Rc::clone(requests)))
    }

    /// What lets one connection be made at a time, where it will be shared.
    pub(super) fn gate(&self, key: &Key) -> Option<Rc<Mutex<()>>> {
        let http1 = matches!(key.protocol, Protocol::Http | Protocol::Https);
        (!http1).then(|| Rc::clone(self.gates.borrow_mut().entry(key.clone()).or_default()))
    }

    /// Shares a new HTTP/2 connection.
    pub(super) fn share(&self, key: &Key, sender: &Sender) {
        if let Sender::Http2(sender, requests) = sender {
            let shared = (sender.clone(), Rc::clone(requests));
            self.shared
                .borrow_mut()
                .entry(key.clone())
                .or_default()
                .push(shared);
        }
    }

    fn put(&self, key: Key, sender: http1::SendRequest<RequestBody>) {
        if sender.is_closed() {
            return;
        }
        if self.count.get() >= self.limits.idle_per_worker {
            let _closed = self.evict();
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(key).or_default();
        connections.push(Idle {
            sender,
            since: stalls::now(),
        });
        self.count.set(self.count.get() + 1);
    }

    /// Closes the connection that has been idle longest, if one is idle.
    pub(super) fn evict(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        let oldest = idle
            .values_mut()
            .filter(|c| !c.is_empty())
            .min_by_key(|c| c.first().map(|i| i.since));
        let Some(connections) = oldest else {
            return false;
        };
        connections.remove(0);
        self.count.set(self.count.get() - 1);
        true
    }

    /// Closes connections that are closed by the other side, or idle for too long.
    pub(crate) fn sweep(&self) {
        let now = stalls::now();
        let patience = u64::try_from(self.limits.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        let mut count = 0;
        self.idle.borrow_mut().retain(|_, connections| {
            // The first ones are those used longest ago. What a burst left is closed once it has not
            // been needed for a while; closing it at once would cost a connection a request.
            let mut surplus = connections
                .len()
                .saturating_sub(self.limits.idle_per_endpoint);
            connections.retain(|idle| {
                let age = now.saturating_sub(idle.since);
                let spare = surplus > 0 && age >= BURST;
                surplus -= usize::from(spare);
                !spare && age < patience && !idle.sender.is_closed()
            });
            count += connections.len();
            !connections.is_empty()
        });
        self.count.set(count);
        self.gates
            .borrow_mut()
            .retain(|_, gate| Rc::strong_count(gate) > 1);
        self.shared.borrow_mut().retain(|_, connections| {
            connections.retain(|(sender, _)| !sender.is_closed());
            !connections.is_empty()
        });
    }
}

/// Milliseconds for which connections beyond what is kept of an endpoint stay open.
const BURST: u64 = 1000;
