//! What hooks decide.

use crate::Header;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestVerdict {
    /// Go on to the next filter of the chain, then to the backend.
    Next,
    /// Answer now. The request hooks of later filters and the backend are skipped.
    Respond(LocalResponse),
}

/// What becomes of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseVerdict {
    /// Go on.
    Next,
    /// Send this instead.
    Replace(LocalResponse),
}

/// What becomes of a whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyVerdict {
    /// It passes unchanged.
    Next,
    /// This is sent instead, with its own length.
    Replace(Vec<u8>),
    /// This whole answer is sent instead.
    Respond(LocalResponse),
}

/// What becomes of a piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkVerdict {
    /// It passes unchanged.
    Pass,
    /// This is sent instead.
    Replace(Vec<u8>),
    /// Nothing is sent instead.
    Drop,
    /// The response is broken off, so that the client can tell.
    Abort,
}

/// A whole answer made by a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// 200 to 599.
    pub status: u16,
    /// Its fields, under the same rules as [`crate::Response::set_header`]; the gateway adds
    /// `content-length`.
    pub headers: Vec<Header>,
    /// Its body, at most 1 MiB.
    pub body: Vec<u8>,
}

impl LocalResponse {
    /// An answer without fields and body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An answer in plain text.
    pub fn text(status: u16, text: impl AsRef<[u8]>) -> Self {
        Self::new(status)
            .with_header("content-type", "text/plain; charset=utf-8")
            .with_body(text)
    }

    /// With one field more.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// With this body.
    #[must_use]
    pub fn with_body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut all = self.headers.iter();
        let found = all.find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(&found.value)
    }

    /// The first value of a field, where it is text.
    pub fn header_str(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header(name)?).ok()
    }
}

impl From<LocalResponse> for RequestVerdict {
    fn from(response: LocalResponse) -> Self {
        Self::Respond(response)
    }
}

impl From<LocalResponse> for ResponseVerdict {
    fn from(response: LocalResponse) -> Self {
        Self::Replace(response)
    }
}

impl From<LocalResponse> for BodyVerdict {
    fn from(response: LocalResponse) -> Self {
        Self::Respond(response)
    }
}
