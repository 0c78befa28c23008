//! The request: one straight function from its head to the head of its answer.

use std::{convert::Infallible, pin::pin, rc::Rc, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::{
    answer,
    authority::{self, Subject},
    body::{Answer, BodyState, RequestBody},
    connection::Session,
    error::Reason,
    exchange::Exchange,
    filter::{self, body::Shown},
    forwarded::Origin,
    hop, method, outgoing, redirect, response,
    snapshot::{LiveRoute, Upstream},
    upgrade::{self, Sides, Wish},
    upstream::{self, Outgoing, Reply},
    worker::Worker,
};

/// How a request ends, if nothing goes wrong.
enum Outcome {
    /// The answer to `OPTIONS *`.
    Options,
    /// To the same URL over https.
    Redirect(HeaderValue),
    /// A filter's answer.
    Local(Box<Response<Bytes>>),
    /// Another protocol follows, both ways.
    Tunnel(Box<(http::response::Parts, Sides)>),
    /// A backend's response.
    Upstream(Box<Reply>),
}

/// Answers one request. What it borrows until the answer lies in the one future that this makes: its
/// size is what every request moves, and what every HTTP/2 stream holds.
pub(crate) fn serve(
    session: Rc<Session>,
    mut exchange: Exchange,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> {
    let (mut head, body) = request.into_parts();
    let version = head.version;
    let settings = &session.worker.gateway.settings;
    let origin = session
        .peer
        .origin(&head.headers, &settings.trusted_proxies);
    exchange.note_request(&head);
    exchange.note_origin(&origin);
    let id = outgoing::id_of(&head.headers, &origin);
    exchange.note_request_id(&id);
    if upgrade::is_possible(&head) {
        session.conn.stay_awake();
    }
    let mut rest = answer::Rest::new(&head, body);
    // It may be held back by a request that is read already and is to be answered after this one.
    let held_back = session.conn.is_held_back() && hop::holds_back(&head);
    let end = settings
        .timeouts
        .request
        .map(|limit| Instant::now() + limit);

    async move {
        let outcome = {
            let facts = (&id, &origin);
            let forwarding = forward(&session, &mut exchange, &mut head, &mut rest, facts);
            let mut forwarding = pin!(forwarding);
            match end {
                Some(end) => timeout_at(end, forwarding.as_mut())
                    .await
                    .unwrap_or(Err(Reason::Timeout)),
                None => forwarding.await,
            }
        };
        if held_back {
            session
                .conn
                .answer_upgrade(matches!(outcome, Ok(Outcome::Tunnel(_))));
        }
        let mut response = match outcome {
            Ok(Outcome::Upstream(reply)) => {
                let response = response::from_backend(exchange, *reply, version, end);
                if response::touches_bodies(&response) {
                    Box::pin(filter::body::response(response, rest)).await
                } else {
                    response
                }
            }
            Ok(Outcome::Local(answer)) => Box::pin(local(exchange, *answer, rest)).await,
            Ok(Outcome::Tunnel(tunnel)) => {
                let (head, sides) = *tunnel;
                upgrade::open(&session.worker, sides, exchange);
                Response::from_parts(head, Answer::Tunnel)
            }
            // The rare ways out are boxed: every request's future would be as large as they are.
            Ok(Outcome::Redirect(location)) => {
                Box::pin(answer::redirect(exchange, location, rest)).await
            }
            Ok(Outcome::Options) => Box::pin(answer::options(exchange, rest)).await,
            Err(reason) => Box::pin(answer::refuse(exchange, reason, rest)).await,
        };
        response::finish(&session, &origin, &mut response, version);
        Ok(response)
    }
}

/// A filter's answer, which is a response for the filters that look at bodies.
async fn local(
    exchange: Exchange,
    answer: Response<Bytes>,
    mut rest: answer::Rest,
) -> Response<Answer> {
    let response = answer::local(exchange, answer, &mut rest).await;
    if response::touches_bodies(&response) {
        filter::body::response(response, rest).await
    } else {
        response
    }
}

/// From the head of a request to the head of its answer.
async fn forward(
    session: &Rc<Session>,
    exchange: &mut Exchange,
    head: &mut Parts,
    rest: &mut answer::Rest,
    (id, origin): (&HeaderValue, &Origin),
) -> Result<Outcome, Reason> {
    // What it is for: the guard's word first, then the head itself.
    if let Some(refusal) = session.conn.refused(|| is_stand_in(head)) {
        exchange.forget_request();
        return Err(refusal.into());
    }
    check_load(&session.worker)?;
    check_size(session, head)?;
    authority::encode_query(head);
    let mut subject = Subject::read(head)?;
    if subject.asterisk || method::stops_here(head, !rest.is_empty())? {
        return Ok(Outcome::Options);
    }

    // Where it goes. The snapshot is loaded here and nowhere else.
    let route = session
        .worker
        .gateway
        .find(&subject.host, subject.path(head))
        .ok_or(Reason::NoRoute)?;
    exchange.set_route(&route);
    let port = session.worker.gateway.settings.redirect_port;
    if let Some(location) = redirect::location(port, &route, &subject, head, origin) {
        return Ok(Outcome::Redirect(location));
    }
    check_length(&route, &subject)?;

    // What its filters say: they see it as the backend gets it.
    let client = upgrade::client_side(head);
    let hop = hop::strip(&mut head.headers).map_err(|_| NOMINATED)?;
    let protocol = route.protocol;
    let wish = Wish::of(&subject, &hop, protocol, head.version)?;
    outgoing::forwarded(session, head, &subject, origin, id.clone());
    if !route.chain.is_empty() {
        let facts = (&mut subject, origin, id);
        let answer = filter::head::request(session, exchange, head, facts, &route);
        if let Some(answer) = Box::pin(answer).await? {
            return Ok(Outcome::Local(Box::new(answer)));
        }
    }
    let steering = exchange.steering();
    let cluster = match route.leads(steering.as_ref()) {
        Upstream::Cluster(cluster) => cluster,
        Upstream::NoPort => return Err(Reason::NoPort),
        Upstream::NoService => return Err(Reason::NoService),
    };

    // The request as the backend gets it.
    let (mut body, state) = body(session, rest, &route, &subject, wish.as_ref()).await?;
    state.without_trailers.set(hop.nominates);
    if route.chain.hooks().request_body && wish.is_none() {
        match Box::pin(show(exchange, &route, head, body)).await? {
            Shown::Body(seen) => body = seen,
            Shown::Answer(answer) => return Ok(Outcome::Local(Box::new(answer))),
        }
    }
    outgoing::target(head, &subject, protocol, &hop, rest.expects())?;
    if let Some(wish) = &wish {
        wish.write(head);
    }
    outgoing::frame(head, &body, protocol);

    // There and back.
    let keep = route.chain.looks_at_responses();
    let request = Outgoing {
        head: &mut *head,
        body,
        state,
        keep,
    };
    let to = (cluster, steering.as_ref());
    let mut reply = upstream::send(&session.worker, &route, to, request).await?;
    exchange.note_endpoint(reply.endpoint.address);
    check_reply(&mut reply, wish.as_ref())?;
    if keep && filter::head::answered(exchange, &route, steering, &reply.endpoint) {
        let judged = judge(exchange, &route, (head, &mut reply));
        if let Some(answer) = Box::pin(judged).await? {
            return Ok(Outcome::Local(Box::new(answer)));
        }
    }
    if reply.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let wish = wish.ok_or(Reason::BadResponse)?;
        return wish
            .accept(*reply, client)
            .map(|tunnel| Outcome::Tunnel(Box::new(tunnel)));
    }
    Ok(Outcome::Upstream(reply))
}

/// What a backend may not answer.
fn check_reply(reply: &mut Reply, wish: Option<&Wish>) -> Result<(), Reason> {
    response::check(&mut reply.response)?;
    let Some(wish) = wish else {
        return Ok(());
    };
    if wish.is_connect() && reply.response.status().is_success() {
        // The client would take it for the tunnel it asked for.
        return Err(Reason::BadResponse);
    }
    // Bytes of the other protocol may be on it: it must not serve another request.
    reply.lease.spoil();
    Ok(())
}

/// Shows the request's body to the filters that want to see it whole.
async fn show(
    exchange: &mut Exchange,
    route: &LiveRoute,
    head: &mut Parts,
    body: RequestBody,
) -> Result<Shown, Reason> {
    match exchange.filtered() {
        Some(filtered) => filter::body::request(route, filtered, (&mut head.headers, body)).await,
        None => Ok(Shown::Body(body)),
    }
}

/// Shows the response's head to the filters; an answer is sent instead.
async fn judge(
    exchange: &mut Exchange,
    route: &LiveRoute,
    (head, reply): (&mut Parts, &mut Reply),
) -> Result<Option<Response<Bytes>>, Reason> {
    let Some(filtered) = exchange.filtered() else {
        return Ok(None);
    };
    if let Some(exchange) = filtered.exchange() {
        let version = exchange.request.version;
        std::mem::swap(&mut exchange.request, head);
        exchange.request.version = version;
    }
    filter::head::response(route, filtered, reply).await
}

/// Whether this is what the guard puts in the place of a head that it refuses.
fn is_stand_in(head: &Parts) -> bool {
    head.headers
        .get(header::HOST)
        .is_some_and(|host| host == "refused")
}

/// Whether there is memory for another request.
fn check_load(worker: &Worker) -> Result<(), Reason> {
    if worker.gateway.overload.sheds() {
        worker.stats.shed_requests.fetch_add(1, Relaxed);
        return Err(Reason::Overload);
    }
    Ok(())
}

/// A body that says beforehand that it is too large.
fn check_length(route: &LiveRoute, subject: &Subject) -> Result<(), Reason> {
    match (route.max_body, subject.declared) {
        (Some(max), Some(declared)) if declared > max => Err(Reason::BodyTooLarge),
        _ => Ok(()),
    }
}

/// HTTP/2 heads are bounded here; those of HTTP/1 by the guard.
fn check_size(session: &Session, head: &Parts) -> Result<(), Reason> {
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    let limits = &session.worker.gateway.settings.limits;
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if head.headers.len() > limits.head_fields || fields + target > limits.head_size {
        return Err(Reason::HeadTooLarge);
    }
    Ok(())
}

/// The body to send on.
async fn body(
    session: &Session,
    rest: &mut answer::Rest,
    route: &LiveRoute,
    subject: &Subject,
    wish: Option<&Wish>,
) -> Result<(RequestBody, Rc<BodyState>), Reason> {
    let stall = session.worker.gateway.settings.timeouts.body_stall;
    if rest.is_empty() || wish.is_some_and(Wish::is_connect) {
        return Ok((RequestBody::Empty, BodyState::new(true)));
    }
    // HTTP/2 may declare nothing and yet send something: know before the head is sent.
    if subject.declared == Some(0) {
        Box::pin(rest.read_nothing(stall)).await?;
        return Ok((RequestBody::Empty, BodyState::new(true)));
    }
    let state = BodyState::new(false);
    let Some(incoming) = rest.take(&state) else {
        return Ok((RequestBody::Empty, state));
    };
    Ok((
        RequestBody::client(incoming, subject.declared, route.max_body, stall, &state),
        state,
    ))
}

const NOMINATED: Reason =
    Reason::BadRequest("has a Connection that names a field of the message itself");
