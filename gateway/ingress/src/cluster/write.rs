//! What the elected leader writes back: the addresses of Ingresses, conditions of Plugins, and events.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use k8s_openapi::api::{coordination::v1::Lease, networking::v1::Ingress};
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::Status,
};
use serde_json::json;
use tokio::{
    sync::{oneshot, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{manifest::Key, objects::Kind, translate::Options};

use super::{
    address::{Address, Publishing},
    conditions::Conditions,
    events::Events,
    lease::Election,
    pace::Pace,
    published::{Published, Reports, Topic},
    seen::Seen,
    server::Server,
    trouble::text,
};

/// Everything that is written.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) server: Server,
    pub(super) seen: Arc<Seen>,
    pub(super) reports: Arc<Reports>,
    pub(super) publishing: Publishing,
    /// Who this is among all that write.
    pub(super) manager: String,
    /// The Lease of those that write the same, unless one is named.
    pub(super) lease: String,
    /// What is live; nothing before there is anything.
    pub(super) published: watch::Receiver<Option<Published>>,
}

impl Writer {
    /// Writes until told to leave. A panic, which is a defect, is told, and it begins anew.
    pub(super) async fn keep(self, mut leave: oneshot::Receiver<oneshot::Sender<()>>) {
        let mut pace = Pace::default();
        while let Err(_defect) = AssertUnwindSafe(self.clone().run(&mut leave))
            .catch_unwind()
            .await
        {
            let reason = "a defect of this gateway, see its log".to_owned();
            self.reports.tell(Topic::Lease, Some(reason));
            sleep(pace.next()).await;
        }
    }

    /// Writes until told to leave; then the lease is given up, and if nobody takes it, the addresses
    /// are taken back. The answer to `leave` is when all is done.
    async fn run(mut self, leave: &mut oneshot::Receiver<oneshot::Sender<()>>) {
        let leaving = async {
            match leave.await {
                Ok(done) => done,
                Err(_) => std::future::pending().await,
            }
        };
        let mut leaving = std::pin::pin!(leaving);
        // Who has nothing to write has no part in who writes.
        let live = self.published.wait_for(Option::is_some);
        tokio::select! {
            live = live => if live.is_err() { return },
            done = &mut leaving => {
                let _gone = done.send(());
                return;
            }
        }
        let (leads, led) = watch::channel(false);
        let mut election = self.election(leads);
        let reports = Arc::clone(&self.reports);
        let tell = move |trouble| reports.tell(Topic::Lease, trouble);
        let done = tokio::select! {
            () = election.run(tell) => return,
            () = self.write(led) => return,
            done = &mut leaving => done,
        };
        if election.leave().await {
            self.clear().await;
        }
        let _gone = done.send(());
    }

    fn election(&self, leads: watch::Sender<bool>) -> Election {
        let default = (None, self.lease.clone());
        let (namespace, name) = self.publishing.lease.clone().unwrap_or(default);
        let leases: Api<Lease> = match &namespace {
            Some(namespace) => Api::namespaced(self.server.client.clone(), namespace),
            None => Api::default_namespaced(self.server.client.clone()),
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let identity = format!("{}_{:016x}", host.trim(), fastrand::u64(..));
        Election::new(leases, name, identity, leads)
    }

    /// Brings what is written up to date whenever something changed, and from time to time.
    async fn write(&mut self, mut led: watch::Receiver<bool>) {
        let mut events = Events::new(self.server.clone(), self.manager.clone());
        let mut conditions = Conditions::new(self.server.clone(), self.manager.clone());
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let seen = Arc::clone(&self.seen);
        loop {
            let live = self.published.borrow_and_update().clone();
            let leads = *led.borrow_and_update();
            if let Some(live) = live {
                events.learn(&live.problems, leads);
                if leads {
                    let written = self.addresses(&live).await;
                    self.tell(Topic::Status, written);
                    self.tell(Topic::Conditions, conditions.write(&live, &seen).await);
                    self.tell(Topic::Events, events.write(&seen).await);
                }
            }
            // Who else writes the same fields would else be fought at full speed.
            sleep(LEAST).await;
            tokio::select! {
                changed = self.published.changed() => if changed.is_err() { return },
                changed = led.changed() => if changed.is_err() { return },
                () = seen.changed.notified() => {}
                _ = refresh.tick() => {}
            }
        }
    }

    /// Gives every Ingress of ours its addresses, and takes them from those that are no longer ours.
    async fn addresses(&self, live: &Published) -> Result<(), String> {
        let wanted = if self.publishing.is_wanted() {
            let found = self.publishing.find(&self.server).await;
            self.tell(
                Topic::Addresses,
                found.as_ref().map(drop).map_err(Clone::clone),
            );
            // What is not known is left as it is.
            let Ok(found) = found else { return Ok(()) };
            found
        } else {
            Vec::new()
        };
        let todo = self.seen.collect(Kind::Ingress, |(key, facts)| {
            let id = (key.namespace.clone(), key.name.clone());
            let own = facts.managers.contains(&self.manager);
            if !live.ours.contains(&id) {
                return own.then(|| (key.clone(), facts.uid.clone(), Vec::new()));
            }
            let now = Address::read(&facts.status);
            let stale = if wanted.is_empty() {
                own
            } else {
                now != wanted
            };
            stale.then(|| (key.clone(), facts.uid.clone(), wanted.clone()))
        });
        self.patch(todo).await
    }

    /// Takes all addresses back that this wrote.
    async fn clear(&self) {
        let todo = self.seen.collect(Kind::Ingress, |(key, facts)| {
            let own = facts.managers.contains(&self.manager);
            own.then(|| (key.clone(), facts.uid.clone(), Vec::new()))
        });
        // There is nobody left to tell.
        let _ = self.patch(todo).await;
    }

    async fn patch(&self, todo: Vec<(Key, String, Vec<Address>)>) -> Result<(), String> {
        let mut results = stream::iter(todo)
            .map(|(key, uid, addresses)| async move {
                let client = self.server.client.clone();
                let ingresses: Api<Ingress> = Api::namespaced(client, &key.namespace);
                let list: Vec<_> = addresses.iter().map(Address::to_json).collect();
                let status = if list.is_empty() {
                    json!({})
                } else {
                    json!({"loadBalancer": {"ingress": list}})
                };
                // The uid keeps it from one that was created anew under the name.
                let whole = json!({
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "Ingress",
                    "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
                    "status": status,
                });
                let parameters = PatchParams::apply(&self.manager).force();
                let patch = Patch::Apply(&whole);
                let patched = ingresses.patch_status(&key.name, &parameters, &patch);
                let outcome = outcome(self.server.answer(patched).await);
                (key.namespace, outcome)
            })
            .buffer_unordered(AT_ONCE);
        let mut worst = Worst::default();
        while let Some((namespace, result)) = results.next().await {
            if !worst.add(&namespace, result) {
                break;
            }
        }
        worst.result()
    }

    fn tell(&self, topic: Topic, result: Result<(), String>) {
        self.reports.tell(topic, result.err());
    }
}

/// What became of several writes, where one that fails does not stop the others.
#[derive(Debug, Default)]
pub(super) struct Worst(Option<Failure>);

/// A write that failed: the same one is the worst from round to round, in whatever order answers come.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Failure {
    answered: bool,
    namespace: String,
    reason: String,
}

impl Worst {
    /// Takes what became of another one. Whether to go on: a server that does not answer need not be asked
    /// for each.
    pub(super) fn add(&mut self, namespace: &str, result: Result<(), String>) -> bool {
        let Err(reason) = result else { return true };
        let answered = !is_silent(&reason);
        let failure = Failure {
            answered,
            namespace: namespace.to_owned(),
            reason,
        };
        self.0 = self.0.take().into_iter().chain([failure]).min();
        answered
    }

    /// The worst, with the namespace that it was in.
    pub(super) fn result(self) -> Result<(), String> {
        match self.0 {
            None => Ok(()),
            Some(failure) if !failure.answered => Err(failure.reason),
            Some(Failure {
                namespace, reason, ..
            }) => Err(format!("in {namespace}: {reason}")),
        }
    }
}

/// Whether the server did not answer at all.
pub(super) fn is_silent(reason: &str) -> bool {
    !reason.starts_with("status ")
}

/// What became of a write. An object that is gone, is another one by now, or goes with its namespace needs none.
pub(super) fn outcome<T>(result: kube::Result<T>) -> Result<(), String> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status))
            if matches!(status.code, 404 | 409) || is_terminating(&status) =>
        {
            Ok(())
        }
        Err(error) => Err(text(&error)),
    }
}

