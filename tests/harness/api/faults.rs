//! What can be made to go wrong.

use std::time::Duration;

use super::{Api, Cut, Streaming};

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
    /// The answer is no JSON.
    Garbage,
    /// The bytes of a list go out slowly.
    Slow(Duration),
    /// A list that is gone on with is too old.
    Expired(Replacement),
}

/// Whether a list that grew too old can be gone on with by another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The server gives one, for a list that is of two times.
    Given,
    /// It must begin again.
    None,
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

    /// A request is answered with what is no JSON.
    pub fn garbage(verb: &str, resource: &str) -> Self {
        Self::new(verb, resource, Kind::Garbage)
    }

    /// A list takes this long.
    pub fn slow(resource: &str, time: Duration) -> Self {
        Self::new("list", resource, Kind::Slow(time))
    }

    /// A list grows too old before its next page.
    pub fn expired(resource: &str, replacement: Replacement) -> Self {
        Self::new("list", resource, Kind::Expired(replacement))
    }

    /// It happens so often.
    pub fn times(self, left: usize) -> Self {
        Self { left, ..self }
    }

    fn meets(&self, verb: &str, resource: &str, continued: bool) -> bool {
        self.left > 0
            && (continued || !matches!(self.kind, Kind::Expired(_)))
            && (self.verb == "*" || self.verb == verb)
            && (self.resource == "*" || self.resource == resource)
    }

    /// The first of these that a request meets.
    pub(super) fn take(
        all: &mut [Self],
        (verb, resource): (&str, &str),
        continued: bool,
    ) -> Option<Kind> {
        let fault = all
            .iter_mut()
            .find(|fault| fault.meets(verb, resource, continued))?;
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

impl Api {
    /// Has a request go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    /// Does not allow a verb (`*` for all) on a resource, in a namespace or everywhere.
    pub fn deny(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        self.shared.state().denials.push(Denial {
            verb: verb.into(),
            resource: resource.into(),
            namespace: namespace.map(str::to_owned),
        });
    }

    /// Allows everything again.
    pub fn allow(&self) {
        self.shared.state().denials.clear();
    }

    /// Deletes a namespace, which does not end: nothing can be created in it.
    pub fn terminate(&self, namespace: &str) {
        self.shared.state().terminating.push(namespace.to_owned());
    }

    /// Does not have a resource, until it is given it.
    pub fn without(&self, resource: &str) {
        self.shared.state().absent.push(resource.into());
    }

    /// Has all resources again.
    pub fn install(&self) {
        self.shared.state().absent.clear();
    }

    /// Whether it streams lists.
    pub fn streaming(&self, streaming: Streaming) {
        self.shared.state().streaming = streaming;
    }

    /// How often watches get a bookmark.
    pub fn bookmarks(&self, every: Duration) {
        self.shared.state().bookmarks = every;
    }

    /// Sends every event twice.
    pub fn duplicate(&self) {
        self.shared.state().duplicates = true;
    }

    /// Cuts all watches, in the middle of an event.
    pub fn cut(&self) {
        let _nobody = self.shared.cuts.send(Cut::Middle);
    }

    /// Ends all watches.
    pub fn end_watches(&self) {
        let _nobody = self.shared.cuts.send(Cut::End);
    }

    /// Sends a line to all watches.
    pub fn send_line(&self, line: &str) {
        let _nobody = self.shared.cuts.send(Cut::Line(format!("{line}\n")));
    }

    /// Forgets what happened so far: watches that go on from before get 410.
    pub fn compact(&self) {
        self.shared.state().store.compact();
    }

    /// While stopped: goes back to small versions, as one whose data were restored.
    pub fn set_back(&self) {
        self.shared.state().store.set_back();
    }

    /// Ends all faults.
    pub fn recover(&self) {
        self.shared.state().faults.clear();
    }

    /// From now on, no packet arrives at the connections that are open, and none leaves them: a network
    /// that lost them says nothing of it.
    pub fn lose_connections(&self) {
        self.shared.silence.send_modify(|count| *count += 1);
    }
}
