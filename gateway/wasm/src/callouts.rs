//! Requests to other servers, of guests and for their code: which may be reached, and for how long.

mod address;
mod connect;
mod roots;

use std::{
    error::Error,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use connect::{Connector, Denied};

pub use roots::{Roots, RootsError};

/// Where requests may go to, besides what each guest is granted.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Whether loopback addresses may be reached.
    pub allow_loopback: bool,
    /// Addresses that may not, whatever a name resolves to: those of the API server. See
    /// [`crate::Engine::deny`] for when they change.
    pub denied: Vec<IpAddr>,
    /// Whose certificates are believed.
    pub roots: Roots,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalloutError {
    /// The server has no address that may be reached.
    #[error("no address of this host may be reached")]
    Denied,
    /// It took longer than it may.
    #[error("there is no whole answer in time")]
    Timeout,
    /// There is no connection.
    #[error("{0}")]
    Connect(String),
    /// The answer is larger than it may be.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer breaks off, or is none of HTTP.
    #[error("{0}")]
    Protocol(String),
}

/// What sends requests to where they may go. Connections are kept for the next request to a server.
/// It needs a tokio runtime with time and IO.
#[derive(Debug)]
pub struct Callouts {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    allow_loopback: bool,
    denied: Arc<Mutex<Vec<IpAddr>>>,
}

impl Callouts {
    /// An error is a root certificate that is none.
    pub fn new(settings: HttpSettings) -> Result<Self, rustls::Error> {
        let HttpSettings {
            allow_loopback,
            denied,
            roots,
        } = settings;
        Self::reaching(allow_loopback, &roots, Arc::new(Mutex::new(denied)))
    }

    /// Another one with connections of its own, for another runtime: it reaches the same, also when that
    /// changes, and loopback addresses if it is told to; and it believes these certificates.
    pub fn sibling(&self, loopback: bool, roots: &Roots) -> Result<Self, rustls::Error> {
        let allow_loopback = self.allow_loopback || loopback;
        Self::reaching(allow_loopback, roots, Arc::clone(&self.denied))
    }

    fn reaching(
        allow_loopback: bool,
        roots: &Roots,
        denied: Arc<Mutex<Vec<IpAddr>>>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.store()?)
            .with_no_client_auth();

        let connector = Connector {
            allow_loopback,
            denied: Arc::clone(&denied),
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(8)
            .http1_max_buf_size(HEAD)
            .http2_max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
            .build(connector);
        Ok(Self {
            client,
            allow_loopback,
            denied,
        })
    }

    /// Whether loopback addresses may be reached.
    pub fn allows_loopback(&self) -> bool {
        self.allow_loopback
    }

    /// No request goes to these addresses from now on.
    pub(crate) fn deny(&self, addresses: Vec<IpAddr>) {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Sends the request of a guest, and waits for the whole answer.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, CalloutError> {
        self.exchange(request, MOST, timeout.min(PATIENCE)).await
    }

    /// Sends a request, and waits so long for the whole answer, with a body of at most so many bytes.
    /// Redirects are answers like others.
    pub async fn exchange(
        &self,
        request: Request<Bytes>,
        most: usize,
        timeout: Duration,
    ) -> Result<Response<Bytes>, CalloutError> {
        let answer = self.client.request(request.map(Full::new));
        // On a task of its own: this is polled on the small stack of a guest's call.
        let mut task = Task(tokio::spawn(async move {
            let (head, body) = answer.await.map_err(|error| why(&error))?.into_parts();
            // The buffer's limit is a rough one.
            let fields = head.headers.iter();
            let size = fields.map(|(name, value)| name.as_str().len() + value.len());
            if size.sum::<usize>() > HEAD {
                return Err(CalloutError::TooLarge);
            }
            let body =
                Limited::new(body, most)
                    .collect()
                    .await
                    .map_err(|error| match error.is::<LengthLimitError>() {
                        true => CalloutError::TooLarge,
                        false => CalloutError::Protocol(text(&*error)),
                    })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        }));
        match tokio::time::timeout(timeout, &mut task.0).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CalloutError::Protocol("it was broken off".to_owned())),
            Err(_) => Err(CalloutError::Timeout),
        }
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether a grant covers a request: the same host, and the port that it names, else that of the
/// scheme.
pub(crate) fn covers(grant: &str, uri: &Uri) -> bool {
    let default = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        Some(_) | None => return false,
    };
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
        return false;
    };
    // `granted.example@elsewhere.example` is for people to misread.
    if authority.as_str().contains('@') {
        return false;
    }
    let port = authority.port_u16().unwrap_or(default);
    let named = grant
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    // The colons of an address of IPv6 stand in brackets.
    let named = named.filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (granted, granted_port) = named.unwrap_or((grant, default));
    host.eq_ignore_ascii_case(granted) && port == granted_port
}

fn why(error: &hyper_util::client::legacy::Error) -> CalloutError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Denied>() {
            return CalloutError::Denied;
        }
        let hyper = error.downcast_ref::<hyper::Error>();
        if hyper.is_some_and(hyper::Error::is_parse_too_large) {
            return CalloutError::TooLarge;
        }
        cause = error.source();
    }
    match error.is_connect() {
        true => CalloutError::Connect(text(error)),
        false => CalloutError::Protocol(text(error)),
    }
}

/// What an error says, down to its cause.
fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause.filter(|_| text.len() < 300) {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The longest that a guest waits for one answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The largest body, of requests of guests and of their answers.
pub(crate) const MOST: usize = 1 << 20;
/// The largest head of an answer.
const HEAD: usize = 64 << 10;
/// How long a connection is kept.
const IDLE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_one_host_and_one_port() {
        let check = |grant: &str, uri: &str| covers(grant, &uri.parse().unwrap());
        for (grant, uri) in [
            ("api.example.com", "https://api.example.com/x"),
            ("api.example.com", "http://API.example.com:80"),
            ("api.example.com:8080", "http://api.example.com:8080/"),
            ("api.example.com:443", "https://api.example.com/"),
            ("[::1]:8080", "http://[::1]:8080/"),
            ("[::1]", "http://[::1]/"),
        ] {
            assert!(check(grant, uri), "{grant} {uri}");
        }
        for (grant, uri) in [
            ("api.example.com", "https://api.example.com:8443/"),
            ("api.example.com", "https://example.com/"),
            ("api.example.com", "https://api.example.com.evil.example/"),
            ("api.example.com", "https://api.example.com@evil.example/"),
            ("api.example.com", "https://user@api.example.com/"),
            ("api.example.com", "ftp://api.example.com/"),
            ("api.example.com", "/path"),
            ("api.example.com:8080", "http://api.example.com/"),
            ("*", "http://api.example.com/"),
            ("", "http://api.example.com/"),
        ] {
            assert!(!check(grant, uri), "{grant} {uri}");
        }
    }
}
