//! Recorded cases: a request, perhaps a response, and what the filter is to make of them.

use std::{net::IpAddr, sync::Arc};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use proxy::filter::{Exchange, Facts};
use route::{IngressName, Route};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Everything;

/// One case, a line of the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows.
    #[serde(default)]
    pub(super) name: String,
    /// The filter's configuration.
    #[serde(default)]
    pub(super) config: Option<Value>,
    /// How often the request comes; what is expected is of the last time.
    #[serde(default = "once")]
    pub(super) times: u32,
    /// The request.
    pub(super) request: Asked,
    /// The backend's response, where the filter is to see one.
    #[serde(default)]
    pub(super) response: Option<Answered>,
    /// What is to come of it.
    pub(super) expect: Expected,
}

fn once() -> u32 {
    1
}

/// A request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default = "get")]
    method: String,
    /// Path and query.
    #[serde(default = "root")]
    path: String,
    #[serde(default)]
    headers: Fields,
    #[serde(default = "client")]
    client_ip: IpAddr,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    body: Option<Body>,
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn client() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

/// A response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: Fields,
    #[serde(default)]
    body: Option<Body>,
}

fn ok() -> u16 {
    200
}

/// Fields of a message: a text each, or a list of texts.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields(pub(super) Map<String, Value>);

/// A body: a text, or the pieces that it comes in.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a body is a text, or a list of texts that are its pieces"
)]
pub(super) enum Body {
    Whole(String),
    Pieces(Vec<String>),
}

/// What the hooks made of a request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Next,
    Respond,
    Abort,
    Fail,
}

/// What is to come of a case; what is left out is not looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Expected {
    #[serde(default)]
    pub(super) verdict: Option<Verdict>,
    /// A part of why it failed.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// The answer's status: the filter's, or the response's afterwards.
    #[serde(default)]
    pub(super) status: Option<u16>,
    /// Fields of that answer; `null` for one that must not be there.
    #[serde(default)]
    pub(super) headers: Fields,
    /// The answer's body; with pieces, what is sent for each.
    #[serde(default)]
    pub(super) body: Option<Body>,
    /// The request as it goes on.
    #[serde(default)]
    pub(super) request: Sent,
    /// The backend that it was sent to instead.
    #[serde(default)]
    pub(super) backend: Option<String>,
}

/// A request as it goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) headers: Fields,
    #[serde(default)]
    pub(super) body: Option<String>,
}

impl Asked {
    /// The request before its filter.
    pub(super) fn exchange(&self) -> anyhow::Result<Box<Exchange>> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path)
            .body(())
            .context("the request is none")?;
        *request.headers_mut() = self.headers.read()?;
        let (head, ()) = request.into_parts();
        let authority = head.headers.get(http::header::HOST).cloned();
        let facts = Facts {
            scheme: if self.tls { "https" } else { "http" },
            authority: authority.unwrap_or_else(|| HeaderValue::from_static("example.com")),
            client: self.client_ip,
            port: 50_000,
            tls: self.tls,
            sni: None,
            id: HeaderValue::from_static("0123456789abcdef0123456789abcdef"),
            route: Arc::new(Route {
                ingress: IngressName {
                    namespace: "default".to_owned(),
                    name: "test".to_owned(),
                },
                rule_path: "/".to_owned(),
                rule_host: "example.com".to_owned(),
                ..Route::default()
            }),
        };
        Ok(Box::new(Exchange::new(head, facts, Arc::new(Everything))))
    }

    /// Its body.
    pub(super) fn whole(&self) -> Bytes {
        self.body.iter().flat_map(Body::pieces).flatten().collect()
    }
}

impl Answered {
    /// The head of the response.
    pub(super) fn head(&self) -> anyhow::Result<http::response::Parts> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(self.status)?;
        *response.headers_mut() = self.headers.read()?;
        Ok(response.into_parts().0)
    }

    /// Its body, at least one piece.
    pub(super) fn pieces(&self) -> Vec<Bytes> {
        let pieces: Vec<_> = self.body.iter().flat_map(Body::pieces).collect();
        if pieces.is_empty() {
            return vec![Bytes::new()];
        }
        pieces
    }
}

impl Body {
    fn pieces(&self) -> Vec<Bytes> {
        let texts = match self {
            Self::Whole(text) => std::slice::from_ref(text),
            Self::Pieces(texts) => texts.as_slice(),
        };
        texts.iter().cloned().map(Bytes::from).collect()
    }

    /// How what was sent is another body, if it is.
    pub(super) fn differs(&self, sent: &[Bytes]) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Whole(wanted) => {
                let found = text(&sent.concat());
                (found != *wanted).then(|| format!("{found:?} instead of {wanted:?}"))
            }
            Self::Pieces(wanted) => {
                let found: Vec<_> = sent.iter().map(|piece| text(piece)).collect();
                (found != *wanted).then(|| format!("{found:?} instead of {wanted:?}"))
            }
        }
    }
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Respond => "respond",
            Self::Abort => "abort",
            Self::Fail => "fail",
        }
    }
}

impl Fields {
    fn read(&self) -> anyhow::Result<HeaderMap> {
        let mut fields = HeaderMap::new();
        for (name, value) in &self.0 {
            let name = HeaderName::try_from(name)?;
            for value in texts(value) {
                fields.append(name.clone(), HeaderValue::try_from(value)?);
            }
        }
        Ok(fields)
    }

    /// What differs from these fields, if anything.
    pub(super) fn differs(&self, fields: &HeaderMap) -> Option<String> {
        self.0.iter().find_map(|(name, wanted)| {
            let found: Vec<String> = fields
                .get_all(name.as_str())
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            let wanted: Vec<String> = texts(wanted);
            (found != wanted).then(|| format!("{name}: {found:?} instead of {wanted:?}"))
        })
    }
}

/// One text, several, or none.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.to_string()],
    }
}
