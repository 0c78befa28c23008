//! Plugins: a component with a name, grants and limits; and their attachments to chains.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use route::{Backends, Grants, Isolation, Limits};

use crate::{
    allowance::{self, INLINE, Making},
    aside::{Aside, Running},
    attachment::Attachment,
    callouts::{Callouts, MOST, PATIENCE},
    component::{Capability, Component, LoadError, Template},
    engine::Engine,
    failure::{ConfigError, Failure},
    host::{SENDS, Shared},
    instance::{Instance, Place, here},
    limits,
    schema::Schema,
};

/// Whether the grants cover a capability.
fn cover(grants: &Grants, capability: Capability) -> bool {
    match capability {
        Capability::Random => grants.random,
        Capability::Metrics => grants.metrics,
        Capability::RateLimit => grants.rate_limit,
        Capability::KeyValue => grants.key_value.is_some(),
        Capability::HttpClient => !grants.http.is_empty(),
    }
}

/// What is wrong with a configuration, before the plugin itself is asked.
fn check(schema: &Schema, config: &str) -> Vec<ConfigError> {
    let whole = |message: String| {
        vec![ConfigError {
            pointer: String::new(),
            message,
        }]
    };
    if config.len() > CONFIG {
        return whole("it has more than 256 KiB".to_owned());
    }
    match serde_json::from_str(config) {
        Ok(config) => schema.check(config),
        Err(error) => whole(format!("it is not JSON: {error}")),
    }
}

/// What a plugin is made of.
pub struct PluginSpec {
    /// Its name, for logs: `namespace/name`.
    pub name: String,
    /// Its code.
    pub component: Arc<Component>,
    /// What it may use.
    pub grants: Grants,
    /// What it may take.
    pub limits: Limits,
    /// How far requests are kept apart.
    pub isolation: Isolation,
    /// What it shares with its other versions.
    pub shared: Arc<Shared>,
}

/// A component that may run, with what it may use and take.
pub struct Plugin {
    name: Arc<str>,
    component: Arc<Component>,
    grants: Grants,
    limits: Limits,
    isolation: Isolation,
    shared: Arc<Shared>,
    /// The threads that its calls run on, if they take their time.
    aside: Option<Arc<Aside>>,
    engine: Engine,
    making: Making,
    /// Whether the log says that its instances take long to be made.
    told: AtomicBool,
    running: Running,
    /// What sends its requests to other servers.
    callouts: Option<Arc<Callouts>>,
    /// How many instances look at bodies piece by piece.
    streams: Running,
    most_streams: usize,
    next: AtomicU32,
    /// By namespace, the number under which workers keep its instance.
    places: Mutex<HashMap<Arc<str>, u64>>,
}

impl Plugin {
    /// Checks the component against what it is granted.
    pub fn new(engine: &Engine, spec: PluginSpec) -> Result<Arc<Self>, LoadError> {
        let PluginSpec {
            name,
            component,
            grants,
            mut limits,
            isolation,
            shared,
        } = spec;
        let mut needed = component.capabilities().iter();
        if let Some(&missing) = needed.find(|&&capability| !cover(&grants, capability)) {
            return Err(LoadError::NotGranted(missing));
        }
        limits.memory = limits.memory.min(engine.max_memory());
        limits.body = limits.body.min(MOST);
        let (needed, limit) = (component.memory(), limits.memory);
        if needed > limit {
            return Err(LoadError::Memory { needed, limit });
        }
        let waits = component.template().waits;
        let slow = waits || limits.time > INLINE;
        let aside = slow.then(|| engine.aside()).transpose();
        Ok(Arc::new(Self {
            name: name.into(),
            component,
            grants,
            limits,
            isolation,
            shared,
            aside: aside.map_err(LoadError::Aside)?,
            engine: engine.clone(),
            making: Making::default(),
            told: AtomicBool::new(false),
            running: Running::default(),
            callouts: waits.then(|| Arc::clone(engine.callouts())),
            streams: Running::default(),
            most_streams: engine.instances().div_ceil(4),
            next: AtomicU32::new(0),
            places: Mutex::default(),
        }))
    }

