//! What the operator can set about the data plane, with its safe defaults.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;

/// The data plane's settings, fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where plain HTTP is served.
    pub http: SocketAddr,
    /// Where HTTPS is served.
    pub https: SocketAddr,
    /// Threads that serve requests, at least 1.
    pub workers: usize,
    /// Whose forwarded headers, and PROXY headers, are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether both listeners expect a PROXY protocol header.
    pub proxy_protocol: bool,
    /// The port written into redirects to https; `None` writes none (443).
    pub redirect_port: Option<u16>,
    /// Whether names of ExternalName Services may resolve to loopback addresses.
    pub external_loopback: bool,
    /// How long to go on accepting once stopping.
    pub drain_delay: Duration,
    /// How long what runs may take to finish after that.
    pub drain_timeout: Duration,
    /// Sizes and counts.
    pub limits: Limits,
    /// Patience with clients and backends.
    pub timeouts: Timeouts,
    /// Connections to backends.
    pub upstream: UpstreamLimits,
}

/// Sizes and counts that a client may not exceed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's head: request line and fields. 431 beyond.
    pub head_size: usize,
    /// Fields of a request's head. 431 beyond.
    pub head_fields: usize,
    /// Bytes of a request's body, where the route sets none; 0 is unlimited. 413 beyond.
    pub max_body: u64,
    /// Client connections at once, over all listeners. Further ones are closed at accept.
    pub connections: usize,
    /// Of these, over one listener: the others always have room.
    pub listener_connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub h2_streams: u32,
    /// Bytes of HTTP/2 flow-control window a stream.
    pub h2_stream_window: u32,
    /// Bytes of HTTP/2 flow-control window a connection.
    pub h2_connection_window: u32,
    /// HTTP/2 streams that a client may have reset before they were handled.
    pub h2_pending_resets: usize,
    /// HTTP/2 streams that may be reset for the client's errors before the connection ends.
    pub h2_local_resets: usize,
    /// Bytes of response buffered for a slow client.
    pub write_buffer: usize,
}

/// How long is waited for what.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// TLS handshake, from accept; PROXY header likewise.
    pub handshake: Duration,
    /// Request head, from its first byte.
    pub head: Duration,
    /// First byte of a connection, and the next request of an idle one (HTTP/1).
    pub client_idle: Duration,
    /// Request body without progress; less than 1 KiB in this time counts as none.
    pub body_stall: Duration,
    /// A client that takes no byte of a response.
    pub write_stall: Duration,
    /// The HTTP/2 preface, from the connection's first byte or the handshake's end.
    pub h2_preface: Duration,
    /// An HTTP/2 connection without a request, whatever else it sends.
    pub h2_idle: Duration,
    /// The whole of a request and its response; `None` is unlimited.
    pub request: Option<Duration>,
    /// To connect to a backend, TLS included, where the route sets none.
    pub connect: Duration,
    /// To the head of the backend's response, where the route sets none.
    pub response: Duration,
    /// Between two reads or writes with the backend, where the route sets none.
    pub idle: Duration,
    /// The same for upgraded connections, event streams and gRPC.
    pub stream_idle: Duration,
}

/// Connections to backends.
#[derive(Clone, Debug)]
pub struct UpstreamLimits {
    /// Connections at once, over all workers, each of which has its part. 503 beyond, once no idle one
    /// is left to be closed.
    pub connections: usize,
    /// Idle connections that a worker keeps in all.
    pub idle_per_worker: usize,
    /// Idle connections that a worker keeps to one endpoint; a burst's for a second longer.
    pub idle_per_endpoint: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Requests at once on one HTTP/2 connection to a backend.
    pub h2_streams: usize,
    /// Failures to connect in a row after which an endpoint is ejected.
    pub eject_after: u32,
    /// How long an ejected endpoint gets no requests while others are left.
    pub eject_for: Duration,
    /// How often one request may be tried.
    pub tries: u32,
    /// Bytes of a response's head. 502 beyond.
    pub head_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([0u16; 8], 8080)),
            https: SocketAddr::from(([0u16; 8], 8443)),
            workers: 1,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            redirect_port: None,
            external_loopback: false,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(25),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            upstream: UpstreamLimits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_size: 65 * 1024,
            head_fields: 100,
            max_body: 0,
            connections: 50_000,
            listener_connections: 45_000,
            h2_streams: 100,
            h2_stream_window: 64 * 1024,
            h2_connection_window: 1024 * 1024,
            h2_pending_resets: 20,
            h2_local_resets: 1024,
            write_buffer: 64 * 1024,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            client_idle: Duration::from_secs(60),
            body_stall: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            h2_preface: Duration::from_secs(10),
            h2_idle: Duration::from_secs(60),
            request: None,
            connect: Duration::from_secs(5),
            response: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            stream_idle: Duration::from_secs(3600),
        }
    }
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            idle_per_worker: 1024,
            idle_per_endpoint: 32,
            idle_timeout: Duration::from_secs(60),
            h2_streams: 100,
            eject_after: 3,
            eject_for: Duration::from_secs(10),
            tries: 3,
            head_size: 64 * 1024,
        }
    }
}
