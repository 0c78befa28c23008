//! How long a peer is waited for.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Patience with a peer that is waited for: less than [`PROGRESS`] bytes in `limit` of waiting ends
/// it. Only waiting counts; the timer is made when there is something to wait for.
pub(crate) struct Patience {
    limit: Duration,
    /// When it ends in any case.
    end: Option<Instant>,
    waited: Duration,
    bytes: usize,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration, end: Option<Instant>) -> Self {
        Self {
            limit,
            end,
            waited: Duration::ZERO,
            bytes: 0,
            since: None,
            sleep: None,
        }
    }

    pub(crate) fn progress(&mut self, bytes: usize) {
        let Some(since) = self.since.take() else {
            return;
        };
        self.bytes += bytes;
        if self.bytes >= PROGRESS {
            self.bytes = 0;
            self.waited = Duration::ZERO;
        } else {
            self.waited += since.elapsed();
        }
    }

    /// Whether the time has come at which it ends in any case.
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }

    /// Ready when patience has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let end = now + self.limit.saturating_sub(self.waited);
            let end = self.end.map_or(end, |last| last.min(end));
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(end),
                None => self.sleep = Some(Box::pin(sleep_until(end))),
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// A peer that sends less than this in its time counts as one that sends nothing.
pub(crate) const PROGRESS: usize = 1024;
