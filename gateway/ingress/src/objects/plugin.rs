//! Plugin objects: how manifests write them, and what is kept of them.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use route::{Backends, Grants, Isolation, Limits, OnError};
#[cfg(test)]
use schemars::JsonSchema;
#[cfg(test)]
use serde::Serialize;
use serde::{
    Deserialize,
    de::{Deserializer, Error, Visitor},
};
use serde_json::{Map, Value};

use crate::{
    annotations::value,
    problem::{Source, Subject},
};

use super::{code::Code, model::subject};

/// A Plugin as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiPlugin {
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Option<ApiSpec>,
}

impl Resource for ApiPlugin {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Plugin".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "portcullis.dev".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "plugins".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, JsonSchema, kube::CustomResource))]
#[cfg_attr(
    test,
    kube(
        group = "portcullis.dev",
        version = "v1alpha1",
        kind = "Plugin",
        root = "Definition",
        namespaced,
        status = "super::crd::PluginStatus",
        doc = "A filter for chains of Ingresses: a WebAssembly component, and what it may do.",
    )
)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiSpec {
    /// Where the component comes from: exactly one of these.
    pub(crate) source: Option<ApiSource>,
    /// SHA-256 of the component, in hexadecimal; required for url.
    pub(crate) sha256: Option<String>,
    /// What the component may use besides its log and its clock.
    pub(crate) grants: ApiGrants,
    /// What it may take, within the operator's ceilings.
    pub(crate) limits: ApiLimits,
    /// shared: one instance serves many requests (default). request: a fresh one for each.
    pub(crate) isolation: Option<String>,
    /// What becomes of requests when it fails. closed: 503 (default). open: they go on without it.
    pub(crate) on_error: Option<String>,
    /// Namespaces whose Ingresses may use it besides those of its own; "*" for all.
    pub(crate) allowed_namespaces: Vec<String>,
    /// Configuration under that of the annotations, key by key.
    pub(crate) config: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiSource {
    /// A file of the operator's plugin folder.
    pub(crate) file: Option<String>,
    /// An OCI artifact, REGISTRY/REPOSITORY@sha256:DIGEST.
    pub(crate) oci: Option<String>,
    /// An address, with its SHA-256 under sha256.
    pub(crate) url: Option<String>,
    /// A key of a ConfigMap of the same namespace.
    pub(crate) config_map: Option<ApiKey>,
    /// The Secret of the same namespace with the login for oci, of type kubernetes.io/dockerconfigjson.
    pub(crate) pull_secret: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, JsonSchema))]
#[serde(default)]
pub(crate) struct ApiKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiGrants {
    /// Hosts, with or without a port, that it may send requests to.
    pub(crate) http: Vec<String>,
    /// Values that it may keep in memory.
    pub(crate) key_value: Option<ApiKeyValue>,
    /// Token buckets and permits.
    pub(crate) rate_limit: bool,
    /// Series of its own in the gateway's metrics.
    pub(crate) metrics: bool,
    /// Random numbers.
    pub(crate) random: bool,
    /// Services of the Ingress's namespace that it may reroute to, SERVICE:PORT; "*" for all.
    pub(crate) backends: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiKeyValue {
    /// The most that it may keep, like 1Mi.
    pub(crate) max_bytes: Option<Scalar>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, JsonSchema))]
#[serde(default)]
pub(crate) struct ApiLimits {
    /// Memory of an instance; 32Mi unless given.
    pub(crate) memory: Option<Scalar>,
    /// CPU time of a hook, like 1ms, which is the default.
    pub(crate) time: Option<String>,
    /// The largest body that a whole-body hook is given; 64Ki unless given, at most 1Mi.
    pub(crate) body: Option<Scalar>,
}

/// A quantity, which may be written as a number or a string.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Serialize))]
pub(crate) struct Scalar(pub(crate) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity like 8Mi")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl Scalar {
    /// The bytes that it stands for.
    pub(crate) fn bytes(&self) -> Option<usize> {
        usize::try_from(value::quantity(&self.0)?).ok()
    }
}

/// A Plugin as it is kept: what it asks for, before the operator's ceilings.
#[derive(Debug, PartialEq)]
pub(crate) struct Plugin {
    pub(crate) subject: Subject,
    pub(crate) code: Code,
    pub(crate) sha256: Option<String>,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    pub(crate) isolation: Isolation,
    pub(crate) on_error: OnError,
    /// Whose Ingresses may use it besides those of its own namespace.
    pub(crate) allowed: Vec<String>,
    /// What stands under the configuration of each chain.
    pub(crate) config: Map<String, Value>,
}

impl Plugin {
    /// Keeps what was validated; what is wrong all the same counts as absent.
    pub(crate) fn build(object: ApiPlugin, source: Option<Arc<Source>>) -> Self {
        let subject = subject("Plugin", &object.metadata, source);
        let spec = object.spec.unwrap_or_default();
        let isolation = match spec.isolation.as_deref() {
            Some("request") => Isolation::Request,
            Some(_) | None => Isolation::Shared,
        };
        let on_error = match spec.on_error.as_deref() {
            Some("open") => OnError::Open,
            Some(_) | None => OnError::Closed,
        };
        Self {
            subject,
            code: spec
                .source
                .unwrap_or_default()
                .code()
                .unwrap_or_else(Code::Wrong),
            sha256: spec.sha256.map(|digest| digest.to_ascii_lowercase()),
            grants: spec.grants.build(),
            limits: spec.limits.build(),
            isolation,
            on_error,
            allowed: spec.allowed_namespaces,
            config: spec.config.unwrap_or_default(),
        }
    }
}

impl ApiGrants {
    fn build(self) -> Grants {
        let key_value = self
            .key_value
            .map(|grant| grant.max_bytes.and_then(|max| max.bytes()).unwrap_or(0));
        let backends = if self.backends.iter().any(|backend| backend == "*") {
            Backends::All
        } else {
            Backends::Listed(self.backends)
        };
        Grants {
            random: self.random,
            metrics: self.metrics,
            rate_limit: self.rate_limit,
            key_value,
            http: self.http.iter().map(|h| h.to_ascii_lowercase()).collect(),
            backends,
        }
    }
}

impl ApiLimits {
    fn build(&self) -> Limits {
        let default = Limits::default();
        let bytes = |scalar: &Option<Scalar>| scalar.as_ref().and_then(Scalar::bytes);
        Limits {
            memory: bytes(&self.memory).unwrap_or(default.memory),
            time: self.time().unwrap_or(default.time),
            body: bytes(&self.body).unwrap_or(default.body),
        }
    }

    /// The time that is written, if it is one.
    pub(crate) fn time(&self) -> Option<Duration> {
        value::fine_duration(self.time.as_deref()?)
    }
}

/// Whether a path names a file below a folder and cannot lead out of it by its words alone.
pub(crate) fn is_inside(path: &str) -> bool {
    path.split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']))
}
