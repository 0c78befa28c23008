//! Why the gateway answers itself, and the one place that turns a reason into a status.

use http::StatusCode;

use crate::{filter::Fault, guard::Refusal};

/// Why a request is answered by the gateway and not by a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the response broke before its head was complete")]
    BadResponse,
    #[error("the request {0}")]
    BadRequest(&'static str),
    #[error("the request's body broke: it {0}")]
    BodyBroken(&'static str),
    #[error("the request's body stalled")]
    BodyStalled,
    #[error("the request's body is too large")]
    BodyTooLarge,
    #[error("no endpoint could be connected to")]
    Connect,
    #[error("the request's head is too large")]
    HeadTooLarge,
    #[error("the service has no endpoint that can take requests")]
    NoEndpoints,
    #[error("the service lacks the port")]
    NoPort,
    #[error("no host or path matches")]
    NoRoute,
    #[error("the service is missing")]
    NoService,
    #[error("the gateway has too much to do")]
    Overload,
    #[error(transparent)]
    Plugin(#[from] Fault),
    #[error("the response is too large for a filter of the route")]
    ResponseTooLarge,
    #[error("the backend took too long")]
    Timeout,
}

impl Reason {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::BadResponse | Self::Connect | Self::ResponseTooLarge => StatusCode::BAD_GATEWAY,
            Self::BodyStalled => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NoEndpoints
            | Self::NoPort
            | Self::NoService
            | Self::Overload
            | Self::Plugin(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The word in `portcullis-reason` and in the access log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::BadResponse | Self::ResponseTooLarge => "bad-response",
            Self::BadRequest(_) | Self::BodyBroken(_) => "bad-request",
            Self::BodyStalled => "request-timeout",
            Self::BodyTooLarge => "body-too-large",
            Self::Connect => "connect",
            Self::HeadTooLarge => "head-too-large",
            Self::NoEndpoints => "no-endpoints",
            Self::NoPort => "no-port",
            Self::NoRoute => "no-route",
            Self::NoService => "no-service",
            Self::Overload => "overload",
            Self::Plugin(fault) => fault.word(),
            Self::Timeout => "timeout",
        }
    }

    /// Whether the client's message can no longer be told from what follows it, or reading its rest
    /// is too much.
    pub(crate) fn closes(self) -> bool {
        match self {
            Self::BadRequest(_)
            | Self::BodyBroken(_)
            | Self::BodyStalled
            | Self::BodyTooLarge
            | Self::HeadTooLarge
            | Self::Overload => true,
            Self::BadResponse
            | Self::Connect
            | Self::NoEndpoints
            | Self::NoPort
            | Self::NoRoute
            | Self::NoService
            | Self::Plugin(_)
            | Self::ResponseTooLarge
            | Self::Timeout => false,
        }
    }

    /// Whether trying again later may help.
    pub(crate) fn retry_after(self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HeadTooLarge => Self::HeadTooLarge,
            Refusal::Malformed(what) => Self::BadRequest(what),
        }
    }
}
