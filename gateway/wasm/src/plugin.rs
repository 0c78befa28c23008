//! Plugins: a component with a name, grants and limits; and their attachments to chains.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use route::{Backends, Grants, Isolation, Limits};

use crate::{
    breaker::Breaker,
    component::{Capability, Component, Hook, LoadError, Template},
    engine::Engine,
    failure::Failure,
    host::{Rates, Shared, Values},
    instance::Instances,
};

/// Whether the grants cover a capability.
fn cover(grants: &Grants, capability: Capability) -> bool {
    match capability {
        Capability::Random => grants.random,
        Capability::Metrics => grants.metrics,
        Capability::RateLimit => grants.rate_limit,
        Capability::KeyValue => grants.key_value.is_some(),
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
        let (needed, limit) = (component.memory(), limits.memory);
        if needed > limit {
            return Err(LoadError::Memory { needed, limit });
        }
        Ok(Arc::new(Self {
            name: name.into(),
            component,
            grants,
            limits,
            isolation,
            shared,
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
        let namespace: Arc<str> = Arc::from(namespace);
        let attachment = Arc::new(Attachment {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            place: self.place(&namespace),
            rates: self.shared.rates(scope),
            values: self.shared.values(&namespace),
            config,
            breaker: Breaker::default(),
            plugin: Arc::clone(self),
        });
        Instances::new().take(&attachment)?;
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

    pub(crate) fn may_reroute(&self, backend: &str) -> bool {
        match &self.grants.backends {
            Backends::All => true,
            Backends::Listed(listed) => listed.iter().any(|listed| listed == backend),
        }
    }

    fn place(&self, namespace: &Arc<str>) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(Arc::clone(namespace));
        *place.or_insert_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A plugin in a chain, with its configuration there. When the last reference is gone, instances
/// forget it.
pub struct Attachment {
    id: u32,
    place: u64,
    config: String,
    plugin: Arc<Plugin>,
    rates: Arc<Rates>,
    values: Arc<Values>,
    breaker: Breaker,
}

impl Attachment {
    /// The plugin.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Whether the plugin has this hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.plugin.component.hooks().contains(&hook)
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    pub(crate) fn rates(&self) -> &Arc<Rates> {
        &self.rates
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }
}

/// The most that any plugin keeps in a namespace.
const VALUES: usize = 4 << 20;
