//! A backend's response on its way to the client, and what every answer carries.

use http::{HeaderValue, Response, Version, header};
use tokio::time::Instant;

use crate::{
    body::{Answer, UpstreamBody},
    connection::Session,
    error::Reason,
    exchange::Exchange,
    forwarded::Origin,
    hop,
    upstream::Reply,
};

/// What of a response's framing the parser lets pass but a client would read in its own way.
pub(crate) fn check<B>(response: &mut Response<B>) -> Result<(), Reason> {
    // Of what is no token the parser of HTTP/2 lets a quote pass in names.
    let http2 = response.version() == Version::HTTP_2;
    let headers = response.headers_mut();
    let (mut coded, mut sized) = (false, false);
    for name in headers.keys() {
        if http2 && name.as_str().contains('"') {
            return Err(Reason::BadResponse);
        }
        coded |= *name == header::TRANSFER_ENCODING;
        sized |= *name == header::CONTENT_LENGTH;
    }
    if coded {
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        let first = codings.next().map(HeaderValue::as_bytes);
        let chunked = first.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        // RFC 9112 section 6.3 calls a length beside it an error: the client would be told that of
        // another body.
        if !chunked || codings.next().is_some() || sized {
            return Err(Reason::BadResponse);
        }
    }
    if sized {
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let length = lengths.next().map_or(&b""[..], HeaderValue::as_bytes);
        // Where there is no body, to a HEAD above all, the parser reads none of them.
        let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
        let mut several = false;
        let mut differs = false;
        for other in lengths {
            several = true;
            differs |= other.as_bytes() != length;
        }
        if !digits || differs {
            return Err(Reason::BadResponse);
        }
        if several && let Some(length) = headers.get(header::CONTENT_LENGTH).cloned() {
            headers.insert(header::CONTENT_LENGTH, length);
        }
    }
    Ok(())
}

/// A backend's response on its way to the client.
pub(crate) fn from_backend(
    mut exchange: Exchange,
    reply: Reply,
    version: Version,
    end: Option<Instant>,
) -> Response<Answer> {
    let Reply {
        response, lease, ..
    } = reply;
    let (mut head, body) = response.into_parts();
    hop::strip_response(&mut head.headers);
    exchange.set_status(head.status);
    let own = exchange
        .route()
        .map(|route| (route.idle_timeout, route.idle_is_own));
    let kind = head.headers.get(header::CONTENT_TYPE);
    let kind = kind.map(HeaderValue::as_bytes).unwrap_or_default();
    let grpc = is_type(kind, b"application/grpc");
    let idle = match own {
        Some((idle, own)) if own || !(grpc || is_type(kind, b"text/event-stream")) => idle,
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
    if version == Version::HTTP_10 {
        exchange.conn().end_by_close();
    }
    Response::from_parts(
        head,
        Answer::Upstream(Box::new(UpstreamBody::new(
            body, exchange, lease, idle, end,
        ))),
    )
}

fn is_type(kind: &[u8], wanted: &[u8]) -> bool {
    kind.get(..wanted.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}

/// What every answer carries, whoever made it.
pub(crate) fn finish(
    session: &Session,
    origin: &Origin,
    response: &mut Response<Answer>,
    version: Version,
) {
    let hsts = match response.body() {
        Answer::Own(_, _, exchange) => exchange.route(),
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
    headers
        .entry(header::SERVER)
        .or_insert(HeaderValue::from_static("portcullis"));
    if version != Version::HTTP_2
        && session.worker.gateway.keeps_none()
        && !headers.contains_key(header::UPGRADE)
    {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether a filter of the route looks at the bodies of responses.
pub(crate) fn touches_bodies(response: &Response<Answer>) -> bool {
    let route = match response.body() {
        Answer::Own(_, _, exchange) => exchange.route(),
        Answer::Upstream(body) => body.route(),
        Answer::Tunnel => None,
    };
    route.is_some_and(|route| route.chain.touches_response_bodies())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(lengths: &[&'static str]) -> Result<Vec<HeaderValue>, Reason> {
        let mut response = Response::new(());
        for length in lengths {
            let length = HeaderValue::from_static(length);
            response
                .headers_mut()
                .append(header::CONTENT_LENGTH, length);
        }
        check(&mut response)?;
        let kept = response.headers().get_all(header::CONTENT_LENGTH);
        Ok(kept.iter().cloned().collect())
    }

    #[test]
    fn a_length_is_digits_also_where_no_body_is_read() {
        assert_eq!(checked(&["5"]).unwrap(), ["5"]);
        assert_eq!(checked(&["5", "5"]).unwrap(), ["5"]);
        for bad in ["", "+5", "5, 5", "0x5", "5nt-Length: 5", "5 5"] {
            assert_eq!(checked(&[bad]), Err(Reason::BadResponse), "{bad:?}");
        }
        assert_eq!(checked(&["5", "6"]), Err(Reason::BadResponse));
    }
}
