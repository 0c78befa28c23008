//! Plugin: what the schema of its CRD refuses.

use std::net::{IpAddr, Ipv6Addr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    manifest::{inline::is_shallow, shorten},
    objects::{
        code::{SOURCE, is_digest},
        plugin::{ApiGrants, ApiLimits, ApiPlugin, ApiSource, ApiSpec, Scalar},
    },
    problem::{Problem, Subject},
};

use super::{Check, Validate, names};

impl Validate for ApiPlugin {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn validate(&self, subject: &Subject, problems: &mut Vec<Problem>) {
        let mut check = Check { subject, problems };
        let Some(spec) = &self.spec else {
            return check.refuse("spec", "the Plugin has no spec", SOURCE);
        };
        match &spec.source {
            Some(source) => check.source(source, spec),
            None => check.refuse("spec.source", "the Plugin has no source", SOURCE),
        }
        if let Some(digest) = &spec.sha256
            && !is_digest(digest)
        {
            let message = format!("\"{}\" is no SHA-256", shorten(digest));
            let hint = "write the 64 hexadecimal digits that sha256sum prints";
            check.refuse("spec.sha256", message, hint);
        }
        check.config(spec);
        check.grants(&spec.grants);
        check.limits(&spec.limits);
        check.word(
            "spec.isolation",
            spec.isolation.as_deref(),
            ["shared", "request"],
        );
        check.word("spec.onError", spec.on_error.as_deref(), ["closed", "open"]);
        for (index, namespace) in spec.allowed_namespaces.iter().enumerate() {
            if namespace != "*" && !names::is_label(namespace) {
                let field = format!("spec.allowedNamespaces[{index}]");
                let message = format!("\"{}\" is no namespace", shorten(namespace));
                check.refuse(&field, message, "write a namespace, or \"*\" for all");
            }
        }
    }
}

impl Check<'_> {
    fn source(&mut self, source: &ApiSource, spec: &ApiSpec) {
        if let Err(wrong) = source.code() {
            self.refuse(wrong.field, wrong.message, wrong.hint);
        }
        if source.url.is_some() && spec.sha256.is_none() {
            let hint = "write the 64 hexadecimal digits that sha256sum prints for the file";
            self.refuse("spec.sha256", "a url needs the sha256 of its code", hint);
        }
        if let Some(name) = source.config_map.as_ref().map(|key| &key.name)
            && !names::is_subdomain(name)
        {
            let message = format!("\"{}\" is no name of a ConfigMap", shorten(name));
            self.refuse("spec.source.configMap", message, names::SUBDOMAIN_HINT);
        }
        if let Some(name) = source
            .pull_secret
            .as_ref()
            .filter(|name| !names::is_subdomain(name))
        {
            let message = format!("\"{}\" is no name of a Secret", shorten(name));
            self.refuse("spec.source.pullSecret", message, names::SUBDOMAIN_HINT);
        }
    }

    /// Every chain that names the Plugin has a copy.
    fn config(&mut self, spec: &ApiSpec) {
        let Some(config) = &spec.config else { return };
        let size = serde_json::to_string(config).map_or(usize::MAX, |text| text.len());
        if size > MAX_CONFIG {
            let message = format!("the configuration has {size} bytes");
            let hint =
                format!("keep it within {MAX_CONFIG}: large data belongs into the component");
            self.refuse("spec.config", message, hint);
        } else if !config.values().all(is_shallow) {
            let hint = "write it with fewer levels";
            self.refuse(
                "spec.config",
                "the configuration is nested too deeply",
                hint,
            );
        }
    }

    fn grants(&mut self, grants: &ApiGrants) {
        for (index, host) in grants.http.iter().enumerate() {
            if !is_authority(host) {
                let message = format!("\"{}\" is no host", shorten(host));
                let hint = "write a host, perhaps with its port, as in api.example.com:8443";
                self.refuse(&format!("spec.grants.http[{index}]"), message, hint);
            }
        }
        if let Some(grant) = &grants.key_value {
            let field = "spec.grants.keyValue.maxBytes";
            match &grant.max_bytes {
                Some(max) => drop(self.bytes(field, max)),
                None => self.refuse(field, "the grant has no size", QUANTITY),
            }
        }
        for (index, backend) in grants.backends.iter().enumerate() {
            let fits = backend.split_once(':').is_some_and(|(service, port)| {
                let number = port.parse::<u16>().is_ok_and(|n| n > 0);
                names::is_label(service) && (number || names::is_port_name(port))
            });
            if backend != "*" && !fits {
                let message = format!("\"{}\" is no port of a Service", shorten(backend));
                let hint = "write SERVICE:PORT, or \"*\" for all of the Ingress's namespace";
                self.refuse(&format!("spec.grants.backends[{index}]"), message, hint);
            }
        }
    }

    fn limits(&mut self, limits: &ApiLimits) {
        if let Some(memory) = &limits.memory
            && self.bytes("spec.limits.memory", memory) == Some(0)
        {
            self.refuse(
                "spec.limits.memory",
                "no plugin runs in no memory",
                QUANTITY,
            );
        }
        if let Some(body) = &limits.body
            && self
                .bytes("spec.limits.body", body)
                .is_some_and(|n| n > MAX_BODY)
        {
            let message = format!("\"{}\" is more than a hook is ever given", shorten(&body.0));
            self.refuse("spec.limits.body", message, "write at most 1Mi");
        }
        if let Some(time) = &limits.time
            && limits.time().is_none()
        {
            let message = format!("\"{}\" is no time", shorten(time));
            let hint = "write a number with its unit: 500us, 1ms or 2s";
            self.refuse("spec.limits.time", message, hint);
        }
    }

    fn bytes(&mut self, field: &str, quantity: &Scalar) -> Option<usize> {
        let bytes = quantity.bytes();
        if bytes.is_none() {
            let message = format!("\"{}\" is no quantity", shorten(&quantity.0));
            self.refuse(field, message, QUANTITY);
        }
        bytes
    }

    fn word(&mut self, field: &str, word: Option<&str>, known: [&str; 2]) {
        if let Some(other) = word.filter(|word| !known.contains(word)) {
            let [one, two] = known;
            let message = format!("\"{}\" means nothing here", shorten(other));
            self.refuse(field, message, format!("write {one} or {two}"));
        }
    }
}

/// A host, perhaps with a port; an IPv6 address stands in brackets.
fn is_authority(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text.as_str(), None),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => names::is_subdomain(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()),
    };
    host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n > 0))
}

const QUANTITY: &str = "write bytes or a quantity like 64Ki or 8Mi";
const MAX_CONFIG: usize = 64 << 10;
const MAX_BODY: usize = 1 << 20;
