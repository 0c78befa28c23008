//! How a filter fails, and the word that the gateway's answer carries then.

/// Why a hook gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It trapped, panicked, or broke a rule that no filter may break.
    #[error("it trapped: {what}{}", frames(.stack))]
    Trap {
        /// What happened.
        what: String,
        /// The functions it happened in, innermost first.
        stack: Vec<String>,
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
    #[error("it refuses its configuration: {0}")]
    Config(ConfigError),
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
        match self {
            Self::Trap { .. } => "plugin-trap",
            Self::Timeout => "plugin-timeout",
            Self::Memory { .. } => "plugin-memory",
            Self::Config(_) => "plugin-config",
            Self::Missing => "plugin-missing",
            Self::Load => "plugin-load",
            Self::Open => "plugin-open",
        }
    }

    pub(crate) fn trap(what: impl Into<String>) -> Self {
        Self::Trap {
            what: what.into(),
            stack: Vec::new(),
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
