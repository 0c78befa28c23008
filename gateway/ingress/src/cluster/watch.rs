//! One watch: a list, streamed where the server can, then its changes, for ever.
//!
//! It stands on `kube`'s requests rather than on its watcher, which does not tell when a watch that
//! broke goes on: an operator has to see that the API server is back.

use std::{
    pin::{Pin, pin},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt};
use kube::{Api, Client, api::WatchParams, core::WatchEvent};
use tokio::time::{sleep, timeout};

use crate::manifest::{Found, Key};

use super::{
    item::{Item, Watched},
    kinds::{Scope, Target},
    pace::{MOST, Pace},
    published::Topic,
    seen::Seen,
    server::Server,
    trouble::{Trouble, is_unreadable},
};

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Message {
    /// These are all objects of the target.
    Reset(Target, Vec<Found>),
    Apply(Target, Box<Found>),
    Delete(Target, Key),
    Health(Target, Health),
    /// What stands in the way of something that is written, if anything does.
    Writing(Topic, Option<String>),
    /// Something else changed.
    Wake,
}

/// How a watch fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    /// Nothing is known yet.
    #[default]
    Waiting,
    /// It runs.
    Up,
    /// It is not allowed.
    Forbidden(String),
    /// The server does not have the kind.
    Absent,
    /// The server answers, but not with what was asked for.
    Failing(String),
    /// The server does not answer.
    Away(String),
}

/// A watch to be run.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) server: Server,
    pub(super) target: Target,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) seen: Arc<Seen>,
}

/// How objects are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Streamed,
    /// In pages of so many.
    Paged(Option<u32>),
}

pub(super) type Events<T> = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<Item<T>>>> + Send>>;

impl Watch {
    /// Lists and watches until the task ends.
    pub(super) async fn run<T: Watched>(self)
    where
        Item<T>: kube::Resource<DynamicType = (), Scope: Reachable<Item<T>>>,
    {
        let namespace = match &self.target.scope {
            Scope::All => None,
            Scope::Namespace(namespace) | Scope::Named(namespace, _) => Some(namespace.as_str()),
        };
        let api = <Item<T> as kube::Resource>::Scope::api(self.server.client.clone(), namespace);
        let (mut pace, mut way) = (Pace::default(), Way::Streamed);
        // The version to go on from, once there was a whole list.
        let mut version: Option<String> = None;
        let (mut broke, mut known) = (false, Health::Waiting);
        loop {
            let began = Instant::now();
            let trouble = match self.resume(&api, &mut version, way, broke).await {
                Ok(events) => {
                    if way == Way::Paged(None) {
                        way = Way::Paged(Some(PAGE));
                    }
                    self.report(&mut known, Health::Up);
                    self.follow(events, &mut version).await
                }
                Err(trouble) => trouble,
            };
            // A server that ended a watch before its time may have been another one since.
            let lived = began.elapsed().as_secs() >= u64::from(LIFE);
            broke = !lived || !matches!(trouble, Trouble::Ended);
            let mut least = Duration::ZERO;
            match trouble {
                Trouble::Ended if began.elapsed() > QUICK => continue,
                Trouble::Ended => {}
                Trouble::Gone => {
                    // A list in pages may grow too old before its end: then all at once.
                    if version.take().is_none() && way != Way::Streamed {
                        way = Way::Paged(None);
                    }
                }
                Trouble::Unsupported if way == Way::Streamed => {
                    tracing::debug!(watch = %self.target, "lists are not streamed here");
                    way = Way::Paged(Some(PAGE));
                    continue;
                }
                Trouble::Unsupported => {
                    let reason = "the server does not take the request".to_owned();
                    self.report(&mut known, Health::Failing(reason));
                }
                Trouble::Bad(health, wait) => {
                    least = wait.min(MOST);
                    self.report(&mut known, health);
                }
            }
            sleep(pace.next().max(least)).await;
        }
    }

    /// The changes from now on, after what broke if anything did.
    async fn resume<T: Watched>(
        &self,
        api: &Api<Item<T>>,
        version: &mut Option<String>,
        way: Way,
        broke: bool,
    ) -> Result<Events<T>, Trouble> {
        if broke && version.is_some() && self.is_set_back(api, version.as_deref()).await? {
            *version = None;
        }
        self.begin(api, version, way).await
    }

    /// The changes from now on, after a list if there is no version to go on from.
    async fn begin<T: Watched>(
        &self,
        api: &Api<Item<T>>,
        version: &mut Option<String>,
        way: Way,
    ) -> Result<Events<T>, Trouble> {
        if version.is_none() {
            match way {
                Way::Streamed => return self.streamed(api, version).await,
                Way::Paged(page) => *version = Some(self.paged(api, page).await?),
            }
        }
        let from = version.clone().unwrap_or_default();
        self.open(api, &self.parameters(false), &from).await
    }

