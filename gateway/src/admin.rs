//! The admin listener: probes, metrics, and what the gateway is doing. It only ever reads.

mod server;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::Full;
use proxy::Gateway;
use serde_json::{Value, json};

use crate::{
    access::AccessWriter,
    ask, metrics,
    state::{Phase, State},
};

pub(crate) use server::serve;

/// What answers on the admin and the metrics listener.
pub(crate) struct Admin {
    gateway: Arc<Gateway>,
    state: Arc<State>,
    access: Option<Arc<AccessWriter>>,
}

/// How much of it a listener shows, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything, to whoever can connect.
    Everything,
    /// Everything, but not to pages of other sites in a browser of this machine.
    Local,
    /// Probes and metrics.
    Probes,
}

impl Scope {
    /// Everything on this address.
    pub(crate) fn everything(address: SocketAddr) -> Self {
        if address.ip().is_loopback() {
            Self::Local
        } else {
            Self::Everything
        }
    }
}

type Answer = Response<Full<Bytes>>;

impl Admin {
    /// Answers about this gateway.
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        state: Arc<State>,
        access: Option<Arc<AccessWriter>>,
    ) -> Self {
        Self {
            gateway,
            state,
            access,
        }
    }

    /// Answers one request.
    pub(crate) fn answer(
        &self,
        scope: Scope,
        method: &Method,
        url: &Uri,
        headers: &HeaderMap,
    ) -> Answer {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        // Probes and scrapers name the pod as they like, and learn nothing of what is served.
        let probe = matches!(url.path(), "/livez" | "/readyz" | "/metrics");
        if scope == Scope::Local && !probe && !host.is_none_or(is_local) {
            return text(StatusCode::FORBIDDEN, "ask by IP address or as localhost\n");
        }
        let known = match url.path() {
            "/livez" => Some(Page::Live),
            "/readyz" => Some(Page::Ready),
            "/metrics" => Some(Page::Metrics),
            _ if scope == Scope::Probes => None,
            "/" => Some(Page::Index),
            "/api/v1/routes" => Some(Page::Routes),
            "/api/v1/problems" => Some(Page::Problems),
            "/api/v1/plugins" => Some(Page::Plugins),
            "/api/v1/explain" => Some(Page::Explain),
            _ => None,
        };
        let Some(page) = known else {
            return text(
                StatusCode::NOT_FOUND,
                "there is nothing here; / has links to what there is\n",
            );
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut answer = text(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET is answered here\n",
            );
            answer
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        self.page(page, url.query().unwrap_or_default())
    }

    fn page(&self, page: Page, query: &str) -> Answer {
        match page {
            Page::Live => text(StatusCode::OK, "alive\n"),
            Page::Ready => match self.state.phase() {
                Phase::Starting => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "starting: no configuration yet\n",
                ),
                Phase::Serving => text(StatusCode::OK, "ready\n"),
                Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            },
            Page::Metrics => {
                let dropped = self.access.as_ref().map(|access| access.dropped());
                // The data plane's part ends with the mark of the end.
                let all = metrics::text(&self.state, dropped) + &self.gateway.metrics();
                typed(
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    all,
                )
            }
            Page::Index => typed(StatusCode::OK, "text/html; charset=utf-8", INDEX),
            Page::Routes => json_of(
                StatusCode::OK,
                &json!({ "routes": self.gateway.snapshot().routes() }),
            ),
            Page::Problems => json_of(
                StatusCode::OK,
                &json!({ "problems": *self.state.problems() }),
            ),
            Page::Plugins => json_of(StatusCode::OK, &json!({ "plugins": *self.state.plugins() })),
            Page::Explain => self.explain(query),
        }
    }

    fn explain(&self, query: &str) -> Answer {
        let (mut url, mut method, mut fields, mut format) = (None, None, Vec::new(), None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "url" => url = Some(value),
                "method" => method = Some(value),
                "header" => fields.push(value.into_owned()),
                "format" => format = Some(value),
                _ => {}
            }
        }
        let Some(url) = url else {
            let hint =
                "write the request to explain, as in /api/v1/explain?url=http://example.com/path";
            return json_of(StatusCode::BAD_REQUEST, &json!({ "error": hint }));
        };
        let ask = match ask::read(method.as_deref().unwrap_or("GET"), &url, &fields) {
            Ok(ask) => ask,
            Err(error) => {
                return json_of(
                    StatusCode::BAD_REQUEST,
                    &json!({ "error": error.to_string() }),
                );
            }
        };
        let explanation = self.gateway.snapshot().explain(&ask);
        if format.as_deref() == Some("text") {
            text(StatusCode::OK, explanation.to_string())
        } else {
            json_of(StatusCode::OK, &json!(explanation))
        }
    }
}

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
enum Page {
    Live,
    Ready,
    Metrics,
    Index,
    Routes,
    Problems,
    Plugins,
    Explain,
}

/// Whether a browser sends this host only for pages of this machine. A name of anyone's could
/// resolve to this machine, and hand that page's scripts what is answered here.
fn is_local(host: &str) -> bool {
    let Ok(host) = route::Authority::parse(host) else {
        return false;
    };
    let name = host.host().to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", body)
}

fn json_of(status: StatusCode, value: &Value) -> Answer {
    typed(status, "application/json", value.to_string() + "\n")
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// The page at `/`.
const INDEX: &str = include_str!("admin/index.html");

#[cfg(test)]
mod tests;
