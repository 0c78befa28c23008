//! The request: one straight function from its head to the head of its answer.

use std::rc::Rc;

use http::{HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::{
    answer,
    authority::Subject,
    body::{Answer, BodyState, RequestBody, UpstreamBody},
    connection::Session,
    error::Reason,
    exchange::Exchange,
    forwarded::Origin,
    hop, outgoing, redirect,
    snapshot::{LiveRoute, Upstream},
    upgrade::{self, Sides, Wish},
    upstream::{self, Outgoing, Reply},
};

/// How a request ends, if nothing goes wrong.
enum Outcome {
    /// The answer to `OPTIONS *`.
    Options,
    /// To the same URL over https.
    Redirect(HeaderValue),
    /// Another protocol follows, both ways.
    Tunnel(Box<(http::response::Parts, Sides)>),
    /// A backend's response.
    Upstream(Box<Reply>),
}

/// Answers one request.
pub(crate) async fn serve(
    session: Rc<Session>,
    mut exchange: Exchange,
    request: Request<Incoming>,
) -> Response<Answer> {
    let (head, body) = request.into_parts();
    let version = head.version;
    let origin = session.peer.origin(
        &head.headers,
        &session.worker.gateway.settings.trusted_proxies,
    );
    exchange.note_request(&head);
    exchange.note_origin(&origin);
    let id = outgoing::id_of(&head.headers, &origin);
    exchange.note_request_id(&id);
    let mut rest = answer::Rest::new(&head, body);

    let end = session
        .worker
        .gateway
        .settings
        .timeouts
        .request
        .map(|limit| Instant::now() + limit);
    let forwarding = forward(&session, &mut exchange, (head, id), &mut rest, &origin);
    let outcome = match end {
        Some(end) => timeout_at(end, forwarding)
            .await
            .unwrap_or(Err(Reason::Timeout)),
        None => forwarding.await,
    };
    session
        .conn
        .answer_upgrade(matches!(outcome, Ok(Outcome::Tunnel(_))));

    let mut response = match outcome {
        Ok(Outcome::Upstream(reply)) => respond(exchange, *reply, version, end),
        Ok(Outcome::Tunnel(tunnel)) => {
            let (head, sides) = *tunnel;
            upgrade::open(&session.worker, sides, exchange);
            Response::from_parts(head, Answer::Tunnel)
        }
        // The rare ways out are boxed: every request's future would be as large as they are.
        Ok(Outcome::Redirect(location)) => {
            Box::pin(answer::redirect(exchange, location, rest)).await
        }
        Ok(Outcome::Options) => answer::options(exchange),
        Err(reason) => Box::pin(answer::refuse(exchange, reason, rest)).await,
    };
    finish(&session, &origin, &mut response, version);
    response
}

/// From the head of a request to the head of its answer.
async fn forward(
    session: &Rc<Session>,
    exchange: &mut Exchange,
    (mut head, id): (Parts, HeaderValue),
    rest: &mut answer::Rest,
    origin: &Origin,
) -> Result<Outcome, Reason> {
    // What it is for: the guard's word first, then the head itself.
    if let Some(refusal) = session.conn.refused(is_stand_in(&head)) {
        exchange.forget_request();
        return Err(refusal.into());
    }
    check_size(session, &head)?;
    let subject = Subject::read(&head)?;
    if subject.asterisk {
        return Ok(Outcome::Options);
    }

    // Where it goes. The snapshot is loaded here and nowhere else.
    let route = session
        .worker
        .gateway
        .find(&subject.host, subject.path(&head))
        .ok_or(Reason::NoRoute)?;
    exchange.set_route(&route);
    if let Some(location) = redirect::location(
        session.worker.gateway.settings.redirect_port,
        &route,
        &subject,
        &head,
        origin,
    ) {
        return Ok(Outcome::Redirect(location));
    }
    // No filter exists yet: a route that asks for one is closed, as it may be what guards it.
    if !route.config.filters.is_empty() {
        return Err(Reason::PluginMissing);
    }
    let (cluster, protocol) = match &route.upstream {
        Upstream::Cluster(cluster, protocol) => (cluster, *protocol),
        Upstream::NoPort => return Err(Reason::NoPort),
        Upstream::NoService => return Err(Reason::NoService),
    };
    if let (Some(max), Some(declared)) = (route.max_body, subject.declared)
        && declared > max
    {
        return Err(Reason::BodyTooLarge);
    }

    // The request as the backend gets it.
    let client = upgrade::client_side(&mut head);
    let hop = hop::strip(&mut head.headers).map_err(|_| NOMINATED)?;
    let wish = Wish::of(&subject, &hop, protocol, head.version)?;
    let (body, state) = body(session, rest, &route, &subject, wish.as_ref()).await?;
    outgoing::forwarded(session, &mut head, &subject, origin, id);
    outgoing::target(&mut head, &subject, protocol, &hop)?;
    if let Some(wish) = &wish {
        wish.write(&mut head);
    }
    outgoing::frame(&mut head, &body, protocol);

    // There and back.
    let request = Outgoing { head, body, state };
    let mut reply = upstream::send(&session.worker, &route, cluster, protocol, request).await?;
    exchange.note_endpoint(reply.endpoint);
    check_response(&mut reply.response)?;
    if wish.as_ref().is_some_and(Wish::is_connect) && reply.response.status().is_success() {
        // The client would take it for the tunnel it asked for.
        return Err(Reason::BadResponse);
    }
    if wish.is_some() {
        // Bytes of the other protocol may be on it: it must not serve another request.
        reply.lease.spoil();
    }
    if reply.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let wish = wish.ok_or(Reason::BadResponse)?;
        return wish
            .accept(*reply, client)
            .map(|tunnel| Outcome::Tunnel(Box::new(tunnel)));
    }
    Ok(Outcome::Upstream(reply))
}