    /// Attaches it to an item of an Ingress's chain, which `scope` names: what is counted there
    /// belongs to it. The configuration is JSON; the plugin is asked, in a new instance, whether it
    /// accepts it. Never call this on a worker.
    pub fn attach(
        self: &Arc<Self>,
        namespace: &str,
        scope: &str,
        config: String,
    ) -> Result<Arc<Attachment>, Failure> {
        let errors = check(self.component.schema(), &config);
        if !errors.is_empty() {
            return Err(Failure::Config(errors));
        }
        let namespace: Arc<str> = Arc::from(namespace);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let place = self.place_of(&namespace);
        let attachment = Attachment::new(self, (id, place), &namespace, scope, config);
        let attachment = Arc::new(attachment);
        here(Instance::ready(None, &attachment, Place::Here))?;
        Ok(attachment)
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its code.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// What it may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it shares with its other versions.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The threads that its calls run on; none where that is whoever asks.
    pub(crate) fn aside(&self) -> Option<&Arc<Aside>> {
        self.aside.as_ref()
    }

    /// Where a call runs that needs a new instance, if that would take too much of this worker's time.
    pub(crate) fn made_aside(&self) -> Option<Arc<Aside>> {
        if !self.making.is_slow() || allowance::is_left() {
            return None;
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            let plugin = &*self.name;
            tracing::warn!(target: "plugin", plugin, "its instances take long to be made: calls that need a new one run aside; do less in `new`, and share instances (`isolation: shared`)");
        }
        self.engine.aside().ok()
    }

    /// How long its instances take to be made.
    pub(crate) fn making(&self) -> &Making {
        &self.making
    }

    /// Where its calls run.
    pub(crate) fn place(&self) -> Place {
        match self.aside {
            Some(_) => Place::Aside,
            None => Place::Here,
        }
    }

    /// How many of its calls run aside.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// How many bodies it looks at piece by piece.
    pub(crate) fn streams(&self) -> &Running {
        &self.streams
    }

    /// How many there may be: each has an instance for itself, and those of one plugin are not to use
    /// up the pool for all.
    pub(crate) fn most_streams(&self) -> usize {
        self.most_streams
    }

    /// How long one of its calls may take in all.
    pub(crate) fn wall(&self) -> Duration {
        let waits = PATIENCE.saturating_mul(SENDS);
        let waits = self.callouts.as_ref().map_or(Duration::ZERO, |_| waits);
        limits::wall(self.limits.time).saturating_add(waits)
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    pub(crate) fn template(&self) -> &Template {
        self.component.template()
    }

    pub(crate) fn memory(&self) -> usize {
        self.limits.memory
    }

    /// How many bytes of values it may keep in a namespace.
    pub(crate) fn value_bytes(&self) -> usize {
        self.grants.key_value.unwrap_or(0).min(VALUES)
    }

    /// What sends its requests to other servers.
    pub(crate) fn callouts(&self) -> Option<&Callouts> {
        self.callouts.as_deref()
    }

    /// The servers that it may send them to.
    pub(crate) fn http_hosts(&self) -> &[String] {
        &self.grants.http
    }

    pub(crate) fn may_reroute(&self, backend: &str) -> bool {
        match &self.grants.backends {
            Backends::All => true,
            Backends::Listed(listed) => listed.iter().any(|listed| listed == backend),
        }
    }

    fn place_of(&self, namespace: &Arc<str>) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(Arc::clone(namespace));
        *place.or_insert_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The largest configuration: what all annotations of an object have together.
const CONFIG: usize = 256 << 10;
/// The most that any plugin keeps in a namespace.
const VALUES: usize = 4 << 20;
