//! The heads of a request and of its response before a route's filters.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request, response};

use super::{Exchange, Facts, Filtered, Services, Steering};
use crate::{
    authority::Subject, cluster::Endpoint, connection::Session, error::Reason,
    exchange::Exchange as Accounting, forwarded::Origin, hop, snapshot::LiveRoute, upstream::Reply,
};

/// Has the route's chain decide on a request. `head` is what it has become afterwards.
///
/// An answer of a filter has gone through the response hooks when it comes back.
pub(crate) async fn request(
    session: &Session,
    accounting: &mut Accounting,
    head: &mut request::Parts,
    (subject, origin, id): (&mut Subject, &Origin, &HeaderValue),
    route: &Arc<LiveRoute>,
) -> Result<Option<Response<Bytes>>, Reason> {
    subject.write_path(head);
    let facts = Facts {
        scheme: if origin.https { "https" } else { "http" },
        authority: subject.field.clone(),
        client: origin.client,
        port: session.peer.address.port(),
        tls: session.peer.tls,
        sni: session.sni.clone(),
        id: id.clone(),
        route: Arc::clone(&route.config),
    };
    let own = std::mem::replace(head, nothing());
    let services: Arc<dyn Services> = Arc::<LiveRoute>::clone(route);
    let exchange = Box::new(Exchange::new(own, facts, services));
    let filtered = accounting.filter(Filtered::new(exchange, session.worker.index));

    let answer = route.chain.on_request(filtered).await?;
    if let Some(answer) = answer {
        return respond(route, filtered, answer).await.map(Some);
    }
    if let Some(exchange) = filtered.exchange() {
        // Later hooks may look at the request: those of responses at what was sent.
        *head = if route.chain.hooks().request_body {
            exchange.request.clone()
        } else {
            std::mem::replace(&mut exchange.request, nothing())
        };
        exchange.request.version = head.version;
    }
    Ok(None)
}

/// Has the chain decide on an answer that one of its filters made.
pub(crate) async fn respond(
    route: &LiveRoute,
    filtered: &mut Filtered,
    answer: Response<Bytes>,
) -> Result<Response<Bytes>, Reason> {
    let (head, body) = answer.into_parts();
    if let Some(exchange) = filtered.exchange() {
        exchange.response = Some(head);
    }
    let replaced = route.chain.on_response(filtered).await?;
    let head = taken(filtered)?;
    Ok(Response::from_parts(head, replaced.unwrap_or(body)))
}

/// Notes who has answered; whether any filter has anything to do with the response.
pub(crate) fn answered(
    accounting: &mut Accounting,
    route: &LiveRoute,
    steering: Option<Steering>,
    endpoint: &Endpoint,
) -> bool {
    let Some(filtered) = accounting.filtered() else {
        return false;
    };
    let steered = steering.as_ref().and_then(|own| own.backend.as_deref());
    let backend = steered.map_or_else(|| Arc::clone(&route.backend), Arc::from);
    if let Some(exchange) = filtered.exchange() {
        exchange.answered_by = Some((backend, Arc::clone(&endpoint.id)));
        // A session that goes on where it was sent needs no response hook.
        exchange.steering = steering.unwrap_or_default();
    }
    route.chain.touches_response_bodies() || route.chain.asks_on_response(filtered)
}

/// Has the chain decide on the head of a backend's response; what is sent instead, if anything.
pub(crate) async fn response(
    route: &LiveRoute,
    filtered: &mut Filtered,
    reply: &mut Reply,
) -> Result<Option<Response<Bytes>>, Reason> {
    let response = &mut reply.response;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // What concerns the connection to the backend is nobody's affair.
        if hop::strip(response.headers_mut()).is_err() {
            response.headers_mut().remove(header::CONNECTION);
        }
    }
    if let Some(exchange) = filtered.exchange() {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = response.status();
        head.version = response.version();
        std::mem::swap(&mut head.headers, response.headers_mut());
        exchange.response = Some(head);
    }
    let replaced = route.chain.on_response(filtered).await?;
    let head = taken(filtered)?;
    match replaced {
        Some(body) => Ok(Some(Response::from_parts(head, body))),
        None => {
            *response.status_mut() = head.status;
            *response.headers_mut() = head.headers;
            Ok(None)
        }
    }
}

/// The response's head out of the exchange.
fn taken(filtered: &mut Filtered) -> Result<response::Parts, Reason> {
    let response = filtered.exchange().and_then(|e| e.response.take());
    response.ok_or(Reason::Timeout)
}

/// A head without content, which costs nothing.
pub(super) fn nothing() -> request::Parts {
    Request::new(()).into_parts().0
}
