//! From the chains of a configuration to filters that run: code is found, compiled and checked,
//! configurations are tried, and what worked before stays where the new one does not.
//!
//! All of it happens on the publishing thread, beside a thread that compiles.

mod code;
mod compiler;
mod fetch;
mod plugin;
mod slot;
mod turns;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ingress::{Kind, Objects, Problem, Severity};
use proxy::filter::Filters;
use route::{Config, FilterRef, IngressName, PluginId, Source};
use wasm::Engine;

pub(crate) use plugin::PluginView;

use code::{Code, Files, NoCode};
use compiler::Compiler;
use fetch::Fetcher;
use plugin::Known;
use slot::Slot;
use turns::Turns;

/// Makes filters of the chains that a configuration names.
pub(crate) struct Loader {
    settings: wasm::Settings,
    /// There once a chain needs it.
    sandbox: Option<(Engine, Compiler)>,
    files: Files,
    /// There once a plugin has its code elsewhere.
    fetcher: Option<Fetcher>,
    plugins: BTreeMap<PluginId, Known>,
    slots: HashMap<IngressName, HashMap<FilterRef, Slot>>,
    generation: u64,
    /// Whether filters wait for another round to be made.
    waiting: bool,
    patience: Patience,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// How long to wait for code to be compiled, and for filters to be configured, before going on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it is done: nobody is served meanwhile.
    Endless,
    /// For this first time long, as nothing is served before; later, not for longer than nobody minds.
    Serving,
}

/// What became of a configuration's chains.
pub(crate) struct Prepared {
    pub(crate) filters: Filters,
    pub(crate) findings: Vec<Finding>,
    pub(crate) plugins: Vec<PluginView>,
}

/// Something that is wrong with a plugin or with its place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    kind: Kind,
    namespace: String,
    name: String,
    field: String,
    message: String,
    hint: String,
}

impl Finding {
    /// As a problem, with the object's file and line.
    pub(crate) fn problem(self, objects: &Objects) -> Problem {
        let Self {
            kind,
            namespace,
            name,
            field,
            message,
            hint,
        } = self;
        objects.problem(
            (kind, &namespace, &name),
            &field,
            Severity::Error,
            message,
            hint,
        )
    }
}

