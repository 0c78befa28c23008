//! An instance: one component in a store of its own, started, called, and thrown away.

mod call;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use proxy::filter::Exchange;
use wasmtime::{
    Store,
    component::{ComponentNamedList, Lift, Lower, TypedFunc},
};

pub(crate) use call::{Answer, Handles, Place, Terms, here};

use crate::{
    allowance,
    attachment::Attachment,
    component::{LoadError, Template},
    exports::Functions,
    failure::{ConfigError, Failure},
    host::{Guest, Phase},
    limits::cpu_time,
    statistics::Life,
    text::line,
};
use call::{Ended, begin, failure, straight, unhindered};

/// One instance. After any failure it is dropped, never called again.
pub(crate) struct Instance {
    store: Store<Guest>,
    functions: Functions,
    /// Whether all its calls have a stack of their own, so that they can wait.
    fiber: bool,
    configured: HashMap<u32, Weak<Attachment>, RandomState>,
    calls: u32,
    /// How many calls it had when it was last looked at.
    seen: u32,
    born: Instant,
    life: Life,
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
    /// An instance that knows the attachment: the spare one, or a new one.
    pub(crate) async fn ready(
        spare: Option<Box<Self>>,
        attachment: &Arc<Attachment>,
        place: Place,
    ) -> Result<Box<Self>, Failure> {
        match spare {
            Some(instance) if instance.knows(attachment) => Ok(instance),
            // Boxed, as it is rare and large: the future of each call would be as large.
            spare => {
                let prepared = Box::pin(Self::prepared(spare, attachment, place));
                match place {
                    Place::Here => attachment.plugin().making().measure(prepared).await,
                    Place::Aside => prepared.await,
                }
            }
        }
    }

    /// Whether it has the attachment's configuration.
    pub(crate) fn knows(&self, attachment: &Attachment) -> bool {
        self.configured.contains_key(&attachment.id())
    }

    /// The spare instance, or a new one, which gets to know the attachment.
    async fn prepared(
        spare: Option<Box<Self>>,
        attachment: &Arc<Attachment>,
        place: Place,
    ) -> Result<Box<Self>, Failure> {
        let mut instance = match spare {
            Some(instance) => instance,
            None => {
                let plugin = attachment.plugin();
                let name = Arc::clone(plugin.name());
                let life = Life::of(Arc::clone(plugin.shared().statistics()));
                let fiber = plugin.place() == Place::Aside;
                let started = Self::start(
                    plugin.template(),
                    (name, plugin.memory()),
                    life,
                    fiber,
                    place,
                );
                Box::new(started.await?)
            }
        };
        instance
            .release_gone(Terms::setup(Phase::Describe, place))
            .await?;
        instance.configure(attachment, place).await?;
        Ok(instance)
    }

    /// A new instance, whose start functions have run.
    pub(crate) async fn start(
        template: &Template,
        (name, memory): (Arc<str>, usize),
        mut life: Life,
        fiber: bool,
        place: Place,
    ) -> Result<Self, StartError> {
        let mut store = Store::new(
            template.pre.engine(),
            Guest::new(name, memory, &template.clock),
        );
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(LIFTED);
        store.epoch_deadline_callback(|mut store| {
            let guest = store.data_mut();
            // As long as a call runs, somebody needs the time.
            guest.clock.need();
            Ok(guest.deadline.check())
        });
        let terms = Terms::setup(Phase::Describe, place);
        begin(&mut store, terms, None, None);
        let started = if fiber || place == Place::Aside {
            let pre = &template.pre;
            unhindered(terms, &template.clock, pre.instantiate_async(&mut store)).await
        } else {
            straight(|| template.pre.instantiate(&mut store))
        };
        let started = started.map_err(|ended| {
            life.failed();
            StartError::Failure(failure(store.data(), ended))
        })?;
        let functions = template.exports.load(&mut store, started);
        life.has(store.data().limiter.used());
        Ok(Self {
            functions: functions.map_err(StartError::Mismatch)?,
            store,
            fiber,
            configured: HashMap::default(),
            calls: 0,
            seen: 0,
            born: Instant::now(),
            life,
        })
    }

    /// Gives it the attachment's configuration.
    async fn configure(
        &mut self,
        attachment: &Arc<Attachment>,
        place: Place,
    ) -> Result<(), Failure> {
        let id = attachment.id();
        let acting = Some(Arc::clone(attachment));
        let terms = Terms::setup(Phase::Configure, place);
        let answer = self.call(terms, acting, None, |functions, _| {
            Some((functions.configure, (id, Arc::clone(attachment.config()))))
        });
        answer.await?.map_err(|refusal| {
            Failure::Config(vec![ConfigError {
                pointer: line(&refusal.pointer, 300),
                message: line(&refusal.message, 300),
            }])
        })?;
        if let Some(interest) = self.store.data_mut().interest() {
            attachment.is_for(interest);
        }
        self.configured.insert(id, Arc::downgrade(attachment));
        Ok(())
    }

