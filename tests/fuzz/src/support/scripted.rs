//! Filters that do as they are told, and notice when they are called at the wrong time.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a script does one thing, and else passes"
)]

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use arbitrary::Unstructured;
use bytes::Bytes;
use http::Response;
use proxy::filter::{
    Asked, BodyVerdict, ChunkVerdict, Exchange, Fault, Filter, Hooks, RequestVerdict,
    ResponseStream, ResponseVerdict,
};
use route::OnError;

/// What a filter does in one hook.
#[derive(Clone, Copy, Debug)]
enum Act {
    Pass,
    /// Answers, or replaces what there is.
    Answer,
    Fail(Fault),
    /// Of a body: nothing of it passes.
    Drop,
    /// Of a body: the response breaks off.
    Abort,
}

/// When a hook ends.
#[derive(Clone, Copy, Debug)]
enum When {
    Now,
    After(u64),
    Never,
}

/// A hook of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    Request,
    RequestBody,
    Response,
    ResponseBody,
    Chunk { last: bool },
}

/// What was called, of one exchange.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<(usize, Hook)>,
    /// Whether a hook runs.
    running: bool,
    /// Why no hook may be called any more.
    over: Option<&'static str>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The client has nothing to do with it any more.
    pub fn over(&self) {
        let mut state = self.lock();
        state.over = state.over.or(Some("after the client was gone"));
        state.running = false;
    }

    fn begin(&self, place: usize, hook: Hook) {
        let mut state = self.lock();
        if let Some(why) = state.over {
            panic!("filter {place}: {hook:?} {why}; before: {:?}", state.calls);
        }
        assert!(
            !state.running,
            "filter {place}: {hook:?} while another hook runs; before: {:?}",
            state.calls
        );
        state.running = true;
        state.calls.push((place, hook));
    }

    fn end(&self, closed: bool) {
        let mut state = self.lock();
        if let Some(why @ "after the client was gone") = state.over {
            panic!("a hook ended {why}: {:?}", state.calls);
        }
        state.running = false;
        if closed {
            state.over = Some("after a failure that closes the route");
        }
    }

    /// What holds for all calls of an exchange.
    pub fn check(&self) {
        let calls = &self.lock().calls;
        let places = |wanted: Hook| -> Vec<usize> {
            calls
                .iter()
                .filter(|(_, hook)| *hook == wanted)
                .map(|(place, _)| *place)
                .collect()
        };
        for hook in [Hook::Request, Hook::RequestBody] {
            assert!(
                places(hook).is_sorted_by(|one, next| one < next),
                "{hook:?} in {calls:?}"
            );
        }
        for hook in [
            Hook::Response,
            Hook::ResponseBody,
            Hook::Chunk { last: true },
        ] {
            let places = places(hook);
            let mut once = places.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), places.len(), "{hook:?} twice in {calls:?}");
        }
        assert!(
            places(Hook::Response).is_sorted_by(|one, next| one > next),
            "{calls:?}"
        );
        for (at, (place, hook)) in calls.iter().enumerate() {
            let goes_on = |(other, hook): &&(usize, Hook)| {
                other == place && matches!(hook, Hook::Chunk { .. })
            };
            let last = *hook == Hook::Chunk { last: true };
            assert!(
                !last || !calls[at + 1..].iter().any(|call| goes_on(&call)),
                "pieces after the last: {calls:?}"
            );
        }
    }
}

/// A filter that was chosen.
#[derive(Clone, Debug)]
pub struct Scripted {
    place: usize,
    hooks: Hooks,
    on_error: OnError,
    acts: [(Act, When); 5],
    log: Log,
}

impl Scripted {
    /// A filter as the choices say.
    pub fn choose(place: usize, choices: &mut Unstructured<'_>, log: &Log) -> Self {
        let bits: u8 = choices.arbitrary().unwrap_or(0);
        let hooks = Hooks {
            request: bits & 1 == 0,
            response: bits & 2 == 0,
            request_body: bits & 4 != 0,
            response_body: bits & 8 != 0,
            response_stream: bits & 16 != 0,
        };
        let on_error = if bits & 32 == 0 {
            OnError::Closed
        } else {
            OnError::Open
        };
        let acts = std::array::from_fn(|_| act(choices));
        Self {
            place,
            hooks,
            on_error,
            acts,
            log: log.clone(),
        }
    }

