//! What each client connection is doing and since when, and the sweep that ends stalled ones.
//!
//! Timers on every read would cost every request. Instead a connection notes coarse times in a few
//! atomics, and each worker goes over its connections four times a second.

mod judge;
mod verdict;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

pub(crate) use judge::Held;
pub(crate) use verdict::Verdict;

use crate::guard::Refusal;

/// A client connection's state, shared by its stream, its requests and the sweep.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    /// Requests not answered to the last byte.
    open: AtomicU32,
    /// When it was accepted or the last request ended.
    idle_since: AtomicU64,
    /// When the first byte came of a head that is not complete; 0 without one.
    head_since: AtomicU64,
    /// When the socket last refused to take bytes; 0 while it takes them.
    blocked_since: AtomicU64,
    /// When the client ended its direction.
    gone_since: AtomicU64,
    /// Response bodies with a part that the client has not asked for.
    untaken: AtomicU32,
    /// When a response body was last asked for a part.
    taken_at: AtomicU64,
    /// HTTP/2 frames that ask for nothing, since the last sweep that forgot some.
    idle_frames: AtomicU32,
    protocol: AtomicU8,
    /// How many milliseconds it may take for the step of being set up that it is in.
    step: AtomicU64,
    refused: Mutex<Option<Refusal>>,
    upgrade: Mutex<Upgrade>,
    upgrade_open: AtomicBool,
    /// Whether the parser may still keep a part of an answer.
    unflushed: AtomicBool,
    /// Whether the close is how the client knows that the body has ended.
    ends_by_close: AtomicBool,
    parked: AtomicBool,
    /// Whether it must not be parked.
    stays_awake: AtomicBool,
    /// Who waits for the last answer to be out.
    idle_waker: Mutex<Option<Waker>>,
    idle_awaited: AtomicBool,
    verdict: AtomicU8,
    notify: Notify,
}

#[derive(Debug, Default)]
enum Upgrade {
    #[default]
    None,
    Asked(Option<Waker>),
    Answered(bool),
}

/// How a connection's requests are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framed {
    /// Not yet known: it is being set up, or has not sent anything.
    Nothing,
    Http1,
    Http2,
    /// Upgraded: its own copy loop knows when it idles.
    Tunnel,
}

impl Conn {
    pub(crate) fn new() -> Arc<Self> {
        let conn = Self {
            protocol: AtomicU8::new(Framed::Nothing as u8),
            ..Self::default()
        };
        conn.idle_since.store(now(), Relaxed);
        Arc::new(conn)
    }

