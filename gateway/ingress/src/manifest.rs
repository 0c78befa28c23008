//! The text of a manifest file into objects: documents one by one, each with its own problems.

mod decode;
mod document;
pub(crate) mod inline;
mod json;
mod legacy;
mod node;
mod unknown;
mod validate;
mod wire;
mod yaml;

use std::sync::Arc;

pub(crate) use node::{Lines, Node, push_key, shorten};
pub(crate) use wire::read as read_node;

use crate::{
    objects::{Kind, Object},
    parallel,
    problem::{Problem, Severity, Subject},
};
use document::read_object;

/// Why a text is no document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) line: u32,
    pub(crate) message: String,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) found: Vec<Found>,
    /// Of documents that are no objects.
    pub(crate) failures: Vec<Problem>,
}

/// An object of ours, as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) key: Key,
    /// The object, unless the API server would refuse it.
    pub(crate) object: Option<Object>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) subject: Subject,
}

/// An object's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The formats of manifest files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
}

/// Reads the text of a file.
pub(crate) fn read(file: &Arc<str>, bytes: &[u8], format: Format) -> Contents {
    let mut contents = Contents::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            let message = "the file is not UTF-8 text".to_owned();
            contents.failures.push(Problem::of_document(
                file,
                line,
                message,
                "save it as UTF-8",
            ));
            return contents;
        }
    };
    match format {
        Format::Json => read_json(file, text, &mut contents),
        Format::Yaml => {
            let parts = parallel::map(&split(text), |(chunk, line)| {
                let mut contents = Contents::default();
                read_chunk(file, chunk, *line, &mut contents);
                contents
            });
            for part in parts {
                contents.found.extend(part.found);
                contents.failures.extend(part.failures);
            }
        }
    }
    contents
}

fn read_json(file: &Arc<str>, text: &str, contents: &mut Contents) {
    let (mut rest, mut line) = (text, 1);
    loop {
        match json::parse(rest, line) {
            Ok((Some(node), after, at)) => {
                read_object(file, node, contents);
                (rest, line) = (after, at);
            }
            Ok((None, ..)) => return,
            Err(failure) => return contents.fail(file, failure),
        }
    }
}

fn read_chunk(file: &Arc<str>, chunk: &str, line: u32, contents: &mut Contents) {
    // JSON is YAML, but its own parser is quicker and takes tabs.
    if chunk.trim_start().starts_with('{')
        && let Ok((Some(node), rest, _)) = json::parse(chunk, line)
        && rest.trim().is_empty()
    {
        return read_object(file, node, contents);
    }
    // No input brings the process down, not even one that the YAML parser itself trips over.
    let parsed = match std::panic::catch_unwind(|| yaml::parse(chunk, line)) {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(failure)) => return contents.fail(file, failure),
        Err(_) => {
            let message = "the document is not YAML: the parser gives up".to_owned();
            return contents.fail(file, Failure { line, message });
        }
    };
    let Some(root) = parsed.root else { return };
    let before = contents.found.len();
    read_object(file, root, contents);
    let Some(found) = contents.found.get_mut(before) else {
        return;
    };
    for (key, line) in parsed.doubled.into_iter().take(MAX_DOUBLED) {
        let message = format!(
            "the key \"{}\" stands twice in a map; the last counts",
            shorten(&key)
        );
        let mut problem = found
            .subject
            .problem(Severity::Warning, "", message, "take one out");
        problem.line = usize::try_from(line).ok();
        found.problems.push(problem);
    }
}

impl Contents {
    fn fail(&mut self, file: &str, failure: Failure) {
        let line = usize::try_from(failure.line).unwrap_or_default();
        let hint = "mend the text there: indentation, quotes, brackets, or an end that is missing";
        self.failures
            .push(Problem::of_document(file, line, failure.message, hint));
    }
}

/// Splits a file at the document markers of YAML, which count wherever a line begins with them; gives
/// each document with its first line.
fn split(text: &str) -> Vec<(&str, u32)> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    let mut directives = false;
    let mut line: u32 = 0;
    for row in text.split_inclusive('\n') {
        line = line.saturating_add(1);
        let marker = |m: &str| {
            row.strip_prefix(m)
                .is_some_and(|r| r.trim_end() == "" || r.starts_with([' ', '\t']))
        };
        if marker("---") && !directives {
            chunks.push((text.get(start..at).unwrap_or_default(), start_line));
            (start, start_line) = (at, line);
        } else if marker("...") {
            chunks.push((text.get(start..at).unwrap_or_default(), start_line));
            (start, start_line) = (at + row.len(), line.saturating_add(1));
        }
        // Directives stand before the marker of their own document.
        directives = (directives && !marker("---")) || (row.starts_with('%') && start == at);
        at += row.len();
    }
    chunks.push((text.get(start..).unwrap_or_default(), start_line));
    chunks.retain(|(chunk, _)| !chunk.trim().is_empty());
    chunks
}

/// How many keys that stand twice are reported of a document.
const MAX_DOUBLED: usize = 20;

/// How deep a document may be nested; objects of ours are nested far less.
const MAX_DEPTH: usize = 128;

#[cfg(test)]
mod tests;
