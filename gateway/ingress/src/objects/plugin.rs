//! Plugin objects: how manifests write them, and what is kept of them.

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use route::{Backends, Grants, Isolation, Limits, OnError};
use serde::{
    Deserialize,
    de::{Deserializer, Error, Visitor},
};
use serde_json::{Map, Value};

use crate::{
    annotations::value,
    problem::{Source, Subject},
};

use super::model::subject;

/// A Plugin as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiPlugin {
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Option<ApiSpec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiSpec {
    pub(crate) source: Option<ApiSource>,
    pub(crate) sha256: Option<String>,
    pub(crate) grants: ApiGrants,
    pub(crate) limits: ApiLimits,
    pub(crate) isolation: Option<String>,
    pub(crate) on_error: Option<String>,
    pub(crate) allowed_namespaces: Vec<String>,
    pub(crate) config: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiSource {
    pub(crate) file: Option<String>,
    pub(crate) oci: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) config_map: Option<ApiKey>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiKey {
    pub(crate) name: String,
    pub(crate) key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiGrants {
    pub(crate) http: Vec<String>,
    pub(crate) key_value: Option<ApiKeyValue>,
    pub(crate) rate_limit: bool,
    pub(crate) metrics: bool,
    pub(crate) random: bool,
    pub(crate) backends: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ApiKeyValue {
    pub(crate) max_bytes: Option<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiLimits {
    pub(crate) memory: Option<Scalar>,
    pub(crate) time: Option<String>,
    pub(crate) body: Option<Scalar>,
}

/// A quantity, which may be written as a number or a string.
#[derive(Debug)]
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

/// Where a Plugin says that its code is.
#[derive(Debug, PartialEq)]
pub(crate) enum Code {
    File(String),
    /// Somewhere that this version does not look: the field of the source, and the whole as written.
    Elsewhere(&'static str, String),
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
            code: spec.source.unwrap_or_default().code(),
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

impl ApiSource {
    fn code(self) -> Code {
        match self {
            Self {
                file: Some(file), ..
            } if is_inside(&file) => Code::File(file),
            Self {
                file: Some(file), ..
            } => Code::Elsewhere("file", format!("file: {file}")),
            Self { oci: Some(oci), .. } => Code::Elsewhere("oci", format!("oci: {oci}")),
            Self { url: Some(url), .. } => Code::Elsewhere("url", format!("url: {url}")),
            Self {
                config_map: Some(ApiKey { name, key }),
                ..
            } => Code::Elsewhere("configMap", format!("configMap: {name}/{key}")),
            Self { .. } => Code::Elsewhere("", String::new()),
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
