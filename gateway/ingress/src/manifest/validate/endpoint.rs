//! EndpointSlice and Endpoints.

use std::net::IpAddr;

use k8s_openapi::{
    api::{
        core::v1::Endpoints,
        discovery::v1::{EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::problem::{Problem, Subject};

use super::{Check, Validate, names};

impl Validate for EndpointSlice {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let family = self.address_type.as_str();
        if !["IPv4", "IPv6", "FQDN"].contains(&family) {
            let message = match family {
                "" => "the slice has no addressType".to_owned(),
                other => format!("\"{other}\" is no address type"),
            };
            check.refuse("addressType", message, "write IPv4, IPv6 or FQDN");
        }
        if self.endpoints.len() > 1000 {
            let message = format!("the slice has {} endpoints", self.endpoints.len());
            check.refuse(
                "endpoints",
                message,
                "write at most 1000 a slice, in several slices",
            );
        }
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let field = format!("endpoints[{index}].addresses");
            if endpoint.addresses.is_empty() || endpoint.addresses.len() > 100 {
                let message = format!("the endpoint has {} addresses", endpoint.addresses.len());
                check.refuse(&field, message, "write one");
            }
            for (address_index, address) in endpoint.addresses.iter().enumerate() {
                check.address(&format!("{field}[{address_index}]"), address, family);
            }
        }
        for (index, port) in self.ports.iter().flatten().enumerate() {
            check.endpoint_port(&format!("ports[{index}]"), port);
        }
    }
}

impl Check<'_> {
    fn address(&mut self, field: &str, address: &str, family: &str) {
        let shown = crate::manifest::shorten(address);
        let parsed = address.parse::<IpAddr>();
        let fits = match family {
            "IPv4" => parsed.is_ok_and(|ip| ip.is_ipv4()),
            "IPv6" => parsed.is_ok_and(|ip| ip.is_ipv6()),
            "FQDN" => names::is_subdomain(address.strip_suffix('.').unwrap_or(address)),
            _ => true,
        };
        if !fits {
            let message = format!("\"{shown}\" is no address of type {family}");
            self.refuse(
                field,
                message,
                format!("write an address of type {family}, without a port"),
            );
        }
    }

    fn endpoint_port(&mut self, field: &str, port: &EndpointPort) {
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() && !names::is_label(name) {
            self.refuse(
                &format!("{field}.name"),
                format!("\"{name}\" is no name of a port"),
                names::LABEL_HINT,
            );
        }
        if let Some(number) = port.port {
            self.port(&format!("{field}.port"), number);
        }
        self.protocol(&format!("{field}.protocol"), port.protocol.as_deref());
    }
}

impl Validate for Endpoints {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        for (index, subset) in self.subsets.iter().flatten().enumerate() {
            let field = format!("subsets[{index}]");
            for (address_index, address) in subset.addresses.iter().flatten().enumerate() {
                if address.ip.parse::<IpAddr>().is_err() {
                    let message = format!(
                        "\"{}\" is no IP address",
                        crate::manifest::shorten(&address.ip)
                    );
                    let field = format!("{field}.addresses[{address_index}].ip");
                    check.refuse(&field, message, "write one, without a port");
                }
            }
            for (port_index, port) in subset.ports.iter().flatten().enumerate() {
                check.port(&format!("{field}.ports[{port_index}].port"), port.port);
            }
        }
    }
}
