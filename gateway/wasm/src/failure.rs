//! How a filter fails, and the word that the gateway's answer carries then.

use proxy::filter::Fault;

/// Why a hook gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It trapped, panicked, or broke a rule that no filter may break.
    #[error("it trapped: {what}{}{}", frames(.stack), last_words(.said.as_deref()))]
    Trap {
        /// What happened.
        what: String,
        /// The functions it happened in, innermost first.
        stack: Vec<String>,
        /// The last line that it logged as an error in that call: how panics are told.
        said: Option<String>,
    },
    /// It ran for longer than `limits.time`.
    #[error("it ran for longer than `limits.time`; raise the limit, or do less in a hook")]
    Timeout,
    /// It wanted more than `limits.memory`, or the pool of instances is empty.
    #[error("it has no memory left: {what}")]
    Memory {
        /// What it wanted.
        what: String,
    },
    /// It refuses its configuration.
    #[error("it refuses its configuration: {}", several(.0))]
    Config(Vec<ConfigError>),
    /// There is no such plugin.
    #[error("there is no plugin of this name")]
    Missing,
    /// It cannot be loaded.
    #[error("it cannot be loaded")]
    Load,
    /// It failed so often that it is not called for a while.
    #[error("it failed too often and is not called for a while")]
    Open,
}

impl Failure {
    /// The word in `portcullis-reason` and in the access log.
    pub fn word(&self) -> &'static str {
        self.fault().word()
    }

    /// What the proxy is told.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Trap { .. } => Fault::Trap,
            Self::Timeout => Fault::Timeout,
            Self::Memory { .. } => Fault::Memory,
            Self::Config(_) => Fault::Config,
            Self::Missing => Fault::Missing,
            Self::Load => Fault::Load,
            Self::Open => Fault::Open,
        }
    }

    pub(crate) fn trap(what: impl Into<String>) -> Self {
        Self::Trap {
            what: what.into(),
            stack: Vec::new(),
            said: None,
        }
    }
}

/// What a plugin does not like about its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if .pointer.is_empty() { "the whole" } else { .pointer })]
pub struct ConfigError {
    /// The place, as a JSON Pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

fn frames(stack: &[String]) -> String {
    if stack.is_empty() {
        return String::new();
    }
    format!(" (in {})", stack.join(" ← "))
}

fn last_words(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!("; it said: {said}"))
}

fn several(errors: &[ConfigError]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}
