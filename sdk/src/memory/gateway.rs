//! The gateway itself: what a filter shares with others of its chain, and the call that runs.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    rc::Rc,
    time::Duration,
};

use super::{Bucket, Exchange, Steering, interest::Interest, metrics::Metrics, values::Values};
use crate::{
    http_client::{HttpError, Incoming},
    log::Level,
    rate_limit::{Decision, Rule},
};

/// What the filter is being called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Configure,
    Request,
    Response,
}

/// What tests may say about the gateway around their filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The Services that there are, `service:port`; none given means every one.
    pub(crate) services: Option<Vec<String>>,
    /// The grant `backends`; none given means every one.
    pub(crate) backends: Option<Vec<String>>,
    /// The endpoints that keep sessions; none given means every one.
    pub(crate) endpoints: Option<Vec<String>>,
    /// The grant `keyValue`; none given means 1 MiB.
    pub(crate) value_bytes: Option<usize>,
}

/// A gateway in memory.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) terms: RefCell<Terms>,
    pub(crate) now: Cell<Duration>,
    pub(crate) wall: Cell<Duration>,
    pub(crate) lines: RefCell<Vec<(Level, String)>>,
    pub(crate) metrics: RefCell<Metrics>,
    pub(crate) values: RefCell<Values>,
    /// What other servers answer, by URL.
    pub(crate) servers: RefCell<Vec<(String, Result<Incoming, HttpError>)>>,
    pub(super) interest: RefCell<Interest>,
    random: Cell<u64>,
    buckets: RefCell<HashMap<String, Bucket>>,
    permits: Rc<RefCell<HashMap<String, u32>>>,
    call: RefCell<Option<Call>>,
}

/// The call that runs.
#[derive(Debug)]
struct Call {
    phase: Phase,
    calls_left: u32,
    lines_left: u32,
    exchange: Option<Exchange>,
}

/// A permit; it returns when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    of: Rc<RefCell<HashMap<String, u32>>>,
    key: String,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.of.borrow_mut();
        if let Some(number) = taken.get_mut(&self.key) {
            *number = number.saturating_sub(1);
        }
    }
}

