//! Asking web servers: where that may go, for how long, and how much they may answer.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use wasm::{CalloutError, Callouts};

use super::super::code::{Code, NoCode};

/// Asks web servers.
pub(super) struct Web(pub(super) Arc<Callouts>);

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) url: &'a str,
    pub(super) accept: &'static str,
    pub(super) authorization: Option<&'a HeaderValue>,
    /// The largest answer, in bytes.
    pub(super) most: usize,
    pub(super) patience: Duration,
}

impl Web {
    /// The scheme for a registry: only this machine's own go without TLS, and only where that is allowed.
    pub(super) fn scheme(&self, authority: &str) -> &'static str {
        let uri: Result<Uri, _> = format!("http://{authority}/").parse();
        match uri {
            Ok(uri) if self.0.allows_loopback() && is_loopback(&uri) => "http",
            Ok(_) | Err(_) => "https",
        }
    }

    /// The code at a URL, if it has this SHA-256.
    pub(super) async fn code(&self, url: &str, sha256: &str) -> Result<Code, NoCode> {
        let ask = Ask {
            url,
            accept: "application/wasm, application/octet-stream;q=0.9, */*;q=0.1",
            authorization: None,
            most: wasm::MOST_CODE,
            patience: PATIENCE,
        };
        let answer = self.ask(ask).await?;
        let shown = url.split('?').next().unwrap_or(url);
        if answer.status() != StatusCode::OK {
            let message = format!("{shown} answers {}", answer.status().as_u16());
            let hint = "put the component there, or write another url; it is tried again by itself";
            return Err(NoCode::new(message, hint));
        }
        let code = Code::of(answer.into_body().as_ref().into());
        if *code.digest != *sha256 {
            let message = format!(
                "what is at {shown} has the SHA-256 {}, and {sha256} is wanted",
                code.digest
            );
            let hint = "write its digest under spec.sha256 if it is what you mean";
            return Err(NoCode::new(message, hint));
        }
        Ok(code)
    }

    /// Asks, and follows redirects; a login goes no further than to the server it is for.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Response<Bytes>, NoCode> {
        let mut uri: Uri = ask
            .url
            .parse()
            .map_err(|_| NoCode::new("its address is no URL", "write https://HOST/PATH"))?;
        let (mut authorization, mut elsewhere) = (ask.authorization, false);
        let end = tokio::time::Instant::now() + ask.patience;
        for _ in 0..=REDIRECTS {
            self.check(&uri)?;
            let mut request = Request::get(uri.clone())
                .header(header::USER_AGENT, AGENT)
                .header(header::ACCEPT, ask.accept)
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(value) = authorization {
                request = request.header(header::AUTHORIZATION, value);
            }
            let request = request
                .body(Bytes::new())
                .map_err(|_| NoCode::new("its address is no URL", "write https://HOST/PATH"))?;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let answer = self.0.exchange(request, ask.most, left).await;
            let mut answer = answer.map_err(|error| unanswered(&uri, &ask, &error))?;
            let Some(next) = redirected(&uri, &answer) else {
                if elsewhere {
                    // Nor does it go to whom this one names.
                    answer.headers_mut().remove(header::WWW_AUTHENTICATE);
                }
                return Ok(answer);
            };
            let next = next.map_err(|()| {
                let message = format!("{} sends elsewhere, but not to a URL", host(&uri));
                NoCode::new(message, AGAIN)
            })?;
            if next.authority() != uri.authority() || next.scheme() != uri.scheme() {
                authorization = None;
                elsewhere = true;
            }
            uri = next;
        }
        let message = format!("{} sends on and on", host(&uri));
        Err(NoCode::new(message, "write the address where it ends"))
    }

    /// Whether anything may be asked for there; the connection checks the addresses.
    fn check(&self, uri: &Uri) -> Result<(), NoCode> {
        let plain =
            uri.scheme_str() == Some("http") && self.0.allows_loopback() && is_loopback(uri);
        if uri.scheme_str() == Some("https") || plain {
            return Ok(());
        }
        let message = format!("code is fetched by https, and not from {}", origin(uri));
        let hint =
            "serve it by https; only loopback goes without, with --manifests or --fetch-loopback";
        Err(NoCode::new(message, hint))
    }
}

/// Where an answer sends to, if it does.
fn redirected(from: &Uri, answer: &Response<Bytes>) -> Option<Result<Uri, ()>> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    Some(location.and_then(|to| join(from, to)).ok_or(()))
}

