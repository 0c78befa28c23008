//! Attachments: a plugin in an Ingress's chain, with its configuration there.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use proxy::filter::{Exchange, Hooks};

use crate::{
    breaker::Breaker,
    component::Hook,
    failure::Failure,
    flood::{Gate, Line},
    host::{Interest, Rates, Values},
    plugin::Plugin,
};

/// A plugin in a chain, with its configuration there. When the last reference is gone, instances
/// forget it.
pub struct Attachment {
    id: u32,
    /// What it keeps for a request is told apart by this: ids are those of one plugin only, chains have
    /// several.
    number: u32,
    place: u64,
    scope: String,
    config: Arc<str>,
    hooks: Hooks,
    plugin: Arc<Plugin>,
    rates: Arc<Rates>,
    values: Arc<Values>,
    breaker: Breaker,
    /// What is done without its request hook, if anything.
    interest: OnceLock<Interest>,
    gate: Gate,
}

impl Attachment {
    pub(crate) fn new(
        plugin: &Arc<Plugin>,
        (id, place): (u32, u64),
        namespace: &Arc<str>,
        scope: &str,
        config: String,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let has = |hook| plugin.component().hooks().contains(&hook);
        let shared = plugin.shared();
        Self {
            id,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            place,
            rates: shared.rates(scope),
            values: shared.values(namespace),
            scope: scope.to_owned(),
            config: config.into(),
            hooks: Hooks {
                request: has(Hook::Request),
                response: has(Hook::Response),
                request_body: has(Hook::RequestBody),
                response_body: has(Hook::ResponseBody),
                response_stream: has(Hook::ResponseStream),
            },
            breaker: Breaker::default(),
            interest: OnceLock::new(),
            gate: Gate::new(LINES),
            plugin: Arc::clone(plugin),
        }
    }

    /// The plugin.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Whether the plugin has this hook.
    pub fn has(&self, hook: Hook) -> bool {
        match hook {
            Hook::Request => self.hooks.request,
            Hook::Response => self.hooks.response,
            Hook::RequestBody => self.hooks.request_body,
            Hook::ResponseBody => self.hooks.response_body,
            Hook::ResponseStream => self.hooks.response_stream,
        }
    }

    /// The hooks of the plugin.
    pub fn hooks(&self) -> Hooks {
        self.hooks
    }

    /// What it was attached to.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Its configuration, in JSON. With the digest of the component, this says whether another
    /// attachment would be the same.
    pub fn config(&self) -> &Arc<str> {
        &self.config
    }

    /// After a failure: into the log, and into the breaker.
    pub(crate) fn failed(&self, failure: &Failure, exchange: &Exchange) {
        self.report(failure, exchange);
        if let Some(pause) = self.breaker.failed() {
            let (plugin, filter) = (&**self.plugin.name(), &*self.scope);
            tracing::warn!(target: "plugin", plugin, filter, ?pause, "it fails again and again, and is left alone");
        }
    }

    /// Writes down what happened, unless that would flood the log.
    pub(crate) fn report(&self, failure: &Failure, exchange: &Exchange) {
        let Line::Written { left_out } = self.gate.line() else {
            return;
        };
        let (plugin, filter) = (&**self.plugin.name(), &*self.scope);
        if left_out > 0 {
            tracing::warn!(target: "plugin", plugin, filter, left_out, "further failures were not logged");
        }
        let ingress = &exchange.facts.route.ingress;
        let (namespace, ingress) = (&*ingress.namespace, &*ingress.name);
        let request = exchange.facts.id.to_str().unwrap_or_default();
        tracing::error!(target: "plugin", plugin, filter, namespace, ingress, request, "{failure}");
    }

    /// What it said when its configuration was tried. Each instance is told the same and says the same.
    pub(crate) fn is_for(&self, interest: Interest) {
        let _ = self.interest.set(interest);
    }

    /// Does what its request hook has said that it would do with a request; false where it is to be called,
    /// as a plugin that fails at the moment is: that closes the route.
    pub(crate) fn settles_request(&self, exchange: &mut Exchange) -> bool {
        let interest = self.interest.get();
        interest.is_some_and(|interest| {
            !self.breaker.is_touched() && interest.settles(self.number, exchange)
        })
    }

    /// Whether its response hook has anything to do with a response.
    pub(crate) fn looks_at_response(&self, exchange: &Exchange) -> bool {
        !exchange.goes_on(self.number) || self.breaker.is_touched()
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Its number in the process.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn place(&self) -> u64 {
        self.place
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

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("plugin", self.plugin.name())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// How many failures of an attachment are logged in a second.
const LINES: u32 = 10;
