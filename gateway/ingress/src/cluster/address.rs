//! The addresses that Ingresses are reached at.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::{Value, json};

use super::{nodes, server::Server, trouble::text};

/// An address as `status.loadBalancer.ingress` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Ip(String),
    Hostname(String),
}

/// Where addresses come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publishing {
    /// Addresses as they are written, which count if there are any.
    pub addresses: Vec<String>,
    /// A Service, by namespace and name, whose addresses count otherwise.
    pub service: Option<(String, String)>,
    /// Pods, by namespace and label selector, the addresses of whose nodes count otherwise.
    pub nodes: Option<(String, String)>,
    /// The Lease that elects who writes, in the gateway's own namespace unless it names another.
    pub lease: Option<(Option<String>, String)>,
}

impl Address {
    fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(ip) => Self::Ip(ip.to_string()),
            Err(_) => Self::Hostname(text.to_owned()),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Ip(ip) => json!({"ip": ip}),
            Self::Hostname(name) => json!({"hostname": name}),
        }
    }

    /// The addresses in the status of an Ingress.
    pub(super) fn read(status: &Value) -> Vec<Self> {
        let list = status.pointer("/loadBalancer/ingress");
        let list = list.and_then(Value::as_array).into_iter().flatten();
        let one = |entry: &Value| {
            let ip = entry["ip"].as_str().map(|ip| Self::Ip(ip.to_owned()));
            ip.or_else(|| Some(Self::Hostname(entry["hostname"].as_str()?.to_owned())))
        };
        list.filter_map(one).collect()
    }
}

impl Publishing {
    /// Whether any are to be written.
    pub(super) fn is_wanted(&self) -> bool {
        !self.addresses.is_empty() || self.service.is_some() || self.nodes.is_some()
    }

    /// The addresses now; none while a load balancer has none. An error says what is wrong.
    pub(super) async fn find(&self, server: &Server) -> Result<Vec<Address>, String> {
        let all: Vec<Address> = if !self.addresses.is_empty() {
            self.addresses.iter().map(|a| Address::of(a)).collect()
        } else if let Some((namespace, name)) = &self.service {
            let services: Api<Service> = Api::namespaced(server.client.clone(), namespace);
            let service = server.answer(services.get_opt(name)).await;
            let service = service.map_err(|error| text(&error))?;
            let service = service.ok_or_else(|| "there is no such Service".to_owned())?;
            of_service(&service)
        } else if let Some(pods) = &self.nodes {
            let addresses = nodes::find(server, pods).await?;
            addresses.iter().map(|a| Address::of(a)).collect()
        } else {
            Vec::new()
        };
        let mut seen = Vec::new();
        for address in all {
            if !seen.contains(&address) {
                seen.push(address);
            }
        }
        Ok(seen)
    }
}

/// The addresses that lead to a Service from outside, as far as it has any.
fn of_service(service: &Service) -> Vec<Address> {
    let spec = service.spec.clone().unwrap_or_default();
    let external = spec.external_ips.unwrap_or_default();
    let external: Vec<Address> = external.iter().map(|ip| Address::of(ip)).collect();
    match spec.type_.as_deref() {
        Some("LoadBalancer") => {
            let balancer = service
                .status
                .as_ref()
                .and_then(|s| s.load_balancer.as_ref());
            let entries = balancer
                .and_then(|b| b.ingress.as_ref())
                .into_iter()
                .flatten();
            let own = entries.filter_map(|entry| {
                let ip = entry
                    .ip
                    .clone()
                    .filter(|ip| !ip.is_empty())
                    .map(Address::Ip);
                ip.or_else(|| entry.hostname.clone().map(Address::Hostname))
            });
            own.chain(external).collect()
        }
        Some("ExternalName") => spec
            .external_name
            .map(Address::Hostname)
            .into_iter()
            .collect(),
        Some(_) | None if !external.is_empty() => external,
        Some(_) | None => {
            let own = spec.cluster_ip.filter(|ip| !ip.is_empty() && ip != "None");
            own.map(Address::Ip).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(service: Value) -> Vec<Address> {
        of_service(&serde_json::from_value(service).unwrap())
    }

    #[test]
    fn each_type_of_service_has_its_addresses() {
        let ip = |ip: &str| Address::Ip(ip.to_owned());
        let balancer = json!({"spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.9"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.test"}]}}});
        let hostname = Address::Hostname("lb.test".to_owned());
        assert_eq!(
            found(balancer),
            [ip("192.0.2.1"), hostname, ip("192.0.2.9")]
        );
        assert!(
            found(json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}})).is_empty()
        );
        let node = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1"}});
        assert_eq!(found(node), [ip("10.0.0.1")]);
        let outside = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "externalIPs": ["192.0.2.9"]}});
        assert_eq!(found(outside), [ip("192.0.2.9")]);
        let name = json!({"spec": {"type": "ExternalName", "externalName": "x.test"}});
        assert_eq!(found(name), [Address::Hostname("x.test".to_owned())]);
    }
}
