//! Connections of guests: the address that is checked is the one that is connected to, so that a
//! name cannot change its mind between.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::address;

/// The host has no address that a guest may reach.
#[derive(Debug, thiserror::Error)]
#[error("no address of this host may be reached")]
pub(super) struct Denied;

/// Connects to what may be reached.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) allow_loopback: bool,
    pub(super) denied: Arc<Mutex<Vec<IpAddr>>>,
}

impl Connector {
    /// The addresses of a host that may be reached.
    async fn resolve(&self, uri: &Uri) -> io::Result<Vec<SocketAddr>> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = match uri.scheme_str() {
            Some("https") => uri.port_u16().unwrap_or(443),
            Some(_) | None => uri.port_u16().unwrap_or(80),
        };
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed =
            |found: &SocketAddr| address::may_reach(found.ip(), self.allow_loopback, &denied);
        Ok(found.into_iter().filter(allowed).collect())
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let addresses = self.resolve(&uri).await?;
        let mut failed: BoxError = Box::new(Denied);
        for address in addresses.into_iter().take(ATTEMPTS) {
            match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => failed = error.into(),
                Err(_) => failed = "no connection within 2 s".into(),
            }
        }
        Err(failed)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// How long one address is tried.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many addresses are tried.
const ATTEMPTS: usize = 4;