/// Whether this is what the guard puts in the place of a head that it refuses.
fn is_stand_in(head: &Parts) -> bool {
    head.headers
        .get(header::HOST)
        .is_some_and(|host| host == "refused")
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
    let Some(incoming) = rest.take() else {
        return Ok((RequestBody::Empty, state));
    };
    Ok((
        RequestBody::client(incoming, subject.declared, route.max_body, stall, &state),
        state,
    ))
}

/// What of a response's framing the parser lets pass but a client would read in its own way.
fn check_response(response: &mut Response<Incoming>) -> Result<(), Reason> {
    // Of what is no token the parser of HTTP/2 lets a quote pass in names.
    let http2 = response.version() == Version::HTTP_2;
    let headers = response.headers_mut();
    if http2 && headers.keys().any(|name| name.as_str().contains('"')) {
        return Err(Reason::BadResponse);
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Reason::BadResponse);
    }
    // RFC 9112 section 6.3 calls it an error: the client would be told the length of another body.
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(Reason::BadResponse);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(length), Some(_)) = (lengths.next().cloned(), lengths.next()) {
        // The parser has seen that they are equal.
        headers.insert(header::CONTENT_LENGTH, length);
    }
    Ok(())
}

/// A backend's response on its way to the client.
fn respond(
    mut exchange: Exchange,
    reply: Reply,
    version: Version,
    end: Option<Instant>,
) -> Response<Answer> {
    let Reply {
        response, lease, ..
    } = reply;
    let (mut head, body) = response.into_parts();
    // A response cannot be refused for what its Connection names; what it may not name stays.
    if hop::strip(&mut head.headers).is_err() {
        head.headers.remove(header::CONNECTION);
    }
    exchange.set_status(head.status);
    let own = exchange
        .route()
        .map(|route| (route.idle_timeout, route.idle_is_own));
    let grpc = is_type(&head.headers, b"application/grpc");
    let idle = match own {
        Some((idle, own)) if own || !(grpc || is_type(&head.headers, b"text/event-stream")) => idle,
        _ => exchange.stream_idle(),
    };
    // Trailers reach HTTP/1 only where the head announces them; gRPC's are known.
    if grpc
        && head.version == Version::HTTP_2
        && version != Version::HTTP_2
        && !head.headers.contains_key(header::TRAILER)
    {
        head.headers.insert(
            header::TRAILER,
            HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin"),
        );
    }
    head.version = Version::HTTP_11;
    Response::from_parts(
        head,
        Answer::Upstream(Box::new(UpstreamBody::new(
            body, exchange, lease, idle, end,
        ))),
    )
}

fn is_type(headers: &http::HeaderMap, wanted: &[u8]) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    value
        .get(..wanted.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}

/// What every answer carries, whoever made it.
fn finish(session: &Session, origin: &Origin, response: &mut Response<Answer>, version: Version) {
    let hsts = match response.body() {
        Answer::Own(_, exchange) => exchange.route(),
        Answer::Upstream(body) => body.route(),
        Answer::Tunnel => None,
    };
    let hsts = hsts
        .filter(|_| origin.https)
        .and_then(|route| route.hsts.clone());
    let headers = response.headers_mut();
    if let Some(hsts) = hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    if !headers.contains_key(header::SERVER) {
        headers.insert(header::SERVER, HeaderValue::from_static("portcullis"));
    }
    if version != Version::HTTP_2
        && session.worker.gateway.is_draining()
        && !headers.contains_key(header::UPGRADE)
    {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

const NOMINATED: Reason =
    Reason::BadRequest("has a Connection that names a field of the message itself");
