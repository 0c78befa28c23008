//! Answers that the gateway makes itself, and what is left of the request they answer.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::{
    body::{Answer, BodyState},
    error::Reason,
    exchange::Exchange,
};

/// The part of a request's body that nobody has read yet.
pub(crate) struct Rest {
    body: Option<Incoming>,
    /// What became of it where somebody else reads it.
    taken: Option<Rc<BodyState>>,
    /// The client waits for 100 before it sends: reading would ask for it.
    expects: bool,
    http2: bool,
    head_only: bool,
}

impl Rest {
    pub(crate) fn new(head: &Parts, body: Incoming) -> Self {
        let expects = head.headers.contains_key(header::EXPECT);
        Self {
            body: Some(body),
            taken: None,
            expects,
            http2: head.version == Version::HTTP_2,
            head_only: head.method == Method::HEAD,
        }
    }

    /// Whether the answer is one without a body, to a HEAD.
    pub(crate) fn is_to_head(&self) -> bool {
        self.head_only
    }

    /// Whether the client waits to be told to go on.
    pub(crate) fn expects(&self) -> bool {
        self.expects
    }

    /// Whether there is nothing to read, for certain.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// Gives it away to be read by another, who notes how far.
    pub(crate) fn take(&mut self, state: &Rc<BodyState>) -> Option<Incoming> {
        self.taken = Some(Rc::clone(state));
        self.body.take()
    }

    /// Reads a body that was declared empty to its end.
    pub(crate) async fn read_nothing(&mut self, patience: Duration) -> Result<(), Reason> {
        let Some(body) = &mut self.body else {
            return Ok(());
        };
        let read = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| Reason::BodyBroken("broke off"))?;
                if frame.data_ref().is_some_and(|data| !data.is_empty()) {
                    return Err(Reason::BodyBroken("is longer than its Content-Length"));
                }
            }
            Ok(())
        };
        timeout(patience, read)
            .await
            .unwrap_or(Err(Reason::BodyStalled))
    }

    /// Reads what is left if it is little and comes soon, so that the connection can go on.
    async fn drain(&mut self) -> bool {
        let Some(body) = self.body.take() else {
            // A filter may have read it whole, and answered.
            let taken = self.taken.as_ref();
            return taken.is_some_and(|s| s.ended.get() && s.fault.get().is_none());
        };
        if body.is_end_stream() || self.http2 {
            return true;
        }
        if self.expects {
            return false;
        }
        let mut body = body;
        let read = async {
            let mut left = DRAIN_BYTES;
            while let Some(frame) = body.frame().await {
                let size = frame.map_or(usize::MAX, |frame| frame.data_ref().map_or(0, Bytes::len));
                left = match left.checked_sub(size) {
                    Some(left) => left,
                    None => return false,
                };
            }
            true
        };
        timeout(DRAIN_TIME, read).await.unwrap_or(false)
    }
}

/// Answers with what stands in the way. Neither header nor body names what is behind the gateway.
pub(crate) async fn refuse(
    mut exchange: Exchange,
    reason: Reason,
    mut rest: Rest,
) -> Response<Answer> {
    exchange.set_reason(reason);
    let http2 = rest.http2;
    let keeps = !reason.closes() && rest.drain().await;
    let text = Bytes::from(format!("{reason}\n"));
    let mut response = own(exchange, reason.status(), Some(text));
    let headers = response.headers_mut();
    headers.insert("portcullis-reason", HeaderValue::from_static(reason.word()));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if reason.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    close_unless(keeps || http2, &mut response);
    response
}

/// 308: the same request, over https.
pub(crate) async fn redirect(
    mut exchange: Exchange,
    location: HeaderValue,
    mut rest: Rest,
) -> Response<Answer> {
    let http2 = rest.http2;
    let keeps = rest.drain().await;
    exchange.set_status(StatusCode::PERMANENT_REDIRECT);
    let mut response = own(exchange, StatusCode::PERMANENT_REDIRECT, None);
    response.headers_mut().insert(header::LOCATION, location);
    close_unless(keeps || http2, &mut response);
    response
}

/// The answer that a filter made.
pub(crate) async fn local(
    mut exchange: Exchange,
    answer: Response<Bytes>,
    rest: &mut Rest,
) -> Response<Answer> {
    let http2 = rest.http2;
    let keeps = rest.drain().await;
    let (head, body) = answer.into_parts();
    exchange.set_answer(head.status, head.headers.get("portcullis-reason"));
    let bodiless = matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let length = HeaderValue::from(body.len());
    let body = Some(body).filter(|_| !bodiless);
    let mut response = Response::from_parts(head, Answer::Own(body, None, exchange));
    if !bodiless {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
    }
    close_unless(keeps || http2, &mut response);
    response
}

/// The answer to `OPTIONS *`: what the gateway itself can do (RFC 9110 section 9.3.7).
pub(crate) async fn options(exchange: Exchange, mut rest: Rest) -> Response<Answer> {
    let http2 = rest.http2;
    let keeps = rest.drain().await;
    let mut response = own(exchange, StatusCode::OK, None);
    let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(header::ALLOW, allow);
    close_unless(keeps || http2, &mut response);
    response
}

fn own(exchange: Exchange, status: StatusCode, text: Option<Bytes>) -> Response<Answer> {
    let length = text.as_ref().map_or(0, Bytes::len);
    let mut response = Response::new(Answer::Own(text, None, exchange));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn close_unless(keeps: bool, response: &mut Response<Answer>) {
    if !keeps {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

const DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);
