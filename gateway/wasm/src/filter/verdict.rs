//! What filters may send: whole answers and bodies, under one set of rules.

use bytes::Bytes;
use http::{HeaderMap, Response};
use proxy::filter::{self, Change, FieldError, Message, Spent};

use crate::{bindings::portcullis::filter::types::LocalResponse, failure::Failure};

/// An answer made by a filter, under the same rules as any other field that it sets.
pub(super) fn local(answer: LocalResponse) -> Result<Response<Bytes>, Failure> {
    let LocalResponse {
        status,
        headers,
        body,
    } = answer;
    let refuse = |what: &str, why: FieldError| {
        Failure::trap(format!("its answer cannot be sent: {what}: {why}"))
    };
    if body.len() > BODY {
        return Err(refuse("the body", FieldError::TooLarge));
    }
    let status = filter::final_status(status).map_err(|why| refuse("the status", why))?;
    let (mut fields, mut spent) = (HeaderMap::new(), Spent::default());
    for header in headers {
        let checked = filter::name(Message::Response, Change::Add, &header.name)
            .and_then(|name| Ok((name, filter::value(&header.value)?)))
            .and_then(|(name, value)| {
                spent.charge(name.as_str().len() + value.len())?;
                Ok((name, value))
            });
        let (name, value) = checked.map_err(|why| refuse("a field", why))?;
        fields.append(name, value);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

/// What passes instead of a body or a piece of one.
pub(super) fn replaced(body: Vec<u8>) -> Result<Bytes, Failure> {
    if body.len() > BODY {
        let why = "what it puts in the place of a body has more than 1 MiB";
        return Err(Failure::trap(why));
    }
    Ok(Bytes::from(body))
}

/// The largest body that a filter makes, whatever the size of the one that it is given.
const BODY: usize = 1 << 20;
