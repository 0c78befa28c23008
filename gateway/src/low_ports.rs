//! Ports below 1024 without root. The image's program file permits the capability for it without making
//! it effective: so the program starts where the capability is withheld, too.

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Binds with the capability in effect where it is permitted, and gives it up after that.
pub(crate) fn bind<T>(bind: impl FnOnce() -> T) -> T {
    let raised = raise();
    let bound = bind();
    if raised && let Err(error) = give_up() {
        tracing::warn!(%error, "the capability to bind low ports could not be given up");
    }
    bound
}

/// Whether it took effect now; not where it did already, as for root.
fn raise() -> bool {
    let Ok(mut sets) = capabilities(None) else {
        return false;
    };
    if sets.effective.contains(LOW_PORTS) || !sets.permitted.contains(LOW_PORTS) {
        return false;
    }
    sets.effective |= LOW_PORTS;
    set_capabilities(None, sets).is_ok()
}

fn give_up() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.effective -= LOW_PORTS;
    sets.permitted -= LOW_PORTS;
    set_capabilities(None, sets)
}

const LOW_PORTS: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;
