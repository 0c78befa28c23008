//! Why a hook gives up.

use std::{error::Error, fmt};

/// What hooks return: `?` works on every error.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A hook that fails. Its message is logged, what the hook changed is undone, and the instance ends, as
/// after a panic; what becomes of the request is the plugin's `onError`.
pub struct Failure(String);

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `Failure` is itself no `Error`: else it could not be made from all of them.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self(text)
    }
}
