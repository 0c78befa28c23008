//! A worker: one thread with its own runtime, listeners, connections and upstream sockets.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    task::{spawn_local, yield_now},
    time::{Instant, interval, sleep},
};

use crate::{
    connection,
    gateway::{Gateway, Stage},
    listener::Kind,
    metrics::WorkerStats,
    sweep::{Connections, SWEEP},
    upstream::Pools,
    waits::Waits,
};

/// What the tasks of one worker share, without locks.
pub(crate) struct Worker {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) index: usize,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) pools: Pools,
    pub(crate) connections: Connections,
    pub(crate) waits: Waits,
    /// Held while a handshake computes: one has its turn, then everyone else.
    pub(crate) handshakes: Semaphore,
}

/// A connection that was accepted by one worker for another.
pub(crate) type Handed = (std::net::TcpStream, SocketAddr, Kind);

/// The ways to hand a connection to each worker.
pub(crate) type Inboxes = Arc<[mpsc::UnboundedSender<Handed>]>;

/// What a worker starts with.
pub(crate) struct Start {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) index: usize,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) listeners: [(Kind, std::net::TcpListener); 2],
    pub(crate) inbox: mpsc::UnboundedReceiver<Handed>,
    pub(crate) inboxes: Inboxes,
    pub(crate) stage: watch::Receiver<Stage>,
}

impl Worker {
    pub(crate) fn new(gateway: Arc<Gateway>, index: usize, stats: Arc<WorkerStats>) -> Rc<Self> {
        let pools = Pools::new(&gateway.settings.upstream);
        Rc::new(Self {
            gateway,
            index,
            stats,
            pools,
            connections: Connections::default(),
            waits: Waits::default(),
            handshakes: Semaphore::new(1),
        })
    }

    /// Serves until the stage says to stop, then until nothing is left or time is up.
    pub(crate) async fn run(start: Start) {
        let Start {
            gateway,
            index,
            stats,
            listeners,
            mut inbox,
            inboxes,
            mut stage,
        } = start;
        let worker = Self::new(gateway, index, stats);
        let accepts = listeners.map(|(kind, listener)| {
            let accept =
                Rc::clone(&worker).accept(kind, listener, Arc::clone(&inboxes), stage.clone());
            spawn_local(accept)
        });
        let sweeper = spawn_local(Rc::clone(&worker).sweep());
        let receiver = Rc::clone(&worker);
        let receiving = spawn_local(async move {
            while let Some((socket, address, kind)) = inbox.recv().await {
                receiver.receive(socket, address, kind);
            }
        });
        for accept in accepts {
            // An accept loop ends when its listener is closed; a panic in it must not look like that.
            if let Err(error) = accept.await {
                tracing::error!(%error, "a listener stopped");
            }
        }
        worker.connections.finish_http2();
        while worker.busy() && !matches!(*stage.borrow_and_update(), Stage::Over) {
            tokio::select! {
                _ = stage.changed() => {}
                () = sleep(DRAIN_LOOK) => {}
            }
        }
        receiving.abort();
        sweeper.abort();
    }

    /// Whether a connection is still open here.
    fn busy(&self) -> bool {
        self.stats.open.load(Relaxed) > 0 || self.connections.count() > 0
    }

