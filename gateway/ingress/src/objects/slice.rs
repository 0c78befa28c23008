//! EndpointSlices, and the older Endpoints, into slices.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::api::{
    core::v1::Endpoints,
    discovery::v1::{EndpointConditions, EndpointSlice},
};
use route::EndpointState;

use crate::problem::Source;

use super::model::{Family, Slice, SliceEndpoint, SlicePort, Transport, subject};

impl Transport {
    pub(super) fn of(protocol: Option<&str>) -> Self {
        if matches!(protocol, None | Some("TCP" | "")) {
            Self::Tcp
        } else {
            Self::Other
        }
    }
}

impl Slice {
    /// Reads an EndpointSlice; `None` if it belongs to no Service.
    pub(crate) fn build(object: EndpointSlice, source: Option<Arc<Source>>) -> Self {
        let subject = subject("EndpointSlice", &object.metadata, source);
        let service = object
            .metadata
            .labels
            .and_then(|mut labels| labels.remove(SERVICE_LABEL));
        let ports = object
            .ports
            .unwrap_or_default()
            .into_iter()
            .map(|port| SlicePort {
                name: port.name.unwrap_or_default(),
                number: port
                    .port
                    .and_then(|n| u16::try_from(n).ok())
                    .filter(|n| *n > 0),
                transport: Transport::of(port.protocol.as_deref()),
            });
        let mut endpoints = Vec::with_capacity(object.endpoints.len());
        for endpoint in object.endpoints {
            let Some(state) = state(endpoint.conditions.as_ref()) else {
                continue;
            };
            let uid = endpoint.target_ref.and_then(|target| target.uid);
            let addresses = endpoint
                .addresses
                .iter()
                .filter_map(|a| a.parse::<IpAddr>().ok());
            endpoints.extend(addresses.map(|address| SliceEndpoint {
                address: address.to_canonical(),
                state,
                uid: uid.clone(),
            }));
        }
        let family = match object.address_type.as_str() {
            "IPv6" => Family::V6,
            "FQDN" => Family::Fqdn,
            _ => Family::V4,
        };
        Self {
            subject,
            service: service.unwrap_or_default(),
            family,
            ports: ports.collect(),
            endpoints,
        }
    }

    /// Reads an Endpoints object, the older form, as one slice a subset.
    pub(crate) fn build_all(object: Endpoints, source: Option<Arc<Source>>) -> Vec<Self> {
        let subject = subject("Endpoints", &object.metadata, source);
        let subsets = object
            .subsets
            .unwrap_or_default()
            .into_iter()
            .map(|subset| Self {
                subject: subject.clone(),
                service: subject.name.clone(),
                family: Family::V4,
                ports: subset
                    .ports
                    .unwrap_or_default()
                    .into_iter()
                    .map(|port| SlicePort {
                        name: port.name.unwrap_or_default(),
                        number: u16::try_from(port.port).ok().filter(|n| *n > 0),
                        transport: Transport::of(port.protocol.as_deref()),
                    })
                    .collect(),
                endpoints: subset
                    .addresses
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|address| {
                        let ip: IpAddr = address.ip.parse().ok()?;
                        let uid = address.target_ref.and_then(|target| target.uid);
                        Some(SliceEndpoint {
                            address: ip.to_canonical(),
                            state: EndpointState::Ready,
                            uid,
                        })
                    })
                    .collect(),
            });
        subsets.collect()
    }
}

/// The nil rules of EndpointSlice: `ready` nil is ready, `serving` nil is as ready, `terminating`
/// nil is false. `None` for an endpoint that is neither ready nor terminating.
fn state(conditions: Option<&EndpointConditions>) -> Option<EndpointState> {
    let ready = conditions.and_then(|c| c.ready).unwrap_or(true);
    let serving = conditions.and_then(|c| c.serving).unwrap_or(ready);
    let terminating = conditions.and_then(|c| c.terminating).unwrap_or(false);
    match (ready, terminating, serving) {
        (true, _, _) => Some(EndpointState::Ready),
        (false, true, true) => Some(EndpointState::Serving),
        (false, true, false) => Some(EndpointState::Terminating),
        (false, false, _) => None,
    }
}

/// The label that says which Service an EndpointSlice belongs to.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