/// What a filter is stopped for: the payload of a panic that only the gateway in memory catches.
#[derive(Debug)]
struct Stop(&'static str);

thread_local! {
    /// The gateway that runs a filter on this thread. Code that a test calls by itself has one too.
    static CURRENT: RefCell<Rc<Gateway>> = RefCell::new(Rc::new(Gateway::new()));
}

/// The gateway of this thread.
pub(crate) fn current() -> Rc<Gateway> {
    CURRENT.with(|current| Rc::clone(&current.borrow()))
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self {
            terms: RefCell::default(),
            now: Cell::new(Duration::from_secs(1)),
            wall: Cell::new(START),
            lines: RefCell::default(),
            metrics: RefCell::default(),
            values: RefCell::default(),
            servers: RefCell::default(),
            interest: RefCell::default(),
            random: Cell::new(1),
            buckets: RefCell::default(),
            permits: Rc::default(),
            call: RefCell::new(None),
        }
    }

    /// Makes this the gateway of the thread and runs something as a call of a filter. What was lent comes
    /// back, also where the filter panics: with what it said.
    pub(crate) fn call<V>(
        self: &Rc<Self>,
        phase: Phase,
        exchange: Option<Exchange>,
        run: impl FnOnce() -> V,
    ) -> (Option<Exchange>, Result<V, String>) {
        if phase == Phase::Configure {
            self.interest.take();
        }
        *self.call.borrow_mut() = Some(Call {
            phase,
            calls_left: CALLS,
            lines_left: LINES,
            exchange,
        });
        CURRENT.with(|current| current.replace(Rc::clone(self)));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let call = self.call.borrow_mut().take();
        let exchange = call.and_then(|call| call.exchange);
        (exchange, done.map_err(|payload| reason(&*payload)))
    }

    /// Counts a call of the gateway.
    pub(crate) fn count(&self) {
        let mut call = self.call.borrow_mut();
        // Code outside of any hook, which a test calls by itself, is not counted.
        let Some(call) = &mut *call else { return };
        match call.calls_left.checked_sub(1) {
            Some(left) => call.calls_left = left,
            None => stop("a hook may not call the gateway so often"),
        }
    }

    /// The request and response that are lent, with what they are lent for.
    pub(crate) fn lent<V>(&self, look: impl FnOnce(Phase, &mut Exchange) -> V) -> V {
        self.count();
        let found = RefMut::filter_map(self.call.borrow_mut(), Option::as_mut).ok();
        match found {
            Some(mut call) => {
                let phase = call.phase;
                match &mut call.exchange {
                    Some(exchange) => look(phase, exchange),
                    None => stop("there is no request here"),
                }
            }
            None => stop("a request was used after the call that it was lent for"),
        }
    }

    pub(crate) fn has_service(&self, backend: &str) -> bool {
        let terms = self.terms.borrow();
        listed(terms.services.as_ref(), backend) && backend.contains(':')
    }

    pub(crate) fn may_reroute(&self, backend: &str) -> bool {
        listed(self.terms.borrow().backends.as_ref(), backend)
    }

    pub(crate) fn keeps_session(&self, _: &Steering, endpoint: &str) -> bool {
        listed(self.terms.borrow().endpoints.as_ref(), endpoint)
    }

    pub(crate) fn value_terms(&self) -> (usize, Duration) {
        let most = self.terms.borrow().value_bytes;
        (most.unwrap_or(1 << 20), self.now.get())
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        self.count();
        if let Some(call) = &mut *self.call.borrow_mut() {
            match call.lines_left.checked_sub(1) {
                Some(left) => call.lines_left = left,
                None => return,
            }
        }
        let cut = message.floor_char_boundary(LINE);
        let line = message.get(..cut).unwrap_or_default().trim_end();
        let line = line.replace(char::is_control, " ");
        self.lines.borrow_mut().push((level, line));
    }

    /// The next number of a sequence that is the same in every run (SplitMix64).
    pub(crate) fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn open(&self, name: &str, rules: &[Rule]) -> Result<Bucket, String> {
        self.count();
        if name.len() > KEY || rules.is_empty() || rules.len() > 8 {
            return Err("a bucket has a name of at most 1 KiB and 1 to 8 rules".to_owned());
        }
        let mut each = rules.iter();
        if each.any(|rule| rule.tokens == 0 || rule.per_ms == 0 || rule.burst == 0) {
            return Err("`tokens`, `per-ms` and `burst` are at least 1".to_owned());
        }
        let mut buckets = self.buckets.borrow_mut();
        if let Some(bucket) = buckets.get(name) {
            bucket.set_rules(rules.to_vec());
            return Ok(bucket.clone());
        }
        if buckets.len() == BUCKETS {
            return Err(format!("a filter has at most {BUCKETS} buckets"));
        }
        let bucket = Bucket::new(rules.to_vec());
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }

    pub(crate) fn take(&self, bucket: &Bucket, key: &str, tokens: u32) -> Decision {
        self.count();
        if key.len() > KEY {
            stop("a key of `take` has at most 1 KiB");
        }
        bucket.take(key, tokens, self.now.get())
    }

    pub(crate) fn take_client(&self, bucket: &Bucket, ipv6_prefix: u8, tokens: u32) -> Decision {
        let client = self.lent(|_, exchange| exchange.facts.client);
        bucket.take(&client_key(client, ipv6_prefix), tokens, self.now.get())
    }

    /// What the call that runs is for.
    pub(super) fn phase(&self) -> Option<Phase> {
        self.call.borrow().as_ref().map(|call| call.phase)
    }

    pub(crate) fn acquire(&self, key: &str, max: u32) -> bool {
        if key.len() > KEY {
            stop("a key of `acquire` has at most 1 KiB");
        }
        self.lent(|phase, exchange| {
            if phase != Phase::Request {
                stop("`acquire` is for request hooks");
            }
            let mut taken = self.permits.borrow_mut();
            let number = taken.entry(key.to_owned()).or_insert(0);
            if *number >= max {
                return false;
            }
            *number += 1;
            exchange.hold(Permit {
                of: Rc::clone(&self.permits),
                key: key.to_owned(),
            });
            true
        })
    }
}

/// The key of a client's bucket.
pub(super) fn client_key(client: IpAddr, ipv6_prefix: u8) -> String {
    let network = match client.to_canonical() {
        client @ IpAddr::V4(_) => client,
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_prefix.into()));
            Ipv6Addr::from_bits(address.to_bits() & mask.unwrap_or(0)).into()
        }
    };
    // Longer than any key that a filter can give.
    format!("{network}{:>width$}", "", width = KEY)
}

/// Ends the filter.
#[expect(clippy::panic, reason = "only the gateway in memory catches it")]
pub(crate) fn stop(why: &'static str) -> ! {
    std::panic::panic_any(Stop(why))
}

fn reason(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
    let text = text.or_else(|| {
        payload
            .downcast_ref::<Stop>()
            .map(|Stop(why)| (*why).to_owned())
    });
    text.unwrap_or_else(|| "it panicked".to_owned())
}

/// Whether a list has it; no list has everything.
fn listed(list: Option<&Vec<String>>, item: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|listed| listed == item))
}

/// 2026-01-01T00:00:00Z, when every test begins.
const START: Duration = Duration::from_secs(1_767_225_600);
/// How many times a hook may call the gateway.
const CALLS: u32 = 1000;
/// How many lines one call may write.
const LINES: u32 = 20;
/// The longest line.
const LINE: usize = 1 << 10;
/// How many names of buckets one filter of one chain may have.
const BUCKETS: usize = 64;
/// The longest key.
const KEY: usize = 1 << 10;
