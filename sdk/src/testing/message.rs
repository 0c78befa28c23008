//! Requests and responses for tests.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, HeaderValue};

use crate::memory::{Exchange, Facts};

/// A request as a client sends it.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    parts: http::request::Parts,
    facts: Facts,
}

/// A response as a backend sends it.
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    pub(super) parts: http::response::Parts,
    pub(super) answered_by: Option<(String, String)>,
}

/// A `GET` request.
pub fn get(path_and_query: &str) -> RequestBuilder {
    request("GET", path_and_query)
}

/// A `POST` request.
pub fn post(path_and_query: &str) -> RequestBuilder {
    request("POST", path_and_query)
}

/// A request of 192.0.2.1 for `http://example.com`, matched by the rule `/` of the Ingress `default/site`.
/// Panics where it is none that can be sent.
#[expect(clippy::panic, reason = "it is called in tests only")]
pub fn request(method: &str, path_and_query: &str) -> RequestBuilder {
    let built = http::Request::builder()
        .method(method)
        .uri(path_and_query)
        .body(());
    let Ok(built) = built else {
        panic!("no request: {method} {path_and_query}");
    };
    RequestBuilder {
        parts: built.into_parts().0,
        facts: Facts {
            scheme: "http".to_owned(),
            authority: "example.com".to_owned(),
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            port: 40_000,
            tls: false,
            sni: None,
            id: "0123456789abcdef".to_owned(),
            namespace: "default".to_owned(),
            ingress: "site".to_owned(),
            rule_path: "/".to_owned(),
            rule_host: "example.com".to_owned(),
        },
    }
}

/// A response of the endpoint `endpoint-1` of `web:80`.
#[expect(clippy::panic, reason = "it is called in tests only")]
pub fn response(status: u16) -> ResponseBuilder {
    let Ok(built) = http::Response::builder().status(status).body(()) else {
        panic!("no status: {status}");
    };
    ResponseBuilder {
        parts: built.into_parts().0,
        answered_by: Some(("web:80".to_owned(), "endpoint-1".to_owned())),
    }
}

impl RequestBuilder {
    /// With one field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = field(name, value.as_ref());
        self.parts.headers.append(name, value);
        self
    }

    /// With one `cookie` field more.
    #[must_use]
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", format!("{name}={value}"))
    }

    /// From this client. Panics where it is no address.
    #[must_use]
    #[expect(clippy::panic, reason = "it is called in tests only")]
    pub fn client_ip(mut self, address: &str) -> Self {
        let Ok(address) = address.parse::<IpAddr>() else {
            panic!("no address: {address}");
        };
        // As in the gateway: an IPv4 address in IPv6 clothes is an IPv4 address everywhere.
        self.facts.client = address.to_canonical();
        self
    }

    /// From this port of the client.
    #[must_use]
    pub fn client_port(mut self, port: u16) -> Self {
        self.facts.port = port;
        self
    }

    /// Over TLS, by `https`, to this name.
    #[must_use]
    pub fn tls(mut self, sni: &str) -> Self {
        self.facts.tls = true;
        self.facts.sni = Some(sni.to_owned());
        self.scheme("https")
    }

    /// By `http` or `https`, as a trusted proxy may say it.
    #[must_use]
    pub fn scheme(mut self, scheme: &str) -> Self {
        scheme.clone_into(&mut self.facts.scheme);
        self
    }

    /// For this host.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.facts.authority);
        self
    }

    /// In this version of HTTP: `HTTP/1.0`, `HTTP/1.1`, which it is else, or `HTTP/2.0`.
    #[must_use]
    #[expect(clippy::panic, reason = "it is called in tests only")]
    pub fn http_version(mut self, version: &str) -> Self {
        self.parts.version = match version {
            "HTTP/1.0" => http::Version::HTTP_10,
            "HTTP/1.1" => http::Version::HTTP_11,
            "HTTP/2.0" => http::Version::HTTP_2,
            _ => panic!("no version of HTTP: {version}"),
        };
        self
    }

    /// With this id.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.facts.id);
        self
    }

    /// On a route of this Ingress.
    #[must_use]
    pub fn ingress(mut self, namespace: &str, name: &str) -> Self {
        namespace.clone_into(&mut self.facts.namespace);
        name.clone_into(&mut self.facts.ingress);
        self
    }

    /// Matched by a rule of this host and path.
    #[must_use]
    pub fn rule(mut self, host: &str, path: &str) -> Self {
        host.clone_into(&mut self.facts.rule_host);
        path.clone_into(&mut self.facts.rule_path);
        self
    }

    pub(super) fn exchange(self) -> Exchange {
        Exchange::new(self.parts, self.facts)
    }
}

impl ResponseBuilder {
    /// With one field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = field(name, value.as_ref());
        self.parts.headers.append(name, value);
        self
    }

    /// From this endpoint of this backend, `service:port`.
    #[must_use]
    pub fn from(mut self, backend: &str, endpoint: &str) -> Self {
        self.answered_by = Some((backend.to_owned(), endpoint.to_owned()));
        self
    }

    /// Made by a filter or the gateway.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.answered_by = None;
        self
    }
}

#[expect(clippy::panic, reason = "it is called in tests only")]
fn field(name: &str, value: &[u8]) -> (HeaderName, HeaderValue) {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    match (parsed, HeaderValue::from_bytes(value)) {
        (Some(name), Ok(value)) => (name, value),
        _ => panic!("no field: {name}: {}", value.escape_ascii()),
    }
}
