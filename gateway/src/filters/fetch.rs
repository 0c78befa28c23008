//! Code of plugins that lies elsewhere: fetched on a thread of its own, tried again until it is there,
//! and kept on disk, so that a start does without whoever has it.

mod oci;
mod store;
mod trust;
mod web;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use route::{PluginId, Source};
use tokio::sync::{Semaphore, mpsc, oneshot};
use wasm::Engine;

use super::code::{Code, NoCode};
use store::Store;
use trust::Trust;
use web::Web;

/// Fetches the code of each plugin that has it elsewhere.
pub(super) struct Fetcher {
    jobs: mpsc::UnboundedSender<Job>,
    known: Arc<Known>,
    store: Arc<Store>,
}

/// What is to be fetched, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    /// What one namespace may have is not for another.
    namespace: String,
    source: Source,
    sha256: Option<String>,
}

/// A wish on its way to the thread.
struct Job {
    id: PluginId,
    wish: Wish,
    /// Resolves once nobody wants it any longer.
    end: oneshot::Receiver<()>,
}

#[derive(Default)]
struct Known(Mutex<HashMap<PluginId, Entry>>);

struct Entry {
    wish: Wish,
    /// What became of the last try; nothing before its end.
    outcome: Option<Result<Code, NoCode>>,
    /// The fetching ends with it.
    _end: Option<oneshot::Sender<()>>,
}

