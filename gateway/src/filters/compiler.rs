//! The thread that compiles: never a worker, and never in the way of one.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Instant,
};

use wasm::{Component, Engine, EngineError};

use super::code::Code;

/// What became of code: a component, or what is wrong with it and what to do.
pub(super) type Compiled = Result<Arc<Component>, String>;

/// Compiles what it is given, each digest once.
pub(super) struct Compiler {
    jobs: mpsc::Sender<Code>,
    done: Arc<Done>,
}

#[derive(Default)]
struct Done {
    results: Mutex<HashMap<Arc<str>, Option<Compiled>>>,
    changed: Condvar,
}

impl Compiler {
    /// Starts the thread; it ends with this value. `wake` is called after each result.
    pub(super) fn start(
        engine: Engine,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, EngineError> {
        let (jobs, queue) = mpsc::channel::<Code>();
        let done = Arc::new(Done::default());
        let results = Arc::clone(&done);
        let work = move || {
            // Compiling takes what the workers leave.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "the compiler runs at the workers' priority");
            }
            for code in queue {
                let compiled = compile(&engine, &code);
                results.lock().insert(code.digest, Some(compiled));
                results.changed.notify_all();
                wake();
            }
        };
        let spawned = thread::Builder::new()
            .name("compiler".to_owned())
            .spawn(work);
        spawned.map_err(EngineError::Clock)?;
        Ok(Self { jobs, done })
    }

    /// Has code compiled, unless it was asked for before; whether it was not.
    pub(super) fn ask(&self, code: &Code) -> bool {
        let mut results = self.done.lock();
        let new = !results.contains_key(&code.digest);
        if new {
            results.insert(Arc::clone(&code.digest), None);
            // The thread ends only with this value.
            let _ = self.jobs.send(code.clone());
        }
        new
    }

    /// What became of code that was asked for; nothing while it is not done.
    pub(super) fn result(&self, digest: &str) -> Option<Compiled> {
        self.done.lock().get(digest).cloned().flatten()
    }

    /// Waits until everything is done, but not beyond a moment.
    pub(super) fn wait(&self, until: Option<Instant>) {
        let mut results = self.done.lock();
        while results.values().any(Option::is_none) {
            let now = Instant::now();
            results = match until {
                None => self.done.changed.wait(results),
                Some(until) if until <= now => return,
                Some(until) => {
                    let waited = self.done.changed.wait_timeout(results, until - now);
                    waited
                        .map(|(results, _)| results)
                        .map_err(|error| PoisonError::new(error.into_inner().0))
                }
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Forgets results that nobody needs.
    pub(super) fn forget_but(&self, wanted: &HashSet<&str>) {
        self.done
            .lock()
            .retain(|digest, result| result.is_none() || wanted.contains(&**digest));
    }
}

impl Done {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Option<Compiled>>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No bytes bring the process down, not even such as the compiler itself trips over.
fn compile(engine: &Engine, code: &Code) -> Compiled {
    let load = || Component::load(engine, &code.bytes);
    match catch_unwind(AssertUnwindSafe(load)) {
        Ok(Ok(component)) => Ok(Arc::new(component)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the compiler gives up on it; build it anew, and report it".to_owned()),
    }
}

const NICE: i32 = 10;
