//! What a request to the API server came to, if not to what was asked for.

use std::{error::Error as _, time::Duration};

use kube::core::Status;

use super::watch::Health;

/// Why a watch does not go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It ended, and can be taken up where it was.
    Ended,
    /// The version to go on from is too old, or too new.
    Gone,
    /// The server does not list in this way.
    Unsupported,
    /// Something that someone should know, and how long to wait at least.
    Bad(Health, Duration),
}

impl Trouble {
    pub(super) fn of(error: &kube::Error) -> Self {
        if is_unreadable(error) {
            let why = if matches!(error, kube::Error::Api(_)) {
                "an event that is none".to_owned()
            } else {
                text(error)
            };
            let said = format!("its answer cannot be read: {why}");
            return Self::Bad(Health::Failing(said), Duration::ZERO);
        }
        if let kube::Error::Api(status) = error {
            return Self::of_status(status);
        }
        // A connection that breaks in the middle says that much and no more.
        if matches!(error, kube::Error::ReadEvents(_)) {
            return Self::Ended;
        }
        Self::Bad(Health::Away(text(error)), Duration::ZERO)
    }

    pub(super) fn of_status(status: &Status) -> Self {
        let details = status.details.as_ref();
        let wait = details.map_or(0, |details| details.retry_after_seconds);
        let wait = Duration::from_secs(wait.into());
        let cause = |cause: &kube::core::response::StatusCause| cause.reason == TOO_LARGE;
        if details.is_some_and(|details| details.causes.iter().any(cause)) {
            return Self::Gone;
        }
        let said = match status.message.as_str() {
            "" => format!("status {} {}", status.code, status.reason),
            message => format!("status {}: {message}", status.code),
        };
        match status.code {
            410 => Self::Gone,
            403 => Self::Bad(Health::Forbidden(status.message.clone()), wait),
            404 => Self::Bad(Health::Absent, wait),
            // A streamed list is no request that such a server takes.
            400 | 405 | 406 | 415 | 422 | 501 => Self::Unsupported,
            _ => Self::Bad(Health::Failing(said), wait),
        }
    }
}

/// Whether there was an answer that makes no sense. `kube` takes an event that it cannot read for a
/// status, of which it then has nothing, not even the code.
pub(super) fn is_unreadable(error: &kube::Error) -> bool {
    if let kube::Error::Api(status) = error {
        return status.code == 0;
    }
    matches!(error, kube::Error::SerdeError(_) | kube::Error::FromUtf8(_))
}

/// An error with its causes, each once.
pub(super) fn text(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("status {}: {}", status.code, status.message);
    }
    // The words of these only say which part of the client it was.
    let part = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_));
    let mut text = if part {
        String::new()
    } else {
        error.to_string()
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&own);
        }
        cause = error.source();
    }
    text
}

/// The cause that a server gives which does not know so new a version.
const TOO_LARGE: &str = "ResourceVersionTooLarge";
