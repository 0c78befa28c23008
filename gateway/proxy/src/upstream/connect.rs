//! A new connection to an endpoint: TCP, perhaps TLS, HTTP.

use std::{
    io,
    rc::Rc,
    sync::{Arc, OnceLock},
    time::Duration,
};

use hyper_util::rt::{TokioIo, TokioTimer};
use route::Protocol;
use rustix::io::Errno;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    pool::{Key, Sender},
    share::Open,
};
#[cfg(feature = "testing")]
use crate::testing::{Wire, dial};
use crate::{stream::Stream, tls::provider, worker::Worker};

/// Why an endpoint could not be connected to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no descriptor is left for it")]
    Exhausted,
    #[error("HTTP failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("timed out")]
    Timeout,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Connects within `patience`, TLS included.
pub(super) async fn connect(
    worker: &Rc<Worker>,
    key: &Key,
    open: Open,
    patience: Duration,
) -> Result<Sender, ConnectError> {
    timeout(patience, async {
        let socket = dial(key.address).await.map_err(exhausted)?;
        let stream = match key.protocol {
            Protocol::Http | Protocol::Grpc | Protocol::H2c => Stream::Plain(socket),
            Protocol::Https | Protocol::Grpcs => {
                let http2 = key.protocol == Protocol::Grpcs;
                let connector = TlsConnector::from(client_config(http2)?);
                let name = match &key.server_name {
                    Some(name) => {
                        ServerName::try_from(name.to_string()).map_err(io::Error::other)?
                    }
                    None => ServerName::from(key.address.ip()),
                };
                Stream::Tls(Box::new(connector.connect(name, socket).await?))
            }
        };
        match key.protocol {
            Protocol::Http | Protocol::Https => http1(worker, stream, open).await,
            Protocol::Grpc | Protocol::Grpcs | Protocol::H2c => http2(worker, stream, open).await,
        }
    })
    .await
    .map_err(|_| ConnectError::Timeout)?
}

/// Tells what this process lacks from what is wrong with the endpoint.
fn exhausted(error: io::Error) -> ConnectError {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => ConnectError::Exhausted,
        _ => error.into(),
    }
}

async fn http1(worker: &Rc<Worker>, stream: Socket, open: Open) -> Result<Sender, ConnectError> {
    let limits = &worker.gateway.settings.upstream;
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(limits.head_size.max(8 * 1024))
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::task::spawn_local(async move {
        let _open = open;
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to a backend ended");
        }
    });
    Ok(Sender::Http1(sender))
}

async fn http2(worker: &Rc<Worker>, stream: Socket, open: Open) -> Result<Sender, ConnectError> {
    let settings = &worker.gateway.settings;
    let head = u32::try_from(settings.upstream.head_size).unwrap_or(u32::MAX);
    let (sender, connection) = hyper::client::conn::http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        // Hyper ends the whole connection when one unread stream of small frames fills half of it.
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(head)
        // Frames for a stream that was cancelled may still come, and must be known as such: many that
        // are not end the connection, with everyone's requests on it.
        .max_concurrent_reset_streams(CANCELLED)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::task::spawn_local(async move {
        let _open = open;
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to a backend ended");
        }
    });
    Ok(Sender::Http2(sender, Rc::default()))
}

/// Spawns on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// TLS to backends. As in ingress-nginx, their certificates are not verified: endpoints are
/// addresses from the cluster, and their certificates are mostly self-signed.
fn client_config(http2: bool) -> Result<Arc<ClientConfig>, rustls::Error> {
    static HTTP1: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static HTTP2: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let cell = if http2 { &HTTP2 } else { &HTTP1 };
    if let Some(config) = cell.get() {
        return Ok(Arc::clone(config));
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified))
        .with_no_client_auth();
    let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::clone(cell.get_or_init(|| Arc::new(config))))
}

/// Takes any certificate whose key the peer holds.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A socket to a backend.
type Socket = Stream<Wire, TlsStream<Wire>>;

#[cfg(not(feature = "testing"))]
type Wire = tokio::net::TcpStream;

#[cfg(not(feature = "testing"))]
async fn dial(address: std::net::SocketAddr) -> io::Result<Wire> {
    let socket = Wire::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Streams to a backend of which it is remembered for a while that they were cancelled.
const CANCELLED: usize = 4096;
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
