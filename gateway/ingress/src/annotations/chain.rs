//! The chain of filters that an Ingress names, and what it says of each.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{OURS, Reporter, nearest};
use crate::{
    manifest::{inline, shorten},
    objects::model::Ingress,
    problem::Severity,
};

/// An item of a chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// What it is called; no two items of a chain are called the same.
    pub(crate) alias: String,
    /// What it names; `None` if that cannot be read.
    pub(crate) name: Option<Name>,
    pub(crate) config: Written,
}

/// The name of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Plain(String),
    Object { namespace: String, name: String },
}

/// The configuration of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Written {
    #[default]
    Absent,
    Map(Map<String, Value>),
    /// It is there and cannot be read.
    Broken,
}

/// Whether a key of ours, without its prefix, is about the chain.
pub(super) fn is_key(rest: &str) -> bool {
    rest == FILTERS || rest.starts_with(FILTER)
}

/// The key with the configuration of an item.
pub(crate) fn config_key(alias: &str) -> String {
    format!("{OURS}{FILTER}{alias}")
}

/// The key of the chain.
pub(crate) fn chain_key() -> String {
    format!("{OURS}{FILTERS}")
}

/// Reads the chain of an Ingress with its configurations.
pub(super) fn read(ingress: &Ingress, reporter: &mut Reporter<'_>) -> Vec<Item> {
    let key = chain_key();
    let text = ingress.annotation(&key).unwrap_or_default();
    let mut items: Vec<Item> = Vec::new();
    let mut names = HashSet::new();
    let texts = text.split(',').map(str::trim);
    for text in texts.filter(|text| !text.is_empty()) {
        if items.len() == MAX_ITEMS {
            let message = format!("the chain has more than {MAX_ITEMS} filters; requests get 503");
            reporter.report(Severity::Error, &key, message, "take some out");
            items.push(Item {
                alias: "#more".to_owned(),
                name: None,
                config: Written::Absent,
            });
            break;
        }
        let (mut alias, mut name) = match parse(text) {
            Some((alias, name)) => (alias, Some(name)),
            None => {
                let message = format!("\"{}\" is no filter; requests get 503", shorten(text));
                let hint = "write [ALIAS=][NAMESPACE/]NAME, as in rate-limit, my-team/geo or per-ip=rate-limit";
                reporter.report(Severity::Error, &key, message, hint);
                (text.to_owned(), None)
            }
        };
        if !names.insert(alias.clone()) {
            if name.take().is_some() {
                let message =
                    format!("two filters of the chain are called {alias}; requests get 503");
                let after = text.split_once('=').map_or(text, |(_, after)| after);
                let hint = format!("call one otherwise: x={}", after.trim());
                reporter.report(Severity::Error, &key, message, hint);
            }
            // No alias that is written has such a mark.
            alias = format!("{alias}#{}", items.len() + 1);
        }
        items.push(Item {
            alias,
            name,
            config: Written::Absent,
        });
    }
    for (key, text) in &ingress.annotations {
        let Some(alias) = key.strip_prefix(OURS).and_then(|k| k.strip_prefix(FILTER)) else {
            continue;
        };
        let config = read_config(key, text, reporter);
        match items.iter_mut().find(|item| item.alias == alias) {
            Some(item) => item.config = config,
            None => report_stray(key, alias, &items, reporter),
        }
    }
    items
}

fn report_stray(key: &str, alias: &str, items: &[Item], reporter: &mut Reporter<'_>) {
    let aliases = items.iter().map(|item| item.alias.as_str());
    let hint = match nearest(aliases.clone(), alias) {
        Some(near) => format!("write {}", config_key(near)),
        None if items.is_empty() => format!("write {}: \"{alias}\"", chain_key()),
        None => {
            let aliases: Vec<_> = aliases.collect();
            format!("write one of {} after {OURS}{FILTER}", aliases.join(", "))
        }
    };
    let message = format!("no filter of the chain is called {}", shorten(alias));
    reporter.report(Severity::Error, key, message, hint);
}

fn read_config(key: &str, text: &str, reporter: &mut Reporter<'_>) -> Written {
    let field = super::field(key);
    match inline::read(text) {
        Ok(inline::Inline { map, doubled }) => {
            for (name, line) in doubled {
                let message = format!("the key \"{name}\" stands twice in a map; the last counts");
                reporter.problems.push(reporter.subject.problem_within(
                    (&field, line),
                    Severity::Warning,
                    message,
                    "take one out",
                ));
            }
            Written::Map(map)
        }
        Err(failure) => {
            let mut message = failure.message;
            if failure.line > 1 {
                message.push_str(&format!(" (line {} of the value)", failure.line));
            }
            let hint = "write a map in YAML or JSON, as in {requests: 10, per: 1s}";
            reporter.problems.push(reporter.subject.problem_within(
                (&field, failure.line),
                Severity::Error,
                message,
                hint,
            ));
            Written::Broken
        }
    }
}

/// `[ALIAS=][NAMESPACE/]NAME`
fn parse(text: &str) -> Option<(String, Name)> {
    let (alias, rest) = match text.split_once('=') {
        Some((alias, rest)) => (Some(alias.trim()), rest.trim()),
        None => (None, text),
    };
    let (namespace, name) = match rest.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, rest),
    };
    let alias = alias.unwrap_or(name);
    let words = [alias, name].into_iter().chain(namespace);
    if !words.clone().all(is_word) {
        return None;
    }
    let (alias, name) = (alias.to_owned(), name.to_owned());
    let name = match namespace {
        Some(namespace) => Name::Object {
            namespace: namespace.to_owned(),
            name,
        },
        None => Name::Plain(name),
    };
    Some((alias, name))
}

/// Whether a word fits into the key of an annotation, and so does any name of an object or file.
fn is_word(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.bytes().all(inner) && end(text.bytes().next()) && end(text.bytes().next_back())
}

/// Far more than any request has time for.
const MAX_ITEMS: usize = 64;
const FILTERS: &str = "filters";
const FILTER: &str = "filter.";