    /// The configurations of attachments that are gone.
    fn gone(&self) -> Vec<u32> {
        let gone = |attachment: &Weak<Attachment>| attachment.strong_count() == 0;
        let all = self.configured.iter();
        all.filter(|(_, attachment)| gone(attachment))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Has it forget the attachments that are gone.
    async fn release_gone(&mut self, terms: Terms) -> Result<(), Failure> {
        for id in self.gone() {
            self.configured.remove(&id);
            self.call(terms, None, None, |functions, _| {
                Some((functions.release, (id,)))
            })
            .await?;
        }
        Ok(())
    }

    /// Calls one of its functions with whatever is lent to it. What was lent is still there
    /// afterwards: see [`Self::take_back`].
    pub(crate) async fn call<P, R>(
        &mut self,
        terms: Terms,
        attachment: Option<Arc<Attachment>>,
        exchange: Option<Box<Exchange>>,
        ask: impl FnOnce(&Functions, Handles) -> Option<(TypedFunc<P, R>, P)>,
    ) -> Result<R::Only, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Answer + Send + Sync + 'static,
    {
        if !self.fiber && terms.place == Place::Here {
            return self.call_straight(terms, attachment, exchange, ask);
        }
        let done = match self.begin(terms, attachment, exchange, ask) {
            None => Err(Ended::Missing),
            Some((function, given)) => {
                let clock = Arc::clone(&self.store.data().clock);
                let called = function.call_async(&mut self.store, given);
                // Boxed, for the sake of who moves this future.
                Box::pin(unhindered(terms, &clock, called)).await
            }
        };
        self.end(done)
    }

    /// The same on this stack, for an instance whose calls have none of their own.
    pub(crate) fn call_straight<P, R>(
        &mut self,
        terms: Terms,
        attachment: Option<Arc<Attachment>>,
        exchange: Option<Box<Exchange>>,
        ask: impl FnOnce(&Functions, Handles) -> Option<(TypedFunc<P, R>, P)>,
    ) -> Result<R::Only, Failure>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Answer + Send + Sync + 'static,
    {
        let done = match self.begin(terms, attachment, exchange, ask) {
            None => Err(Ended::Missing),
            Some((function, given)) => straight(|| function.call(&mut self.store, given)),
        };
        self.end(done)
    }

    fn begin<P, R>(
        &mut self,
        terms: Terms,
        attachment: Option<Arc<Attachment>>,
        exchange: Option<Box<Exchange>>,
        ask: impl FnOnce(&Functions, Handles) -> Option<(TypedFunc<P, R>, P)>,
    ) -> Option<(TypedFunc<P, R>, P)> {
        let number = begin(&mut self.store, terms, attachment, exchange);
        self.calls = self.calls.saturating_add(1);
        ask(&self.functions, Handles { number })
    }

    fn end<R: Answer>(&mut self, done: Result<R, Ended>) -> Result<R::Only, Failure> {
        self.store.data_mut().end();
        self.life.has(self.store.data().limiter.used());
        done.map(Answer::only).map_err(|ended| {
            self.life.failed();
            failure(self.store.data(), ended)
        })
    }

    /// After a call that ended well, but whose answer is not one.
    pub(crate) fn failed(&self) {
        self.life.failed();
    }

    /// After a call: what it was lent.
    pub(crate) fn take_back(&mut self) -> Option<Box<Exchange>> {
        self.store.data_mut().take()
    }

    /// Whether a new one is better.
    pub(crate) fn is_worn(&self) -> bool {
        self.calls > CALLS || self.store.data().limiter.is_bloated()
    }

    /// Whether it stays: it was called since the last time, is not old, and knows of no attachment
    /// that is gone.
    pub(crate) fn tidy(&mut self) -> bool {
        let idle = self.calls == self.seen;
        let stays = !idle && self.born.elapsed() < AGE;
        let stays = stays && (self.gone().is_empty() || self.releases());
        self.seen = self.calls;
        stays
    }

    /// Has it forget the attachments that are gone, on a worker: whether it did so in short time.
    fn releases(&mut self) -> bool {
        // What has its own stack is not called here, where nothing else could go on.
        if self.fiber || !allowance::is_left() {
            return false;
        }
        let terms = Terms {
            time: allowance::INLINE,
            ..Terms::setup(Phase::Describe, Place::Here)
        };
        let began = cpu_time();
        let released = here(self.release_gone(terms)).is_ok();
        let long = allowance::spend(cpu_time().saturating_sub(began));
        released && !long
    }
}

/// How many calls an instance serves.
const CALLS: u32 = 10_000;
/// How long an instance lives.
const AGE: Duration = Duration::from_secs(600);
/// How many bytes one call may bring out of a guest: a whole answer of 1 MiB and its fields. The
/// fields that it sets are limited far below.
const LIFTED: usize = (1 << 20) + (256 << 10);
