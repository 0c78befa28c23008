//! Service, Secret and ConfigMap.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret, Service, ServicePort},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::{
    manifest::push_key,
    problem::{Problem, Subject},
};

use super::{Check, Validate, names};

impl Validate for Service {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let Some(spec) = &self.spec else {
            return check.refuse("spec", "the Service has no spec", "write its ports");
        };
        let kind = spec
            .type_
            .as_deref()
            .filter(|t| !t.is_empty())
            .unwrap_or("ClusterIP");
        let ports = spec.ports.as_deref().unwrap_or_default();
        let headless = spec.cluster_ip.as_deref() == Some("None");
        match kind {
            "ClusterIP" | "NodePort" | "LoadBalancer" => {
                if ports.is_empty() && !headless {
                    check.refuse(
                        "spec.ports",
                        "the Service has no ports",
                        "write one: [{port: 80}]",
                    );
                }
            }
            "ExternalName" => {
                let name = spec.external_name.as_deref().unwrap_or_default();
                if !names::is_subdomain(name.strip_suffix('.').unwrap_or(name)) {
                    let message = format!("\"{}\" is no DNS name", crate::manifest::shorten(name));
                    check.refuse("spec.externalName", message, names::SUBDOMAIN_HINT);
                }
            }
            other => {
                let hint = "write ClusterIP, NodePort, LoadBalancer or ExternalName";
                check.refuse(
                    "spec.type",
                    format!("\"{other}\" is no type of Service"),
                    hint,
                );
            }
        }
        let mut seen = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for (index, port) in ports.iter().enumerate() {
            let field = format!("spec.ports[{index}]");
            check.service_port(&field, port, ports.len());
            let name = port.name.as_deref().unwrap_or_default();
            if !name.is_empty() && !seen.insert(name) {
                check.refuse(
                    &format!("{field}.name"),
                    format!("two ports are named \"{name}\""),
                    "rename one",
                );
            }
            if !numbers.insert((port.port, port.protocol.as_deref().unwrap_or("TCP"))) {
                let message = format!("two ports have the number {}", port.port);
                check.refuse(
                    &format!("{field}.port"),
                    message,
                    "take one out, or change its number",
                );
            }
        }
    }
}

impl Check<'_> {
    fn service_port(&mut self, field: &str, port: &ServicePort, count: usize) {
        self.port(&format!("{field}.port"), port.port);
        self.protocol(&format!("{field}.protocol"), port.protocol.as_deref());
        let name = port.name.as_deref().unwrap_or_default();
        if name.is_empty() && count > 1 {
            self.refuse(
                &format!("{field}.name"),
                "one of several ports has no name",
                "name each port",
            );
        } else if !name.is_empty() && !names::is_label(name) {
            self.refuse(
                &format!("{field}.name"),
                format!("\"{name}\" is no name of a port"),
                names::LABEL_HINT,
            );
        }
        match &port.target_port {
            // 0 stands for the port's own number, as if nothing were written.
            None | Some(IntOrString::Int(0)) => {}
            Some(IntOrString::Int(number)) => self.port(&format!("{field}.targetPort"), *number),
            Some(IntOrString::String(name)) if name.is_empty() || names::is_port_name(name) => {}
            Some(IntOrString::String(name)) => {
                let message = format!("\"{name}\" is no name of a port");
                let hint = "write the container port's name, or its number without quotes";
                self.refuse(&format!("{field}.targetPort"), message, hint);
            }
        }
    }
}

impl Validate for Secret {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let data = self
            .data
            .iter()
            .flatten()
            .map(|(key, value)| (key, value.0.len()));
        let text = self
            .string_data
            .iter()
            .flatten()
            .map(|(key, value)| (key, value.len()));
        let size: usize = data.chain(text).map(|(_, size)| size).sum();
        if size > MAX_SECRET {
            check.refuse(
                "data",
                format!("the Secret has {size} bytes"),
                format!("keep it within {MAX_SECRET}"),
            );
        }
        if self.type_.as_deref() != Some("kubernetes.io/tls") {
            return;
        }
        for key in ["tls.crt", "tls.key"] {
            let in_data = self
                .data
                .as_ref()
                .is_some_and(|data| data.contains_key(key));
            if !in_data
                && !self
                    .string_data
                    .as_ref()
                    .is_some_and(|data| data.contains_key(key))
            {
                let mut field = "data".to_owned();
                push_key(&mut field, key);
                let hint =
                    format!("write {key}: PEM in base64 under data, or as it is under stringData");
                check.refuse(&field, format!("the Secret has no {key}"), hint);
            }
        }
    }
}

impl Validate for ConfigMap {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let text = self.data.iter().flatten();
        let binary = self.binary_data.iter().flatten();
        let size = text.clone().map(|(_, text)| text.len()).sum::<usize>()
            + binary.map(|(_, bytes)| bytes.0.len()).sum::<usize>();
        if size > MAX_SECRET {
            let message = format!("the ConfigMap has {size} bytes");
            let hint = format!(
                "keep it within {MAX_SECRET}: larger code belongs into a registry, or behind a url"
            );
            check.refuse("data", message, hint);
        }
        let twice = |key: &&String| {
            let binary = self.binary_data.as_ref();
            binary.is_some_and(|binary| binary.contains_key(*key))
        };
        if let Some(key) = text.map(|(key, _)| key).find(twice) {
            let mut field = "data".to_owned();
            push_key(&mut field, key);
            let message = "the key is in data and in binaryData";
            check.refuse(&field, message, "keep one of them");
        }
    }
}

/// The most that a Secret or ConfigMap holds, in bytes.
const MAX_SECRET: usize = 1 << 20;
