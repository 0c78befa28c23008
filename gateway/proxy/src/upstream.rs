//! Sends a request to an endpoint of its route: choice, connection, retries, patience.

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use http::{Request, Response, request::Parts};
use hyper::body::Incoming;
use route::Protocol;
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
    snapshot::LiveRoute,
    worker::Worker,
};

mod connect;
mod pool;

/// A backend's response, with the connection it comes on.
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Lease,
    pub(crate) endpoint: SocketAddr,
}

/// A request, ready to be sent.
pub(crate) struct Outgoing {
    pub(crate) head: Parts,
    pub(crate) body: RequestBody,
    pub(crate) state: Rc<BodyState>,
}

/// Sends `request` to `cluster`, to other endpoints in turn where that is safe: no byte was sent, or
/// the method is idempotent (RFC 9110 section 9.2.2) and there is no body.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    route: &LiveRoute,
    cluster: &Arc<Cluster>,
    protocol: Protocol,
    mut request: Outgoing,
) -> Result<Reply, Reason> {
    let limits = &worker.gateway.settings.upstream;
    let replayable =
        matches!(request.body, RequestBody::Empty) && request.head.method.is_idempotent();
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut last = Reason::NoEndpoints;
    for attempt in 0..limits.tries.max(1) {
        let Some(endpoint) = cluster.choose(&tried, fastrand::usize(..)) else {
            break;
        };
        if attempt > 0 {
            worker.stats.retries.fetch_add(1, Relaxed);
        }
        tried.push(endpoint.address);
        let key = Key::new(endpoint.address, protocol, cluster);
        // A stale idle connection costs another one, not an attempt: at most as many as are kept.
        loop {
            let (mut sender, pooled) = match obtain(worker, route, &endpoint, &key).await {
                Ok(obtained) => obtained,
                Err(error) => {
                    last = error.reason();
                    break;
                }
            };
            let in_flight = endpoint.begin();
            let spare = replayable.then(|| request.head.clone());
            let state = Rc::clone(&request.state);
            let message = Request::from_parts(request.head, request.body);
            let outcome = wait(sender.send(message), &state, route).await;
            match outcome {
                Some(Ok(response)) => {
                    endpoint.succeeded();
                    let lease = Lease::new(worker, key, sender, in_flight);
                    return Ok(Reply {
                        response,
                        lease,
                        endpoint: endpoint.address,
                    });
                }
                Some(Err(failure)) => {
                    let (error, returned) = *failure;
                    if let Some(fault) = state.fault.get() {
                        return Err(fault);
                    }
                    if let Some(unsent) = returned {
                        (request.head, request.body) = unsent.into_parts();
                        last = Reason::Connect;
                        if pooled {
                            continue;
                        }
                        break;
                    }
                    let Some(head) = spare.filter(|_| !error.is_parse()) else {
                        return Err(Reason::BadResponse);
                    };
                    (request.head, request.body) = (head, RequestBody::Empty);
                    last = Reason::BadResponse;
                    if pooled {
                        continue;
                    }
                    break;
                }
                None => return Err(state.fault.get().unwrap_or(Reason::Timeout)),
            }
        }
        // A broken connection while nothing was sent: go on with what is left.
        if matches!(last, Reason::BadResponse) && !replayable {
            break;
        }
    }
    Err(last)
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
    let connected = connect::connect(worker, key, route.connect_timeout).await;
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
