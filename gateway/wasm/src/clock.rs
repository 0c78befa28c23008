//! The clock that tells guests each millisecond that time has passed: it stands still while nobody is
//! called.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::EngineWeak;

/// Whether anybody needs the time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Somebody was called since the last tick.
    needed: AtomicBool,
    /// The thread does not tick.
    stands: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Clock {
    /// Starts the thread that moves an engine's epoch on. It holds no engine alive.
    pub(crate) fn start(engine: EngineWeak) -> io::Result<Arc<Self>> {
        let clock = Arc::new(Self::default());
        let own = Arc::clone(&clock);
        let thread = thread::Builder::new()
            .name("wasm-clock".to_owned())
            .spawn(move || own.run(&engine))?;
        // Until then it ticks.
        let _ = clock.thread.set(thread.thread().clone());
        Ok(clock)
    }

    /// A guest begins or goes on. Most calls only read a flag that is set already.
    pub(crate) fn need(&self) {
        if self.needed.load(Ordering::Relaxed) {
            return;
        }
        self.needed.store(true, Ordering::SeqCst);
        if self.stands.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn run(&self, engine: &EngineWeak) {
        let mut quiet = 0;
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            quiet = if self.needed.swap(false, Ordering::SeqCst) {
                0
            } else {
                quiet + 1
            };
            if quiet < QUIET || self.thread.get().is_none() {
                thread::sleep(TICK);
                continue;
            }
            // Whoever needs it after this sees that it stands; whoever did before is seen here.
            self.stands.store(true, Ordering::SeqCst);
            if !self.needed.load(Ordering::SeqCst) {
                thread::park_timeout(LOOK);
            }
            self.stands.store(false, Ordering::SeqCst);
            quiet = 0;
        }
    }
}

/// How often hooks are asked how long they have run.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// After how many ticks that nobody needed it stands still.
const QUIET: u32 = 100;
/// How often to see whether the engine is gone.
const LOOK: Duration = Duration::from_secs(1);
