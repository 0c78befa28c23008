//! Open files and sockets: how many the system allows, and how clients, backends and the gateway
//! itself share them.

use anyhow::bail;
use proxy::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How the descriptors of the process are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shares {
    clients: u64,
    backends: u64,
    rest: u64,
}

/// Raises the limit of open files as far as it goes, and bounds connections by it: clients never take
/// the descriptors that backends, the admin listener or the manifests need.
pub(crate) fn share(settings: &mut Settings) -> anyhow::Result<()> {
    let limit = raise();
    let workers = settings.workers as u64;
    let Some(Shares {
        clients,
        backends,
        rest,
    }) = Shares::of(limit, workers)
    else {
        bail!(
            "{limit} open files are too few for {workers} workers, which need {}; raise the limit \
             (ulimit -n, LimitNOFILE=), or lower --workers",
            least(workers)
        );
    };
    let fit = |share: u64| usize::try_from(share).unwrap_or(usize::MAX);
    let limits = &mut settings.limits;
    limits.connections = limits.connections.min(fit(clients));
    limits.listener_connections = limits.listener_connections.min(fit(clients - clients / 10));
    settings.upstream.connections = fit(backends);
    tracing::info!(
        limit,
        clients = limits.connections,
        a_listener = limits.listener_connections.min(limits.connections),
        backends,
        rest,
        "open files shared"
    );
    Ok(())
}

impl Shares {
    /// Half for clients and half for backends, as a proxied request holds one of each, of what the
    /// gateway itself leaves.
    fn of(limit: u64, workers: u64) -> Option<Self> {
        let half = limit.checked_sub(rest(limit, workers))? / 2;
        (half >= FEWEST).then_some(Self {
            clients: half,
            backends: half,
            rest: limit - 2 * half,
        })
    }
}

/// Listeners and event queues of the workers, manifests, admin connections, plugins with the requests
/// that they send: each component has a file or two.
fn rest(limit: u64, workers: u64) -> u64 {
    48 + 8 * workers + (limit / 16).min(512)
}

/// The lowest limit that such a gateway starts with.
fn least(workers: u64) -> u64 {
    // A sixteenth of it goes to the rest.
    (rest(0, workers) + 2 * FEWEST) * 16 / 15 + 2
}

/// The limit after it was raised from the usual 1,024 to what the system allows.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if current == maximum {
        return current.unwrap_or(u64::MAX);
    }
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, ?current, "the limit of open files could not be raised");
            current.unwrap_or(u64::MAX)
        }
    }
}

/// Connections of clients that a gateway is of any use with.
const FEWEST: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_a_descriptor_for_each_of_their_requests() {
        for limit in [128, 256, 1_024, 20_000, 1 << 20, u64::MAX] {
            let shares = Shares::of(limit, 1).unwrap();
            assert_eq!(shares.clients, shares.backends, "{limit}");
            assert_eq!(shares.clients + shares.backends + shares.rest, limit);
            assert!(shares.rest >= 56, "{shares:?}");
        }
        let shares = Shares::of(20_000, 2).unwrap();
        assert_eq!((shares.clients, shares.rest), (9_712, 576));
    }

    #[test]
    fn too_few_are_refused_with_the_number_that_is_enough() {
        for workers in [1, 2, 16, 128] {
            assert!(Shares::of(least(workers), workers).is_some(), "{workers}");
            assert!(
                Shares::of(least(workers) - 4, workers).is_none(),
                "{workers}"
            );
        }
        assert!(Shares::of(0, 1).is_none());
    }
}
