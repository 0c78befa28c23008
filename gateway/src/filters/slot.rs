//! The filter at one place of one chain, and the last one that worked there.

use std::{collections::HashMap, sync::Arc};

use ingress::Kind;
use proxy::filter::{Broken, Fault, Filter};
use route::{FilterRef, IngressName, OnError};
use serde_json::Value;
use wasm::{Attached, Failure, Plugin};

use super::{
    Finding,
    plugin::{Known, Terms},
    turns::Turns,
};

/// What stands at a place of a chain.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) filter: Arc<dyn Filter>,
    /// What is wrong with what should stand there.
    pub(super) finding: Option<Finding>,
    /// None until its turn comes to be made.
    basis: Option<Basis>,
    on_error: OnError,
    good: Option<Good>,
}

/// What it was made from: the same again makes the same filter.
#[derive(Clone)]
enum Basis {
    Plugin(Arc<Plugin>, Terms),
    Nothing(Fault),
}

/// A plugin with a configuration that it accepted.
#[derive(Clone)]
struct Good {
    terms: Terms,
    config: String,
    filter: Arc<dyn Filter>,
}

impl Slot {
    /// What stands at this place now, and whether it is another than before.
    pub(super) fn of<'a>(
        known: &Known,
        (ingress, item): (&'a IngressName, &FilterRef),
        before: Option<&HashMap<FilterRef, Self>>,
        turns: &mut Turns<'a>,
    ) -> (Self, bool) {
        let on_error = known.on_error;
        let basis = match known.running() {
            Ok((plugin, terms)) => Basis::Plugin(Arc::clone(plugin), terms.clone()),
            Err(fault) => Basis::Nothing(fault),
        };
        let old = before.and_then(|slots| slots.get(item));
        let same = |own: &Basis| own.is(&basis);
        let is_same = |old: &&Self| old.basis.as_ref().is_some_and(same);
        if let Some(old) = old.filter(is_same).filter(|old| old.on_error == on_error) {
            return (old.clone(), false);
        }
        // The last good one may have stood under another configuration.
        let alike = || {
            let slots = before.into_iter().flatten();
            let alike =
                slots.filter(|(other, _)| other.alias == item.alias && other.plugin == item.plugin);
            let slots = alike.map(|(_, slot)| slot);
            slots.max_by_key(|slot| slot.good.is_some())
        };
        let last = old.filter(|old| old.good.is_some()).or_else(alike);
        let good = last.and_then(|last| last.good.clone());
        let (plugin, terms) = match &basis {
            Basis::Plugin(plugin, terms) => (plugin, terms),
            Basis::Nothing(fault) => {
                let nothing = Self {
                    filter: broken(*fault, on_error),
                    finding: None,
                    good,
                    on_error,
                    basis: Some(basis),
                };
                return (nothing, true);
            }
        };
        let made = turns.take(&ingress.namespace, || {
            Self::attached((plugin, terms), on_error, (ingress, item), good)
        });
        match made {
            Some(made) => (made, true),
            None => (Self::waiting(old.or(last), on_error), old.is_none()),
        }
    }

    /// What stood here before, with all that is wrong with it, until its turn comes.
    fn waiting(before: Option<&Self>, on_error: OnError) -> Self {
        let new = || Self {
            filter: broken(Fault::Load, on_error),
            finding: None,
            basis: None,
            on_error,
            good: None,
        };
        before.map_or_else(new, |before| Self {
            basis: None,
            ..before.clone()
        })
    }

    /// The plugin with its configuration here; where it does not accept that, with the last good one.
    fn attached(
        (plugin, terms): (&Arc<Plugin>, &Terms),
        on_error: OnError,
        (ingress, item): (&IngressName, &FilterRef),
        last: Option<Good>,
    ) -> Self {
        let slot = |finding, good: Option<Good>| Self {
            filter: good.as_ref().map_or_else(
                || broken(Fault::Config, on_error),
                |good| Arc::clone(&good.filter),
            ),
            finding,
            basis: Some(Basis::Plugin(Arc::clone(plugin), terms.clone())),
            on_error,
            good,
        };
        let attach = |config: &str| {
            let scope = format!("{ingress}/{}", item.alias);
            let attachment = plugin.attach(&ingress.namespace, &scope, config.to_owned())?;
            let filter: Arc<dyn Filter> = Arc::new(Attached::new(attachment, on_error));
            Ok::<_, Failure>(Good {
                terms: terms.clone(),
                config: config.to_owned(),
                filter,
            })
        };
        // A configuration that cannot be read is a problem of the translation already.
        let failure = match &item.config {
            Some(config) => match attach(config) {
                Ok(good) => return slot(None, Some(good)),
                Err(failure) => Some(failure),
            },
            None => None,
        };
        let kept = last.and_then(|last| match attach(&last.config) {
            Ok(good) => Some(good),
            // The new code does not take it either: then the old code, if it may not more than the new.
            Err(_) => Some(last).filter(|last| last.terms == *terms),
        });
        let tail = match (&kept, on_error) {
            (Some(_), _) => "the last good one goes on serving",
            (None, OnError::Closed) => "the route answers 503",
            (None, OnError::Open) => "the route is served without it",
        };
        let finding = failure.map(|failure| Finding {
            kind: Kind::Ingress,
            namespace: ingress.namespace.clone(),
            name: ingress.name.clone(),
            field: item.field.clone(),
            message: format!(
                "the filter {} does not work so: {failure} ({tail})",
                item.alias
            ),
            hint: hint(plugin),
        });
        slot(finding, kept)
    }
}

/// What a plugin's configuration can say.
fn hint(plugin: &Plugin) -> String {
    let schema: Value = serde_json::from_str(&plugin.component().info().schema).unwrap_or_default();
    let keys = schema.get("properties").and_then(Value::as_object);
    let keys: Vec<&str> = keys.into_iter().flatten().map(|(key, _)| &**key).collect();
    if keys.is_empty() {
        return format!("write what {} understands", plugin.name());
    }
    format!("the keys of {} are {}", plugin.name(), keys.join(", "))
}

impl Basis {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plugin(one, _), Self::Plugin(other, _)) => Arc::ptr_eq(one, other),
            (Self::Nothing(one), Self::Nothing(other)) => one == other,
            (Self::Plugin(..), Self::Nothing(_)) | (Self::Nothing(_), Self::Plugin(..)) => false,
        }
    }
}

fn broken(fault: Fault, on_error: OnError) -> Arc<dyn Filter> {
    Arc::new(Broken { fault, on_error })
}
