//! What the control side knows about itself, for probes, metrics and the log.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ingress::{Problem, Severity};

/// Shared between the publishing thread, which writes, and the admin listener.
#[derive(Debug, Default)]
pub(crate) struct State {
    known: Mutex<Known>,
    /// Configurations that were read, whether or not they changed anything.
    pub(crate) reads: AtomicU64,
    /// Configurations that were applied.
    pub(crate) applied: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    phase: Phase,
    problems: Arc<Vec<Problem>>,
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There was no complete configuration yet.
    #[default]
    Starting,
    /// Requests are served.
    Serving,
    /// It was told to stop.
    Draining,
}

impl State {
    /// Where the process is.
    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Notes where the process is now.
    pub(crate) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// The problems of the current configuration.
    pub(crate) fn problems(&self) -> Arc<Vec<Problem>> {
        Arc::clone(&self.lock().problems)
    }

    /// Takes the problems of a new configuration, and logs what appeared and what went.
    pub(crate) fn replace(&self, problems: Vec<Problem>) {
        let problems = Arc::new(problems);
        let before = std::mem::replace(&mut self.lock().problems, Arc::clone(&problems));
        let (old, new) = (identities(&before), identities(&problems));
        let mut appeared = problems
            .iter()
            .filter(|problem| !old.contains(&identity(problem)));
        let mut resolved = before
            .iter()
            .filter(|problem| !new.contains(&identity(problem)));
        appeared.by_ref().take(MOST_LOGGED).for_each(told_of);
        resolved.by_ref().take(MOST_LOGGED).for_each(resolve);
        let left = appeared.count() + resolved.count();
        if left > 0 {
            tracing::warn!(
                left,
                "further problems appeared or were resolved: see /api/v1/problems"
            );
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many problems of each sort one change logs; the admin listener has them all.
const MOST_LOGGED: usize = 100;

/// What makes two problems the same one: all but the line, which moves with every edit above it.
type Identity<'a> = ([&'a str; 4], Option<&'a str>, Option<&'a str>);

fn identity(problem: &Problem) -> Identity<'_> {
    let Problem {
        kind,
        namespace,
        name,
        field,
        file,
        message,
        ..
    } = problem;
    (
        [kind, namespace, name, message],
        field.as_deref(),
        file.as_deref(),
    )
}

fn identities(problems: &[Problem]) -> BTreeSet<Identity<'_>> {
    problems.iter().map(identity).collect()
}

/// Logs a problem with its place.
fn told_of(problem: &Problem) {
    let Problem {
        severity,
        kind,
        namespace,
        name,
        field,
        file,
        line,
        message,
        hint,
    } = problem;
    let (kind, namespace, name) = (some(kind), some(namespace), some(name));
    let (field, file, hint) = (field.as_deref(), file.as_deref(), some(hint));
    match severity {
        Severity::Error => {
            tracing::error!(kind, namespace, name, field, file, line, hint, "{message}");
        }
        Severity::Warning => {
            tracing::warn!(kind, namespace, name, field, file, line, hint, "{message}");
        }
        Severity::Note => {
            tracing::info!(kind, namespace, name, field, file, line, hint, "{message}");
        }
    }
}

fn resolve(problem: &Problem) {
    let Problem {
        kind,
        namespace,
        name,
        field,
        file,
        message,
        ..
    } = problem;
    let (kind, namespace, name) = (some(kind), some(namespace), some(name));
    tracing::info!(
        kind,
        namespace,
        name,
        field = field.as_deref(),
        file = file.as_deref(),
        "resolved: {message}"
    );
}

/// What a document without a name, or an object without a namespace, leaves out.
fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
