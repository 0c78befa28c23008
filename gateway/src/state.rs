//! What the control side knows about itself, for probes, metrics and the log.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ingress::{Problem, Severity, WatchState};

use crate::filters::PluginView;

/// Shared between the publishing thread, which writes, and the admin listener.
#[derive(Debug, Default)]
pub(crate) struct State {
    known: Mutex<Known>,
    /// What memory there is.
    pub(crate) memory: Memory,
    /// Configurations that were read, whether or not they changed anything.
    pub(crate) reads: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    phase: Phase,
    problems: Arc<Vec<Problem>>,
    overload: Option<Problem>,
    plugins: Arc<Vec<PluginView>>,
    watches: Vec<WatchState>,
}

/// The limit of the process' memory, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Memory(AtomicU64);

impl Memory {
    /// Notes the limit in bytes.
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// The limit in bytes, if there is one.
    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes != 0)
    }
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

    /// The plugins of the current configuration.
    pub(crate) fn plugins(&self) -> Arc<Vec<PluginView>> {
        Arc::clone(&self.lock().plugins)
    }

    /// Takes the plugins of a new configuration.
    pub(crate) fn set_plugins(&self, plugins: Vec<PluginView>) {
        self.lock().plugins = Arc::new(plugins);
    }

    /// How the kinds of a cluster are watched.
    pub(crate) fn watches(&self) -> Vec<WatchState> {
        self.lock().watches.clone()
    }

    /// Takes how they are watched now.
    pub(crate) fn set_watches(&self, watches: Vec<WatchState>) {
        self.lock().watches = watches;
    }

    /// The problems there are now.
    pub(crate) fn problems(&self) -> Arc<Vec<Problem>> {
        let known = self.lock();
        match &known.overload {
            None => Arc::clone(&known.problems),
            Some(overload) => {
                let first = std::iter::once(overload);
                Arc::new(first.chain(known.problems.iter()).cloned().collect())
            }
        }
    }

    /// Those of the current configuration alone.
    pub(crate) fn configured(&self) -> Arc<Vec<Problem>> {
        Arc::clone(&self.lock().problems)
    }

    /// Takes the problem that the process has with its memory, if any.
    pub(crate) fn set_overload(&self, problem: Option<Problem>) {
        self.lock().overload = problem;
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
        self.read_again();
    }

    /// Notes that a configuration was read with the problems of the last one.
    pub(crate) fn read_again(&self) {
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn at(line: usize, message: &str) -> Problem {
        Problem {
            severity: Severity::Error,
            kind: "Ingress".into(),
            namespace: "shop".into(),
            name: "web".into(),
            field: None,
            file: Some("web.yaml".into()),
            line: Some(line),
            message: message.into(),
            hint: String::new(),
        }
    }

    /// What is logged when these problems follow each other.
    fn logged(rounds: Vec<Vec<Problem>>) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&sink)));
        tracing::subscriber::with_default(log.finish(), || {
            let state = State::default();
            rounds
                .into_iter()
                .for_each(|problems| state.replace(problems));
        });
        let written = written.lock().unwrap().clone();
        String::from_utf8(written).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_problem_is_logged_when_it_appears_and_when_it_is_resolved() {
        let log = logged(vec![
            vec![at(3, "first")],
            vec![at(3, "first"), at(9, "second")],
            vec![at(7, "first")],
            vec![],
        ]);
        let lines: Vec<&str> = log.lines().collect();
        let told = ["ERROR", "ERROR", "resolved: second", "resolved: first"];
        assert_eq!(lines.len(), told.len(), "{log}");
        for (line, told) in lines.iter().zip(told) {
            assert!(line.contains(told), "{log}");
        }
    }

    #[test]
    fn many_problems_are_logged_in_part() {
        let many = (0..500).map(|number| at(number, &format!("number {number}")));
        let log = logged(vec![many.collect()]);
        assert_eq!(log.lines().count(), MOST_LOGGED + 1, "{log}");
        assert!(log.lines().last().unwrap().contains("left=400"), "{log}");
    }
}
