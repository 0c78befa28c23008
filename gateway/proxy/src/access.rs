//! The access log: one JSON line a request, handed to a sink that never makes a request wait.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

/// Where access lines go.
#[derive(Clone, Default)]
pub struct AccessLog(Option<Arc<dyn Fn(Vec<u8>) + Send + Sync>>);

impl AccessLog {
    /// No log, at no cost.
    pub fn off() -> Self {
        Self(None)
    }

    /// Gives each line, with its line end, to `sink`, which must not block.
    pub fn to(sink: impl Fn(Vec<u8>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Whether lines are wanted.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let Some(sink) = &self.0 else { return };
        if let Ok(mut bytes) = serde_json::to_vec(line) {
            bytes.push(b'\n');
            sink(bytes);
        }
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessLog").field(&self.is_on()).finish()
    }
}

/// One request.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    /// Milliseconds since 1970.
    pub(crate) time: u128,
    pub(crate) client: IpAddr,
    pub(crate) scheme: &'a str,
    pub(crate) version: &'a str,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    /// Bytes of the response's body.
    pub(crate) bytes: u64,
    #[serde(serialize_with = "millis")]
    pub(crate) duration_ms: Duration,
    pub(crate) request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ingress: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<SocketAddr>,
    /// Why the gateway answered itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    /// Whether the response broke off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) aborted: bool,
}

fn millis<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1e6).round() / 1e3)
}
