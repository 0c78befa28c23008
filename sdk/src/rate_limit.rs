//! Token buckets and permits, shared by all instances of one gateway process. What they hold belongs to
//! one filter of one Ingress's chain, and survives a change of configuration. Grant: `rateLimit`.

use std::{error::Error, fmt};

use crate::{Request, sys};

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// That many tokens come back …
    pub tokens: u32,
    /// … in that many milliseconds, evenly; at least 1 of each.
    pub per_ms: u32,
    /// How many tokens it holds, and has at first; at least 1.
    pub burst: u32,
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may. The tokens are taken only then.
    pub allowed: bool,
    /// The burst of the rule that is nearest to its end.
    pub limit: u32,
    /// How many tokens that rule has left.
    pub remaining: u32,
    /// Where refused: after that many milliseconds there are enough tokens again.
    pub retry_after_ms: u32,
}

/// Buckets under one name, one for each key. Keep it in the filter.
#[derive(Debug)]
pub struct Bucket(sys::Bucket);

impl Bucket {
    /// The buckets of that name; the same name gives the same again, with the rules of the last call. Of
    /// several rules, 1 to 8, a take must pass all, and only then is charged to any.
    pub fn open(name: &str, rules: &[Rule]) -> Result<Self, RuleError> {
        sys::bucket_open(name, rules).map(Self).map_err(RuleError)
    }

    /// Takes tokens from the bucket of that key, which has at most 1 KiB. At most 100,000 keys; idle ones
    /// leave first.
    pub fn take(&self, key: &str, tokens: u32) -> Decision {
        sys::bucket_take(&self.0, key, tokens)
    }

    /// Takes tokens from the bucket of the request's client: of its address, of which only so many bits count
    /// where it is one of IPv6. Cheaper than a key made of the address, and no key means the same bucket.
    pub fn take_client(&self, request: &Request, ipv6_prefix: u8, tokens: u32) -> Decision {
        sys::bucket_take_client(&self.0, &request.0, ipv6_prefix, tokens)
    }

    /// In [`crate::Filter::new`] only. The request hook of this configuration has nothing to do but to
    /// [`take_client`](Self::take_client) with these numbers, unless there are too few tokens: the gateway does that,
    /// and calls the hook where there are; it has taken none then. The last call counts.
    pub fn take_clients(&self, ipv6_prefix: u8, tokens: u32) {
        sys::bucket_take_clients(&self.0, ipv6_prefix, tokens);
    }
}

/// A permit, of `max` at once with this key; false where all are taken. It returns by itself when the
/// request has ended, however it ends. In request hooks only.
pub fn acquire(key: &str, max: u32) -> bool {
    sys::acquire(key, max)
}

/// What is wrong with the rules of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError(String);

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for RuleError {}
