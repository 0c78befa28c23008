//! The limits: what clients and backends may take, each a flag with a safe default.

use std::time::Duration;

use clap::Args;
use proxy::{Limits, Timeouts, UpstreamLimits};

use super::{Reader, value::Zero};
use crate::memory::Limit;

/// Flags that limit sizes, counts and times. `docs/limits.md` has the same table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (TIME: 500ms, 30s, 5m, 1h; SIZE: 64Ki, 8Mi, 10M)")]
pub(crate) struct LimitFlags {
    /// TLS handshake and PROXY header, from accept: closed
    #[arg(long, value_name = "TIME", default_value = "10s")]
    handshake_timeout: String,
    /// Head of a request, from its first byte: closed
    #[arg(long, value_name = "TIME", default_value = "10s")]
    head_timeout: String,
    /// First byte of a connection, and next request of an idle HTTP/1.1 one: closed
    #[arg(long, value_name = "TIME", default_value = "60s")]
    client_idle_timeout: String,
    /// Request body without progress: 408
    #[arg(long, value_name = "TIME", default_value = "30s")]
    body_stall_timeout: String,
    /// Client that takes no byte of a response: closed
    #[arg(long, value_name = "TIME", default_value = "30s")]
    write_stall_timeout: String,
    /// HTTP/2 preface: closed
    #[arg(long, value_name = "TIME", default_value = "10s")]
    h2_preface_timeout: String,
    /// HTTP/2 connection without a request: GOAWAY
    #[arg(long, value_name = "TIME", default_value = "60s")]
    h2_idle_timeout: String,
    /// Whole of a request and its response, 0 for no limit: 504 or broken off
    #[arg(long, value_name = "TIME", default_value = "0")]
    request_timeout: String,
    /// To connect to a backend, TLS included: 502
    #[arg(long, value_name = "TIME", default_value = "5s")]
    connect_timeout: String,
    /// To the head of a backend's response: 504
    #[arg(long, value_name = "TIME", default_value = "60s")]
    response_timeout: String,
    /// Between two reads or writes with a backend: 504 or broken off
    #[arg(long, value_name = "TIME", default_value = "60s")]
    idle_timeout: String,
    /// The same for upgraded connections, event streams and gRPC: closed
    #[arg(long, value_name = "TIME", default_value = "1h")]
    stream_idle_timeout: String,
    /// Head of a request, in bytes: 431
    #[arg(long, value_name = "SIZE", default_value = "65Ki")]
    max_head_size: String,
    /// Fields of a request's head: 431
    #[arg(long, value_name = "N", default_value = "100")]
    max_head_fields: String,
    /// Body of a request, 0 for no limit (bodies are streamed): 413
    #[arg(long, value_name = "SIZE", default_value = "0")]
    max_body: String,
    /// Client connections at once: further ones are closed
    #[arg(long, value_name = "N", default_value = "50000")]
    max_connections: String,
    /// Of these, over one listener: further ones are closed
    #[arg(long, value_name = "N", default_value = "45000")]
    max_listener_connections: String,
    /// Memory of the process, auto for the cgroup's limit, 0 for none: load is shed from 92 % of it
    #[arg(long, value_name = "SIZE", default_value = "auto")]
    memory_limit: String,
    /// Requests at once on an HTTP/2 connection: REFUSED_STREAM
    #[arg(long, value_name = "N", default_value = "100")]
    h2_max_streams: String,
    /// HTTP/2 flow-control window of a stream
    #[arg(long, value_name = "SIZE", default_value = "64Ki")]
    h2_stream_window: String,
    /// HTTP/2 flow-control window of a connection
    #[arg(long, value_name = "SIZE", default_value = "1Mi")]
    h2_connection_window: String,
    /// HTTP/2 streams reset by the client before they were handled: GOAWAY
    #[arg(long, value_name = "N", default_value = "20")]
    h2_max_pending_resets: String,
    /// HTTP/2 streams reset for the client's errors: GOAWAY
    #[arg(long, value_name = "N", default_value = "1024")]
    h2_max_local_resets: String,
    /// Response buffered for a slow client: the backend waits
    #[arg(long, value_name = "SIZE", default_value = "64Ki")]
    write_buffer: String,
    /// Idle connections to backends that a worker keeps
    #[arg(long, value_name = "N", default_value = "1024")]
    upstream_idle_per_worker: String,
    /// Of these, to one endpoint
    #[arg(long, value_name = "N", default_value = "32")]
    upstream_idle_per_endpoint: String,
    /// How long an idle connection to a backend is kept
    #[arg(long, value_name = "TIME", default_value = "60s")]
    upstream_idle_timeout: String,
    /// Requests at once on an HTTP/2 connection to a backend
    #[arg(long, value_name = "N", default_value = "100")]
    upstream_h2_streams: String,
    /// Failures to connect in a row after which an endpoint is ejected
    #[arg(long, value_name = "N", default_value = "3")]
    eject_after: String,
    /// How long an ejected endpoint is passed over while others are left
    #[arg(long, value_name = "TIME", default_value = "10s")]
    eject_for: String,
    /// How often a request may be tried: 502
    #[arg(long, value_name = "N", default_value = "3")]
    tries: String,
    /// Head of a backend's response, in bytes: 502
    #[arg(long, value_name = "SIZE", default_value = "64Ki")]
    max_response_head_size: String,
    /// Answer of the API server, and word from a connection to it: tried again
    #[arg(long, value_name = "TIME", default_value = "30s")]
    api_server_timeout: String,
}