/// Whether something was refused as its namespace is being deleted.
fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == TERMINATING)
}

/// Ends what a [`Cluster`] writes.
#[derive(Debug)]
pub struct Leave(Option<oneshot::Sender<oneshot::Sender<()>>>);

impl Leave {
    pub(super) fn new(leave: Option<oneshot::Sender<oneshot::Sender<()>>>) -> Self {
        Self(leave)
    }

    /// Gives the lead up; the last gateway that leaves takes its addresses back. Done in seconds.
    pub async fn leave(self) {
        let (done, finished) = oneshot::channel();
        if self.0.is_some_and(|leave| leave.send(done).is_ok()) {
            // A writer that is gone has nothing left to do.
            let _ = tokio::time::timeout(LEAVING, finished).await;
        }
    }
}

/// Who writes, among all gateways: those of one class are one.
pub(super) fn manager(options: &Options) -> String {
    let class = options.classes.first().map_or("", String::as_str);
    format!("portcullis-{class}")
        .chars()
        .take(MANAGER)
        .collect()
}

/// The cause that a server gives which refuses what is in a namespace that is being deleted.
const TERMINATING: &str = "NamespaceTerminating";
/// The longest name of a field manager.
const MANAGER: usize = 128;
/// How long the last gateway takes at most to take its addresses back.
const LEAVING: Duration = Duration::from_secs(10);
/// How often everything is looked over: addresses of Services change without a word.
const REFRESH: Duration = Duration::from_secs(10);
/// The least time between two rounds.
const LEAST: Duration = Duration::from_millis(200);
/// How many objects are written at once.
const AT_ONCE: usize = 8;
