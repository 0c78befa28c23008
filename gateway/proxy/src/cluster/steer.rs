//! The choice of an endpoint where filters have a say: sessions and consistent hashing.

use std::{fmt::Write, net::SocketAddr, sync::Arc};

use route::EndpointState;
use sha2::{Digest, Sha256};
use twox_hash::XxHash64;

use super::{Endpoint, Endpoints};
use crate::{filter::Steering, stalls};

/// What filters leave of the choice.
pub(super) enum Choice {
    /// This one.
    This(Arc<Endpoint>),
    /// None is left that the request may go to.
    Nothing,
    /// They have no wish that could be fulfilled.
    Any,
}

/// Chooses an endpoint for a request that has been tried at those in `tried`.
pub(super) fn choose(endpoints: &Endpoints, steering: &Steering, tried: &[SocketAddr]) -> Choice {
    let pinned = steering.pin.as_ref().and_then(|pin| {
        let mut all = endpoints.all.iter();
        let (endpoint, state) = all.find(|(known, _)| *known.id == *pin.endpoint)?;
        (*state != EndpointState::Terminating).then_some((endpoint, *state, pin.strict))
    });
    let untried = |endpoint: &Arc<Endpoint>| !tried.contains(&endpoint.address);
    match (pinned, &steering.hash) {
        (None, None) => Choice::Any,
        (None, Some(key)) => by_hash(endpoints, key, tried),
        (Some((endpoint, _, strict)), None) => stay(endpoint, strict, tried),
        // The session is balanced: it stays where the hash says so, or while its endpoint ends.
        (Some((endpoint, state, strict)), Some(key)) => {
            let wanted = best(endpoints, key, |_| true);
            let moves = state == EndpointState::Ready
                && wanted.is_some_and(|wanted| !Arc::ptr_eq(wanted, endpoint));
            if !moves {
                return stay(endpoint, strict, tried);
            }
            let now = stalls::now();
            match wanted.filter(|wanted| untried(wanted) && !wanted.ejected(now)) {
                Some(wanted) => Choice::This(Arc::clone(wanted)),
                None if untried(endpoint) => Choice::This(Arc::clone(endpoint)),
                None => by_hash(endpoints, key, tried),
            }
        }
    }
}

/// A session's endpoint; another one only where the session may leave it.
fn stay(endpoint: &Arc<Endpoint>, strict: bool, tried: &[SocketAddr]) -> Choice {
    let untried = !tried.contains(&endpoint.address);
    match (strict, untried) {
        (true, true) => Choice::This(Arc::clone(endpoint)),
        (true, false) => Choice::Nothing,
        (false, true) if !endpoint.ejected(stalls::now()) => Choice::This(Arc::clone(endpoint)),
        (false, _) => Choice::Any,
    }
}

fn by_hash(endpoints: &Endpoints, key: &[u8], tried: &[SocketAddr]) -> Choice {
    let now = stalls::now();
    let untried = |endpoint: &Endpoint| !tried.contains(&endpoint.address);
    best(endpoints, key, |endpoint| {
        untried(endpoint) && !endpoint.ejected(now)
    })
    .or_else(|| best(endpoints, key, untried))
    .map_or(Choice::Nothing, |endpoint| {
        Choice::This(Arc::clone(endpoint))
    })
}

/// Rendezvous hashing: each key has an order of all endpoints, and the first fit one gets it. One
/// that comes takes its own share of the keys, one that goes leaves only its own.
fn best<'e>(
    endpoints: &'e Endpoints,
    key: &[u8],
    fit: impl Fn(&Endpoint) -> bool,
) -> Option<&'e Arc<Endpoint>> {
    let key = XxHash64::oneshot(0, key);
    let fit = endpoints.usable.iter().filter(|endpoint| fit(endpoint));
    fit.max_by_key(|endpoint| (XxHash64::oneshot(key, endpoint.id.as_bytes()), &endpoint.id))
}

/// The id of an endpoint: another one at the same address has another.
pub(super) fn id(endpoint: &route::Endpoint) -> Arc<str> {
    let mut hash = Sha256::new();
    hash.update(endpoint.address.to_string());
    hash.update(b"|");
    hash.update(endpoint.uid.as_deref().unwrap_or_default());
    let digest = hash.finalize();
    let text = digest.iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    text.into()
}

#[cfg(test)]
mod tests;
