//! Requests to other servers. Grant: `http`, the list of their hosts.

use std::{error::Error, fmt, time::Duration};

use crate::{Header, sys};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its method.
    pub method: String,
    /// Its URL, `http:` or `https:`.
    pub url: String,
    /// Its fields, under the same rules as [`crate::Request::set_header`].
    pub headers: Vec<Header>,
    /// Its body.
    pub body: Option<Vec<u8>>,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
}

impl Outgoing {
    /// A `GET` that waits for a second.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(1),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: Vec<Header>,
    /// Its body, at most 1 MiB.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The host is not granted, or its address is not one that a filter may reach.
    Denied,
    /// It took too long.
    Timeout,
    /// No connection; says why.
    Connect(String),
    /// The answer is too large.
    TooLarge,
    /// Not HTTP, or broken off; says what.
    Protocol(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("the host is not granted, or may not be reached"),
            Self::Timeout => f.write_str("the answer took too long"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Protocol(what) => write!(f, "the answer is broken: {what}"),
        }
    }
}

impl Error for HttpError {}

/// Sends a request and waits for the answer.
pub fn send(request: &Outgoing) -> Result<Incoming, HttpError> {
    sys::http_send(request)
}
