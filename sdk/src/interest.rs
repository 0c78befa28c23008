//! What a filter need not be called for. Needs no grant. Of each function the last call counts.

use crate::sys;

/// In [`crate::Filter::new`] only. The request hook of this configuration has nothing to do with a request that
/// has none of these fields and none of these cookies, and is not called for it. Of more than 64 names it is none.
pub fn requests_with(fields: &[&str], cookies: &[&str]) {
    sys::interest_requests_with(fields, cookies);
}

/// In [`crate::Filter::new`] only. The request hook of this configuration has nothing to do but to
/// [`resume`](crate::Request::resume) the session that the cookie of this name holds: the gateway does that, and calls
/// the hook where there is none or it cannot go on. The cookie's value is `KEY.ENDPOINT.BACKEND`: 1 to 64 ASCII
/// letters and digits; the endpoint, of what a cookie can hold (RFC 6265); the backend's hash as `resume` takes it,
/// in 8 hexadecimal digits of lower case. Balanced: the session is hashed by its key. With
/// [`Bucket::take_clients`](crate::rate_limit::Bucket::take_clients) both are done, and the hook is called where one of
/// them cannot be.
pub fn resume_sessions(cookie: &str, strict: bool, balanced: bool) {
    sys::interest_resume_sessions(cookie, strict, balanced);
}
