//! Sessions stay, hashes balance, and both know when to give way.

use std::{collections::HashMap, net::SocketAddr};

use route::{Endpoint as Config, EndpointState};

use super::*;
use crate::{cluster::Cluster, filter::Pinned, settings::UpstreamLimits};

fn endpoint(port: u16, state: EndpointState) -> Config {
    Config {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        state,
        uid: Some(format!("uid-{port}")),
    }
}

fn cluster(endpoints: &[Config]) -> Cluster {
    let id = route::ClusterId {
        namespace: "ns".to_owned(),
        service: "svc".to_owned(),
        port: 80,
    };
    let config = route::Cluster {
        endpoints: endpoints.to_vec(),
        external: None,
    };
    Cluster::new(id, &config)
}

fn ready(count: u16) -> Vec<Config> {
    (1..=count)
        .map(|port| endpoint(port, EndpointState::Ready))
        .collect()
}

fn pin(port: u16, strict: bool) -> Steering {
    let endpoint = id(&endpoint(port, EndpointState::Ready)).to_string();
    Steering {
        pin: Some(Pinned {
            endpoint,
            strict,
            resumed: None,
        }),
        ..Steering::default()
    }
}

fn hash(key: &str) -> Steering {
    Steering {
        hash: Some(key.into()),
        ..Steering::default()
    }
}

fn chosen(cluster: &Cluster, steering: &Steering, tried: &[u16]) -> Option<u16> {
    let tried: Vec<SocketAddr> = tried
        .iter()
        .map(|port| SocketAddr::from(([127, 0, 0, 1], *port)))
        .collect();
    let endpoint = cluster.choose_for(Some(steering), &tried, 0)?;
    Some(endpoint.address.port())
}

fn eject(cluster: &Cluster, port: u16) {
    let endpoints = cluster.endpoints();
    let mut all = endpoints.all.iter();
    let (endpoint, _) = all.find(|(e, _)| e.address.port() == port).unwrap();
    let limits = UpstreamLimits::default();
    for _ in 0..limits.eject_after {
        endpoint.failed(&limits);
    }
}

#[test]
fn a_strict_session_goes_nowhere_else() {
    let cluster = cluster(&ready(3));
    assert_eq!(chosen(&cluster, &pin(2, true), &[]), Some(2));
    eject(&cluster, 2);
    assert_eq!(chosen(&cluster, &pin(2, true), &[]), Some(2));
    assert_eq!(chosen(&cluster, &pin(2, true), &[2]), None);
}

#[test]
fn a_session_that_may_leave_does_so_when_its_endpoint_fails() {
    let cluster = cluster(&ready(3));
    assert_eq!(chosen(&cluster, &pin(2, false), &[]), Some(2));
    assert_ne!(chosen(&cluster, &pin(2, false), &[2]), Some(2));
    eject(&cluster, 2);
    assert_ne!(chosen(&cluster, &pin(2, false), &[]), Some(2));
}

#[test]
fn a_session_stays_with_an_endpoint_that_ends_and_a_new_one_never_goes_there() {
    let mut all = ready(2);
    all.push(endpoint(9, EndpointState::Serving));
    let cluster = cluster(&all);
    assert_eq!(chosen(&cluster, &pin(9, false), &[]), Some(9));
    for number in 0..200 {
        let key = format!("key {number}");
        assert_ne!(chosen(&cluster, &hash(&key), &[]), Some(9));
        let balanced = Steering {
            hash: Some(key.into_bytes()),
            ..pin(9, true)
        };
        assert_eq!(chosen(&cluster, &balanced, &[]), Some(9));
    }
}

#[test]
fn an_endpoint_that_no_longer_serves_keeps_nobody() {
    let mut all = ready(2);
    all.push(endpoint(9, EndpointState::Terminating));
    let cluster = cluster(&all);
    assert!(matches!(chosen(&cluster, &pin(9, true), &[]), Some(1 | 2)));
}

#[test]
fn a_hash_spreads_keys_and_moves_only_what_it_must() {
    let (four, five) = (cluster(&ready(4)), cluster(&ready(5)));
    let keys: Vec<String> = (0..2000).map(|number| format!("key {number}")).collect();
    let mut load: HashMap<u16, usize> = HashMap::new();
    let mut moved = 0;
    for key in &keys {
        let before = chosen(&four, &hash(key), &[]).unwrap();
        let after = chosen(&five, &hash(key), &[]).unwrap();
        assert_eq!(chosen(&four, &hash(key), &[]), Some(before));
        *load.entry(before).or_default() += 1;
        assert!(
            after == before || after == 5,
            "{key} moves to the new one only"
        );
        moved += usize::from(after == 5);
    }
    assert!(
        load.len() == 4 && load.values().all(|n| (350..650).contains(n)),
        "{load:?}"
    );
    assert!((250..550).contains(&moved), "{moved}");
}

#[test]
fn a_hash_goes_around_an_endpoint_that_fails() {
    let cluster = cluster(&ready(3));
    let first = chosen(&cluster, &hash("a"), &[]).unwrap();
    let second = chosen(&cluster, &hash("a"), &[first]).unwrap();
    assert_ne!(first, second);
    eject(&cluster, first);
    assert_eq!(chosen(&cluster, &hash("a"), &[]), Some(second));
}

#[test]
fn a_balanced_session_moves_with_its_hash_and_back_where_that_refuses() {
    let cluster = cluster(&ready(3));
    let wanted = chosen(&cluster, &hash("a"), &[]).unwrap();
    let own = (1..=3).find(|port| *port != wanted).unwrap();
    let balanced = |port| Steering {
        hash: Some(b"a".to_vec()),
        ..pin(port, true)
    };
    assert_eq!(chosen(&cluster, &balanced(own), &[]), Some(wanted));
    assert_eq!(chosen(&cluster, &balanced(own), &[wanted]), Some(own));
    // Where it is where the hash says, it is strict.
    assert_eq!(chosen(&cluster, &balanced(wanted), &[wanted]), None);
    eject(&cluster, wanted);
    assert_eq!(chosen(&cluster, &balanced(own), &[]), Some(own));
}

#[test]
fn ids_tell_endpoints_apart_and_nothing_else() {
    let one = id(&endpoint(1, EndpointState::Ready));
    assert_eq!(one, id(&endpoint(1, EndpointState::Serving)));
    assert_ne!(one, id(&endpoint(2, EndpointState::Ready)));
    assert!(one.len() == 16 && one.bytes().all(|b| b.is_ascii_hexdigit()));
}
