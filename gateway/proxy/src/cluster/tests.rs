//! The choice of an endpoint.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn endpoint(port: u16, state: EndpointState, uid: &str) -> route::Endpoint {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    route::Endpoint {
        address,
        state,
        uid: Some(uid.to_owned()),
    }
}

fn cluster(endpoints: Vec<route::Endpoint>) -> Cluster {
    let id = ClusterId {
        namespace: "ns".to_owned(),
        service: "svc".to_owned(),
        port: 80,
    };
    Cluster::new(
        id,
        &route::Cluster {
            endpoints,
            external: None,
        },
    )
}

fn ready(count: u16) -> Vec<route::Endpoint> {
    (1..=count)
        .map(|port| endpoint(port, EndpointState::Ready, "u"))
        .collect()
}

#[test]
fn n_requests_meet_n_endpoints() {
    let cluster = cluster(ready(10));
    let mut met: HashMap<u16, u32> = HashMap::new();
    for random in 0..100 {
        *met.entry(cluster.choose(&[], random).unwrap().address.port())
            .or_default() += 1;
    }
    assert_eq!(met.len(), 10);
    assert!(met.values().all(|count| *count == 10), "{met:?}");
}

#[test]
fn a_less_loaded_endpoint_goes_first() {
    let cluster = cluster(ready(2));
    let busy = cluster.endpoints().usable[0].begin();
    for _ in 0..10 {
        assert_eq!(cluster.choose(&[], 1).unwrap().address.port(), 2);
    }
    drop(busy);
    let met: Vec<u16> = (0..2)
        .map(|_| cluster.choose(&[], 1).unwrap().address.port())
        .collect();
    assert_ne!(met[0], met[1]);
}

#[test]
fn those_that_still_serve_are_used_where_none_is_ready() {
    let states = [
        EndpointState::Ready,
        EndpointState::Serving,
        EndpointState::Terminating,
    ];
    let mixed: Vec<_> = (1..)
        .zip(states)
        .map(|(port, state)| endpoint(port, state, "u"))
        .collect();
    let both = cluster(mixed.clone());
    assert!((0..9).all(|r| both.choose(&[], r).unwrap().address.port() == 1));
    let late = cluster(mixed[1..].to_vec());
    assert!((0..9).all(|r| late.choose(&[], r).unwrap().address.port() == 2));
    assert!(cluster(mixed[2..].to_vec()).choose(&[], 0).is_none());
}

#[test]
fn an_endpoint_that_refuses_is_passed_over_but_is_better_than_none() {
    let limits = UpstreamLimits::default();
    let cluster = cluster(ready(3));
    let bad = Arc::clone(&cluster.endpoints().usable[0]);
    for failure in 1..=limits.eject_after {
        assert_eq!(bad.failed(&limits), failure == limits.eject_after);
    }
    assert!((0..20).all(|r| cluster.choose(&[], r).unwrap().address != bad.address));
    let others: Vec<SocketAddr> = cluster.endpoints().usable[1..]
        .iter()
        .map(|e| e.address)
        .collect();
    assert_eq!(cluster.choose(&others, 0).unwrap().address, bad.address);
    // With most of them gone, ejection would only concentrate the load.
    let second = Arc::clone(&cluster.endpoints().usable[1]);
    for _ in 0..limits.eject_after {
        second.failed(&limits);
    }
    let met: std::collections::HashSet<_> = (0..9)
        .map(|r| cluster.choose(&[], r).unwrap().address)
        .collect();
    assert_eq!(met.len(), 3);
    bad.succeeded();
    assert!(!bad.ejected(stalls::now()));
}

#[test]
fn an_endpoint_keeps_its_counters_unless_another_object_has_its_address() {
    let cluster = cluster(vec![endpoint(1, EndpointState::Ready, "a")]);
    let before = Arc::clone(&cluster.endpoints().usable[0]);
    cluster.update(&[endpoint(1, EndpointState::Serving, "a")]);
    assert!(Arc::ptr_eq(&before, &cluster.endpoints().usable[0]));
    cluster.update(&[endpoint(1, EndpointState::Ready, "b")]);
    assert!(!Arc::ptr_eq(&before, &cluster.endpoints().usable[0]));
    cluster.update(&[]);
    assert!(cluster.choose(&[], 0).is_none());
}

proptest! {
    /// An endpoint is passed over from its third failure in a row on, for as long as it is told and no longer, and a
    /// success ends that at once.
    #[test]
    fn ejection_begins_with_the_third_failure_in_a_row_and_is_bounded(
        outcomes in proptest::collection::vec(any::<bool>(), 0..30),
    ) {
        let limits = UpstreamLimits::default();
        let longest = u64::try_from(limits.eject_for.as_millis()).unwrap();
        let cluster = cluster(ready(1));
        let endpoint = &cluster.endpoints().usable[0];
        let mut in_a_row = 0;
        for succeeds in outcomes {
            if succeeds {
                endpoint.succeeded();
                in_a_row = 0;
            } else {
                in_a_row += 1;
                prop_assert_eq!(endpoint.failed(&limits), in_a_row == limits.eject_after);
            }
            let now = stalls::now();
            prop_assert_eq!(endpoint.ejected(now), in_a_row >= limits.eject_after);
            prop_assert!(!endpoint.ejected(now + longest + 1));
        }
    }

    /// Whoever is ejected and whoever was tried: someone untried is chosen while there is anyone, and one that is
    /// ejected only where more than half are, or where no other is left.
    #[test]
    fn the_choice_falls_on_someone_fit_while_there_is_anyone(
        ejected in proptest::collection::vec(any::<bool>(), 2..8),
        tried in proptest::collection::vec(1_u16..8, 0..6),
        random in any::<usize>(),
    ) {
        let cluster = cluster(ready(u16::try_from(ejected.len()).unwrap()));
        let limits = UpstreamLimits::default();
        for (endpoint, _) in cluster.endpoints().usable.iter().zip(&ejected).filter(|(_, ejected)| **ejected) {
            for _ in 0..limits.eject_after {
                endpoint.failed(&limits);
            }
        }
        let tried: Vec<SocketAddr> = tried.iter().map(|port| ([127, 0, 0, 1], *port).into()).collect();
        let endpoints = cluster.endpoints();
        let untried: Vec<_> = endpoints.usable.iter().filter(|e| !tried.contains(&e.address)).collect();
        let chosen = cluster.choose(&tried, random);
        prop_assert_eq!(chosen.is_some(), !untried.is_empty());
        if let Some(chosen) = chosen {
            prop_assert!(!tried.contains(&chosen.address));
            let now = stalls::now();
            let few = 2 * ejected.iter().filter(|ejected| **ejected).count() <= ejected.len();
            let other = untried.iter().any(|e| !e.ejected(now));
            prop_assert!(!(chosen.ejected(now) && few && other));
        }
    }
}