    /// Calls a hook: the verdict of `Pass`, and what other acts come to.
    fn call<V: 'static>(
        &self,
        hook: Hook,
        exchange: Box<Exchange>,
        verdict: impl FnOnce(Act) -> V,
    ) -> Asked<V> {
        let index = match hook {
            Hook::Request => 0,
            Hook::RequestBody => 1,
            Hook::Response => 2,
            Hook::ResponseBody => 3,
            Hook::Chunk { .. } => 4,
        };
        let has = [
            self.hooks.request,
            self.hooks.request_body,
            self.hooks.response,
            self.hooks.response_body,
            self.hooks.response_stream,
        ];
        assert!(has[index], "filter {} has no {hook:?}", self.place);
        let (act, when) = self.acts[index];
        self.log.begin(self.place, hook);
        let verdict = match act {
            Act::Fail(fault) => Err(fault),
            act => Ok(verdict(act)),
        };
        let closed = verdict.is_err() && self.on_error == OnError::Closed;
        let log = self.log.clone();
        let wait = match when {
            When::Now => {
                log.end(closed);
                return Asked::Done((exchange, verdict));
            }
            When::After(ms) => Some(Duration::from_millis(ms)),
            When::Never => None,
        };
        let later = async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
            log.end(closed);
            (exchange, verdict)
        };
        Asked::Later(Box::pin(later) as Pin<Box<dyn Future<Output = _>>>)
    }
}

fn act(choices: &mut Unstructured<'_>) -> (Act, When) {
    let act = match choices.int_in_range(0..=8).unwrap_or(0) {
        0..=3 => Act::Pass,
        4 => Act::Answer,
        5 => Act::Fail(Fault::Trap),
        6 => Act::Fail(Fault::Timeout),
        7 => Act::Drop,
        _ => Act::Abort,
    };
    let when = match choices.int_in_range(0..=5).unwrap_or(0) {
        0..=2 => When::Now,
        3 => When::After(1),
        4 => When::After(20),
        _ => When::Never,
    };
    (act, when)
}

impl Filter for Scripted {
    fn hooks(&self) -> Hooks {
        self.hooks
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn body_limit(&self) -> usize {
        12
    }

    fn on_request(&self, exchange: Box<Exchange>) -> Asked<RequestVerdict> {
        self.call(Hook::Request, exchange, |act| match act {
            Act::Answer => RequestVerdict::Respond(Response::new(Bytes::from_static(b"mine"))),
            _ => RequestVerdict::Next,
        })
    }

    fn on_response(&self, exchange: Box<Exchange>) -> Asked<ResponseVerdict> {
        self.call(Hook::Response, exchange, |act| match act {
            Act::Answer => ResponseVerdict::Replace(Response::new(Bytes::from_static(b"mine"))),
            _ => ResponseVerdict::Next,
        })
    }

    fn on_request_body(&self, exchange: Box<Exchange>, body: Bytes) -> Asked<BodyVerdict> {
        assert!(body.len() <= self.body_limit());
        self.call(Hook::RequestBody, exchange, body_verdict)
    }

    fn on_response_body(&self, exchange: Box<Exchange>, body: Bytes) -> Asked<BodyVerdict> {
        assert!(body.len() <= self.body_limit());
        self.call(Hook::ResponseBody, exchange, body_verdict)
    }

    fn stream(&self) -> Box<dyn ResponseStream> {
        Box::new(Stage(self.clone()))
    }
}

fn body_verdict(act: Act) -> BodyVerdict {
    match act {
        Act::Answer => BodyVerdict::Respond(Response::new(Bytes::from_static(b"mine"))),
        Act::Drop => BodyVerdict::Replace(Bytes::new()),
        _ => BodyVerdict::Next,
    }
}

#[derive(Debug)]
struct Stage(Scripted);

impl ResponseStream for Stage {
    fn chunk(&mut self, exchange: Box<Exchange>, _chunk: Bytes, last: bool) -> Asked<ChunkVerdict> {
        self.0
            .call(Hook::Chunk { last }, exchange, |act| match act {
                Act::Answer => ChunkVerdict::Replace(Bytes::from_static(b"mine")),
                Act::Drop => ChunkVerdict::Drop,
                Act::Abort => ChunkVerdict::Abort,
                _ => ChunkVerdict::Pass,
            })
    }
}
