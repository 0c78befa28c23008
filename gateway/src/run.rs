//! Wiring: listeners, data-plane workers, the publishing thread, and this thread for admin, signals
//! and the end.

use std::{
    error::Error,
    io,
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    sync::Arc,
    thread,
};

use anyhow::Context;
use proxy::{Gateway, Listeners, Settings};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::{
    FAILED,
    access::{self, AccessWriter},
    admin::{self, Admin, Scope},
    cli::{Arguments, Origin, Redirect, RunFlags},
    descriptors, log, low_ports,
    memory::Budget,
    publish::Publisher,
    state::{Phase, State},
};

/// `portcullis run`.
pub(crate) fn command(flags: RunFlags) -> anyhow::Result<ExitCode> {
    Ok(serve(flags.read()?, |_| {}))
}

/// Where the gateway listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Serves until told to stop; `ready` is called when requests are served.
pub(crate) fn serve(arguments: Arguments, ready: impl FnOnce(Addresses)) -> ExitCode {
    log::start(arguments.log.clone());
    match Program::prepare(arguments).and_then(|program| program.run(ready)) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{}", crate::described(&error));
            FAILED.into()
        }
    }
}

/// Everything that is bound and opened, and not yet running.
struct Program {
    gateway: Arc<Gateway>,
    listeners: Listeners,
    publisher: Publisher,
    state: Arc<State>,
    access: Option<Arc<AccessWriter>>,
    admin: (TcpListener, SocketAddr),
    metrics: Option<(TcpListener, SocketAddr)>,
    memory: Option<Budget>,
}

impl Program {
    /// Binds every listener and opens the source: what fails, fails before anything is served.
    fn prepare(arguments: Arguments) -> anyhow::Result<Self> {
        let Arguments {
            mut settings,
            options,
            sandbox,
            origin,
            admin,
            metrics,
            memory,
            redirect,
            access,
            log: _,
            publishing,
            idle,
        } = arguments;

        let (listeners, admin, metrics) = low_ports::bind(|| {
            let listeners = bind_workers(&settings)?;
            let admin = bind("--admin", admin)?;
            let metrics = metrics.map(|address| bind("--metrics", address));
            anyhow::Ok((listeners, admin, metrics.transpose()?))
        })?;
        // A folder is read in a moment; an API server may take its time, and others look for a gateway
        // that serves.
        if matches!(origin, Origin::Manifests(_)) {
            listeners.listen()?;
        }
        tracing::info!(listener = "http", address = %listeners.http(), "listening");
        tracing::info!(listener = "https", address = %listeners.https(), "listening");
        tracing::info!(listener = "admin", address = %admin.1, "listening");
        if let Some((_, address)) = &metrics {
            tracing::info!(listener = "metrics", %address, "listening");
        }
        descriptors::share(&mut settings)?;
        let memory = Budget::find(memory);
        for flag in idle {
            tracing::warn!("has no effect with --manifests: {flag}");
        }

        let port = match redirect {
            Redirect::Port(port) => port,
            Redirect::Listener => listeners.https().port(),
        };
        settings.redirect_port = Some(port).filter(|port| *port != HTTPS);
        let workers = settings.workers;
        let (access, writer) = access::open(&access)?;
        let gateway = Gateway::new(settings, access, wasm::tidy)?;
        let state = Arc::new(State::default());
        let publisher = Publisher::open(
            origin,
            (options, sandbox, publishing),
            Arc::clone(&gateway),
            Arc::clone(&state),
        )?;
        tracing::debug!(workers, version = env!("CARGO_PKG_VERSION"), "prepared");
        Ok(Self {
            gateway,
            listeners,
            publisher,
            state,
            access: writer.map(Arc::new),
            admin,
            metrics,
            memory,
        })
    }

    /// Serves until a signal ends it.
    fn run(self, ready: impl FnOnce(Addresses)) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.control(ready))
    }

    async fn control(self, ready: impl FnOnce(Addresses)) -> anyhow::Result<ExitCode> {
        let Self {
            gateway,
            listeners,
            mut publisher,
            state,
            access,
            admin,
            metrics,
            memory,
        } = self;
        let leave = publisher.leave();
        let mut signals = Signals::listen()?;
        let addresses = Addresses {
            http: listeners.http(),
            https: listeners.https(),
            admin: admin.1,
        };
        let answering = Admin::new(Arc::clone(&gateway), Arc::clone(&state), access.clone());
        let answering = Arc::new(answering);
        let everything = Scope::everything(addresses.admin);
        tokio::spawn(admin::serve(admin.0, Arc::clone(&answering), everything)?);
        if let Some((listener, _)) = metrics {
            tokio::spawn(admin::serve(listener, answering, Scope::Probes)?);
        }

        // Ready only when a complete configuration is there.
        let (first, published) = oneshot::channel();
        let publishing = move || {
            publisher.run(|| {
                // A receiver that is gone has been told to stop already.
                let _ = first.send(());
            });
        };
        thread::Builder::new()
            .name("publish".to_owned())
            .spawn(publishing)?;
        let stopped = tokio::select! {
            published = published => { published.context("the objects could not be read")?; None }
            name = signals.next() => Some(name),
        };
        if stopped.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(memory) = memory {
            memory.watch(Arc::clone(&gateway), Arc::clone(&state))?;
        }
        let workers = gateway.start(listeners)?;
        state.enter(Phase::Serving);
        tracing::info!("ready");
        ready(addresses);

        // Serving, until a signal; a second one does not wait for what runs.
        let name = signals.next().await;
        state.enter(Phase::Draining);
        tracing::info!(signal = name, "draining: finishing what runs");
        let left = async {
            if let Some(leave) = leave {
                leave.leave().await;
            }
        };
        let code = tokio::select! {
            _ = async { tokio::join!(workers.drain(), left) } => ExitCode::SUCCESS,
            name = signals.next() => {
                tracing::warn!(signal = name, "stopping at once: what ran is broken off");
                FAILED.into()
            }
        };
        if let Some(access) = access {
            access.finish();
        }
        tracing::info!("stopped");
        Ok(code)
    }
}

/// The signals that ask for an end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The port that `https:` means without one.
const HTTPS: u16 = 443;

fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|cause| cannot_listen(flag, address, &cause))
}

fn bind_workers(settings: &Settings) -> anyhow::Result<Listeners> {
    Listeners::bind(settings).map_err(|error| {
        let address = error.address();
        let flag = if address == settings.http {
            "--http"
        } else {
            "--https"
        };
        match error.source().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => cannot_listen(flag, address, cause),
            None => error.into(),
        }
    })
}

/// Says what failed, why, and what to do.
fn cannot_listen(flag: &str, address: SocketAddr, cause: &io::Error) -> anyhow::Error {
    let kind = cause.kind();
    let remedy = if kind == io::ErrorKind::AddrInUse {
        "another program listens there: stop it, or write another address with"
    } else if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or write another port with"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "this machine does not have that address: write one that it has with"
    } else {
        "write another address with"
    };
    anyhow::anyhow!("cannot listen on {address}: {cause}; {remedy} {flag}")
}
