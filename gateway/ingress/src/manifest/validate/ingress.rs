//! Ingress and IngressClass.

use std::net::IpAddr;

use k8s_openapi::{
    api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressClass, IngressRule},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::problem::{Problem, Subject};

use super::{Check, Validate, names};

impl Validate for Ingress {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let Some(spec) = &self.spec else {
            return check.refuse(
                "spec",
                "the Ingress has no spec",
                "write rules or a defaultBackend",
            );
        };
        let rules = spec.rules.as_deref().unwrap_or_default();
        if rules.is_empty() && spec.default_backend.is_none() {
            let hint = "write rules or a defaultBackend";
            check.refuse(
                "spec",
                "the Ingress has neither rules nor a default backend",
                hint,
            );
        }
        if let Some(class) = spec
            .ingress_class_name
            .as_deref()
            .filter(|class| !names::is_subdomain(class))
        {
            let message = format!("\"{class}\" is no class name");
            check.refuse("spec.ingressClassName", message, names::SUBDOMAIN_HINT);
        }
        if let Some(backend) = &spec.default_backend {
            check.backend("spec.defaultBackend", backend);
        }
        for (index, rule) in rules.iter().enumerate() {
            check.rule(&format!("spec.rules[{index}]"), rule);
        }
        for (index, tls) in spec.tls.iter().flatten().enumerate() {
            for (host_index, host) in tls.hosts.iter().flatten().enumerate() {
                check.host(&format!("spec.tls[{index}].hosts[{host_index}]"), host);
            }
            let secret = tls.secret_name.as_deref().unwrap_or_default();
            if !secret.is_empty() && !names::is_subdomain(secret) {
                let message = format!("\"{secret}\" is no name of a Secret");
                check.refuse(
                    &format!("spec.tls[{index}].secretName"),
                    message,
                    names::SUBDOMAIN_HINT,
                );
            }
        }
    }
}