    pub(super) fn parameters(&self, initial: bool) -> WatchParams {
        WatchParams {
            label_selector: None,
            field_selector: self.target.fields(),
            timeout: Some(LIFE),
            bookmarks: true,
            send_initial_events: initial,
        }
    }

    pub(super) async fn open<T: Watched>(
        &self,
        api: &Api<Item<T>>,
        parameters: &WatchParams,
        version: &str,
    ) -> Result<Events<T>, Trouble> {
        let opened = self.server.answer(api.watch(parameters, version)).await;
        opened
            .map(|events| Box::pin(events) as Events<T>)
            .map_err(|error| Trouble::of(&error))
    }

    /// Tells of changes until the stream ends, and why it did.
    async fn follow<T: Watched>(&self, events: Events<T>, version: &mut Option<String>) -> Trouble {
        let mut events = pin!(events);
        let mut idle = Duration::from_secs(u64::from(LIFE)) + MARGIN;
        loop {
            // A server that is gone without a word is found out by its silence.
            let Ok(next) = timeout(idle, events.next()).await else {
                return Trouble::Ended;
            };
            let seen = match next {
                Some(Ok(WatchEvent::Added(item) | WatchEvent::Modified(item))) => {
                    let seen = item.version().map(str::to_owned);
                    if is_past(version.as_deref(), seen.as_deref()) {
                        return stale(version);
                    }
                    self.apply(item);
                    seen
                }
                Some(Ok(WatchEvent::Deleted(item))) => {
                    let seen = item.version().map(str::to_owned);
                    if is_past(version.as_deref(), seen.as_deref()) {
                        return stale(version);
                    }
                    self.seen.delete(&item.found.key);
                    self.tell(Message::Delete(self.target.clone(), item.found.key));
                    seen
                }
                Some(Ok(WatchEvent::Bookmark(mark))) => {
                    idle = BOOKMARKS;
                    let seen = Some(mark.metadata.resource_version);
                    if is_past(version.as_deref(), seen.as_deref()) {
                        return stale(version);
                    }
                    seen
                }
                // What such a line said is lost, and only a list has it.
                Some(Err(error)) if is_unreadable(&error) => return stale(version),
                Some(Ok(WatchEvent::Error(status)) | Err(kube::Error::Api(status))) => {
                    return Trouble::of_status(&status);
                }
                Some(Err(_)) | None => return Trouble::Ended,
            };
            if seen.is_some() {
                *version = seen;
            }
        }
    }

    fn apply<T>(&self, item: Item<T>) {
        let Item { found, facts, .. } = item;
        let key = found.key.clone();
        self.tell(Message::Apply(self.target.clone(), Box::new(found)));
        self.seen.apply(&key, facts);
    }

    /// Tells how it fares, if that is other than before.
    fn report(&self, known: &mut Health, health: Health) {
        if *known != health {
            *known = health.clone();
            self.tell(Message::Health(self.target.clone(), health));
        }
    }

    pub(super) fn tell(&self, message: Message) {
        // Whoever listened is gone when the program ends.
        let _ = self.messages.send(message);
    }
}

/// Objects of all namespaces or of one, where the kind has them.
pub(super) trait Reachable<K> {
    fn api(client: Client, namespace: Option<&str>) -> Api<K>;
}

impl<K: kube::Resource<DynamicType = (), Scope = Self>> Reachable<K>
    for k8s_openapi::ClusterResourceScope
{
    fn api(client: Client, _: Option<&str>) -> Api<K> {
        Api::all(client)
    }
}

impl<K: kube::Resource<DynamicType = (), Scope = Self>> Reachable<K>
    for k8s_openapi::NamespaceResourceScope
{
    fn api(client: Client, namespace: Option<&str>) -> Api<K> {
        match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }
}

/// Whether a version is older than one that was seen before: versions of one kind are numbers that
/// grow (KEP-5504), unless the server was set back.
pub(super) fn is_past(known: Option<&str>, version: Option<&str>) -> bool {
    let number = |text: Option<&str>| text?.parse::<u64>().ok();
    match (number(known), number(version)) {
        (Some(known), Some(version)) => version < known,
        (None, _) | (_, None) => false,
    }
}

/// What is known cannot be trusted any longer: only a list can.
fn stale(version: &mut Option<String>) -> Trouble {
    *version = None;
    Trouble::Ended
}

/// Seconds until the server ends a watch, which is then taken up again.
const LIFE: u32 = 290;
const MARGIN: Duration = Duration::from_secs(10);
/// As long as a server that sends bookmarks, which it does each minute, is silent at most.
const BOOKMARKS: Duration = Duration::from_secs(80);
/// Objects in a page of a list.
const PAGE: u32 = 500;
/// A watch that ended sooner did not end by itself.
const QUICK: Duration = Duration::from_secs(2);