    /// A step of being set up begins, and may take this long.
    pub(crate) fn begin_step(&self, limit: Duration) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.step.store(limit, Relaxed);
        self.idle_since.store(now(), Relaxed);
    }

    /// A head has begun but is not complete.
    pub(crate) fn head_begun(&self) {
        if self.head_since.load(Relaxed) == 0 {
            self.head_since.store(now(), Relaxed);
        }
    }

    /// The client will send nothing more.
    pub(crate) fn is_gone(&self) {
        if self.gone_since.load(Relaxed) == 0 {
            self.gone_since.store(now(), Relaxed);
        }
    }

    /// The head is complete, or refused.
    pub(crate) fn head_done(&self) {
        if self.head_since.load(Relaxed) != 0 {
            self.head_since.store(0, Relaxed);
        }
    }

    /// HTTP/2 frames came that ask for nothing: PING, SETTINGS, PRIORITY. Whether these are too many.
    pub(crate) fn idle_frames(&self, count: u32) -> bool {
        count > 0 && self.idle_frames.fetch_add(count, Relaxed) + count > MAX_IDLE_FRAMES
    }

    /// A write or flush was taken, or must wait.
    pub(crate) fn wrote(&self, taken: bool) {
        if taken {
            if self.blocked_since.load(Relaxed) != 0 {
                self.blocked_since.store(0, Relaxed);
            }
        } else if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(now(), Relaxed);
        }
    }

    /// The next request stands in for one that is refused.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        *lock(&self.refused) = Some(refusal);
        self.verdict.fetch_or(REFUSED, Relaxed);
    }

    /// Whether a head was refused: then no request follows its stand-in.
    pub(crate) fn refused(&self, stands_in: impl FnOnce() -> bool) -> Option<Refusal> {
        if self.verdict.load(Relaxed) & REFUSED == 0 || !stands_in() {
            return None;
        }
        *lock(&self.refused)
    }

    /// The answer may have no end but that of the connection: the client speaks HTTP/1.0.
    pub(crate) fn end_by_close(&self) {
        self.ends_by_close.store(true, Relaxed);
    }

    pub(crate) fn is_ended_by_close(&self) -> bool {
        self.ends_by_close.load(Relaxed)
    }

    /// A request has an `Upgrade`. Though it may be declined, the parser waits for it from then on: it would
    /// end the connection where it is asked to let go of it.
    pub(crate) fn stay_awake(&self) {
        self.stays_awake.store(true, Relaxed);
    }

    /// The request in flight asks to upgrade: bytes behind it wait.
    pub(crate) fn upgrade_asked(&self) {
        *lock(&self.upgrade) = Upgrade::Asked(None);
        self.upgrade_open.store(true, Relaxed);
    }

    /// Whether bytes wait for the answer to a request to upgrade.
    pub(crate) fn is_held_back(&self) -> bool {
        self.upgrade_open.load(Relaxed)
    }

    /// Lets the bytes behind a request to upgrade go on: as another protocol's, or as HTTP.
    pub(crate) fn answer_upgrade(&self, accepted: bool) {
        self.upgrade_open.store(false, Relaxed);
        let before = std::mem::replace(&mut *lock(&self.upgrade), Upgrade::Answered(accepted));
        if let Upgrade::Asked(Some(waker)) = before {
            waker.wake();
        }
    }

    /// The answer to a request to upgrade; wakes `cx` when it comes.
    pub(crate) fn upgrade_answer(&self, cx: &Context<'_>) -> Option<bool> {
        let mut upgrade = lock(&self.upgrade);
        match *upgrade {
            Upgrade::Answered(accepted) => {
                *upgrade = Upgrade::None;
                Some(accepted)
            }
            Upgrade::None => Some(false),
            Upgrade::Asked(ref mut waker) => {
                *waker = Some(cx.waker().clone());
                None
            }
        }
    }

    /// Ready when every answer is with the socket to its last byte; wakes `cx` then.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        if self.open.load(Relaxed) == 0 && !self.unflushed.load(Relaxed) {
            return Poll::Ready(());
        }
        *lock(&self.idle_waker) = Some(cx.waker().clone());
        self.idle_awaited.store(true, Relaxed);
        Poll::Pending
    }

    /// Counts a request that begins; its end is [`Self::request_ended`].
    pub(crate) fn request_begun(&self) {
        self.open.fetch_add(1, Relaxed);
        self.unflushed.store(true, Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        // Another answer came through: the connection moves.
        self.taken_at.store(now(), Relaxed);
        if self.open.fetch_sub(1, Relaxed) > 1 {
            return;
        }
        self.idle_since.store(now(), Relaxed);
    }

    /// The parser has nothing more to write for now.
    pub(crate) fn flushed(&self) {
        if !self.unflushed.load(Relaxed) || self.open.load(Relaxed) > 0 {
            return;
        }
        self.unflushed.store(false, Relaxed);
        if self.idle_awaited.swap(false, Relaxed)
            && let Some(waker) = lock(&self.idle_waker).take()
        {
            waker.wake();
        }
    }

    /// A response body has a part that the client has not asked for yet.
    pub(crate) fn untaken(&self) {
        if self.untaken.fetch_add(1, Relaxed) == 0 {
            self.taken_at.store(now(), Relaxed);
        }
    }

    /// The client has asked for it, or the body is gone.
    pub(crate) fn taken(&self) {
        self.untaken.fetch_sub(1, Relaxed);
        self.taken_at.store(now(), Relaxed);
    }

    /// An upgraded HTTP/1 connection watches itself; one stream of HTTP/2 changes nothing.
    pub(crate) fn set_tunnel(&self) {
        if self.protocol.load(Relaxed) == Framed::Http1 as u8 {
            self.protocol.store(Framed::Tunnel as u8, Relaxed);
        }
    }

    pub(crate) fn set_framed(&self, framed: Framed) {
        self.protocol.store(framed as u8, Relaxed);
        self.idle_since.store(now(), Relaxed);
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.protocol.load(Relaxed) == Framed::Http2 as u8
    }
}

/// Milliseconds since the process began, never 0, as of the last sweep of any worker.
pub(crate) fn now() -> u64 {
    match COARSE.load(Relaxed) {
        0 => tick(),
        now => now,
    }
}

/// Milliseconds since the process began, exactly.
pub(crate) fn tick() -> u64 {
    let start = START.get_or_init(Instant::now);
    let now = u64::try_from(start.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    COARSE.fetch_max(now, Relaxed);
    now
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

static START: OnceLock<Instant> = OnceLock::new();
static COARSE: AtomicU64 = AtomicU64::new(0);

/// At once; a hundred a second are forgotten.
const MAX_IDLE_FRAMES: u32 = 1000;

/// Beside the bits of `verdict`.
const REFUSED: u8 = 8;
