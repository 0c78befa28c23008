//! YAML in, nodes out: one document at a time, read as the API server's own tools read it.
//!
//! Those tools speak YAML 1.1: a plain `yes`, `on` or `y` is a boolean and `010` is eight, so a
//! value that works here works there too. Aliases are expanded within a budget.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{
    Failure,
    node::{Entry, Node, Value},
};

/// A parsed document.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    /// The document; absent if there is nothing in it.
    pub(crate) root: Option<Node<'a>>,
    /// Keys that a map has twice, with the line of the second.
    pub(crate) doubled: Vec<(String, u32)>,
}

/// Parses one document that starts at line `first` of its file.
pub(crate) fn parse(text: &str, first: u32) -> Result<Parsed<'_>, Failure> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        copied: 0,
        lines: text.lines().count().max(1),
        offset: first.saturating_sub(1),
        doubled: Vec::new(),
    };
    let mut root = None;
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::StreamEnd => break,
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..) => {
                root = Some(builder.node(event, span, 0)?);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {}
        }
    }
    Ok(Parsed {
        root: root.filter(|node| node.value != Value::Null),
        doubled: builder.doubled,
    })
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    copied: usize,
    lines: usize,
    offset: u32,
    doubled: Vec<(String, u32)>,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Failure> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(pair)) => Ok(Some(pair)),
            Some(Err(error)) => {
                let message = format!("the document is not YAML: {}", error.info());
                Err(Failure {
                    line: self.line(error.marker().line()),
                    message,
                })
            }
        }
    }

    /// The line of the file. What is missing at the end is missed behind the last one, where nobody can look.
    fn line(&self, line: usize) -> u32 {
        u32::try_from(line.min(self.lines))
            .unwrap_or(u32::MAX)
            .saturating_add(self.offset)
    }

    /// Builds the node that begins with this event.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node<'a>, Failure> {
        let line = self.line(span.start.line());
        if depth > super::MAX_DEPTH {
            return Err(Failure {
                line,
                message: "the document is nested too deeply".to_owned(),
            });
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(text, style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(anchor, _) => (Value::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Map(self.map(depth)?), anchor),
            Event::Alias(anchor) => {
                let node = self.alias(anchor, line)?;
                return Ok(node);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => (Value::Null, 0),
        };
        let node = Node { line, value };
        if anchor > 0 {
            self.copied += node.count();
            self.anchors.insert(anchor, node.clone());
            self.within_budget(line)?;
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, line: u32) -> Result<Node<'a>, Failure> {
        let Some(target) = self.anchors.get(&anchor) else {
            let message = "the document has an alias inside its own anchor".to_owned();
            return Err(Failure { line, message });
        };
        self.copied += target.count();
        let node = target.clone();
        self.within_budget(line)?;
        Ok(node)
    }

    fn within_budget(&self, line: u32) -> Result<(), Failure> {
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        let message = format!("the document's aliases expand to more than {MAX_COPIED} values");
        Err(Failure { line, message })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node<'a>>, Failure> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry<'a>>, Failure> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut merged = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let line = self.line(span.start.line());
            let Event::Scalar(key, style, ..) = event else {
                let message = "the document has a map whose key is no string".to_owned();
                return Err(Failure { line, message });
            };
            let Some((event, span)) = self.next()? else {
                break;
            };
            let value = self.node(event, span, depth + 1)?;
            if key == "<<" && style == ScalarStyle::Plain {
                merged.push(value);
            } else {
                self.insert(&mut entries, Entry { key, line, value });
            }
        }
        for value in merged {
            merge(&mut entries, value)?;
        }
        Ok(entries)
    }

    /// Of a key that is there twice the last counts, as for the API server's tools.
    fn insert(&mut self, entries: &mut Vec<Entry<'a>>, entry: Entry<'a>) {
        // A map of very many keys is no object of ours: not worth a search for each.
        let known = entries.len() < 4096;
        match entries.iter_mut().find(|e| known && e.key == entry.key) {
            Some(old) => {
                self.doubled.push((entry.key.to_string(), entry.line));
                *old = entry;
            }
            None => entries.push(entry),
        }
    }
}

/// Adds what `<<` names; keys that are there stay.
fn merge<'a>(entries: &mut Vec<Entry<'a>>, from: Node<'a>) -> Result<(), Failure> {
    let line = from.line;
    let maps = match from.value {
        Value::Map(map) => vec![map],
        Value::List(items) => items
            .into_iter()
            .filter_map(|item| match item.value {
                Value::Map(map) => Some(map),
                Value::Null
                | Value::Bool(..)
                | Value::Int(_)
                | Value::Float(..)
                | Value::Text(_)
                | Value::List(_) => None,
            })
            .collect(),
        Value::Null | Value::Bool(..) | Value::Int(_) | Value::Float(..) | Value::Text(_) => {
            let message = "the document merges something that is no map with '<<'".to_owned();
            return Err(Failure { line, message });
        }
    };
    for entry in maps.into_iter().flatten() {
        if !entries.iter().any(|e| e.key == entry.key) {
            entries.push(entry);
        }
    }
    Ok(())
}

fn scalar<'a>(text: Cow<'a, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value<'a> {
    let plain = style == ScalarStyle::Plain;
    match tag.map(|t| t.suffix.as_str()) {
        None if plain => resolve(text),
        Some("int" | "float" | "bool" | "null") => resolve(text),
        None | Some(_) => Value::Text(text),
    }
}

/// What a plain scalar is.
fn resolve(text: Cow<'_, str>) -> Value<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            return Value::Bool(true, text);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Value::Bool(false, text);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY, text);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY, text),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN, text),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::Text(text);
    }
    if let Some(number) = integer(&text) {
        return Value::Int(number);
    }
    let float = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if float && text != "." => Value::Float(number, text),
        Ok(_) | Err(_) => Value::Text(text),
    }
}

fn integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        Some(_) if digits.starts_with('0') => (8, digits.get(1..)?),
        Some(_) | None => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// How many values the aliases of one document may expand to.
const MAX_COPIED: usize = 400_000;
