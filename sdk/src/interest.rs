//! What a filter need not be called for. Needs no grant.

use crate::sys;

/// In [`crate::Filter::new`] only. The request hook of this configuration has nothing to do with a request that
/// has none of these fields and none of these cookies, and is not called for it. The last call counts; of more
/// than 64 names it is none.
pub fn requests_with(fields: &[&str], cookies: &[&str]) {
    sys::interest_requests_with(fields, cookies);
}
