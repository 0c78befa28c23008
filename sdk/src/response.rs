//! The head of a response.

use crate::{Header, HeaderError, sys};

/// The head of a response, before it is sent to the client. It is lent for one call of a hook.
#[derive(Debug)]
pub struct Response(pub(crate) sys::Response);

impl Response {
    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    /// Sets the status: 200 to 599. The body stays: 204, 205 and 304, which have none, are refused in the place of
    /// others, and others in theirs. Replace the response then.
    pub fn set_status(&mut self, status: u16) -> Result<(), HeaderError> {
        self.0.set_status(status)
    }

    /// The first value of a field. Names are matched without regard to case.
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.header(name)
    }

    /// The first value of a field, where it is UTF-8.
    pub fn header_str(&self, name: &str) -> Option<String> {
        String::from_utf8(self.header(name)?).ok()
    }

    /// All values of one field, in their order.
    pub fn header_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.header_all(name)
    }

    /// All fields, in their order.
    pub fn headers(&self) -> Vec<Header> {
        self.0.headers()
    }

    /// Replaces all values of a field by this one, or adds it.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.0.set_header(name, value.as_ref())
    }

    /// Adds a value to a field, after those that it has. The only way to set a cookie.
    pub fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.0.add_header(name, value.as_ref())
    }

    /// Removes all values of a field. One that is not there is no error.
    pub fn remove_header(&mut self, name: &str) -> Result<(), HeaderError> {
        self.0.remove_header(name)
    }

    /// The backend that answered, as `service:port`; none where a filter or the gateway did.
    pub fn backend(&self) -> Option<String> {
        self.0.backend()
    }

    /// The endpoint that answered, as an opaque, stable id; none where a filter or the gateway did.
    pub fn endpoint(&self) -> Option<String> {
        self.0.endpoint()
    }
}
