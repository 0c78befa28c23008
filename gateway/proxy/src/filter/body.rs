//! Whole bodies before a route's filters, and bodies that go through them piece by piece.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response};

use super::{BodyVerdict, Filtered, Link, Streams, head, streams::StreamError};
use crate::{
    answer::{self, Rest},
    body::{Answer, Collected, Gathered, RequestBody, UpstreamBody},
    error::Reason,
    exchange::Exchange as Accounting,
    snapshot::LiveRoute,
};

/// What became of a request's body.
pub(crate) enum Shown {
    /// It goes on, as this.
    Body(RequestBody),
    /// A filter answers.
    Answer(Response<Bytes>),
}

/// Shows a request's body to those filters that want to see it whole, in the chain's order.
pub(crate) async fn request(
    route: &LiveRoute,
    filtered: &mut Filtered,
    (head, body): (&mut HeaderMap, RequestBody),
) -> Result<Shown, Reason> {
    let chain = &route.chain;
    let most = chain.request_bodies().map(|link| link.filter.body_limit());
    let was_empty = matches!(body, RequestBody::Empty);
    let mut body = match body.gather(most.max().unwrap_or(0)).await? {
        Gathered::Whole(body) => body,
        Gathered::Longer(body) => {
            // Of those that see it not, one that guards the backend stands in its way.
            return if chain.request_bodies().all(Link::is_open) {
                Ok(Shown::Body(body))
            } else {
                Err(Reason::BodyTooLarge)
            };
        }
    };
    for link in chain.request_bodies() {
        if body.len() > link.filter.body_limit() {
            if link.is_open() {
                continue;
            }
            return Err(Reason::BodyTooLarge);
        }
        let call =
            |filter: &dyn super::Filter, exchange, body| filter.on_request_body(exchange, body);
        match filtered.body(link, body.clone(), call).await? {
            Some(BodyVerdict::Next) | None => {}
            Some(BodyVerdict::Replace(other)) => body = other,
            Some(BodyVerdict::Respond(answer)) => {
                return head::respond(route, filtered, answer)
                    .await
                    .map(Shown::Answer);
            }
        }
    }
    if was_empty && body.is_empty() {
        return Ok(Shown::Body(RequestBody::Empty));
    }
    // Trailers went with the old body.
    head.remove(header::TRAILER);
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Ok(Shown::Body(RequestBody::Whole(Some(body))))
}

/// A response's body on its way to the client.
enum Body {
    Upstream(Box<UpstreamBody>),
    Whole(Bytes, Option<HeaderMap>, Box<Accounting>),
}

/// Why a body could not be shown: the exchange that ends with it.
struct Refused(Reason, Box<Accounting>);

/// Has the bodies of responses go through the filters that look at them, in reverse order.
pub(crate) async fn response(response: Response<Answer>, rest: Rest) -> Response<Answer> {
    let (head, answer) = response.into_parts();
    let body = match answer {
        Answer::Upstream(body) => Body::Upstream(body),
        Answer::Own(bytes, trailers, exchange) => {
            Body::Whole(bytes.unwrap_or_default(), trailers, Box::new(exchange))
        }
        Answer::Tunnel => return Response::from_parts(head, Answer::Tunnel),
    };
    match shown(head, body, rest.is_to_head()).await {
        Ok(response) => response,
        Err(Refused(reason, exchange)) => answer::refuse(*exchange, reason, rest).await,
    }
}

