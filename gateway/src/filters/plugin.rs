//! A plugin by name: which code it has, which of it runs, and what is wrong with the newest.

use std::sync::Arc;

use ingress::{Kind, PluginState};
use proxy::filter::Fault;
use route::{Grants, Isolation, Limits, OnError, PluginId};
use serde::Serialize;
use wasm::{Component, Engine, Plugin, PluginSpec, Shared};

use super::{
    Finding,
    code::{Code, NoCode},
    compiler::Compiler,
};

/// What is known of a plugin.
#[derive(Default)]
pub(super) struct Known {
    /// What outlives its versions.
    shared: Arc<Shared>,
    /// The newest code, if there is any.
    code: Option<Code>,
    /// The last component that could be loaded.
    good: Option<Arc<Component>>,
    running: Option<Running>,
    failure: Option<Failure>,
    /// Whether the newest code is still to come.
    coming: bool,
    loading: bool,
    /// What worked before the start.
    last: Option<Code>,
    pub(super) on_error: OnError,
}

struct Running {
    plugin: Arc<Plugin>,
    component: Arc<Component>,
    terms: Terms,
}

/// What acts at once when it changes.
#[derive(Clone, PartialEq)]
pub(super) struct Terms {
    grants: Grants,
    limits: Limits,
    isolation: Isolation,
}

/// What is wrong with the newest version.
#[derive(Clone)]
struct Failure {
    field: &'static str,
    why: NoCode,
}

/// A plugin as the admin listener shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PluginView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    state: &'static str,
    /// The namespace and name of its object, if it has one.
    #[serde(skip)]
    object: Option<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    imports: Vec<&'static str>,
    hooks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    /// What instances of it have counted.
    #[serde(skip)]
    shared: Arc<Shared>,
}

impl PluginView {
    /// Its name, as people write it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it runs as it should.
    pub(crate) fn is_ready(&self) -> bool {
        self.state == "ready"
    }

    /// How the object fares, if it is one.
    pub(crate) fn state(&self) -> Option<PluginState> {
        let (namespace, name) = self.object.clone()?;
        Some(PluginState {
            namespace,
            name,
            runs: self.digest.is_some(),
            loading: self.state == "loading",
            reason: self.reason.clone(),
        })
    }

    /// What instances of it have counted.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Known {
    /// Takes the code that there is now, nothing if it is still to come, and has it compiled; whether it
    /// is new.
    pub(super) fn look(
        &mut self,
        found: Result<Option<Code>, NoCode>,
        spec: &route::Plugin,
        compiler: &Compiler,
    ) -> bool {
        self.failure = None;
        self.code = None;
        self.coming = matches!(found, Ok(None));
        self.on_error = spec.on_error;
        match found {
            Err(why) => self.fail("spec.source", why),
            Ok(None) => {}
            Ok(Some(code)) => match spec.sha256.as_deref().filter(|sha| **sha != *code.digest) {
                Some(wanted) => {
                    let message = format!(
                        "the code has the SHA-256 {}, and {wanted} is wanted",
                        code.digest
                    );
                    let hint = "put the right file in place, or write its digest";
                    self.fail("spec.sha256", NoCode::new(message, hint));
                }
                None => {
                    let new = compiler.ask(&code);
                    self.code = Some(code);
                    return new;
                }
            },
        }
        false
    }

    /// Whether nothing has worked since the start, so that what worked before it counts.
    pub(super) fn needs_last(&self) -> bool {
        self.good.is_none() && self.last.is_none()
    }

    /// The digest of the newest code.
    pub(super) fn newest(&self) -> Option<&str> {
        self.code.as_ref().map(|code| &*code.digest)
    }

    /// Takes what worked before the start, and has it compiled; whether it is new.
    pub(super) fn look_back(&mut self, last: Option<Code>, compiler: &Compiler) -> bool {
        let new = last.as_ref().is_some_and(|last| compiler.ask(last));
        self.last = last;
        new
    }

    /// The digest of the newest code, if that is what runs.
    pub(super) fn works(&self) -> Option<&str> {
        let running = self.running.as_ref()?;
        let newest = self.newest();
        newest.filter(|newest| *newest == running.component.digest())
    }

