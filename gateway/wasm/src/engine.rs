//! The engine that runs components: its settings with their reasons, and its clock.

use std::{
    io,
    net::IpAddr,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
};

use crate::{
    aside::Aside,
    callouts::{Callouts, HttpSettings},
    clock::Clock,
    component::Cache,
};

/// What an [`Engine`] is built with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most memory that any instance may have; limits above it are cut to it.
    pub max_memory: usize,
    /// How many instances can be alive at once.
    pub instances: u32,
    /// Where guests may send requests to.
    pub http: HttpSettings,
    /// Where compiled components are kept; `None` compiles each time.
    pub cache: Option<PathBuf>,
    /// How their code is fetched, by who does that.
    pub fetching: Fetching,
}

/// How code is fetched, where that is other than for the requests of guests.
#[derive(Clone, Debug, Default)]
pub struct Fetching {
    /// Whether from loopback addresses too.
    pub loopback: bool,
    /// A PEM file of CAs that are believed besides.
    pub ca: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_memory: 64 << 20,
            instances: 1024,
            http: HttpSettings::default(),
            cache: None,
            fetching: Fetching::default(),
        }
    }
}

/// Where instances get their memory from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// From slots that stay mapped and are wiped by what the kernel knows was written.
    Resident,
    /// From slots whose pages go back to the kernel: it lacks `PAGEMAP_SCAN` (before 6.7).
    Plain,
    /// From `mmap`, for each instance anew: the address space for slots was refused.
    OnDemand,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// This machine cannot run it.
    #[error("the WebAssembly engine cannot run on this machine: {0}")]
    Unsupported(#[source] wasmtime::Error),
    /// What sends the requests of guests cannot be used.
    #[error("plugins could not send requests over TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// Its clock could not be started.
    #[error("the thread that ends hooks in time could not be started: {0}")]
    Clock(#[source] io::Error),
}

/// What compiles and runs components. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    clock: Arc<Clock>,
    pooling: Pooling,
    max_memory: usize,
    instances: usize,
    cache: Option<Arc<Cache>>,
    callouts: Arc<Callouts>,
    /// Started when they are first needed.
    aside: Arc<Mutex<Option<Arc<Aside>>>>,
}

impl Engine {
    /// An engine, and a thread that ticks as long as it lives.
    pub fn new(settings: &Settings) -> Result<Self, EngineError> {
        let Settings {
            max_memory,
            instances,
            http,
            cache,
            fetching: _,
        } = settings;
        let attempt = |pooling| {
            let config = config(pooling, *max_memory, *instances);
            wasmtime::Engine::new(&config).map(|inner| (inner, pooling))
        };
        let (inner, pooling) = attempt(Pooling::Resident)
            .or_else(|_| attempt(Pooling::Plain))
            .or_else(|refused| {
                tracing::warn!(error = %refused, "plugin instances come without a pool and cost more");
                attempt(Pooling::OnDemand)
            })
            .map_err(EngineError::Unsupported)?;
        let clock = Clock::start(inner.weak()).map_err(EngineError::Clock)?;
        let cache = cache.as_deref().and_then(Cache::open);
        Ok(Self {
            inner,
            clock,
            pooling,
            max_memory: *max_memory,
            instances: usize::try_from(*instances).unwrap_or(usize::MAX),
            cache: cache.map(Arc::new),
            callouts: Arc::new(Callouts::new(http.clone()).map_err(EngineError::Tls)?),
            aside: Arc::default(),
        })
    }

    /// Where instances get their memory from.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// From now on, no plugin sends requests to these addresses: those of the API server.
    pub fn deny(&self, addresses: Vec<IpAddr>) {
        self.callouts.deny(addresses);
    }

    /// What sends the requests of its guests.
    pub fn callouts(&self) -> &Arc<Callouts> {
        &self.callouts
    }

    /// What tells its guests that time has passed.
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    pub(crate) fn inner(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// The threads for calls that take their time.
    pub(crate) fn aside(&self) -> io::Result<Arc<Aside>> {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(aside) = &*aside {
            return Ok(Arc::clone(aside));
        }
        let started = Arc::new(Aside::start()?);
        *aside = Some(Arc::clone(&started));
        Ok(started)
    }

    pub(crate) fn instances(&self) -> usize {
        self.instances
    }

    pub(crate) fn max_memory(&self) -> usize {
        self.max_memory
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_deref()
    }
}

fn config(pooling: Pooling, max_memory: usize, instances: u32) -> Config {
    let mut config = Config::new();
    config
        // The optimising compiler only: the other one has had most of the advisories.
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // Calls that wait do so on a stack of their own, not by the asynchronous ABI: with concurrency a call costs three times as much.
        .concurrency_support(false)
        // Epochs cost a load and a compare a loop; fuel counts every instruction.
        .epoch_interruption(true)
        .consume_fuel(false)
        .max_wasm_stack(STACK)
        .async_stack_size(STACK + HOST_STACK)
        .memory_init_cow(true)
        // All of the 32-bit space is reserved, so that no access needs a bounds check.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .wasm_backtrace_max_frames(NonZeroUsize::new(16))
        // What no filter needs is not there to be attacked.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_stack_switching(false);
    match pooling {
        Pooling::OnDemand => config.allocation_strategy(InstanceAllocationStrategy::OnDemand),
        Pooling::Resident => config.allocation_strategy(InstanceAllocationStrategy::Pooling(
            slots(max_memory, instances, Enabled::Yes, 1 << 20),
        )),
        // Without PAGEMAP_SCAN what stays resident is wiped byte by byte.
        Pooling::Plain => config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots(
            max_memory,
            instances,
            Enabled::No,
            0,
        ))),
    };
    config
}

fn slots(
    max_memory: usize,
    instances: u32,
    pagemap: Enabled,
    resident: usize,
) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        // Each call that can wait has one while it runs; the trial of a configuration too.
        .total_stacks(instances)
        // A component of Rust has 2 or 3 modules, one of Python 14.
        .max_core_instances_per_component(16)
        .max_memories_per_component(2)
        .max_tables_per_component(8)
        .max_tables_per_module(4)
        .max_memory_size(max_memory)
        .table_elements(TABLE)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(if resident == 0 { 0 } else { 64 << 10 })
        .pagemap_scan(pagemap)
        .decommit_batch_size(16)
        // A slot that waits to be wiped in a batch misses the end of its module, and keeps a file and
        // memory of it until it serves another one: no more of these than this.
        .max_unused_warm_slots(32);
    pool
}

/// The most elements that a table may have.
pub(crate) const TABLE: usize = 20_000;

/// The stack of a guest. It lies on the worker's own; a call that can wait has one for itself.
const STACK: usize = 256 << 10;
/// What the host's side of such a call has.
const HOST_STACK: usize = 512 << 10;
