//! The chain of an Ingress: what it names, and the filters that keys of ingress-nginx put around it in
//! that controller's order, limits first, canary and sessions last.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use route::{Backend, FilterRef, Plugin, PluginId};
use serde_json::{Map, Value};

use crate::{
    annotations::{
        self, AFFINITY, Affinity, DEFAULT_COOKIE, Derived, Item, Moves, NGINX, Reporter, Settings,
        Written, chain_key, config_key,
    },
    objects::{Objects, model::Ingress},
    problem::{Problem, Severity},
};

use super::{
    Options,
    backend::Backends,
    canary::Alternative,
    plugin::{CANARY, Plugins, RATE_LIMIT, STICKY_SESSION},
    reroute::{self, Reroutes},
};

/// Makes chains, and gathers the plugins that they name.
pub(super) struct Chains<'a> {
    plugins: Plugins<'a>,
    used: BTreeMap<PluginId, Arc<Plugin>>,
    pub(super) reroutes: Reroutes,
    empty: Arc<[FilterRef]>,
}

/// The chain of an Ingress.
pub(super) struct Chain {
    /// Limits and what is named.
    first: Vec<FilterRef>,
    affinity: Option<(FilterRef, Affinity)>,
    /// The chain of a route without a canary.
    plain: Arc<[FilterRef]>,
    /// Those of routes with one: equal ones are one.
    others: HashSet<Arc<[FilterRef]>>,
}

/// Where an Ingress's chain is made.
pub(super) struct Maker<'m, 'a> {
    pub(super) ingress: &'m Ingress,
    pub(super) backends: &'m mut Backends<'a>,
    pub(super) problems: &'m mut Vec<Problem>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(
        objects: &'a Objects,
        options: &'a Options,
        problems: &mut Vec<Problem>,
    ) -> Self {
        Self {
            plugins: Plugins::new(objects, options, problems),
            used: BTreeMap::new(),
            reroutes: Reroutes::default(),
            empty: Arc::default(),
        }
    }

    /// The plugins that chains name.
    pub(super) fn into_parts(self) -> (BTreeMap<PluginId, Arc<Plugin>>, Reroutes) {
        (self.used, self.reroutes)
    }

    /// The chain of an Ingress.
    pub(super) fn make(&mut self, settings: &Settings, mut maker: Maker<'_, '_>) -> Chain {
        let mut first = Vec::new();
        for item in &settings.chain {
            let filter = self.named(item, &mut maker);
            first.push(filter);
        }
        if let Some(limits) = &settings.limits
            && let Some(filter) = self.derived(&first, RATE_LIMIT, limits, &mut maker)
        {
            first.insert(0, filter);
        }
        let affinity = settings.affinity.as_ref().and_then(|affinity| {
            let derived = Derived {
                key: AFFINITY,
                config: affinity.config.clone(),
            };
            let filter = self.derived(&first, STICKY_SESSION, &derived, &mut maker)?;
            Some((filter, affinity.clone()))
        });
        let last = affinity.as_ref().map(|(filter, _)| filter);
        let plain: Vec<_> = first.iter().chain(last).cloned().collect();
        Chain {
            plain: if plain.is_empty() {
                self.empty.clone()
            } else {
                plain.into()
            },
            first,
            affinity,
            others: HashSet::new(),
        }
    }

    /// A plugin stands in a chain of this namespace.
    fn take(&mut self, namespace: &str, id: &PluginId) -> Map<String, Value> {
        let (plugin, object) = self.plugins.get(id);
        self.reroutes.grant(namespace, &plugin.grants.backends);
        self.used.insert(id.clone(), plugin);
        object.map_or_else(Map::new, |object| object.config.clone())
    }

    /// An item that the chain names.
    fn named(&mut self, item: &Item, maker: &mut Maker<'_, '_>) -> FilterRef {
        let subject = &maker.ingress.subject;
        let namespace = subject.namespace.as_str();
        let mut reporter = Reporter {
            subject,
            problems: maker.problems,
        };
        let plugin = item.name.as_ref().and_then(|name| {
            if let Some(object) = self.plugins.shadowed(namespace, name) {
                let message = format!(
                    "{} is the filter that ships, not the {}",
                    item.alias, object.subject
                );
                let hint = format!(
                    "write {namespace}/{}, if that is meant",
                    object.subject.name
                );
                reporter.report(Severity::Note, &chain_key(), message, hint);
            }
            let found = self.plugins.resolve(namespace, name);
            found
                .map_err(|(message, hint)| {
                    let message = format!("{message}; requests get 503");
                    reporter.report(Severity::Error, &chain_key(), message, hint);
                })
                .ok()
        });
        let mut config = match &plugin {
            Some(id) => self.take(namespace, id),
            None => Map::new(),
        };
        let (key, written) = match &item.config {
            Written::Absent => (chain_key(), Some(Map::new())),
            Written::Map(map) => (config_key(&item.alias), Some(map.clone())),
            Written::Broken => (config_key(&item.alias), None),
        };
        let field = annotations::field(&key);
        let config = written.map(|map| {
            config.extend(map);
            if plugin == self.plugins.shipped(CANARY) && plugin.is_some() {
                for (name, target) in reroute::check(&config, &field, maker) {
                    self.reroutes.found(namespace, name, target);
                }
            }
            Value::Object(config).to_string()
        });
        FilterRef {
            alias: item.alias.clone(),
            plugin,
            config,
            field,
            origin: chain_key(),
        }
    }

    /// A filter by keys of ingress-nginx, unless the chain names it itself.
    fn derived(
        &mut self,
        named: &[FilterRef],
        name: &str,
        derived: &Derived,
        maker: &mut Maker<'_, '_>,
    ) -> Option<FilterRef> {
        let Maker {
            ingress, problems, ..
        } = maker;
        let key = format!("{NGINX}{}", derived.key);
        let field = annotations::field(&key);
        if names(named, name) {
            let message = format!("the chain names {name} itself, which counts instead");
            let hint = format!("take the annotation out, or {name} out of the chain");
            let problem = ingress
                .subject
                .problem(Severity::Note, &field, message, hint);
            problems.push(problem);
            return None;
        }
        let plugin = self.plugins.shipped(name);
        match &plugin {
            Some(id) => drop(self.take(&ingress.subject.namespace, id)),
            None => {
                let message = format!("this program has no filter {name}; requests get 503");
                let hint = "take the annotation out";
                let problem = ingress
                    .subject
                    .problem(Severity::Error, &field, message, hint);
                problems.push(problem);
            }
        }
        Some(FilterRef {
            alias: free_alias(named, name),
            plugin,
            config: Some(Value::Object(derived.config.clone()).to_string()),
            field,
            origin: key,
        })
    }

    /// The chain of a route that has a canary.
    pub(super) fn with_canary(
        &mut self,
        chain: &mut Chain,
        (alternative, primary): (&Alternative<'_>, &Backend),
        mut maker: Maker<'_, '_>,
    ) -> Arc<[FilterRef]> {
        if names(&chain.first, CANARY) {
            alternative.report_named(maker.ingress, maker.problems);
            return chain.plain.clone();
        }
        let sessions = chain.affinity.as_ref();
        let cookie = sessions.filter(|(_, affinity)| affinity.moves == Moves::Never);
        let cookie = cookie.map(|(_, affinity)| affinity.cookie.clone());
        // A session that the chain itself keeps stays with its backend too.
        let mut named = chain.first.iter();
        let named = named.find(|filter| is(filter, STICKY_SESSION));
        let cookie = named.map(cookie_of).or(cookie);
        let cookie = cookie.as_deref();
        let Some((config, backend)) = alternative.config(primary, cookie, &mut maker) else {
            return chain.plain.clone();
        };
        let namespace = &maker.ingress.subject.namespace;
        for backend in [&backend, primary] {
            let name = format!("{}:{}", backend.service, backend.port);
            self.reroutes.found(namespace, name, backend.target.clone());
        }
        let plugin = self.plugins.shipped(CANARY);
        match &plugin {
            Some(id) => drop(self.take(namespace, id)),
            None => alternative.report_missing(maker.problems),
        }
        let filter = FilterRef {
            alias: free_alias(&chain.first, CANARY),
            plugin,
            config: Some(Value::Object(config).to_string()),
            field: alternative.primary_field().to_owned(),
            origin: alternative.origin(),
        };
        let mut filters = chain.first.clone();
        filters.push(filter);
        filters.extend(sessions.map(|(filter, affinity)| sticky(filter, affinity, primary)));
        if let Some(known) = chain.others.get(filters.as_slice()) {
            return known.clone();
        }
        let filters: Arc<[FilterRef]> = filters.into();
        chain.others.insert(filters.clone());
        filters
    }
}

