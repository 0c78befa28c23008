//! What the API server refuses, with what to write instead.
//!
//! Not refused, on purpose: endpoints with loopback addresses, which manifests may have.

mod endpoint;
mod ingress;
mod names;
mod plugin;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::problem::{Problem, Severity, Subject};

use super::push_key;

/// An object that can be validated.
pub(crate) trait Validate {
    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// Adds an error for all that the API server refuses but in the metadata.
    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>);
}

/// Validates the metadata of any object.
pub(super) fn metadata(meta: &ObjectMeta, subject: &Subject, problems: &mut Vec<Problem>) {
    let mut check = Check { subject, problems };
    let name = meta.name.as_deref().unwrap_or_default();
    // The names of most Services are labels; the others' are subdomains.
    let named = if subject.kind == "Service" {
        names::is_label(name)
    } else {
        names::is_subdomain(name)
    };
    if name.is_empty() {
        check.refuse("metadata.name", "the object has no name", "write one");
    } else if !named {
        check.refuse(
            "metadata.name",
            format!("\"{name}\" is no object name"),
            names::SUBDOMAIN_HINT,
        );
    }
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    if !namespace.is_empty() && !names::is_label(namespace) {
        let message = format!("\"{namespace}\" is no namespace");
        check.refuse("metadata.namespace", message, names::LABEL_HINT);
    }
    if let Some(annotations) = &meta.annotations {
        check.keys("metadata.annotations", annotations);
        let size: usize = annotations
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if size > MAX_ANNOTATIONS {
            let message = format!("the annotations have {size} bytes together");
            check.refuse(
                "metadata.annotations",
                message,
                format!("keep them within {MAX_ANNOTATIONS}"),
            );
        }
    }
    if let Some(labels) = &meta.labels {
        check.keys("metadata.labels", labels);
        for (key, value) in labels
            .iter()
            .filter(|(_, value)| !names::is_label_value(value))
        {
            let mut field = "metadata.labels".to_owned();
            push_key(&mut field, key);
            let value = super::shorten(value);
            let hint = "write at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
            check.refuse(&field, format!("\"{value}\" is no label value"), hint);
        }
    }
}

/// Collects what is refused.
struct Check<'a> {
    subject: &'a Subject,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn refuse(&mut self, field: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.problems
            .push(self.subject.problem(Severity::Error, field, message, hint));
    }

    fn keys(&mut self, field: &str, map: &BTreeMap<String, String>) {
        // The API server lowers the case first, which forgives upper case in the prefix.
        for key in map
            .keys()
            .filter(|key| !names::is_qualified(&key.to_ascii_lowercase()))
        {
            let mut field = field.to_owned();
            push_key(&mut field, key);
            let hint = "write a name of at most 63 letters, digits, '-', '_' and '.', perhaps after a DNS name and '/'";
            self.refuse(&field, "the key is not a qualified name", hint);
        }
    }

    fn port(&mut self, field: &str, port: i32) {
        if !(1..=65535).contains(&port) {
            self.refuse(
                field,
                format!("{port} is no port number"),
                "write a number from 1 to 65535",
            );
        }
    }

    fn protocol(&mut self, field: &str, protocol: Option<&str>) {
        if let Some(other) = protocol.filter(|p| !["", "TCP", "UDP", "SCTP"].contains(p)) {
            self.refuse(
                field,
                format!("\"{other}\" is no protocol"),
                "write TCP, UDP or SCTP",
            );
        }
    }
}

const MAX_ANNOTATIONS: usize = 256 * 1024;
