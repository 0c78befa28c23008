//! The cluster source: objects from an API server, and what is written back.
//!
//! Watches and writers run on a thread of their own; what they tell is put into the objects by whoever
//! reads. A server that goes away, or a kind that is not allowed, is a problem, and what was known
//! stays.

mod access;
mod address;
mod conditions;
mod events;
mod health;
mod inbox;
mod item;
mod kinds;
mod lease;
mod list;
mod named;
mod nodes;
mod pace;
mod published;
mod seen;
mod server;
mod thread;
mod trouble;
mod watch;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc as orders, oneshot, watch as latest};

use crate::{objects::Objects, problem::Problem, translate::Options};
use inbox::Inbox;
use kinds::Target;
use named::Named;
use published::{Published, Reports};
use seen::Seen;
use server::Server;
use thread::{Order, Watches};
use watch::{Health, Message};
use write::Writer;

pub use access::{Access, AccessError, Place};
pub use address::Publishing;
pub use published::PluginState;
pub use write::Leave;

/// The objects of a cluster.
#[derive(Debug)]
pub struct Cluster {
    server: String,
    resolved: Vec<IpAddr>,
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    pending: Vec<Message>,
    orders: orders::UnboundedSender<Order>,
    inbox: Inbox,
    named: Named,
    /// Whether everything was known once.
    complete: bool,
    changed: bool,
    last: Option<Instant>,
    ours: Arc<BTreeSet<(String, String)>>,
    published: latest::Sender<Option<Published>>,
    leave: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

/// How a kind is watched, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchState {
    /// The name of the kind in the API, `ingresses.networking.k8s.io`.
    pub resource: String,
    /// Whether all of its watches run.
    pub up: bool,
}

impl Cluster {
    /// Finds the API server and begins to watch. Only what cannot work at all is an error: a server
    /// that does not answer is waited for.
    pub fn connect(
        access: &Access,
        options: &Options,
        publishing: Publishing,
    ) -> Result<Self, AccessError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let config = runtime.block_on(access.config())?;
        let server = config.cluster_url.to_string();
        let host = config.cluster_url.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let resolved = (host, 0).to_socket_addrs().into_iter().flatten();
        let resolved = resolved.map(|address| address.ip()).collect();
        let api = {
            let _inside = runtime.enter();
            Server::new(config, access.patience).map_err(|error| AccessError::Client {
                server: server.clone(),
                reason: trouble::text(&error),
            })?
        };

        let (sender, messages) = mpsc::channel();
        let (orders, received) = orders::unbounded_channel();
        let (published, live) = latest::channel(None);
        let (leave, left) = oneshot::channel();
        let seen = Arc::new(Seen::default());
        let manager = write::manager(options);
        let writer = Writer {
            server: api.clone(),
            seen: Arc::clone(&seen),
            reports: Arc::new(Reports::new(sender.clone())),
            publishing,
            lease: lease::name(&manager, &options.watch_namespaces),
            manager,
            published: live,
        };
        let watches = Watches {
            server: api,
            messages: sender.clone(),
            seen,
        };
        let all = async move {
            tokio::spawn(writer.keep(left));
            watches.run(received).await;
        };
        std::thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(move || runtime.block_on(all))?;