impl Chain {
    /// The chain of a route without a canary.
    pub(super) fn plain(&self) -> Arc<[FilterRef]> {
        self.plain.clone()
    }
}

/// The filter for sessions beside a canary: where sessions move freely, the canary has none.
fn sticky(filter: &FilterRef, affinity: &Affinity, primary: &Backend) -> FilterRef {
    let mut filter = filter.clone();
    if affinity.moves == Moves::Freely {
        let mut config = affinity.config.clone();
        let own = format!("{}:{}", primary.service, primary.port);
        config.insert("backends".to_owned(), vec![own].into());
        filter.config = Some(Value::Object(config).to_string());
    }
    filter
}

/// Whether a chain names a shipped filter.
fn names(chain: &[FilterRef], name: &str) -> bool {
    chain.iter().any(|filter| is(filter, name))
}

/// Whether an item is this shipped filter.
fn is(filter: &FilterRef, name: &str) -> bool {
    match &filter.plugin {
        Some(PluginId::Shipped(own)) => own == name,
        Some(PluginId::Object { .. } | PluginId::File(_)) | None => false,
    }
}

/// The cookie that a named filter for sessions has.
fn cookie_of(filter: &FilterRef) -> String {
    let config = filter.config.as_deref().unwrap_or_default();
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let cookie = config.get("cookie").and_then(Value::as_str);
    cookie.unwrap_or(DEFAULT_COOKIE).to_owned()
}

/// The name of a filter as its alias, unless something else in the chain is called so.
fn free_alias(chain: &[FilterRef], name: &str) -> String {
    if chain.iter().any(|filter| filter.alias == name) {
        // No alias that is written has such a mark.
        format!("{name}#nginx")
    } else {
        name.to_owned()
    }
}
