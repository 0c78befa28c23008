//! The head of a request.

use std::net::{IpAddr, Ipv4Addr};

use crate::{Header, HeaderError, RerouteError, sys};

/// The head of a request, before it is sent to a backend. It is lent for one call of a hook. Each method
/// is a call of the gateway, some 0.2 µs: read once what you need twice.
#[derive(Debug)]
pub struct Request(pub(crate) sys::Request);

impl Request {
    /// The method, as the client wrote it: `GET`.
    pub fn method(&self) -> String {
        self.0.method()
    }

    /// `http` or `https`, as the client meant it.
    pub fn scheme(&self) -> String {
        self.0.scheme()
    }

    /// Host and port, as the client wrote them: `example.com`, `example.com:8443`.
    pub fn authority(&self) -> String {
        self.0.authority()
    }

    /// Path and query as they are sent to the backend. Begins with `/`; the path is in the one normal form
    /// that routes are matched against.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// Replaces path and query. The path must begin with one `/` and hold neither dot segments, nor
    /// control characters, nor `#`; at most 8 KiB. The route is not chosen again.
    pub fn set_path(&mut self, path_and_query: &str) -> Result<(), HeaderError> {
        self.0.set_path(path_and_query)
    }

    /// The first value of a field. Names are matched without regard to case.
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.header(name)
    }

    /// The first value of a field, where it is UTF-8.
    pub fn header_str(&self, name: &str) -> Option<String> {
        String::from_utf8(self.header(name)?).ok()
    }

    /// All values of one field, in their order.
    pub fn header_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.header_all(name)
    }

    /// The first cookie of that name, out of all `cookie` fields; none where it is not UTF-8. Not decoded.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.0.cookie(name)
    }

    /// The first parameter of that name in the query, percent-decoded, `+` being a space.
    pub fn query(&self, name: &str) -> Option<String> {
        self.0.query(name)
    }

    /// All fields, in their order. Costs as much as 15 calls of [`Self::header`] where there are 20 fields.
    pub fn headers(&self) -> Vec<Header> {
        self.0.headers()
    }

    /// Replaces all values of a field by this one, or adds it.
    pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.0.set_header(name, value.as_ref())
    }

    /// Adds a value to a field, after those that it has.
    pub fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.0.add_header(name, value.as_ref())
    }

    /// Removes all values of a field. One that is not there is no error.
    pub fn remove_header(&mut self, name: &str) -> Result<(), HeaderError> {
        self.0.remove_header(name)
    }

    /// The address of the client. Where the request came through proxies that the gateway trusts, the first
    /// address that is not theirs. Never an IPv4 address in IPv6 clothes.
    pub fn client_ip(&self) -> IpAddr {
        let text = self.0.client_ip();
        // The gateway gives nothing but addresses.
        let parsed = text.parse::<IpAddr>();
        parsed.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ip| ip.to_canonical())
    }

    /// The same as text, as the gateway gives it: for what only compares addresses.
    pub fn client_ip_text(&self) -> String {
        self.0.client_ip()
    }

    /// The client's port on the connection to the gateway.
    pub fn client_port(&self) -> u16 {
        self.0.client_port()
    }

    /// Whether the connection to the gateway is encrypted.
    pub fn tls(&self) -> bool {
        self.0.tls()
    }

    /// The name that the client asked for in its TLS handshake.
    pub fn sni(&self) -> Option<String> {
        self.0.sni()
    }

    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub fn http_version(&self) -> String {
        self.0.http_version()
    }

    /// The request's id, as it stands in `x-request-id` and in the access log.
    pub fn request_id(&self) -> String {
        self.0.request_id()
    }

    /// The namespace of the Ingress that owns the route.
    pub fn namespace(&self) -> String {
        self.0.namespace()
    }

    /// The name of the Ingress that owns the route.
    pub fn ingress(&self) -> String {
        self.0.ingress()
    }

    /// The path of the rule that matched, as it is written there.
    pub fn rule_path(&self) -> String {
        self.0.rule_path()
    }

    /// The host of the rule that matched, as it is written there: `*.example.com`; empty where the rule
    /// names none.
    pub fn rule_host(&self) -> String {
        self.0.rule_host()
    }

    /// Sends the request to this backend instead: `service:port`, a Service of the Ingress's namespace that
    /// the plugin's grant `backends` covers.
    pub fn reroute(&mut self, backend: &str) -> Result<(), RerouteError> {
        self.0.reroute(backend)
    }

    /// What this filter of this chain has kept for this request under that key.
    pub fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.0.state(key)
    }

    /// Keeps a value for the hooks of this request that follow, which may run on other instances. Keys have
    /// at most 128 bytes, values 8 KiB; 16 of them.
    pub fn set_state(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        self.0.set_state(key, value.as_ref())
    }

    /// Session stickiness: chooses this endpoint of the backend, an id taken from
    /// [`crate::Response::endpoint`]; false when it can no longer take this session, as it left the
    /// Service. Strict: the request stays with it even while it refuses connections, and then fails;
    /// otherwise the gateway chooses another one.
    pub fn pin(&mut self, endpoint: &str, strict: bool) -> bool {
        self.0.pin(endpoint, strict)
    }

    /// Chooses the endpoint by a consistent hash of this key. Together with [`Self::pin`] the session is
    /// balanced: it moves from its pinned endpoint to the one of the hash where the two differ, but
    /// never away from one that is terminating and still serves.
    pub fn hash_by(&mut self, key: impl AsRef<[u8]>) {
        self.0.hash_by(key.as_ref());
    }

    /// As [`Self::pin`], with [`Self::hash_by`] where a key is given, for a session that is to go on as it
    /// is: where this endpoint then answers, as one of the backend whose `service:port` has this hash
    /// (FNV-1a of 32 bits), the response hook of this filter has nothing to do and is not called.
    pub fn resume(
        &mut self,
        endpoint: &str,
        backend: u32,
        strict: bool,
        key: Option<&[u8]>,
    ) -> bool {
        self.0.resume(endpoint, backend, strict, key)
    }
}