    /// Accepts until told to stop; then what the kernel had queued, and closes.
    async fn accept(
        self: Rc<Self>,
        kind: Kind,
        listener: std::net::TcpListener,
        inboxes: Inboxes,
        mut stage: watch::Receiver<Stage>,
    ) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "cannot watch a listener");
                return;
            }
        };
        let mut backoff = BACKOFF;
        let mut batch = 0;
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                _ = stage.wait_for(|stage| *stage != Stage::Serving) => break,
            };
            match accepted {
                Ok((socket, address)) => {
                    backoff = BACKOFF;
                    self.place(socket, address, kind, &inboxes);
                    batch += 1;
                    if batch >= BATCH {
                        // Requests, and the other listener, have their turn.
                        batch = 0;
                        yield_now().await;
                    }
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    // Out of files or memory: the queue keeps what waits, and trying again at once
                    // would only burn the CPU that could free some.
                    tracing::warn!(%error, "cannot accept connections; trying again soon");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
        let Ok(listener) = listener.into_std() else {
            return;
        };
        while let Ok((socket, address)) = listener.accept() {
            self.receive(socket, address, kind);
        }
    }

    /// Keeps a connection, or hands it to the least loaded worker: the kernel's choice among
    /// sockets on one port is uneven with few connections.
    fn place(
        self: &Rc<Self>,
        socket: TcpStream,
        address: SocketAddr,
        kind: Kind,
        inboxes: &Inboxes,
    ) {
        if self.gateway.is_full(kind) {
            self.stats.refused_connections.fetch_add(1, Relaxed);
            return;
        }
        let own = self.stats.open.load(Relaxed);
        let loads = self
            .gateway
            .stats
            .iter()
            .map(|stats| stats.open.load(Relaxed))
            .enumerate();
        if let Some((index, least)) = loads.min_by_key(|(_, load)| *load)
            && own > least + (own / 8).max(2)
            && let Some(inbox) = inboxes.get(index)
        {
            self.stats.handed_over.fetch_add(1, Relaxed);
            // The client is told by the close should either worker be past taking connections.
            if let Ok(socket) = socket.into_std() {
                drop(inbox.send((socket, address, kind)));
            }
            return;
        }
        self.take(socket, address, kind);
    }

    /// Serves a connection that is not registered with this worker's runtime yet.
    fn receive(self: &Rc<Self>, socket: std::net::TcpStream, address: SocketAddr, kind: Kind) {
        match socket
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(socket))
        {
            Ok(socket) => self.take(socket, address, kind),
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    }

    /// Serves a connection on this worker.
    fn take(self: &Rc<Self>, socket: TcpStream, address: SocketAddr, kind: Kind) {
        let open = Open::new(&self.stats, kind);
        spawn_local(connection::serve(
            Rc::clone(self),
            open,
            (socket, address, kind),
        ));
    }

    /// Looks after stalled connections and idle upstream sockets.
    pub(crate) async fn sweep(self: Rc<Self>) {
        let mut ticks = interval(SWEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pools = Instant::now();
        let mut pressed = self.gateway.overload.subscribe();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // Its other end is the gateway's, which outlives this.
                Ok(()) = pressed.changed() => {
                    let pressure = *pressed.borrow_and_update();
                    let shed = self.connections.shed(pressure);
                    self.stats.shed_connections.fetch_add(shed, Relaxed);
                    continue;
                }
            }
            self.connections.sweep(
                &self.gateway.settings.timeouts,
                self.gateway.finishing_since(),
            );
            self.waits.sweep();
            if pools.elapsed() >= POOLS_LOOK {
                pools = Instant::now();
                self.pools.sweep();
                self.gateway.housekeeping();
            }
        }
    }
}

/// Counts a client's connection as open for as long as it is held, also when it has become a tunnel.
pub(crate) struct Open(Arc<WorkerStats>, Kind);

impl Open {
    pub(crate) fn new(stats: &Arc<WorkerStats>, kind: Kind) -> Self {
        stats.accepted.fetch_add(1, Relaxed);
        stats.open.fetch_add(1, Relaxed);
        stats.open_on(kind).fetch_add(1, Relaxed);
        Self(Arc::clone(stats), kind)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_on(self.1).fetch_sub(1, Relaxed);
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// The client is gone already; the next one may not be.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::WouldBlock
    )
}

/// Connections that are accepted before others have their turn.
const BATCH: u32 = 16;
const BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_millis(500);
const DRAIN_LOOK: Duration = Duration::from_millis(20);
const POOLS_LOOK: Duration = Duration::from_secs(1);
