//! Requests that guests send.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use proxy::filter::{self, Change, FieldError, Message, Spent};
use wasmtime::Result;

use super::{Guest, Phase, request, wit};
use crate::callouts::{self, CalloutError, MOST};
use wit::http_client::{HttpError, Incoming, Outgoing};

impl wit::http_client::Host for Guest {
    async fn send(
        &mut self,
        outgoing: Outgoing,
    ) -> Result<std::result::Result<Incoming, HttpError>> {
        let attachment = Arc::clone(self.acting()?);
        if matches!(self.phase, Phase::Describe | Phase::Configure) || !self.waits {
            return Err(self.stop("`send` is for hooks"));
        }
        let Some(left) = self.sends_left.checked_sub(1) else {
            return Err(self.stop("a hook sends at most 4 requests"));
        };
        self.sends_left = left;

        let plugin = attachment.plugin();
        let timeout = Duration::from_millis(outgoing.timeout_ms.into());
        let request = match head(outgoing, plugin.http_hosts()) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        let answer = match plugin.callouts() {
            Some(callouts) => callouts.send(request, timeout).await,
            None => Err(CalloutError::Denied),
        };
        Ok(answer.map_err(HttpError::from).map(|answer| Incoming {
            status: answer.status().as_u16(),
            headers: request::list(answer.headers()),
            body: answer.into_body().into(),
        }))
    }
}

/// The request, if the guest may send it.
fn head(outgoing: Outgoing, hosts: &[String]) -> std::result::Result<Request<Bytes>, HttpError> {
    let wrong = |what: &str| HttpError::Protocol(what.to_owned());
    let uri: Uri = outgoing
        .url
        .parse()
        .map_err(|_| wrong("the URL is not one"))?;
    if !hosts.iter().any(|grant| callouts::covers(grant, &uri)) {
        return Err(HttpError::Denied);
    }
    let method = Method::from_bytes(outgoing.method.as_bytes());
    let method = method.map_err(|_| wrong("the method is not one"))?;
    if method == Method::CONNECT {
        return Err(wrong("a tunnel is not a request"));
    }
    let body = outgoing.body.unwrap_or_default();
    if body.len() > MOST {
        return Err(wrong("the body has more than 1 MiB"));
    }
    let (mut fields, mut spent) = (HeaderMap::new(), Spent::default());
    for header in outgoing.headers {
        let refuse = |why: FieldError| wrong(&format!("a field cannot be sent: {why}"));
        let name = filter::name(Message::Request, Change::Add, &header.name).map_err(refuse)?;
        let value = filter::value(&header.value).map_err(refuse)?;
        spent
            .charge(name.as_str().len() + value.len())
            .map_err(refuse)?;
        fields.append(name, value);
    }
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    Ok(request)
}

impl From<CalloutError> for HttpError {
    fn from(error: CalloutError) -> Self {
        match error {
            CalloutError::Denied => Self::Denied,
            CalloutError::Timeout => Self::Timeout,
            CalloutError::Connect(why) => Self::Connect(why),
            CalloutError::TooLarge => Self::TooLarge,
            CalloutError::Protocol(what) => Self::Protocol(what),
        }
    }
}

/// How many requests a hook sends.
pub(crate) const SENDS: u32 = 4;
