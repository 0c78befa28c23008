//! One call of an instance: what it is for, what it may take, and how it ends.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use proxy::filter::Exchange;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace, component::Resource};

use crate::{
    attachment::Attachment,
    clock::Clock,
    component::SETUP_TIME,
    failure::Failure,
    host::{Guest, Phase, RequestHandle, ResponseHandle},
    limits::{self, Pace},
    text::line,
};

/// Where a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the thread that asks for it, which does nothing else until it ends.
    Here,
    /// On a thread for calls that take their time: it yields to others, and may wait.
    Aside,
}

/// What a call is for, and how much it may take.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    /// Its time on the CPU.
    pub(crate) time: Duration,
    /// The time after which it ends whatever it does, where it can wait.
    pub(crate) wall: Duration,
}

impl Terms {
    /// Outside of requests.
    pub(crate) fn setup(phase: Phase, place: Place) -> Self {
        Self {
            phase,
            place,
            time: SETUP_TIME,
            wall: limits::wall(SETUP_TIME),
        }
    }
}

/// What a call lends to the guest.
#[derive(Clone, Copy)]
pub(crate) struct Handles {
    /// What the handles of this call carry.
    pub(super) number: u32,
}

impl Handles {
    pub(crate) fn request(self) -> Resource<RequestHandle> {
        Resource::new_borrow(self.number)
    }

    pub(crate) fn response(self) -> Resource<ResponseHandle> {
        Resource::new_borrow(self.number)
    }
}

/// What a function gives, without the list around it.
pub(crate) trait Answer {
    type Only;
    fn only(self) -> Self::Only;
}

impl Answer for () {
    type Only = ();
    fn only(self) {}
}

impl<T> Answer for (T,) {
    type Only = T;
    fn only(self) -> T {
        self.0
    }
}

/// How a call ended that gave no answer.
pub(super) enum Ended {
    Missing,
    Failed(wasmtime::Error),
    Panicked,
    Wall,
}

/// Before a call: what it is for, and how long it may take.
pub(super) fn begin(
    store: &mut Store<Guest>,
    terms: Terms,
    attachment: Option<Arc<Attachment>>,
    exchange: Option<Box<Exchange>>,
) -> u32 {
    let guest = store.data_mut();
    let pace = match terms.place {
        Place::Here => Pace::Straight,
        Place::Aside => Pace::Yielding,
    };
    guest.deadline.arm(terms.time, pace);
    let number = guest.begin(
        (terms.phase, terms.place == Place::Aside),
        attachment,
        exchange,
    );
    guest.clock.need();
    store.set_epoch_deadline(1);
    number
}

/// Runs a guest on this stack. A defect of the host that panics is the guest's failure, not the
/// worker's.
pub(super) fn straight<R>(run: impl FnOnce() -> wasmtime::Result<R>) -> Result<R, Ended> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(Ended::Failed),
        Err(_) => Err(Ended::Panicked),
    }
}

/// Runs a guest on a stack of its own, likewise.
pub(super) async fn unhindered<R>(
    terms: Terms,
    clock: &Clock,
    run: impl Future<Output = wasmtime::Result<R>>,
) -> Result<R, Ended> {
    let mut run = pin!(run);
    let run = poll_fn(|context: &mut Context<'_>| {
        limits::resume();
        clock.need();
        match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(done.map_err(Ended::Failed)),
            Err(_) => Poll::Ready(Err(Ended::Panicked)),
        }
    });
    match terms.place {
        Place::Here => run.await,
        Place::Aside => match tokio::time::timeout(terms.wall, run).await {
            Ok(done) => done,
            Err(_) => Err(Ended::Wall),
        },
    }
}

/// Runs what does not wait, as [`Place::Here`] does not.
pub(crate) fn here<F: Future>(run: F) -> F::Output {
    let mut run = pin!(run);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = run.as_mut().poll(&mut context) {
            return done;
        }
    }
}

pub(super) fn failure(guest: &Guest, ended: Ended) -> Failure {
    let error = match ended {
        Ended::Missing => return Failure::trap("it lacks a function of its own world"),
        Ended::Panicked => return Failure::trap("the gateway has a defect in a call of the host"),
        Ended::Wall => return Failure::Timeout,
        Ended::Failed(error) => error,
    };
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
        frame.func_name().map_or_else(index, |name| line(name, 200))
    };
    Failure::Trap {
        what,
        stack: frames.iter().take(5).map(name).collect(),
        said: guest.said().map(str::to_owned),
    }
}
