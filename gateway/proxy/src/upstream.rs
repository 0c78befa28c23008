//! Sends a request to an endpoint of its route: choice, connection, retries, patience.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
};

use http::{Request, Response, request::Parts};
use hyper::{body::Incoming, client::conn::TrySendError};
use smallvec::SmallVec;
use tokio::time::Instant;

use self::{
    connect::ConnectError,
    pool::{Key, Sender},
    retry::Retry,
};
pub(crate) use self::{
    connect::Local,
    pool::{Lease, Pools},
};
use crate::{
    body::{BodyState, RequestBody},
    cluster::{Cluster, Endpoint},
    error::Reason,
    filter::Steering,
    snapshot::LiveRoute,
    worker::Worker,
};

mod connect;
mod pool;
mod retry;
mod share;

/// A backend's response, with the connection it comes on.
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// A request, ready to be sent.
pub(crate) struct Outgoing<'a> {
    /// It stays where it is wanted later, or may have to be sent again; else it is spent.
    pub(crate) head: &'a mut Parts,
    pub(crate) body: RequestBody,
    pub(crate) state: Rc<BodyState>,
    /// Whether the head is wanted later.
    pub(crate) keep: bool,
}

/// Where a request goes.
type Place<'a> = (&'a Cluster, &'a Arc<Endpoint>, &'a Key);

/// What came of a request at one endpoint.
enum Attempt {
    Answered(Box<Reply>),
    /// It may be sent to another endpoint.
    Failed(Reason),
    /// It may have been acted on, or is the client's fault.
    Over(Reason),
}

/// Sends `request` to `cluster`, to other endpoints in turn where that is safe: no byte was sent, or
/// the method is idempotent (RFC 9110 section 9.2.2) and there is no body. Whatever happens, backends see
/// no more of it than there are tries.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    (cluster, steering): (&Arc<Cluster>, Option<&Steering>),
    mut request: Outgoing<'_>,
) -> Result<Box<Reply>, Reason> {
    let mut tries = worker.gateway.settings.upstream.tries.max(1);
    let mut tried: SmallVec<[SocketAddr; 1]> = SmallVec::new();
    let mut last = Reason::NoEndpoints;
    while tries > 0 {
        let random = fastrand::usize(..);
        let Some(endpoint) = cluster.choose_for(steering, &tried, random) else {
            break;
        };
        if !tried.is_empty() {
            worker.stats.retries.fetch_add(1, Relaxed);
        }
        tried.push(endpoint.address);
        let key = Key::new(endpoint.address, route.protocol, cluster);
        let place = (&**cluster, &endpoint, &key);
        match attempt(worker, route, place, &mut request, &mut tries).await {
            Attempt::Answered(reply) => return Ok(reply),
            Attempt::Over(reason) => return Err(reason),
            Attempt::Failed(reason) => last = reason,
        }
    }
    Err(last)
}

/// Sends `request` to one endpoint. Idle connections may have gone stale: one that took nothing of it costs
/// another one, at most as many as are kept; after one that may have taken it, it goes on a new one.
async fn attempt(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    (cluster, endpoint, key): Place<'_>,
    request: &mut Outgoing<'_>,
    tries: &mut u32,
) -> Attempt {
    let replayable = retry::is_replayable(request);
    let mut again = false;
    loop {
        let place = (cluster, endpoint, key);
        let (mut sender, pooled) = match obtain(worker, route, place, again).await {
            Ok(obtained) => obtained,
            // Another endpoint would take as many descriptors.
            Err(ConnectError::Exhausted) => return Attempt::Over(Reason::Overload),
            Err(_) => {
                *tries -= 1;
                return Attempt::Failed(Reason::Connect);
            }
        };
        let shared = matches!(sender, Sender::Http2(..));
        let in_flight = endpoint.begin();
        let mut sending = pin!(sender.send(request.message(replayable)));
        let failure = match wait(sending.as_mut(), &request.state, (worker, route)).await {
            Some(Ok(response)) => {
                endpoint.succeeded();
                let lease = Lease::new(worker, key.clone(), sender, in_flight);
                let reply = Reply {
                    response,
                    lease,
                    endpoint: Arc::clone(endpoint),
                };
                return Attempt::Answered(Box::new(reply));
            }
            Some(Err(failure)) => failure,
            None => return Attempt::Over(request.state.fault.get().unwrap_or(Reason::Timeout)),
        };
        if let Some(fault) = request.state.fault.get() {
            return Attempt::Over(fault);
        }
        let unsent = request.take_back(failure);
        let reason = match unsent {
            Unsent::Whole => Reason::Connect,
            Unsent::None { .. } => Reason::BadResponse,
        };
        // A stale connection of HTTP/1 that took nothing is gone, and costs no try; one of HTTP/2 may refuse
        // one request and live.
        if shared || !pooled || unsent != Unsent::Whole {
            *tries -= 1;
            let stale = pooled && !again && *tries > 0;
            match Retry::after(unsent, replayable, stale) {
                Retry::Never => return Attempt::Over(reason),
                Retry::Elsewhere => return Attempt::Failed(reason),
                Retry::Here => {
                    worker.stats.retries.fetch_add(1, Relaxed);
                    again = true;
                }
            }
        }
    }
}