impl Fetcher {
    /// Starts the thread; it ends with this value. `wake` is called when a try ends otherwise than the
    /// last one.
    pub(super) fn start(
        engine: &Engine,
        settings: &wasm::Settings,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, String> {
        let trust = Trust::new(Arc::clone(engine.callouts()), settings.fetching.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(AT_ONCE)
            .build()
            .map_err(|error| error.to_string())?;
        let (jobs, queue) = mpsc::unbounded_channel();
        let store = Arc::new(Store::open(settings.cache.as_deref()));
        let worker = Worker {
            trust,
            store: Arc::clone(&store),
            known: Arc::default(),
            all: Semaphore::new(AT_ONCE),
            own: Mutex::default(),
            wake,
        };
        let known = Arc::clone(&worker.known);
        let work = move || {
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "code is fetched at the workers' priority");
            }
            runtime.block_on(Arc::new(worker).run(queue));
            // A name that is being resolved is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("fetch".to_owned()).spawn(work);
        thread.map_err(|error| error.to_string())?;
        Ok(Self { jobs, known, store })
    }

    /// The code of a plugin, as far as it is there: nothing while it is being fetched for the first time.
    /// Another wish than before is followed at once.
    pub(super) fn find(&self, id: &PluginId, spec: &route::Plugin) -> Result<Option<Code>, NoCode> {
        let PluginId::Object { namespace, .. } = id else {
            return Ok(None);
        };
        let wish = Wish {
            namespace: namespace.clone(),
            source: spec.source.clone(),
            sha256: spec.sha256.clone(),
        };
        if let Some(entry) = self.known.lock().get(id).filter(|entry| entry.wish == wish) {
            return entry.outcome.clone().transpose();
        }
        let kept = self.kept(&wish);
        let (end, ended) = oneshot::channel();
        let entry = Entry {
            wish: wish.clone(),
            outcome: kept.clone().map(Ok),
            _end: Some(end),
        };
        self.known.lock().insert(id.clone(), entry);
        if kept.is_none() {
            let job = Job {
                id: id.clone(),
                wish,
                end: ended,
            };
            // The thread ends only with this value.
            let _ = self.jobs.send(job);
        }
        Ok(kept)
    }

    /// Stops fetching what no plugin wants any longer, and forgets what worked of those that are gone.
    pub(super) fn forget_but(&self, plugins: &BTreeMap<PluginId, Arc<route::Plugin>>) {
        self.known.lock().retain(|id, entry| {
            let plugin = plugins.get(id);
            if let PluginId::Object { namespace, name } = id
                && plugin.is_none()
            {
                self.store.forget(namespace, name);
            }
            plugin.is_some_and(|plugin| plugin.source == entry.wish.source)
        });
    }

    /// The last code of a plugin that worked, if it was fetched for it and is not the newest.
    pub(super) fn last_good(&self, id: &PluginId, newest: Option<&str>) -> Option<Code> {
        let PluginId::Object { namespace, name } = id else {
            return None;
        };
        let digest = self.store.remembered(namespace, name)?;
        if newest == Some(&*digest) {
            return None;
        }
        self.store.find(namespace, &digest)
    }

    /// Remembers which code of a plugin works, for the next start.
    pub(super) fn remember(&self, id: &PluginId, digest: &str) {
        if let PluginId::Object { namespace, name } = id
            && self.known.lock().contains_key(id)
        {
            self.store.remember(namespace, name, digest);
        }
    }

    fn kept(&self, wish: &Wish) -> Option<Code> {
        match &wish.source {
            Source::Url(_) => self.store.find(&wish.namespace, wish.sha256.as_deref()?),
            Source::Oci(image) => {
                let manifest = self.store.find(&wish.namespace, &image.digest)?;
                let layer = oci::layer(&manifest.bytes).ok()?;
                self.store.find(&wish.namespace, &layer.digest)
            }
            Source::Embedded(_)
            | Source::File { .. }
            | Source::Inline(_)
            | Source::Missing { .. }
            | Source::Unseen => None,
        }
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<PluginId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what became of a try; whether that is news. `None` if nobody wants it any longer.
    fn take(&self, job: &Job, outcome: Result<Code, NoCode>) -> Option<bool> {
        let mut known = self.lock();
        let entry = known.get_mut(&job.id);
        let entry = entry.filter(|entry| entry.wish == job.wish)?;
        let news = match (&entry.outcome, &outcome) {
            (Some(Err(old)), Err(new)) => old != new,
            (_, Ok(_)) | (None | Some(Ok(_)), Err(_)) => true,
        };
        entry.outcome = Some(outcome);
        Some(news)
    }
}

/// What runs on the thread.
struct Worker {
    trust: Trust,
    store: Arc<Store>,
    known: Arc<Known>,
    all: Semaphore,
    /// A namespace whose servers hang leaves room for the others.
    own: Mutex<HashMap<String, Arc<Semaphore>>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Worker {
    async fn run(self: Arc<Self>, mut queue: mpsc::UnboundedReceiver<Job>) {
        while let Some(mut job) = queue.recv().await {
            let worker = Arc::clone(&self);
            tokio::spawn(async move {
                let (_, never) = oneshot::channel();
                let end = std::mem::replace(&mut job.end, never);
                tokio::select! {
                    () = worker.fetch(&job) => {}
                    _ = end => {}
                }
            });
        }
    }

    /// Tries until it is there.
    async fn fetch(&self, job: &Job) {
        let mut wait = FIRST_WAIT;
        loop {
            let outcome = self.attempt(&job.wish).await;
            let done = outcome.is_ok();
            if let Err(error) = &outcome {
                tracing::debug!(plugin = %job.id, error = %error.message, "code could not be fetched");
            }
            let Some(news) = self.known.take(job, outcome) else {
                return;
            };
            if news {
                (self.wake)();
            }
            if done {
                tracing::info!(plugin = %job.id, "its code was fetched");
                return;
            }
            // So that replicas that failed together do not return together.
            tokio::time::sleep(wait.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn attempt(&self, wish: &Wish) -> Result<Code, NoCode> {
        let own = {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(AT_ONCE_OF_ONE));
            own.retain(|_, used| Arc::strong_count(used) > 1);
            Arc::clone(own.entry(wish.namespace.clone()).or_insert_with(new))
        };
        // Neither is ever closed.
        let _own = own.acquire().await;
        let _all = self.all.acquire().await;
        let web = Web(self.trust.callouts());
        match &wish.source {
            Source::Oci(image) => oci::pull(&web, &self.store, &wish.namespace, image).await,
            Source::Url(url) => {
                let digest = wish.sha256.as_deref().unwrap_or_default();
                let code = web.code(url, digest).await?;
                self.store.keep(&wish.namespace, &code);
                Ok(code)
            }
            Source::Embedded(_)
            | Source::File { .. }
            | Source::Inline(_)
            | Source::Missing { .. }
            | Source::Unseen => Err(NoCode::new("its code is not fetched", "write oci or url")),
        }
    }
}

/// How much is fetched at once, and of that for one namespace.
const AT_ONCE: usize = 8;
const AT_ONCE_OF_ONE: usize = 2;
/// How long after the first failure it is tried again, and how long at the most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const NICE: i32 = 10;
