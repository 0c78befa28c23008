//! What `explain` says of a rule: whether it takes a request, and why not.

use crate::{HostPattern, PathPattern};

/// A rule, and why it did or did not take a request.
#[derive(Debug)]
pub struct Candidate<'a, T> {
    /// The rule's host.
    pub host: &'a HostPattern,
    /// The rule's path; `None` for a default backend.
    pub path: Option<&'a PathPattern>,
    /// The rule's target.
    pub target: &'a T,
    /// Why.
    pub verdict: Verdict,
}

/// Why a rule did or did not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the request.
    Chosen,
    /// Its host is another one.
    HostDiffers,
    /// Its host matches, but a more specific host has rules of its own.
    HostLessSpecific,
    /// Its path is another one.
    PathDiffers,
    /// An Exact path matches as well.
    ExactFirst,
    /// A path of more elements matches as well.
    FewerElements,
    /// A longer path matches as well.
    Shorter,
    /// The same path of another type goes first.
    TypeLast,
    /// The same host and path belong to an older Ingress, or to an earlier rule.
    Younger,
    /// A default backend, and a rule matches.
    OnlyDefault,
}