impl Check<'_> {
    fn rule(&mut self, field: &str, rule: &IngressRule) {
        let host = rule.host.as_deref().unwrap_or_default();
        if host.parse::<IpAddr>().is_ok() {
            let message = format!("\"{host}\" is an IP address");
            self.refuse(
                &format!("{field}.host"),
                message,
                "write a DNS name, or leave the host out",
            );
        } else if !host.is_empty() {
            self.host(&format!("{field}.host"), host);
        }
        let Some(http) = &rule.http else { return };
        if http.paths.is_empty() {
            let hint = "write a path, or leave http out: the default backend then serves the host";
            self.refuse(
                &format!("{field}.http.paths"),
                "the rule has no paths",
                hint,
            );
        }
        for (index, path) in http.paths.iter().enumerate() {
            self.path(&format!("{field}.http.paths[{index}]"), path);
        }
    }

    fn host(&mut self, field: &str, host: &str) {
        let shown = crate::manifest::shorten(host);
        if host.contains('*') {
            if !names::is_wildcard(host) {
                let hint = "write '*' once, as the whole first label: *.example.com";
                self.refuse(
                    field,
                    format!("\"{shown}\" has a '*' in the wrong place"),
                    hint,
                );
            }
        } else if host.contains(':') {
            self.refuse(
                field,
                format!("\"{shown}\" has a port"),
                "write the name alone",
            );
        } else if !names::is_subdomain(host) {
            self.refuse(
                field,
                format!("\"{shown}\" is no host name"),
                names::SUBDOMAIN_HINT,
            );
        }
    }

    fn path(&mut self, field: &str, path: &HTTPIngressPath) {
        let text = path.path.as_deref().unwrap_or_default();
        let shown = crate::manifest::shorten(text);
        let path_field = format!("{field}.path");
        let strict = match path.path_type.as_str() {
            "Exact" | "Prefix" => true,
            "ImplementationSpecific" => false,
            "" => {
                let hint = "write pathType: Prefix, Exact or ImplementationSpecific";
                self.refuse(
                    &format!("{field}.pathType"),
                    "the path has no pathType",
                    hint,
                );
                false
            }
            other => {
                let hint = "write Prefix, Exact or ImplementationSpecific";
                self.refuse(
                    &format!("{field}.pathType"),
                    format!("\"{other}\" is no path type"),
                    hint,
                );
                false
            }
        };
        if (strict || !text.is_empty()) && !text.starts_with('/') {
            let message = format!("the path \"{shown}\" does not begin with '/'");
            self.refuse(&path_field, message, format!("write /{shown}"));
        }
        if strict {
            for part in ["//", "/./", "/../", "%2f", "%2F"]
                .iter()
                .filter(|part| text.contains(**part))
            {
                let message = format!("the path \"{shown}\" has \"{part}\" in it");
                self.refuse(
                    &path_field,
                    message,
                    "write it without, or with pathType: ImplementationSpecific",
                );
            }
            for end in ["/..", "/."].iter().filter(|end| text.ends_with(**end)) {
                let message = format!("the path \"{shown}\" ends with \"{end}\"");
                self.refuse(&path_field, message, "write the path that is meant");
            }
        }
        self.backend(&format!("{field}.backend"), &path.backend);
    }

    fn backend(&mut self, field: &str, backend: &IngressBackend) {
        let service = match (&backend.resource, &backend.service) {
            (Some(_), Some(_)) => {
                return self.refuse(
                    field,
                    "the backend has both a resource and a service",
                    "keep the service",
                );
            }
            (None, None) => {
                let hint = "write service: {name: …, port: {number: …}}";
                return self.refuse(field, "the backend names no Service", hint);
            }
            (Some(resource), None) => {
                if resource.kind.is_empty() || resource.name.is_empty() {
                    let message = "the resource has no kind or no name";
                    self.refuse(
                        &format!("{field}.resource"),
                        message,
                        "write a service instead",
                    );
                }
                return;
            }
            (None, Some(service)) => service,
        };
        if !names::is_label(&service.name) {
            let message = match service.name.as_str() {
                "" => "the backend names no Service".to_owned(),
                name => format!("\"{name}\" is no name of a Service"),
            };
            self.refuse(&format!("{field}.service.name"), message, names::LABEL_HINT);
        }
        let port_field = format!("{field}.service.port");
        let port = service.port.clone().unwrap_or_default();
        let name = port.name.filter(|name| !name.is_empty());
        match (name, port.number.filter(|number| *number != 0)) {
            (Some(_), Some(_)) => {
                self.refuse(
                    &port_field,
                    "the port has both a name and a number",
                    "keep one",
                );
            }
            (None, None) => {
                let hint = "write port: {number: 80} or port: {name: http}";
                self.refuse(&port_field, "the backend names no port", hint);
            }
            (Some(name), None) => {
                if !names::is_port_name(&name) {
                    let message = format!("\"{name}\" is no name of a port");
                    let hint = "write at most 15 lower-case letters, digits and '-', or a number under number";
                    self.refuse(&format!("{port_field}.name"), message, hint);
                }
            }
            (None, Some(number)) => self.port(&format!("{port_field}.number"), number),
        }
    }
}

impl Validate for IngressClass {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let controller = self
            .spec
            .as_ref()
            .and_then(|spec| spec.controller.as_deref())
            .unwrap_or_default();
        let hint = "write the controller's name, as in portcullis.dev/ingress-controller";
        let fits = controller.split_once('/').is_some_and(|(domain, path)| {
            names::is_subdomain(domain) && !path.is_empty() && !path.contains(char::is_whitespace)
        });
        if controller.is_empty() {
            check.refuse("spec.controller", "the class has no controller", hint);
        } else if !fits || controller.len() > 250 {
            let controller = crate::manifest::shorten(controller);
            check.refuse(
                "spec.controller",
                format!("\"{controller}\" is no name of a controller"),
                hint,
            );
        }
    }
}