/// What comes back of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsent {
    /// All: no byte of it was sent.
    Whole,
    /// Nothing; the answer was perhaps not understood.
    None { parse: bool },
}

impl Outgoing<'_> {
    /// The request to send now.
    fn message(&mut self, replayable: bool) -> Request<RequestBody> {
        let head = if replayable || self.keep {
            self.head.clone()
        } else {
            std::mem::replace(self.head, Request::new(()).into_parts().0)
        };
        Request::from_parts(head, std::mem::replace(&mut self.body, RequestBody::Empty))
    }

    fn take_back(&mut self, mut failure: TrySendError<Request<RequestBody>>) -> Unsent {
        match failure.take_message() {
            Some(unsent) => {
                let (head, body) = unsent.into_parts();
                *self.head = head;
                self.body = body;
                Unsent::Whole
            }
            None => Unsent::None {
                parse: failure.into_error().is_parse(),
            },
        }
    }
}

/// Waits for the head of the response. Time runs from when the request's body has been sent; until
/// then it is the backend that must go on taking it. `None` when patience has ended.
async fn wait<T>(
    mut response: Pin<&mut impl Future<Output = T>>,
    state: &BodyState,
    (worker, route): (&Worker, &LiveRoute),
) -> Option<T> {
    let began = Instant::now();
    let waiting = worker.waits.until(began + route.response_timeout);
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = response.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        while waiting.poll(cx).is_ready() {
            let patience = if state.ended.get() {
                route.response_timeout
            } else {
                route.idle_timeout
            };
            let until = state.moved.get().unwrap_or(began) + patience;
            if until <= Instant::now() {
                return Poll::Ready(None);
            }
            waiting.extend(until);
        }
        Poll::Pending
    })
    .await
}

/// A connection to `endpoint`: an idle one unless it is to be `new`, else a new one, or one of HTTP/2 that
/// others use. Also whether it was there before.
async fn obtain(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    (cluster, endpoint, key): Place<'_>,
    new: bool,
) -> Result<(Sender, bool), ConnectError> {
    if !new && let Some(sender) = worker.pools.take(key) {
        return Ok((sender, true));
    }
    // One HTTP/2 connection takes many requests: who waits for it need not make another.
    let gate = worker.pools.gate(key);
    let _turn = match &gate {
        Some(gate) => Some(gate.lock().await),
        None => None,
    };
    if gate.is_some()
        && let Some(sender) = worker.pools.take(key)
    {
        return Ok((sender, true));
    }
    let connected = match share::Open::new(worker, cluster) {
        // Boxed, as it is large and rare: every request's future would be as large.
        Some(open) => Box::pin(connect::connect(worker, key, open, route.connect_timeout)).await,
        None => Err(ConnectError::Exhausted),
    };
    match connected {
        Ok(sender) => {
            worker.pools.share(key, &sender);
            endpoint.succeeded();
            Ok((sender, false))
        }
        Err(ConnectError::Exhausted) => {
            worker.stats.shed_requests.fetch_add(1, Relaxed);
            Err(ConnectError::Exhausted)
        }
        Err(error) => {
            worker.stats.upstream_failures.fetch_add(1, Relaxed);
            if endpoint.failed(&worker.gateway.settings.upstream) {
                worker.stats.ejections.fetch_add(1, Relaxed);
                tracing::warn!(endpoint = %endpoint.address, %error, "endpoint ejected: it takes no connections");
            } else {
                tracing::debug!(endpoint = %endpoint.address, %error, "cannot connect");
            }
            Err(error)
        }
    }
}
