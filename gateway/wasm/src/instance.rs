//! Instances: one component in a store of its own, started, called, and thrown away.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use proxy::filter::Exchange;
use route::Isolation;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace, component::Resource};

use crate::{
    bindings::exports::portcullis::filter::{plugin, request_hook, response_hook},
    component::{LoadError, SETUP_TIME, Template},
    failure::{ConfigError, Failure},
    host::{Guest, Phase, RequestHandle, ResponseHandle},
    limits,
    plugin::{Attachment, Plugin},
};

/// The hot instances of one worker: one for each plugin and namespace, as a worker runs one hook at
/// a time. They hold the configurations of all attachments there.
#[derive(Default)]
pub struct Instances {
    hot: HashMap<u64, Box<Instance>, RandomState>,
}

impl Instances {
    /// No instance yet: each is made when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty()
    }

    /// Lets go what has not been called since the last time, and configurations of attachments that
    /// are gone. To be called now and then, between requests.
    pub fn tidy(&mut self) {
        self.hot.retain(|_, instance| {
            let idle = instance.calls == instance.seen;
            let stays = !idle && instance.born.elapsed() < AGE && instance.release_gone().is_ok();
            instance.seen = instance.calls;
            stays
        });
    }

    /// An instance that knows the attachment. It is not among the hot ones until [`Self::keep`].
    pub(crate) fn take(&mut self, attachment: &Arc<Attachment>) -> Result<Box<Instance>, Failure> {
        let plugin = attachment.plugin();
        let hot = match plugin.isolation() {
            Isolation::Shared => self.hot.remove(&attachment.place()),
            Isolation::Request => None,
        };
        let mut instance = match hot.filter(|instance| !instance.is_worn()) {
            Some(instance) => instance,
            None => Box::new(Instance::of(plugin)?),
        };
        if !instance.configured.contains_key(&attachment.id()) {
            instance.release_gone()?;
            instance.configure(attachment)?;
        }
        Ok(instance)
    }

    /// After a call that went well.
    pub(crate) fn keep(&mut self, attachment: &Attachment, instance: Box<Instance>) {
        match attachment.plugin().isolation() {
            Isolation::Shared => {
                self.hot.insert(attachment.place(), instance);
            }
            Isolation::Request => {}
        }
    }
}

/// One instance. After any failure it is dropped, never called again.
pub(crate) struct Instance {
    store: Store<Guest>,
    plugin: plugin::Guest,
    request: Option<request_hook::Guest>,
    response: Option<response_hook::Guest>,
    configured: HashMap<u32, Weak<Attachment>, RandomState>,
    calls: u32,
    /// How many calls it had when it was last looked at.
    seen: u32,
    born: Instant,
}

/// What a call is for, and how much it may take.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) phase: Phase,
    /// Its time on the CPU.
    pub(crate) time: Duration,
    /// How many times it may call the host.
    pub(crate) calls: u32,
}

impl Terms {
    /// Outside of requests.
    pub(crate) fn setup(phase: Phase) -> Self {
        Self {
            phase,
            time: SETUP_TIME,
            calls: limits::CALLS,
        }
    }
}

/// What a call has in its hands.
pub(crate) struct Call<'a> {
    pub(crate) store: &'a mut Store<Guest>,
    pub(crate) plugin: &'a plugin::Guest,
    pub(crate) request: Option<&'a request_hook::Guest>,
    pub(crate) response: Option<&'a response_hook::Guest>,
    /// What the handles of this call carry.
    number: u32,
}

impl Call<'_> {
    pub(crate) fn request_handle(&self) -> Resource<RequestHandle> {
        Resource::new_borrow(self.number)
    }

    pub(crate) fn response_handle(&self) -> Resource<ResponseHandle> {
        Resource::new_borrow(self.number)
    }
}

/// Why an instance did not start.
pub(crate) enum StartError {
    Failure(Failure),
    Mismatch(wasmtime::Error),
}

impl StartError {
    pub(crate) fn or_mismatch(self) -> LoadError {
        match self {
            Self::Failure(failure) => LoadError::Describe(failure),
            Self::Mismatch(error) => LoadError::Mismatch(error),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Failure(failure) => failure,
            StartError::Mismatch(_) => Self::Load,
        }
    }
}

impl Instance {
    fn of(plugin: &Plugin) -> Result<Self, Failure> {
        let name = Arc::clone(plugin.name());
        Ok(Self::start(plugin.template(), name, plugin.memory())?)
    }

