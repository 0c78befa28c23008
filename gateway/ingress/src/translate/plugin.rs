//! Plugins: which there are, and who may use them.

use std::{collections::BTreeMap, sync::Arc};

use route::{Backends, Grants, Limits, Plugin, PluginId, Source};

use crate::{
    annotations::{Name, nearest},
    objects::{Objects, plugin::Plugin as Object},
    problem::{Problem, Subject},
};

use super::{
    Options,
    ceiling::{Ceilings, serve},
};

/// All plugins that chains may name.
pub(super) struct Plugins<'a> {
    objects: &'a Objects,
    options: &'a Options,
    /// The Plugin objects as they are served.
    served: BTreeMap<PluginId, Arc<Plugin>>,
}

impl<'a> Plugins<'a> {
    /// Takes over all Plugin objects, each once.
    pub(super) fn new(
        objects: &'a Objects,
        options: &'a Options,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut plugins = Self {
            objects,
            options,
            served: BTreeMap::new(),
        };
        for object in objects.plugins.values() {
            if plugins.counts(&object.subject.namespace) {
                let plugin = serve(object, objects, options, problems);
                plugins.served.insert(id(object), Arc::new(plugin));
            }
        }
        plugins
    }

    fn counts(&self, namespace: &str) -> bool {
        self.options.watches(namespace) || self.is_shared(namespace)
    }

    fn is_shared(&self, namespace: &str) -> bool {
        let shared = &self.options.shared_plugin_namespaces;
        shared.iter().any(|ns| ns == namespace)
    }

    fn find(&self, namespace: &str, name: &str) -> Option<&'a Object> {
        let object = self.objects.plugins.find(namespace, name)?;
        self.counts(namespace).then_some(object.as_ref())
    }

    /// Whether the Ingresses of a namespace may use a Plugin.
    fn may_use(&self, namespace: &str, object: &Object) -> bool {
        let own = &object.subject.namespace;
        let allowed = |ns: &String| ns == "*" || ns == namespace;
        own == namespace || self.is_shared(own) || object.allowed.iter().any(allowed)
    }

    /// The shipped filter of a name.
    pub(super) fn shipped(&self, name: &str) -> Option<PluginId> {
        let known = self.options.shipped.iter().any(|own| own == name);
        known.then(|| PluginId::Shipped(name.to_owned()))
    }

    /// The Plugin of a namespace whose name a shipped filter takes.
    pub(super) fn shadowed(&self, namespace: &str, name: &Name) -> Option<&'a Object> {
        match name {
            Name::Plain(name) => self.shipped(name).and_then(|_| self.find(namespace, name)),
            Name::Object { .. } => None,
        }
    }

    /// What a name leads to for the Ingresses of a namespace; the error has what is wrong and what to
    /// write.
    pub(super) fn resolve(
        &self,
        namespace: &str,
        name: &Name,
    ) -> Result<PluginId, (String, String)> {
        match name {
            Name::Plain(name) => {
                let object = || self.find(namespace, name).map(id);
                let file = || {
                    let files = &self.options.plugin_files;
                    let known = files.iter().any(|file| file == name);
                    known.then(|| PluginId::File(name.clone()))
                };
                let found = self.shipped(name).or_else(object).or_else(file);
                found.ok_or_else(|| self.missing(namespace, name))
            }
            Name::Object {
                namespace: of,
                name,
            } => match self.find(of, name) {
                Some(object) if self.may_use(namespace, object) => Ok(id(object)),
                Some(object) => Err((
                    format!(
                        "the {} is not for the namespace {namespace}",
                        object.subject
                    ),
                    format!("add {namespace} to its spec.allowedNamespaces, or name another one"),
                )),
                None => {
                    let written = format!("{of}/{name}");
                    let alike = |s: &Subject| s.namespace == *of || s.name == *name;
                    let usable = self.usable(namespace, alike);
                    let hint = match nearest(usable.iter().map(String::as_str), &written) {
                        Some(near) => format!("write {near}"),
                        None => "create it, or name another one".to_owned(),
                    };
                    Err((format!("there is no Plugin {written}"), hint))
                }
            },
        }
    }

    /// What to write instead of a plain name that leads nowhere.
    fn missing(&self, namespace: &str, name: &str) -> (String, String) {
        let own = self.objects.plugins.of_namespace(namespace);
        let own = own.map(|object| object.subject.name.as_str());
        let Options {
            shipped,
            plugin_files,
            ..
        } = self.options;
        let mut names: Vec<&str> = own.collect();
        names.extend(shipped.iter().chain(plugin_files).map(String::as_str));
        names.sort_unstable();
        names.dedup();
        let message = format!(
            "no filter {name} ships or is in the plugin folder, and there is no Plugin {namespace}/{name}"
        );
        // The Plugins of other namespaces need their namespace before them.
        let elsewhere = || {
            self.usable(namespace, |s| s.name == name)
                .into_iter()
                .next()
        };
        let near = nearest(names.iter().copied(), name).map(str::to_owned);
        let hint = match near.or_else(elsewhere) {
            Some(near) => format!("write {near}"),
            None => {
                let more = if names.len() > MANY { ", …" } else { "" };
                names.truncate(MANY);
                format!(
                    "write one of {}{more}, or create the Plugin",
                    names.join(", ")
                )
            }
        };
        (message, hint)
    }

    /// The full names of those of some Plugin objects that a namespace may use.
    fn usable(&self, namespace: &str, some: impl Fn(&Subject) -> bool) -> Vec<String> {
        let all = self.objects.plugins.values();
        let usable = all.filter(|object| {
            some(&object.subject)
                && self.counts(&object.subject.namespace)
                && self.may_use(namespace, object)
        });
        let mut names: Vec<String> = usable.map(|object| id(object).to_string()).collect();
        names.sort_unstable();
        names
    }

    /// The plugin and what stands under its configuration.
    pub(super) fn get(&self, id: &PluginId) -> (Arc<Plugin>, Option<&'a Object>) {
        match id {
            PluginId::Object { namespace, name } => {
                let served = self.served.get(id).cloned();
                let gone = || Arc::new(plain(Source::Unseen));
                (served.unwrap_or_else(gone), self.find(namespace, name))
            }
            PluginId::Shipped(name) => (Arc::new(shipped(name)), None),
            PluginId::File(name) => {
                let source = Source::File {
                    name: format!("{name}.wasm"),
                    folders: self.options.plugin_folder.iter().cloned().collect(),
                };
                let mut plugin = plain(source);
                let Ceilings { time, memory, .. } = &self.options.ceilings;
                plugin.limits.time = plugin.limits.time.min(*time);
                plugin.limits.memory = plugin.limits.memory.min(*memory);
                (Arc::new(plugin), None)
            }
        }
    }
}

fn id(object: &Object) -> PluginId {
    PluginId::Object {
        namespace: object.subject.namespace.clone(),
        name: object.subject.name.clone(),
    }
}

/// A plugin without grants and with all defaults.
fn plain(source: Source) -> Plugin {
    Plugin {
        source,
        sha256: None,
        grants: Grants::default(),
        limits: Limits::default(),
        isolation: route::Isolation::Shared,
        on_error: route::OnError::Closed,
    }
}

/// A filter that is part of the program, with the grants that it needs.
fn shipped(name: &str) -> Plugin {
    let mut plugin = plain(Source::Embedded(name.to_owned()));
    let grants = &mut plugin.grants;
    match name {
        RATE_LIMIT => grants.rate_limit = true,
        CANARY => {
            grants.random = true;
            grants.backends = Backends::All;
        }
        STICKY_SESSION => grants.random = true,
        _ => {}
    }
    plugin
}

/// The filters that ship.
pub(super) const RATE_LIMIT: &str = "rate-limit";
pub(super) const CANARY: &str = "canary";
pub(super) const STICKY_SESSION: &str = "sticky-session";
/// How many names a hint has.
const MANY: usize = 12;
