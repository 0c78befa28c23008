//! Sends a request to an endpoint of its route: choice, connection, retries, patience.

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use http::{Request, Response, request::Parts};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use self::{
    connect::ConnectError,
    pool::{Key, Sender},
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

/// A backend's response, with the connection it comes on.
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
    pub(crate) endpoint: Arc<Endpoint>,
    /// The head of the request, where it was to be kept.
    pub(crate) sent: Option<Box<Parts>>,
}

/// A request, ready to be sent.
pub(crate) struct Outgoing {
    pub(crate) head: Parts,
    pub(crate) body: RequestBody,
    pub(crate) state: Rc<BodyState>,
    /// Whether the head is wanted back.
    pub(crate) keep: bool,
}

/// What came of a request at one endpoint.
enum Attempt {
    Answered(Box<Reply>),
    /// It may be sent to another endpoint.
    Failed(Reason, Box<Outgoing>),
    /// It may have been acted on, or is the client's fault.
    Over(Reason),
}

/// Sends `request` to `cluster`, to other endpoints in turn where that is safe: no byte was sent, or
/// the method is idempotent (RFC 9110 section 9.2.2) and there is no body.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    (cluster, steering): (&Arc<Cluster>, Option<&Steering>),
    mut request: Outgoing,
) -> Result<Box<Reply>, Reason> {
    let tries = worker.gateway.settings.upstream.tries.max(1);
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut last = Reason::NoEndpoints;
    for _ in 0..tries {
        let random = fastrand::usize(..);
        let Some(endpoint) = cluster.choose_for(steering, &tried, random) else {
            break;
        };
        if !tried.is_empty() {
            worker.stats.retries.fetch_add(1, Relaxed);
        }
        tried.push(endpoint.address);
        let key = Key::new(endpoint.address, route.config.protocol, cluster);
        match attempt(worker, route, &endpoint, &key, request).await {
            Attempt::Answered(reply) => return Ok(reply),
            Attempt::Over(reason) => return Err(reason),
            Attempt::Failed(reason, unsent) => (last, request) = (reason, *unsent),
        }
    }
    Err(last)
}

/// Sends `request` to one endpoint. Idle connections may have gone stale: each that has costs another
/// one, at most as many as are kept, and in the end a new one.
async fn attempt(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    endpoint: &Arc<Endpoint>,
    key: &Key,
    mut request: Outgoing,
) -> Attempt {
    let replayable =
        matches!(request.body, RequestBody::Empty) && request.head.method.is_idempotent();
    loop {
        let Ok((mut sender, pooled)) = obtain(worker, route, endpoint, key).await else {
            return Attempt::Failed(Reason::Connect, Box::new(request));
        };
        let in_flight = endpoint.begin();
        let Outgoing {
            head,
            body,
            state,
            keep,
        } = request;
        let spare = (replayable || keep).then(|| head.clone());
        let message = Request::from_parts(head, body);
        let failure = match wait(sender.send(message), &state, route).await {
            Some(Ok(response)) => {
                endpoint.succeeded();
                let lease = Lease::new(worker, key.clone(), sender, in_flight);
                let reply = Reply {
                    response,
                    lease,
                    endpoint: Arc::clone(endpoint),
                    sent: spare.filter(|_| keep).map(Box::new),
                };
                return Attempt::Answered(Box::new(reply));
            }
            Some(Err(failure)) => *failure,
            None => return Attempt::Over(state.fault.get().unwrap_or(Reason::Timeout)),
        };
        if let Some(fault) = state.fault.get() {
            return Attempt::Over(fault);
        }
        let reason = match failure {
            (_, Some(unsent)) => {
                let (head, body) = unsent.into_parts();
                request = Outgoing {
                    head,
                    body,
                    state,
                    keep,
                };
                Reason::Connect
            }
            (error, None) => match spare.filter(|_| replayable && !error.is_parse()) {
                Some(head) => {
                    request = Outgoing {
                        head,
                        body: RequestBody::Empty,
                        state,
                        keep,
                    };
                    Reason::BadResponse
                }
                None => return Attempt::Over(Reason::BadResponse),
            },
        };
        if !pooled {
            return Attempt::Failed(reason, Box::new(request));
        }
    }
}

type SendFailure = Box<(hyper::Error, Option<Request<RequestBody>>)>;

/// Waits for the head of the response. Time runs from when the request's body has been sent; until
/// then it is the backend that must go on taking it. `None` when patience has ended.
async fn wait<T>(
    response: impl Future<Output = T>,
    state: &BodyState,
    route: &LiveRoute,
) -> Option<T> {
    let mut response = std::pin::pin!(response);
    let mut deadline = Instant::now() + route.response_timeout;
    loop {
        if let Ok(outcome) = timeout_at(deadline, response.as_mut()).await {
            return Some(outcome);
        }
        let patience = if state.ended.get() {
            route.response_timeout
        } else {
            route.idle_timeout
        };
        let moved = state.moved.get() + patience;
        if moved <= Instant::now() {
            return None;
        }
        deadline = moved;
    }
}

/// A connection to `endpoint`: an idle one, else a new one. Also whether it was idle.
async fn obtain(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    endpoint: &Arc<Endpoint>,
    key: &Key,
) -> Result<(Sender, bool), ConnectError> {
    if let Some(sender) = worker.pools.take(key) {
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
    worker.stats.upstream_connections.fetch_add(1, Relaxed);
    // Boxed, as it is large and rare: every request's future would be as large.
    let connected = Box::pin(connect::connect(worker, key, route.connect_timeout)).await;
    match connected {
        Ok(sender) => {
            worker.pools.share(key, &sender);
            endpoint.succeeded();
            Ok((sender, false))
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