impl Loader {
    /// Nothing is loaded yet. `wake` is called when another [`Self::prepare`] has more to give: something
    /// was compiled that was not waited for, or filters wait for their turn.
    pub(crate) fn new(
        settings: wasm::Settings,
        patience: Patience,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            settings,
            sandbox: None,
            files: Files::default(),
            fetcher: None,
            plugins: BTreeMap::new(),
            slots: HashMap::new(),
            generation: 0,
            waiting: false,
            patience,
            wake,
        }
    }

    /// From now on, no plugin sends requests to these addresses.
    pub(crate) fn deny(&mut self, addresses: Vec<IpAddr>) {
        if self.settings.http.denied != addresses {
            if let Some((engine, _)) = &self.sandbox {
                engine.deny(addresses.clone());
            }
            self.settings.http.denied = addresses;
        }
    }

    /// Makes the filters of all chains.
    pub(crate) fn prepare(&mut self, config: &Config) -> Prepared {
        let mut findings = Vec::new();
        let until = match (self.patience, self.generation) {
            (Patience::Endless, _) => None,
            (Patience::Serving, 0) => Some(Instant::now() + FIRST),
            (Patience::Serving, _) => Some(Instant::now() + LATER),
        };
        let items = items(config);
        if !config.plugins.is_empty() && self.sandbox.is_none() {
            match self.start() {
                Ok(sandbox) => self.sandbox = Some(sandbox),
                Err(error) => findings.push(no_sandbox(&error)),
            }
        }
        self.load(config, until);
        findings.extend(
            self.plugins
                .iter()
                .filter_map(|(id, known)| known.finding(id)),
        );
        self.attach(&items, until, &mut findings);

        let all = self.slots.iter().map(|(ingress, slots)| {
            let filters = slots.iter();
            let filters = filters.map(|(item, slot)| (item.clone(), Arc::clone(&slot.filter)));
            (ingress.clone(), filters.collect())
        });
        Prepared {
            filters: Filters::new(self.generation, all.collect()),
            findings,
            plugins: self.views(),
        }
    }

    /// What is known of each plugin.
    fn views(&self) -> Vec<PluginView> {
        let plugins = self.plugins.iter();
        plugins.map(|(id, known)| known.view(id)).collect()
    }

    fn start(&self) -> Result<(Engine, Compiler), wasm::EngineError> {
        let engine = Engine::new(&self.settings)?;
        let compiler = Compiler::start(engine.clone(), Arc::clone(&self.wake))?;
        Ok((engine, compiler))
    }

    /// Finds the code of all plugins, has it compiled, and makes plugins of it.
    fn load(&mut self, config: &Config, until: Option<Instant>) {
        self.plugins.retain(|id, _| config.plugins.contains_key(id));
        let Some((engine, compiler)) = &self.sandbox else {
            return;
        };
        let mut new = false;
        for (id, spec) in &config.plugins {
            let mut remote = false;
            let found = match &spec.source {
                Source::Unseen => Ok(None),
                Source::Oci(_) | Source::Url(_) => {
                    remote = true;
                    fetched(
                        &mut self.fetcher,
                        (engine, &self.settings, &self.wake),
                        id,
                        spec,
                    )
                }
                Source::Embedded(_)
                | Source::File { .. }
                | Source::Inline(_)
                | Source::Missing { .. } => self.files.find(&spec.source).map(Some),
            };
            let known = self.plugins.entry(id.clone()).or_default();
            new |= known.look(found, spec, compiler);
            let fetcher = self.fetcher.as_ref().filter(|_| remote);
            if let Some(fetcher) = fetcher.filter(|_| known.needs_last()) {
                new |= known.look_back(fetcher.last_good(id, known.newest()), compiler);
            }
        }
        self.files.forget_unseen();
        if let Some(fetcher) = &self.fetcher {
            fetcher.forget_but(&config.plugins);
        }
        // What was waited for before holds up no further change.
        if new || self.generation == 0 {
            compiler.wait(until);
        }
        for (id, spec) in &config.plugins {
            if let Some(known) = self.plugins.get_mut(id) {
                known.build(engine, compiler, id, spec);
                if let (Some(fetcher), Some(digest)) = (&self.fetcher, known.works()) {
                    fetcher.remember(id, digest);
                }
            }
        }
        let wanted: HashSet<&str> = self.plugins.values().flat_map(Known::digests).collect();
        compiler.forget_but(&wanted);
    }

    /// Gives each item of each chain its filter. Where that takes a namespace long, the rest of its filters
    /// wait for the next round, in front of which the changes of others are read.
    fn attach(
        &mut self,
        items: &HashMap<&IngressName, HashSet<&FilterRef>>,
        until: Option<Instant>,
        findings: &mut Vec<Finding>,
    ) {
        let mut turns = Turns::new(until, LATER);
        let before = std::mem::take(&mut self.slots);
        let mut renewed = self.generation == 0;
        for (ingress, items) in items {
            let old = before.get(*ingress);
            let mut slots = HashMap::new();
            for item in items {
                let Some(id) = &item.plugin else {
                    continue;
                };
                let Some(known) = self.plugins.get(id) else {
                    continue;
                };
                let (slot, new) = Slot::of(known, (ingress, item), old, &mut turns);
                renewed |= new;
                findings.extend(slot.finding.clone());
                slots.insert((*item).clone(), slot);
            }
            self.slots.insert((*ingress).clone(), slots);
        }
        self.generation += u64::from(renewed);

        let waiting = turns.waiting();
        match (self.waiting, waiting.is_empty()) {
            (false, false) => {
                for (namespace, filters) in &waiting {
                    tracing::warn!(target: "plugin", namespace, filters, "filters take long to be configured: the rest of them is made bit by bit");
                }
            }
            (true, true) => tracing::info!(target: "plugin", "all filters are configured"),
            (false, true) | (true, false) => {}
        }
        self.waiting = !waiting.is_empty();
        if self.waiting {
            (self.wake)();
        }
    }
}

/// The code of a plugin that has it elsewhere.
fn fetched(
    fetcher: &mut Option<Fetcher>,
    (engine, settings, wake): (&Engine, &wasm::Settings, &Arc<dyn Fn() + Send + Sync>),
    id: &PluginId,
    spec: &route::Plugin,
) -> Result<Option<Code>, NoCode> {
    if fetcher.is_none() {
        let started = Fetcher::start(engine, settings, Arc::clone(wake));
        *fetcher = Some(started.map_err(|error| {
            let message = format!("nothing can be fetched: {error}");
            NoCode::new(message, "raise the limit of threads of the process")
        })?);
    }
    match fetcher {
        Some(fetcher) => fetcher.find(id, spec),
        None => Ok(None),
    }
}

/// All items of chains, each once.
fn items(config: &Config) -> HashMap<&IngressName, HashSet<&FilterRef>> {
    let rules = config.rules.iter().map(|rule| &rule.route);
    let defaults = config.defaults.iter().filter_map(|d| d.route.as_ref());
    let mut items: HashMap<_, HashSet<_>> = HashMap::new();
    for route in rules.chain(defaults).chain(&config.catch_all) {
        for item in route.filters.iter() {
            items.entry(&route.ingress).or_default().insert(item);
        }
    }
    items
}

fn no_sandbox(error: &wasm::EngineError) -> Finding {
    Finding {
        kind: Kind::Plugin,
        namespace: String::new(),
        name: "sandbox".to_owned(),
        field: String::new(),
        message: format!("{error}; routes with filters answer 503"),
        hint: "raise the limits of address space and threads of the process".to_owned(),
    }
}

const FIRST: Duration = Duration::from_secs(30);
const LATER: Duration = Duration::from_millis(300);
