//! What becomes of a connection that does nothing, and how it learns of it.

use std::sync::atomic::Ordering::Relaxed;

use super::Conn;

/// What the sweep has decided for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Finish what runs, then close.
    Finish,
    /// Close now.
    Cut,
    /// Wait for the next request without a parser.
    Park,
}

impl Conn {
    /// Returns once the sweep has decided something new.
    pub(crate) async fn verdict(&self) -> Verdict {
        loop {
            let notified = self.notify.notified();
            let verdict = self.verdict.load(Relaxed);
            if verdict & CUT != 0 {
                return Verdict::Cut;
            }
            if verdict & FINISH != 0 && verdict & FINISH_SEEN == 0 {
                self.verdict.fetch_or(FINISH_SEEN, Relaxed);
                return Verdict::Finish;
            }
            if verdict & PARK != 0 && verdict & PARK_SEEN == 0 {
                self.verdict.fetch_or(PARK_SEEN, Relaxed);
                return Verdict::Park;
            }
            notified.await;
        }
    }

    /// Asks the connection to finish or to close.
    pub(crate) fn decide(&self, verdict: Verdict) {
        let bit = match verdict {
            Verdict::Cut => CUT,
            Verdict::Finish => FINISH,
            Verdict::Park => PARK,
        };
        if self.verdict.fetch_or(bit, Relaxed) & bit == 0 {
            self.notify.notify_one();
        }
    }

    /// Parks the connection, if nothing has come since that was decided. While it is parked its stream
    /// is not shut down with its parser.
    pub(crate) fn park(&self) -> bool {
        let idle = self.open.load(Relaxed) == 0
            && self.head_since.load(Relaxed) == 0
            && !self.unflushed.load(Relaxed);
        if idle {
            self.parked.store(true, Relaxed);
        } else {
            self.unpark();
        }
        idle
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parked.load(Relaxed)
    }

    /// It may be parked again, once it is idle.
    pub(crate) fn unpark(&self) {
        self.parked.store(false, Relaxed);
        self.verdict.fetch_and(!(PARK | PARK_SEEN), Relaxed);
    }
}

/// Bits of what was decided, and of what of it the connection knows.
const FINISH: u8 = 1;
const FINISH_SEEN: u8 = 2;
const CUT: u8 = 4;
const PARK: u8 = 16;
const PARK_SEEN: u8 = 32;
