//! What can be made to go wrong.

use std::time::Duration;

/// A request that is to go wrong, and how.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) verb: String,
    pub(super) resource: String,
    pub(super) left: usize,
    pub(super) kind: Kind,
}

/// How a request goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Status(u16, u32),
    Hang(Duration),
    GoneEvent,
    /// The bytes of a list go out slowly.
    Slow(Duration),
}

impl Fault {
    fn new(verb: &str, resource: &str, kind: Kind) -> Self {
        Self {
            verb: verb.into(),
            resource: resource.into(),
            left: 1,
            kind,
        }
    }

    /// A request is answered with this status.
    pub fn status(verb: &str, resource: &str, status: u16) -> Self {
        Self::new(verb, resource, Kind::Status(status, 0))
    }

    /// A request is answered with 429, and when to come back.
    pub fn too_many(verb: &str, resource: &str, seconds: u32) -> Self {
        Self::new(verb, resource, Kind::Status(429, seconds))
    }

    /// A request is not answered for a time.
    pub fn hang(verb: &str, resource: &str, time: Duration) -> Self {
        Self::new(verb, resource, Kind::Hang(time))
    }

    /// A watch begins with the word that its version is too old.
    pub fn gone(resource: &str) -> Self {
        Self::new("watch", resource, Kind::GoneEvent)
    }

    /// A list takes this long.
    pub fn slow(resource: &str, time: Duration) -> Self {
        Self::new("list", resource, Kind::Slow(time))
    }

    /// It happens so often.
    pub fn times(self, left: usize) -> Self {
        Self { left, ..self }
    }

    fn meets(&self, verb: &str, resource: &str) -> bool {
        self.left > 0
            && (self.verb == "*" || self.verb == verb)
            && (self.resource == "*" || self.resource == resource)
    }

    /// The first of these that a request meets.
    pub(super) fn take(all: &mut [Self], verb: &str, resource: &str) -> Option<Kind> {
        let fault = all.iter_mut().find(|fault| fault.meets(verb, resource))?;
        fault.left -= 1;
        Some(fault.kind.clone())
    }
}

/// Something that a server does not allow.
#[derive(Clone, Debug)]
pub(super) struct Denial {
    pub(super) verb: String,
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
}

impl Denial {
    pub(super) fn meets(&self, verb: &str, resource: &str, namespace: Option<&str>) -> bool {
        (self.verb == "*" || self.verb == verb)
            && (self.resource == "*" || self.resource == resource)
            && match (&self.namespace, namespace) {
                (None, _) => true,
                // What is denied in the whole cluster may be allowed in a namespace.
                (Some(own), None) => own.is_empty(),
                (Some(own), Some(namespace)) => own == namespace,
            }
    }
}