        let mut cluster = Self {
            server,
            resolved,
            messages,
            sender,
            pending: Vec::new(),
            orders,
            inbox: Inbox::default(),
            named: Named::default(),
            complete: false,
            changed: true,
            last: None,
            ours: Arc::default(),
            published,
            leave: Some(leave),
        };
        let Options {
            watch_namespaces,
            shared_plugin_namespaces,
            ..
        } = options;
        for target in Target::initial(watch_namespaces, shared_plugin_namespaces) {
            cluster.begin(target);
        }
        Ok(cluster)
    }

    /// What ends a [`Self::wait`] from elsewhere.
    pub fn waker(&self) -> impl Fn() + Send + Sync + use<> {
        let sender = self.sender.clone();
        move || {
            let _ = sender.send(Message::Wake);
        }
    }

    /// Blocks until something changed. The first change after a quiet time ends it at once; those that
    /// follow are gathered for at most 50 ms.
    pub fn wait(&mut self) {
        let waiting = !self.complete && self.inbox.lacking.is_some();
        let look = if waiting { SOON } else { LOOK };
        match self.messages.recv_timeout(look) {
            Ok(message) => self.pending.push(message),
            // Time itself changes what is right: certificates end, and so does patience.
            Err(_) => return,
        }
        let end = self.last.map(|last| last + GATHER);
        while let Some(left) = end.and_then(|end| end.checked_duration_since(Instant::now())) {
            match self.messages.recv_timeout(left) {
                Ok(message) => self.pending.push(message),
                Err(_) => break,
            }
        }
    }

    /// Puts what changed since the last time into `objects`, always the same ones; gives the problems
    /// of all objects and watches.
    pub fn read(&mut self, objects: &mut Objects, options: &Options) -> Vec<Problem> {
        self.last = Some(Instant::now());
        self.pending.extend(self.messages.try_iter());
        // Nothing at all has happened where time is all that passed.
        self.changed = self.pending.is_empty();
        for message in self.pending.drain(..) {
            self.changed |= self.inbox.take(message, objects);
        }
        if std::mem::take(&mut self.inbox.turned) {
            self.name(objects, options);
        }
        self.complete |= self.inbox.is_complete(Instant::now());
        let mut problems = self.inbox.problems(&self.server);
        problems.extend(self.named.left_out.clone());
        problems
    }

    /// What ends the writing, once.
    pub fn leave(&mut self) -> Leave {
        Leave::new(self.leave.take())
    }

    /// Takes note that what was read last is live, with these problems and plugins.
    pub fn published(&self, problems: &Arc<Vec<Problem>>, plugins: Vec<PluginState>) {
        let id = |plugin: &PluginState| (plugin.namespace.clone(), plugin.name.clone());
        let plugins = plugins.into_iter().map(|plugin| (id(&plugin), plugin));
        let plugins: BTreeMap<_, _> = plugins.collect();
        let live = Published {
            ours: Arc::clone(&self.ours),
            problems: Arc::clone(problems),
            plugins: Arc::new(plugins),
            rejected: Arc::new(self.inbox.rejected()),
            at: self.last.unwrap_or_else(Instant::now),
        };
        self.published.send_replace(Some(live));
    }

    /// Whether what was read last is other than what was read before it.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Whether everything that can be known was known once: before, there is nothing to serve.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How the kinds are watched.
    pub fn watches(&self) -> Vec<WatchState> {
        let mut states: Vec<WatchState> = Vec::new();
        for (target, health) in &self.inbox.health {
            let (resource, up) = (target.resource(), *health == Health::Up);
            match states.iter_mut().find(|state| state.resource == resource) {
                Some(state) => state.up &= up,
                None => states.push(WatchState { resource, up }),
            }
        }
        states
    }

    /// Whether the API server is on this machine.
    pub fn is_local(&self) -> bool {
        !self.resolved.is_empty() && self.resolved.iter().all(IpAddr::is_loopback)
    }

    /// Where the API server is: by its own address, and by the Service that leads to it.
    pub fn addresses(&self, objects: &Objects) -> Vec<IpAddr> {
        let slices = objects.slices("default", "kubernetes").into_iter();
        let backends = slices.flat_map(|slice| slice.endpoints.iter().map(|e| e.address));
        let mut all: Vec<_> = self.resolved.iter().copied().chain(backends).collect();
        all.sort();
        all.dedup();
        all
    }

    fn begin(&mut self, target: Target) {
        self.inbox.expect(target.clone());
        // The thread outlives every order.
        let _ = self.orders.send(Order::Watch(target));
    }
}

/// How long changes are gathered at most.
const GATHER: Duration = Duration::from_millis(50);
/// How often to look without being told of anything.
const LOOK: Duration = Duration::from_secs(60);
/// The same while the last kinds are waited for.
const SOON: Duration = Duration::from_secs(1);
#[cfg(test)]
mod tests;