async fn shown(
    mut head: response::Parts,
    mut body: Body,
    to_head: bool,
) -> Result<Response<Answer>, Refused> {
    let Some(route) = body.accounting().route().cloned() else {
        return Ok(body.with(head));
    };
    let reached = body.accounting().filtered().map_or(0, |f| f.reached());
    let bodiless = to_head
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    if bodiless {
        // What it would have been cannot be told.
        if route.chain.response_bodies(reached).next().is_some() {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        return Ok(body.with(head));
    }
    if let Some(exchange) = body.accounting().filtered().and_then(Filtered::exchange) {
        exchange.response = Some(head.clone());
    }
    for link in route.chain.response_bodies(reached) {
        if link.looks_at_whole_bodies() {
            body = whole(link, &mut head, body).await?;
        }
        if link.streams() {
            body = streamed(link, &mut head, body).await?;
        }
    }
    Ok(body.with(head))
}

/// Shows a body to one filter that wants to see it whole.
async fn whole(link: &Link, head: &mut response::Parts, body: Body) -> Result<Body, Refused> {
    let limit = link.filter.body_limit();
    let (bytes, trailers, mut accounting) = match body {
        Body::Upstream(body) => match body.collect(limit).await {
            Collected::Whole(bytes, trailers, exchange) => (bytes, trailers, exchange),
            Collected::Longer(body) if link.is_open() => return Ok(Body::Upstream(body)),
            Collected::Longer(body) => {
                let exchange = Box::new(body.into_exchange());
                return Err(Refused(Reason::ResponseTooLarge, exchange));
            }
            Collected::Broken(reason, exchange) => return Err(Refused(reason, exchange)),
        },
        Body::Whole(bytes, trailers, exchange) if bytes.len() > limit => {
            if link.is_open() {
                return Ok(Body::Whole(bytes, trailers, exchange));
            }
            return Err(Refused(Reason::ResponseTooLarge, exchange));
        }
        Body::Whole(bytes, trailers, exchange) => (bytes, trailers, exchange),
    };
    let Some(filtered) = accounting.filtered() else {
        return Ok(Body::Whole(bytes, trailers, accounting));
    };
    let call = |filter: &dyn super::Filter, exchange, body| filter.on_response_body(exchange, body);
    let verdict = match filtered.body(link, bytes.clone(), call).await {
        Ok(verdict) => verdict,
        Err(fault) => return Err(Refused(fault.into(), accounting)),
    };
    let (bytes, answer) = match verdict {
        Some(BodyVerdict::Next) | None => (bytes, None),
        Some(BodyVerdict::Replace(bytes)) => (bytes, None),
        Some(BodyVerdict::Respond(answer)) => {
            let (head, bytes) = answer.into_parts();
            (bytes, Some(head))
        }
    };
    if let Some(exchange) = filtered.exchange() {
        // The hook may have changed the head, or made another one.
        if let Some(answer) = answer {
            exchange.response = Some(answer);
        }
        if let Some(now) = &exchange.response {
            head.status = now.status;
            head.headers.clone_from(&now.headers);
        }
    }
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    accounting.set_status(head.status);
    Ok(Body::Whole(bytes, trailers, accounting))
}

/// Puts one filter that looks at pieces into the way of a body.
async fn streamed(link: &Link, head: &mut response::Parts, body: Body) -> Result<Body, Refused> {
    head.headers.remove(header::CONTENT_LENGTH);
    match body {
        Body::Upstream(mut body) => {
            body.streams().push_link(link);
            Ok(Body::Upstream(body))
        }
        Body::Whole(bytes, trailers, mut accounting) => {
            let mut streams = Streams::default();
            streams.push_link(link);
            let Some(filtered) = accounting.filtered() else {
                return Ok(Body::Whole(bytes, trailers, accounting));
            };
            match streams.all(filtered, bytes).await {
                Ok(bytes) => {
                    let length = HeaderValue::from(bytes.len());
                    head.headers.insert(header::CONTENT_LENGTH, length);
                    Ok(Body::Whole(bytes, trailers, accounting))
                }
                Err(StreamError::Fault(fault)) => Err(Refused(fault.into(), accounting)),
                Err(StreamError::Aborted) => Err(Refused(Reason::BadResponse, accounting)),
            }
        }
    }
}

impl Body {
    fn accounting(&mut self) -> &mut Accounting {
        match self {
            Self::Upstream(body) => body.exchange(),
            Self::Whole(_, _, exchange) => exchange,
        }
    }

    fn with(self, head: response::Parts) -> Response<Answer> {
        let answer = match self {
            Self::Upstream(body) => Answer::Upstream(body),
            Self::Whole(bytes, trailers, exchange) => Answer::Own(Some(bytes), trailers, *exchange),
        };
        Response::from_parts(head, answer)
    }
}
