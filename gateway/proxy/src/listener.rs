//! The sockets that clients connect to: one set for each worker, on the same ports.
//!
//! They are bound early, so that a port in use is found out early. Until they listen, connections are
//! refused.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::settings::Settings;

/// Bound sockets that take no connections yet.
#[derive(Debug)]
pub struct Listeners {
    http: SocketAddr,
    https: SocketAddr,
    pub(crate) workers: Vec<[(Kind, TcpListener); 2]>,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Https,
}

/// A listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({name}): {cause}")]
pub struct BindError {
    name: &'static str,
    address: SocketAddr,
    #[source]
    cause: io::Error,
}

impl BindError {
    /// Whether another program, perhaps another gateway, has the port.
    pub fn in_use(&self) -> bool {
        self.cause.kind() == io::ErrorKind::AddrInUse
    }

    /// The address that was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Listeners {
    /// Binds both listeners for every worker. A port in use is an error, also where another
    /// gateway has it; port 0 picks a free one.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let http = Self::bind_all("http", settings.http, settings.workers)?;
        let https = Self::bind_all("https", settings.https, settings.workers)?;
        let addresses = (http.1, https.1);
        let pairs = http.0.into_iter().zip(https.0);
        let workers = pairs
            .map(|(http, https)| [(Kind::Http, http), (Kind::Https, https)])
            .collect();
        Ok(Self {
            http: addresses.0,
            https: addresses.1,
            workers,
        })
    }

    fn bind_all(
        name: &'static str,
        address: SocketAddr,
        workers: usize,
    ) -> Result<(Vec<TcpListener>, SocketAddr), BindError> {
        let failed = |cause| BindError {
            name,
            address,
            cause,
        };
        // Sockets that share a port share it with every program that asks for it too. One that does
        // not ask shows whether anyone else is there.
        let probe = socket(address, false).map_err(failed)?;
        let bound = probe
            .local_addr()
            .map_err(failed)?
            .as_socket()
            .unwrap_or(address);
        drop(probe);
        let sockets = (0..workers).map(|_| Ok(TcpListener::from(socket(bound, true)?)));
        Ok((sockets.collect::<io::Result<_>>().map_err(failed)?, bound))
    }

    /// Takes connections from now on; they wait until there are workers.
    pub fn listen(&self) -> io::Result<()> {
        let mut sockets = self.workers.iter().flatten();
        sockets.try_for_each(|(_, socket)| SockRef::from(socket).listen(BACKLOG))
    }

    /// Where plain HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where HTTPS is served.
    pub fn https(&self) -> SocketAddr {
        self.https
    }
}

fn socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    // Else a socket is writable again only when much of a large buffer is free: a slow reader would
    // look like one that has stopped.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

const BACKLOG: i32 = 4096;
/// Bytes that may wait in the kernel to be sent for the first time.
const UNSENT: u32 = 128 * 1024;
