//! The data plane over pipes in memory: for tests in which nothing may depend on the kernel or the clock.

use std::{
    cell::RefCell,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::DuplexStream;

use crate::{
    Gateway, connection,
    listener::Kind,
    stream,
    worker::{Open, Worker},
};

/// A worker without sockets. It lives on one thread, in a `tokio` runtime that is local to it.
pub struct InMemory(Rc<Worker>);

impl InMemory {
    /// A worker of `gateway`, to be made in its runtime; from now on, `dial` gives this thread's connections to backends.
    pub fn new(
        gateway: &Arc<Gateway>,
        dial: impl Fn(SocketAddr) -> io::Result<Wire> + 'static,
    ) -> Self {
        DIAL.replace(Some(Rc::new(dial)));
        let stats = gateway.stats.first().cloned().unwrap_or_default();
        let worker = Worker::new(Arc::clone(gateway), 0, stats);
        // Whoever waits for a backend waits for the sweep.
        tokio::task::spawn_local(Rc::clone(&worker).sweep());
        Self(worker)
    }

    /// Serves the client at the other end of a pipe, as if it had connected to the HTTP listener, until its
    /// connection has ended.
    pub async fn serve(&self, client: Wire) {
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 49152));
        let open = Open::new(&self.0.stats, Kind::Http);
        connection::serve(Rc::clone(&self.0), open, (client, address, Kind::Http)).await;
    }
}

/// A pipe in memory.
pub type Wire = DuplexStream;

impl stream::Wire for Wire {
    /// A pipe cannot tell before it is read.
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Dial = Rc<dyn Fn(SocketAddr) -> io::Result<Wire>>;

thread_local! {
    static DIAL: RefCell<Option<Dial>> = const { RefCell::new(None) };
}

pub(crate) async fn dial(address: SocketAddr) -> io::Result<Wire> {
    let dial = DIAL.with_borrow(Clone::clone);
    dial.ok_or(io::ErrorKind::NetworkUnreachable)?(address)
}
