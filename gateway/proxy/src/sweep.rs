//! A worker's connections, and the sweep over them.

use std::{cell::RefCell, sync::Arc, time::Duration};

use crate::{
    settings::Timeouts,
    stalls::{Conn, Verdict, tick},
};

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: RefCell<Vec<Arc<Conn>>>,
}

impl Connections {
    pub(crate) fn add(&self, conn: &Arc<Conn>) {
        self.all.borrow_mut().push(Arc::clone(conn));
    }

    /// Goes over all connections: forgets ended ones, and ends stalled ones.
    pub(crate) fn sweep(&self, limits: &Timeouts, draining: Option<u64>) {
        let now = tick();
        let mut all = self.all.borrow_mut();
        all.retain(|conn| {
            // Only this list still holds it: the connection has ended.
            if Arc::strong_count(conn) == 1 {
                return false;
            }
            if let Some(verdict) = conn.judge(now, limits, draining) {
                conn.decide(verdict);
            }
            true
        });
        if all.capacity() > 64 && all.capacity() > 4 * all.len() {
            all.shrink_to_fit();
        }
    }

    /// Asks every connection to finish what runs.
    pub(crate) fn finish_http2(&self) {
        for conn in self.all.borrow().iter() {
            if conn.is_http2() {
                conn.decide(Verdict::Finish);
            }
        }
    }

    /// Connections that have not ended.
    pub(crate) fn count(&self) -> usize {
        self.all
            .borrow()
            .iter()
            .filter(|conn| Arc::strong_count(conn) > 1)
            .count()
    }
}

/// How often stalls are looked for.
pub(crate) const SWEEP: Duration = Duration::from_millis(250);