    /// Makes a plugin of the newest code that can be used.
    pub(super) fn build(
        &mut self,
        engine: &Engine,
        compiler: &Compiler,
        id: &PluginId,
        spec: &route::Plugin,
    ) {
        let terms = Terms {
            grants: spec.grants.clone(),
            limits: spec.limits.clone(),
            isolation: spec.isolation,
        };
        let compiled = self.code.as_ref().map(|code| compiler.result(&code.digest));
        self.loading = self.coming || matches!(compiled, Some(None));
        if self.good.is_none()
            && let Some(last) = &self.last
            && let Some(Ok(component)) = compiler.result(&last.digest)
        {
            self.good = Some(component);
        }
        let newest = match compiled.flatten() {
            Some(Ok(component)) => Some(component),
            Some(Err(error)) => {
                self.fail("spec.source", split(&error));
                None
            }
            None => None,
        };
        // What worked before goes on, but never with more than it is granted now.
        let mut running = None;
        for component in newest.iter().chain(&self.good.clone()) {
            if running.is_some() {
                break;
            }
            running = self.with(engine, id, component, &terms);
        }
        if let Some(running) = &running {
            self.good = Some(Arc::clone(&running.component));
            self.last = None;
        }
        self.running = running;
    }

    fn with(
        &mut self,
        engine: &Engine,
        id: &PluginId,
        component: &Arc<Component>,
        terms: &Terms,
    ) -> Option<Running> {
        let same = |running: &mut Running| {
            Arc::ptr_eq(&running.component, component) && running.terms == *terms
        };
        if let Some(running) = self.running.take_if(same) {
            return Some(running);
        }
        let Terms {
            grants,
            limits,
            isolation,
        } = terms.clone();
        let spec = PluginSpec {
            name: id.to_string(),
            component: Arc::clone(component),
            grants,
            limits,
            isolation,
            shared: Arc::clone(&self.shared),
        };
        match Plugin::new(engine, spec) {
            Ok(plugin) => Some(Running {
                plugin,
                component: Arc::clone(component),
                terms: terms.clone(),
            }),
            Err(error) => {
                let ungranted = matches!(error, wasm::LoadError::NotGranted(_));
                let field = if ungranted {
                    "spec.grants"
                } else {
                    "spec.limits"
                };
                self.fail(field, split(&error.to_string()));
                None
            }
        }
    }

    fn fail(&mut self, field: &'static str, why: NoCode) {
        self.failure.get_or_insert(Failure { field, why });
    }

    /// The plugin, or how requests fail without it.
    pub(super) fn running(&self) -> Result<(&Arc<Plugin>, &Terms), Fault> {
        let running = self.running.as_ref().ok_or(Fault::Load)?;
        Ok((&running.plugin, &running.terms))
    }

    /// The digests of the code that is needed.
    pub(super) fn digests(&self) -> impl Iterator<Item = &str> {
        let newest = self.newest();
        let good = self.good.as_ref().map(|good| good.digest());
        let last = self.last.as_ref().map(|code| &*code.digest);
        newest.into_iter().chain(good).chain(last)
    }

    /// What is wrong with the newest version, as a problem of the object.
    pub(super) fn finding(&self, id: &PluginId) -> Option<Finding> {
        let Failure { field, why } = self.failure.as_ref()?;
        let (namespace, name, field) = match id {
            PluginId::Object { namespace, name } => (namespace.clone(), name.clone(), *field),
            PluginId::Shipped(name) | PluginId::File(name) => (String::new(), name.clone(), ""),
        };
        let tail = match (&self.running, self.on_error) {
            (Some(_), _) => "the last good version goes on serving",
            (None, OnError::Closed) => "routes with it answer 503",
            (None, OnError::Open) => "routes with it are served without it",
        };
        Some(Finding {
            kind: Kind::Plugin,
            namespace,
            name,
            field: field.to_owned(),
            message: format!("{} ({tail})", why.message),
            hint: why.hint.clone(),
        })
    }

    /// As the admin listener shows it.
    pub(super) fn view(&self, id: &PluginId) -> PluginView {
        let component = self.running.as_ref().map(|running| &*running.component);
        let state = match (&self.running, &self.failure, self.loading) {
            (_, None, true) => "loading",
            (Some(_), None, false) => "ready",
            (..) => "failed",
        };
        PluginView {
            name: id.to_string(),
            object: match id {
                PluginId::Object { namespace, name } => Some((namespace.clone(), name.clone())),
                PluginId::Shipped(_) | PluginId::File(_) => None,
            },
            digest: component.map(|component| component.digest().to_owned()),
            state,
            reason: match (&self.failure, self.coming) {
                (Some(failure), _) => Some(failure.why.message.clone()),
                (None, true) => Some("its code is being fetched".to_owned()),
                (None, false) => None,
            },
            imports: component.map_or_else(Vec::new, |component| {
                let imports = component.capabilities().iter();
                imports.map(|capability| capability.interface()).collect()
            }),
            hooks: component.map_or_else(Vec::new, |component| {
                component.hooks().iter().map(ToString::to_string).collect()
            }),
            version: component.map(|component| component.info().version.clone()),
            size: component.map(Component::size),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What is wrong, and what to do: errors of the sandbox say both.
fn split(error: &str) -> NoCode {
    let (message, hint) = error.split_once("; ").unwrap_or((error, "build it anew"));
    NoCode::new(message, hint)
}
