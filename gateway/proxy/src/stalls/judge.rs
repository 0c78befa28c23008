//! What a connection's times and counts say about it.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{Conn, Framed, Verdict};
use crate::{overload::Pressure, settings::Timeouts};

/// What a connection holds in memory for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Responses, or requests, that it holds a part of.
    pub(crate) parts: u64,
    /// The same times the milliseconds since the client last took something.
    pub(crate) weight: u64,
}

impl Conn {
    /// What to do with this connection, if it stalls.
    pub(crate) fn judge(
        &self,
        now: u64,
        limits: &Timeouts,
        finishing: Option<u64>,
    ) -> Option<Verdict> {
        let frames = self.idle_frames.load(Relaxed);
        self.idle_frames
            .store(frames.saturating_sub(IDLE_FRAMES_A_SWEEP), Relaxed);
        let over = |since: u64, limit: Duration| since != 0 && passed(now, since) >= limit;
        let framed = self.protocol.load(Relaxed);
        if framed == Framed::Tunnel as u8 {
            return None;
        }
        if over(self.head_since.load(Relaxed), limits.head)
            || over(self.blocked_since.load(Relaxed), limits.write_stall)
        {
            return Some(Verdict::Cut);
        }
        if self.untaken.load(Relaxed) > 0 && over(self.taken_at.load(Relaxed), limits.write_stall) {
            return Some(Verdict::Cut);
        }
        // A client that has sent all it will may still want its answer; most have gone.
        let gone = self.gone_since.load(Relaxed);
        if gone != 0 && over(gone.max(self.taken_at.load(Relaxed)), GONE) {
            return Some(Verdict::Cut);
        }
        if self.open.load(Relaxed) > 0 || self.head_since.load(Relaxed) != 0 {
            return None;
        }
        let since = self.idle_since.load(Relaxed);
        let idle = if framed == Framed::Nothing as u8 {
            Duration::from_millis(self.step.load(Relaxed))
        } else if framed == Framed::Http2 as u8 {
            limits.h2_idle
        } else {
            limits.client_idle
        };
        if over(since, idle.saturating_add(FINISHING)) {
            return Some(Verdict::Cut);
        }
        // While none is kept an idle connection may bring one more request, for a second.
        let over_soon = finishing.is_some_and(|began| over(since.max(began), DRAIN_IDLE));
        if over_soon || over(since, idle) {
            return Some(Verdict::Finish);
        }
        // What the client has not taken of an answer the parser still has.
        let may_park = framed == Framed::Http1 as u8
            && !self.stays_awake.load(Relaxed)
            && !self.unflushed.load(Relaxed);
        let parks = may_park && over(since, PARK_AFTER);
        parks.then_some(Verdict::Park)
    }

    /// What this connection holds for a client that has not taken it; under extreme pressure, for one
    /// that has any request open.
    pub(crate) fn held(&self, now: u64, pressure: Pressure) -> Option<Held> {
        let parts = match pressure {
            Pressure::Extreme => self.open.load(Relaxed),
            Pressure::None | Pressure::High | Pressure::Critical => self.untaken.load(Relaxed),
        };
        if parts == 0 || self.protocol.load(Relaxed) == Framed::Tunnel as u8 {
            return None;
        }
        let parts = u64::from(parts);
        let moved = self
            .taken_at
            .load(Relaxed)
            .max(self.idle_since.load(Relaxed));
        let age = now.saturating_sub(moved);
        Some(Held {
            parts,
            weight: parts.saturating_mul(age + 1),
        })
    }
}

fn passed(now: u64, since: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(since))
}

/// How long a connection is idle before it is parked: few wait so long between two requests.
const PARK_AFTER: Duration = Duration::from_millis(500);
/// How long an answer may be silent whose client has ended its direction.
const GONE: Duration = Duration::from_secs(30);
/// How long a connection that was asked to finish may still stay open without a request.
const FINISHING: Duration = Duration::from_secs(3);
const IDLE_FRAMES_A_SWEEP: u32 = 25;
const DRAIN_IDLE: Duration = Duration::from_secs(1);
