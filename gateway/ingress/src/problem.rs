//! Problems: what is wrong with which object, and what to write instead.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::manifest::Lines;

/// Something that an operator should know. Displays as one line, as `portcullis check` prints it.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The object's kind; empty for a document that cannot be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's namespace; empty for an object that has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The field, as in `spec.rules[0].host`; it has no blanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The file that holds the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line of the field in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// How bad a problem is; the worst first.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not do what it says.
    Error,
    /// It does what it says, but surely not what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", OneLine(file))?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: ", self.severity)?;
        if !self.kind.is_empty() {
            write!(f, "{} ", Word(&self.kind))?;
            if !self.namespace.is_empty() {
                write!(f, "{}/", Word(&self.namespace))?;
            }
            write!(f, "{}", Word(&self.name))?;
            if let Some(field) = &self.field {
                write!(f, " {}", Word(field))?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", OneLine(&self.message))?;
        if !self.hint.is_empty() {
            write!(f, "; {}", OneLine(&self.hint))?;
        }
        Ok(())
    }
}

impl Problem {
    /// The order in which problems are reported: by place, then by object, then the worst first.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |p: &Self| (p.file.is_none(), p.line, p.severity);
        let name = |p: &Self| [p.kind.clone(), p.namespace.clone(), p.name.clone()];
        (self.file.cmp(&other.file))
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| name(self).cmp(&name(other)))
            .then_with(|| self.field.cmp(&other.field))
            .then_with(|| self.message.cmp(&other.message))
    }

    /// A problem of a whole file or of a document that is no object.
    pub(crate) fn of_document(file: &str, line: usize, message: String, hint: &str) -> Self {
        Self {
            severity: Severity::Error,
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
            field: None,
            file: Some(file.to_owned()),
            line: Some(line),
            message,
            hint: hint.to_owned(),
        }
    }
}

/// Says that what was there before goes on.
pub(crate) fn mark_last_good(problems: &mut [Problem]) {
    for problem in problems
        .iter_mut()
        .filter(|p| p.severity == Severity::Error)
    {
        problem
            .message
            .push_str(" (the last good state goes on serving)");
    }
}

/// An object that problems are about, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) source: Option<Arc<Source>>,
}

/// Where an object was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) file: Arc<str>,
    pub(crate) lines: Lines,
}

impl Subject {
    /// A problem of this object; `field` may be empty.
    pub(crate) fn problem(
        &self,
        severity: Severity,
        field: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        let source = self.source.as_deref();
        Problem {
            severity,
            kind: self.kind.to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            field: (!field.is_empty()).then(|| Word(field).to_string()),
            file: source.map(|s| s.file.to_string()),
            line: source.and_then(|s| s.lines.find(field)),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// A problem at a line of a field's text, from 1.
    pub(crate) fn problem_within(
        &self,
        (field, line): (&str, u32),
        severity: Severity,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        let mut problem = self.problem(severity, field, message, hint);
        // Where the text does not stand on lines of its own, the field's line is all that is known.
        if let Some(first) = self
            .source
            .as_deref()
            .and_then(|s| s.lines.find_text(field))
        {
            let below = usize::try_from(line.saturating_sub(1)).unwrap_or_default();
            problem.line = Some(first.saturating_add(below));
        }
        problem
    }

    /// The object's place, for a problem of another object.
    pub(crate) fn place(&self, field: &str) -> String {
        match self.source.as_deref() {
            Some(source) => match source.lines.find(field) {
                Some(line) => format!("{self} ({}:{line})", source.file),
                None => format!("{self} ({})", source.file),
            },
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Text without line breaks and other controls.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .split(char::is_control)
            .enumerate()
            .try_for_each(|(i, part)| {
                f.write_str(if i == 0 { "" } else { " " })?;
                f.write_str(part)
            })
    }
}

/// Text without blanks: names and fields end at the first one.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = |c: char| c.is_whitespace() || c.is_control();
        self.0.split(blank).enumerate().try_for_each(|(i, part)| {
            f.write_str(if i == 0 { "" } else { "?" })?;
            f.write_str(part)
        })
    }
}

#[cfg(test)]
mod tests;