/// The limits, read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) upstream: UpstreamLimits,
    pub(super) memory: Limit,
    /// How long the API server may take to answer.
    pub(super) api_server: Duration,
}

impl LimitFlags {
    /// Reads them all.
    pub(super) fn read(&self, reader: &mut Reader) -> Read {
        Read {
            timeouts: self.timeouts(reader),
            limits: self.limits(reader),
            upstream: self.upstream(reader),
            memory: self.memory(reader),
            api_server: reader.time(
                "--api-server-timeout",
                &self.api_server_timeout,
                Zero::Refused,
            ),
        }
    }

    fn memory(&self, reader: &mut Reader) -> Limit {
        if self.memory_limit == "auto" {
            return Limit::Auto;
        }
        match reader.size("--memory-limit", &self.memory_limit, Zero::Allowed) {
            0 => Limit::Off,
            bytes => Limit::Bytes(bytes),
        }
    }

    fn timeouts(&self, reader: &mut Reader) -> Timeouts {
        Timeouts {
            handshake: reader.time(
                "--handshake-timeout",
                &self.handshake_timeout,
                Zero::Refused,
            ),
            head: reader.time("--head-timeout", &self.head_timeout, Zero::Refused),
            client_idle: reader.time(
                "--client-idle-timeout",
                &self.client_idle_timeout,
                Zero::Refused,
            ),
            body_stall: reader.time(
                "--body-stall-timeout",
                &self.body_stall_timeout,
                Zero::Refused,
            ),
            write_stall: reader.time(
                "--write-stall-timeout",
                &self.write_stall_timeout,
                Zero::Refused,
            ),
            h2_preface: reader.time(
                "--h2-preface-timeout",
                &self.h2_preface_timeout,
                Zero::Refused,
            ),
            h2_idle: reader.time("--h2-idle-timeout", &self.h2_idle_timeout, Zero::Refused),
            request: Some(reader.time("--request-timeout", &self.request_timeout, Zero::Allowed))
                .filter(|time| !time.is_zero()),
            connect: reader.time("--connect-timeout", &self.connect_timeout, Zero::Refused),
            response: reader.time("--response-timeout", &self.response_timeout, Zero::Refused),
            idle: reader.time("--idle-timeout", &self.idle_timeout, Zero::Refused),
            stream_idle: reader.time(
                "--stream-idle-timeout",
                &self.stream_idle_timeout,
                Zero::Refused,
            ),
        }
    }

    fn limits(&self, reader: &mut Reader) -> Limits {
        Limits {
            head_size: reader.size("--max-head-size", &self.max_head_size, Zero::Refused),
            head_fields: reader.count("--max-head-fields", &self.max_head_fields),
            max_body: reader.size("--max-body", &self.max_body, Zero::Allowed),
            connections: reader.count("--max-connections", &self.max_connections),
            listener_connections: reader
                .count("--max-listener-connections", &self.max_listener_connections),
            h2_streams: reader.count("--h2-max-streams", &self.h2_max_streams),
            h2_stream_window: reader.window("--h2-stream-window", &self.h2_stream_window),
            h2_connection_window: reader
                .window("--h2-connection-window", &self.h2_connection_window),
            h2_pending_resets: reader.count("--h2-max-pending-resets", &self.h2_max_pending_resets),
            h2_local_resets: reader.count("--h2-max-local-resets", &self.h2_max_local_resets),
            write_buffer: reader.size("--write-buffer", &self.write_buffer, Zero::Refused),
        }
    }

    fn upstream(&self, reader: &mut Reader) -> UpstreamLimits {
        UpstreamLimits {
            // Only the system knows.
            connections: usize::MAX,
            idle_per_worker: reader
                .count("--upstream-idle-per-worker", &self.upstream_idle_per_worker),
            idle_per_endpoint: reader.count(
                "--upstream-idle-per-endpoint",
                &self.upstream_idle_per_endpoint,
            ),
            idle_timeout: reader.time(
                "--upstream-idle-timeout",
                &self.upstream_idle_timeout,
                Zero::Refused,
            ),
            h2_streams: reader.count("--upstream-h2-streams", &self.upstream_h2_streams),
            eject_after: reader.count("--eject-after", &self.eject_after),
            eject_for: reader.time("--eject-for", &self.eject_for, Zero::Refused),
            tries: reader.count("--tries", &self.tries),
            head_size: reader.size(
                "--max-response-head-size",
                &self.max_response_head_size,
                Zero::Refused,
            ),
        }
    }
}
