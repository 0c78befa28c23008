//! The endpoints behind a port of a Service.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use route::{Cluster, Endpoint};

use crate::{
    objects::{
        Objects,
        model::{Family, Service, ServicePort, Slice, Transport},
    },
    problem::Severity,
};

use super::{Mode, Options, backend::Place};

/// The endpoints of a port: those of the Service's first family first, each address once.
pub(super) fn cluster(
    objects: &Objects,
    options: &Options,
    (service, port): (&Service, &ServicePort),
    place: &mut Place<'_>,
) -> Cluster {
    let slices = objects.slices(&service.subject.namespace, &service.subject.name);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut places: HashMap<SocketAddr, usize> = HashMap::new();
    for slice in &slices {
        if slice.family == Family::Fqdn {
            let message = "endpoints by name are ignored";
            let hint = "write addressType: IPv4 or IPv6, with addresses";
            place.problems.push(slice.subject.problem(
                Severity::Note,
                "addressType",
                message,
                hint,
            ));
            continue;
        }
        let Some(number) = slice_port(slice, port) else {
            continue;
        };
        for endpoint in &slice.endpoints {
            if options.mode == Mode::Cluster && !options.may_lead_to(endpoint.address) {
                let message = format!(
                    "the endpoint {} is the gateway's own or its node's",
                    endpoint.address
                );
                let hint = "write an address that is not loopback or link-local";
                place.problems.push(slice.subject.problem(
                    Severity::Error,
                    "endpoints",
                    message,
                    hint,
                ));
                continue;
            }
            let address = SocketAddr::new(endpoint.address, number);
            let new = Endpoint {
                address,
                state: endpoint.state,
                uid: endpoint.uid.clone(),
            };
            match places.get(&address).and_then(|at| endpoints.get_mut(*at)) {
                Some(old) if new.state < old.state => *old = new,
                Some(_) => {}
                None => {
                    places.insert(address, endpoints.len());
                    endpoints.push(new);
                }
            }
        }
    }
    endpoints.sort_by_key(|e| e.address.is_ipv6() != (service.first_family == Family::V6));
    if endpoints.is_empty() {
        report_empty(options, &slices, (service, port), place);
    }
    Cluster {
        endpoints,
        external: None,
    }
}

fn report_empty(
    options: &Options,
    slices: &[&Slice],
    (service, port): (&Service, &ServicePort),
    place: &mut Place<'_>,
) {
    let subject = &service.subject;
    let (message, hint) = if slices.is_empty() {
        let label = format!("kubernetes.io/service-name: {}", subject.name);
        (
            format!("the {subject} has no EndpointSlice; requests get 503"),
            format!("write one with the label {label}"),
        )
    } else {
        let wanted = match port.name.as_str() {
            "" => "a port without a name".to_owned(),
            name => format!("a port named {name}"),
        };
        (
            format!(
                "the {subject} has no endpoint that is ready and has {wanted}; requests get 503"
            ),
            "give its EndpointSlices one".to_owned(),
        )
    };
    let severity = match options.mode {
        Mode::Manifests => Severity::Warning,
        Mode::Check | Mode::Cluster => Severity::Note,
    };
    place.report(severity, ".service", message, hint);
}

/// The number of a Service's port in one of its slices. A slice without ports is a headless Service's:
/// its endpoints listen on the target port.
fn slice_port(slice: &Slice, port: &ServicePort) -> Option<u16> {
    if slice.ports.is_empty() {
        return port.target;
    }
    let own = slice
        .ports
        .iter()
        .find(|p| p.transport == Transport::Tcp && p.name == port.name)?;
    own.number.or(port.target)
}

impl Options {
    /// Whether endpoints in a cluster may have this address.
    fn may_lead_to(&self, address: IpAddr) -> bool {
        !is_inside(address) || (self.loopback && address.to_canonical().is_loopback())
    }
}

/// Loopback and link-local addresses: in a cluster, an endpoint there would lead into the gateway's
/// own pod or to its node's metadata service.
pub(super) fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}