/// A reference to a URL (RFC 3986, section 5), as far as servers write them into `Location`.
fn join(from: &Uri, to: &str) -> Option<Uri> {
    let to = to.split('#').next().unwrap_or(to);
    if to.contains("://") && !to.starts_with('/') {
        return to.parse().ok();
    }
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    if let Some(rest) = to.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    if to.starts_with('/') {
        return format!("{scheme}://{authority}{to}").parse().ok();
    }
    let (folder, _) = from.path().rsplit_once('/')?;
    format!("{scheme}://{authority}{folder}/{to}").parse().ok()
}

fn unanswered(uri: &Uri, ask: &Ask<'_>, error: &CalloutError) -> NoCode {
    let host = host(uri);
    match error {
        CalloutError::Denied => NoCode::new(
            format!("{host} has no address that code is fetched from"),
            "write a host outside; link-local addresses are never asked, and loopback only with --manifests or --fetch-loopback",
        ),
        CalloutError::Timeout => NoCode::new(
            format!(
                "{host} gives no whole answer within {} s",
                ask.patience.as_secs()
            ),
            AGAIN,
        ),
        CalloutError::TooLarge => NoCode::new(
            format!("{host} sends more than {} bytes", ask.most),
            "a component has at most 32 MiB, and a layer what its manifest says",
        ),
        CalloutError::Connect(why) if why.contains("invalid peer certificate") => NoCode::new(
            format!("{host} is not believed: {why}"),
            "mend its certificate, or have the operator name the CA that signed it with --fetch-ca",
        ),
        CalloutError::Connect(why) => NoCode::new(format!("{host} is not reached: {why}"), AGAIN),
        CalloutError::Protocol(why) => {
            NoCode::new(format!("{host} does not answer as it should: {why}"), AGAIN)
        }
    }
}

/// Whether a URL is this machine's own by its words.
fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let parsed: Result<IpAddr, _> = address.parse();
    host == "localhost" || parsed.is_ok_and(|address| address.is_loopback())
}

fn host(uri: &Uri) -> &str {
    uri.authority()
        .map_or("the server", |authority| authority.as_str())
}

fn origin(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), host(uri))
}

pub(super) const AGAIN: &str =
    "see that it runs and that the gateway may reach it; it is tried again by itself";
/// How long a component may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 5;
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use wasm::HttpSettings;

    use super::*;

    #[test]
    fn a_location_is_taken_from_where_it_was_said() {
        let from: Uri = "https://a.example:8443/x/y.wasm?z".parse().unwrap();
        for (to, wanted) in [
            ("https://b.example/c", "https://b.example/c"),
            ("//b.example/c", "https://b.example/c"),
            ("/c?d#e", "https://a.example:8443/c?d"),
            ("c", "https://a.example:8443/x/c"),
            ("http://169.254.169.254/", "http://169.254.169.254/"),
        ] {
            assert_eq!(join(&from, to).unwrap().to_string(), wanted, "{to}");
        }
    }

    #[tokio::test]
    async fn only_loopback_goes_without_tls_and_only_where_it_may() {
        let web = |allow_loopback| {
            let settings = HttpSettings {
                allow_loopback,
                ..HttpSettings::default()
            };
            Web(Arc::new(Callouts::new(settings).unwrap()))
        };
        let may = |web: &Web, uri: &str| web.check(&uri.parse().unwrap()).is_ok();
        let (local, cluster) = (web(true), web(false));
        for uri in [
            "http://127.0.0.1:1/x",
            "http://localhost/x",
            "http://[::1]/x",
        ] {
            assert!(may(&local, uri) && !may(&cluster, uri), "{uri}");
        }
        for uri in [
            "http://a.example/x",
            "http://169.254.169.254/",
            "ftp://a.example/x",
        ] {
            assert!(!may(&local, uri) && !may(&cluster, uri), "{uri}");
        }
        assert!(may(&local, "https://a.example/x") && may(&cluster, "https://a.example/x"));
        assert_eq!(local.scheme("127.0.0.1:5000"), "http");
        assert_eq!(cluster.scheme("127.0.0.1:5000"), "https");
        assert_eq!(local.scheme("127.0.0.1.example"), "https");
        let denied = cluster.code("https://127.0.0.1:1/x", "").await.unwrap_err();
        assert!(denied.message.contains("no address"), "{denied:?}");
        let denied = local
            .code("https://169.254.169.254/x", "")
            .await
            .unwrap_err();
        assert!(denied.message.contains("no address"), "{denied:?}");
    }
}