    /// A new instance, whose start functions have run.
    pub(crate) fn start(
        template: &Template,
        name: Arc<str>,
        memory: usize,
    ) -> Result<Self, StartError> {
        let mut store = Store::new(template.pre.engine(), Guest::new(name, memory));
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(LIFTED);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.check()));
        let terms = Terms::setup(Phase::Describe);
        store.data_mut().begin(terms.phase, terms.calls, None, None);
        let started = guarded(&mut store, terms.time, |store| {
            template.pre.instantiate(store)
        })
        .map_err(StartError::Failure)?;

        let plugin = template.plugin.load(&mut store, &started);
        let request = template.request.as_ref();
        let request = request.map(|hook| hook.load(&mut store, &started));
        let response = template.response.as_ref();
        let response = response.map(|hook| hook.load(&mut store, &started));
        Ok(Self {
            plugin: plugin.map_err(StartError::Mismatch)?,
            request: request.transpose().map_err(StartError::Mismatch)?,
            response: response.transpose().map_err(StartError::Mismatch)?,
            store,
            configured: HashMap::default(),
            calls: 0,
            seen: 0,
            born: Instant::now(),
        })
    }

    /// Gives it the attachment's configuration.
    pub(crate) fn configure(&mut self, attachment: &Arc<Attachment>) -> Result<(), Failure> {
        let (id, config) = (attachment.id(), attachment.config());
        let acting = Some(Arc::clone(attachment));
        let answer = self.call(Terms::setup(Phase::Configure), acting, None, |call| {
            call.plugin.call_configure(&mut *call.store, id, config)
        })?;
        answer.map_err(|refusal| {
            Failure::Config(ConfigError {
                pointer: refusal.pointer,
                message: refusal.message,
            })
        })?;
        self.configured.insert(id, Arc::downgrade(attachment));
        Ok(())
    }

    /// Has it forget the attachments that are gone.
    fn release_gone(&mut self) -> Result<(), Failure> {
        let gone = |attachment: &Weak<Attachment>| attachment.strong_count() == 0;
        let ids: Vec<u32> = self
            .configured
            .iter()
            .filter(|(_, attachment)| gone(attachment))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.configured.remove(&id);
            self.call(Terms::setup(Phase::Describe), None, None, |call| {
                call.plugin.call_release(&mut *call.store, id)
            })?;
        }
        Ok(())
    }

    /// Calls it with whatever is lent to it, for so long and with so many calls of the host. What was
    /// lent is still there afterwards: see [`Self::take_back`].
    pub(crate) fn call<R>(
        &mut self,
        terms: Terms,
        attachment: Option<Arc<Attachment>>,
        exchange: Option<Box<Exchange>>,
        run: impl FnOnce(&mut Call<'_>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let guest = self.store.data_mut();
        let number = guest.begin(terms.phase, terms.calls, attachment, exchange);
        let (plugin, request) = (&self.plugin, self.request.as_ref());
        let response = self.response.as_ref();
        self.calls = self.calls.saturating_add(1);
        let done = guarded(&mut self.store, terms.time, |store| {
            run(&mut Call {
                store,
                plugin,
                request,
                response,
                number,
            })
        });
        self.store.data_mut().end();
        done
    }

    /// After a call: what it was lent.
    pub(crate) fn take_back(&mut self) -> Option<Box<Exchange>> {
        self.store.data_mut().take()
    }

    /// Whether a new one is better.
    fn is_worn(&self) -> bool {
        self.calls > CALLS || self.store.data().limiter.is_bloated()
    }
}

/// Runs a guest under its deadline. A defect of the host that panics is the guest's failure, not the
/// worker's.
fn guarded<R>(
    store: &mut Store<Guest>,
    time: Duration,
    run: impl FnOnce(&mut Store<Guest>) -> wasmtime::Result<R>,
) -> Result<R, Failure> {
    store.data_mut().deadline.arm(time);
    store.set_epoch_deadline(1);
    match catch_unwind(AssertUnwindSafe(|| run(store))) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failure(store.data(), &error)),
        Err(_) => Err(Failure::trap(
            "the gateway has a defect in a call of the host",
        )),
    }
}

fn failure(guest: &Guest, error: &wasmtime::Error) -> Failure {
    if let Some(why) = guest.verdict() {
        return Failure::trap(why);
    }
    if guest.deadline.passed() {
        return Failure::Timeout;
    }
    if let Some(exceeded) = guest.limiter.exceeded() {
        return Failure::Memory {
            what: format!("it wanted more {} than it may have", exceeded.word()),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::Memory {
            what: "too many instances are alive".to_owned(),
        };
    }
    let trap = error.downcast_ref::<Trap>();
    let what = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let frames = backtrace.map(WasmBacktrace::frames).unwrap_or_default();
    let name = |frame: &wasmtime::FrameInfo| {
        let index = || format!("function {}", frame.func_index());
        frame.func_name().map_or_else(index, str::to_owned)
    };
    Failure::Trap {
        what,
        stack: frames.iter().take(5).map(name).collect(),
    }
}

/// How many calls an instance serves.
const CALLS: u32 = 10_000;
/// How long an instance lives.
const AGE: Duration = Duration::from_secs(600);
/// How many bytes one call may bring out of a guest: a whole answer of 1 MiB and its fields. The
/// fields that it sets are limited far below.
const LIFTED: usize = (1 << 20) + (256 << 10);
