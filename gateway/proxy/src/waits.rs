//! Who waits for the head of a response, and until when. The sweep looks at them: a timer of the runtime
//! would cost each request about as much as the lookup of its route.

use std::{
    cell::RefCell,
    task::{Context, Poll, Waker},
};

use slab::Slab;
use tokio::time::Instant;

/// All that wait on one worker.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    all: RefCell<Slab<Wait>>,
}

#[derive(Debug)]
struct Wait {
    until: Instant,
    over: bool,
    waker: Option<Waker>,
}

/// One that waits; forgotten when it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    waits: &'a Waits,
    key: usize,
}

impl Waits {
    /// Waits until `until`, or up to a sweep longer.
    pub(crate) fn until(&self, until: Instant) -> Waiting<'_> {
        let wait = Wait {
            until,
            over: false,
            waker: None,
        };
        Waiting {
            waits: self,
            key: self.all.borrow_mut().insert(wait),
        }
    }

    /// Wakes those whose time is over.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut all = self.all.borrow_mut();
        for (_, wait) in all.iter_mut() {
            if wait.until <= now {
                wait.over = true;
                if let Some(waker) = wait.waker.take() {
                    waker.wake();
                }
            }
        }
        if all.capacity() > 64 && all.capacity() > 4 * all.len() {
            all.shrink_to_fit();
        }
    }
}

impl Waiting<'_> {
    /// Waits on, until then.
    pub(crate) fn extend(&self, until: Instant) {
        if let Some(wait) = self.waits.all.borrow_mut().get_mut(self.key) {
            (wait.until, wait.over) = (until, false);
        }
    }

    /// Ready when its time is over.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut all = self.waits.all.borrow_mut();
        let Some(wait) = all.get_mut(self.key) else {
            return Poll::Ready(());
        };
        if wait.over {
            return Poll::Ready(());
        }
        if !wait
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            wait.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.all.borrow_mut().try_remove(self.key);
    }
}
