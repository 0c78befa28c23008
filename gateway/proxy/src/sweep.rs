//! A worker's connections, and the sweep over them.

use std::{cell::RefCell, cmp::Reverse, sync::Arc, time::Duration};

use slab::Slab;

use crate::{
    overload::Pressure,
    settings::Timeouts,
    stalls::{Conn, Held, Verdict, tick},
};

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: RefCell<Slab<Arc<Conn>>>,
}

/// The place of a connection among them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed(usize);

impl Connections {
    pub(crate) fn add(&self, conn: &Arc<Conn>) -> Listed {
        Listed(self.all.borrow_mut().insert(Arc::clone(conn)))
    }

    /// Forgets a connection that ends, at once: the next one has its memory while it is in the caches.
    /// One that goes on as a tunnel stays until the sweep finds that it has ended.
    pub(crate) fn remove(&self, listed: Listed, conn: &Arc<Conn>) {
        if Arc::strong_count(conn) == 2 {
            self.all.borrow_mut().try_remove(listed.0);
        }
    }

    /// Goes over all connections: forgets ended ones, and ends stalled ones.
    pub(crate) fn sweep(&self, limits: &Timeouts, finishing: Option<u64>) {
        let now = tick();
        let mut all = self.all.borrow_mut();
        all.retain(|_, conn| {
            // Only this list still holds it: the connection has ended.
            if Arc::strong_count(conn) == 1 {
                return false;
            }
            if let Some(verdict) = conn.judge(now, limits, finishing) {
                conn.decide(verdict);
            }
            true
        });
        if all.capacity() > 64 && all.capacity() > 4 * all.len() {
            all.shrink_to_fit();
        }
    }

    /// Under critical pressure, cuts the connections that hold most for clients that do not take it,
    /// or take least of it: an eighth of all that is held at a time, half of it under extreme pressure.
    /// Returns how many.
    pub(crate) fn shed(&self, pressure: Pressure) -> u64 {
        if pressure < Pressure::Critical {
            return 0;
        }
        let now = tick();
        let all = self.all.borrow();
        let all = all.iter().map(|(_, conn)| conn);
        let held = all.filter(|conn| Arc::strong_count(conn) > 1);
        let mut held: Vec<(Held, &Arc<Conn>)> = held
            .filter_map(|conn| conn.held(now, pressure).map(|held| (held, conn)))
            .collect();
        held.sort_unstable_by_key(|(held, _)| Reverse(held.weight));
        let parts: u64 = held.iter().map(|(held, _)| held.parts).sum();
        let mut left = match pressure {
            Pressure::Extreme => parts.div_ceil(2),
            Pressure::None | Pressure::High | Pressure::Critical => parts.div_ceil(8),
        };
        let mut count = 0;
        for (held, conn) in held {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(held.parts);
            conn.decide(Verdict::Cut);
            count += 1;
        }
        count
    }

    /// Asks every connection to finish what runs.
    pub(crate) fn finish_http2(&self) {
        for (_, conn) in self.all.borrow().iter() {
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
            .filter(|(_, conn)| Arc::strong_count(conn) > 1)
            .count()
    }
}

/// How often stalls are looked for.
pub(crate) const SWEEP: Duration = Duration::from_millis(250);
