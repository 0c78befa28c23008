//! Chains of filters written in Rust: who is called when, and what becomes of failures.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a script does one thing, and else passes"
)]

use std::{
    collections::VecDeque,
    future::poll_fn,
    net::IpAddr,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use http::HeaderValue;

use super::*;
use crate::metrics::FilterStats;

/// Notes each call, and does as it was told.
#[derive(Debug)]
struct Scripted {
    name: &'static str,
    hooks: Hooks,
    on_error: OnError,
    act: Act,
    calls: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Pass,
    Answer,
    Fail,
    /// As `Pass`, if it were called: it has nothing to do with any request or response.
    LookAway,
    /// As `Pass`, but not at once.
    Wait,
    Double,
    Swallow,
    Abort,
}

impl Scripted {
    fn note(&self, hook: &str) {
        let mut calls = self.calls.lock().unwrap();
        calls.push(format!("{} {hook}", self.name));
    }

    fn outcome<V: 'static>(&self, exchange: Box<Exchange>, verdict: V) -> Asked<V> {
        match self.act {
            Act::Fail => Asked::Done((exchange, Err(Fault::Trap))),
            Act::Wait => Asked::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                (exchange, Ok(verdict))
            })),
            _ => Asked::Done((exchange, Ok(verdict))),
        }
    }
}

impl Filter for Scripted {
    fn hooks(&self) -> Hooks {
        self.hooks
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn body_limit(&self) -> usize {
        10
    }

    fn settles_request(&self, _exchange: &mut Exchange) -> bool {
        self.act == Act::LookAway
    }

    fn looks_at_response(&self, _exchange: &Exchange) -> bool {
        self.act != Act::LookAway
    }

    fn on_request(&self, exchange: Box<Exchange>) -> Asked<RequestVerdict> {
        self.note("request");
        let verdict = match self.act {
            Act::Answer => RequestVerdict::Respond(Response::new(Bytes::from(self.name))),
            _ => RequestVerdict::Next,
        };
        self.outcome(exchange, verdict)
    }

    fn on_response(&self, exchange: Box<Exchange>) -> Asked<ResponseVerdict> {
        self.note("response");
        self.outcome(exchange, ResponseVerdict::Next)
    }

    fn on_request_body(&self, exchange: Box<Exchange>, _body: Bytes) -> Asked<BodyVerdict> {
        self.outcome(exchange, BodyVerdict::Next)
    }

    fn on_response_body(&self, exchange: Box<Exchange>, _body: Bytes) -> Asked<BodyVerdict> {
        self.outcome(exchange, BodyVerdict::Next)
    }

    fn stream(&self) -> Box<dyn ResponseStream> {
        Box::new(Stage(self.act))
    }
}

#[derive(Debug)]
struct Stage(Act);

impl ResponseStream for Stage {
    fn chunk(&mut self, exchange: Box<Exchange>, chunk: Bytes, last: bool) -> Asked<ChunkVerdict> {
        let verdict = match self.0 {
            Act::Fail => Err(Fault::Trap),
            Act::Double => Ok(ChunkVerdict::Replace(
                [&chunk[..], &chunk[..]].concat().into(),
            )),
            Act::Swallow => Ok(ChunkVerdict::Drop),
            Act::Abort if last => Ok(ChunkVerdict::Abort),
            _ => Ok(ChunkVerdict::Pass),
        };
        if self.0 == Act::Wait {
            return Asked::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                (exchange, verdict)
            }));
        }
        Asked::Done((exchange, verdict))
    }
}

#[derive(Debug)]
struct Nowhere;

impl Services for Nowhere {
    fn has(&self, _backend: &str) -> bool {
        false
    }

    fn keeps_session(&self, _steering: &Steering, _endpoint: &str) -> bool {
        false
    }
}

fn filtered() -> Filtered {
    let facts = Facts {
        scheme: "http",
        authority: HeaderValue::from_static("a.test"),
        client: IpAddr::from([192, 0, 2, 1]),
        port: 1,
        tls: false,
        sni: None,
        id: HeaderValue::from_static("id"),
        route: Arc::default(),
    };
    let exchange = Exchange::new(head::nothing(), facts, Arc::new(Nowhere));
    Filtered::new(Box::new(exchange), 0)
}

const BOTH: Hooks = Hooks {
    request: true,
    response: true,
    request_body: false,
    response_body: false,
    response_stream: false,
};

type Calls = Arc<Mutex<Vec<String>>>;

/// A chain of filters a, b, c that act so; `open` ones let requests go on when they fail.
fn chain(acts: &[(Act, OnError, Hooks)]) -> (Chain, Calls) {
    let calls = Calls::default();
    let links = acts.iter().zip(["a", "b", "c"]);
    let links = links.map(|((act, on_error, hooks), name)| {
        let filter = Scripted {
            name,
            hooks: *hooks,
            on_error: *on_error,
            act: *act,
            calls: Arc::clone(&calls),
        };
        Link::new(Arc::new(filter), Arc::new(FilterStats::new(1)))
    });
    (Chain::new(links.collect()), calls)
}

/// Runs a future that nothing outside has to wake.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("it never ends");
}

fn called(calls: &Calls) -> Vec<String> {
    std::mem::take(&mut calls.lock().unwrap())
}

#[test]
fn a_filter_that_has_nothing_to_do_with_it_is_not_called() {
    let (looks_away, pass) = (Act::LookAway, Act::Pass);
    let acts = [looks_away, pass, looks_away];
    let (chain, calls) = chain(&acts.map(|act| (act, OnError::Closed, BOTH)));
    let mut filtered = filtered();
    assert!(now(chain.on_request(&mut filtered)).unwrap().is_none());
    assert!(now(chain.on_response(&mut filtered)).unwrap().is_none());
    assert_eq!(called(&calls), ["b request", "b response"]);
}

#[test]
fn requests_go_in_order_and_responses_in_reverse() {
    let act = (Act::Wait, OnError::Closed, BOTH);
    let (chain, calls) = chain(&[act, (Act::Pass, OnError::Closed, BOTH), act]);
    let mut filtered = filtered();
    assert!(now(chain.on_request(&mut filtered)).unwrap().is_none());
    assert!(now(chain.on_response(&mut filtered)).unwrap().is_none());
    let order = [
        "a request",
        "b request",
        "c request",
        "c response",
        "b response",
        "a response",
    ];
    assert_eq!(called(&calls), order);
}

#[test]
fn an_answer_meets_those_whose_request_hook_ran_or_that_have_none() {
    let only = Hooks {
        request: false,
        ..BOTH
    };
    let (chain, calls) = chain(&[
        (Act::Pass, OnError::Closed, BOTH),
        (Act::Answer, OnError::Closed, BOTH),
        (Act::Pass, OnError::Closed, BOTH),
    ]);
    let mut request = filtered();
    let answer = now(chain.on_request(&mut request)).unwrap().unwrap();
    assert_eq!(answer.body(), "b");
    now(chain.on_response(&mut request)).unwrap();
    assert_eq!(
        called(&calls),
        ["a request", "b request", "b response", "a response"]
    );

    let (chain, calls) = self::chain(&[
        (Act::Answer, OnError::Closed, BOTH),
        (Act::Pass, OnError::Closed, BOTH),
        (Act::Pass, OnError::Closed, only),
    ]);
    let mut request = filtered();
    now(chain.on_request(&mut request)).unwrap().unwrap();
    now(chain.on_response(&mut request)).unwrap();
    assert_eq!(called(&calls), ["a request", "c response", "a response"]);
}

#[test]
fn a_failure_closes_the_route_or_lets_the_request_go_on() {
    let (chain, calls) = chain(&[
        (Act::Fail, OnError::Open, BOTH),
        (Act::Fail, OnError::Closed, BOTH),
        (Act::Pass, OnError::Closed, BOTH),
    ]);
    assert_eq!(
        now(chain.on_request(&mut filtered())).err(),
        Some(Fault::Trap)
    );
    assert_eq!(called(&calls), ["a request", "b request"]);
}

/// What comes out of stages that act so, for each piece that goes in.
fn through(acts: &[(Act, bool)], pieces: &[&'static str]) -> Result<Vec<String>, StreamError> {
    let (mut streams, mut filtered) = (Streams::default(), filtered());
    for (act, open) in acts {
        streams.push(Box::new(Stage(*act)), Arc::new(FilterStats::new(1)), *open);
    }
    let mut pieces: VecDeque<&'static str> = pieces.iter().copied().collect();
    let mut out = Vec::new();
    while let Some(piece) = pieces.pop_front() {
        streams.put(Bytes::from(piece), pieces.is_empty());
        let piece = now(poll_fn(|cx| streams.poll(&mut filtered, cx)))?;
        out.extend(piece.map(|piece| String::from_utf8(piece.to_vec()).unwrap()));
    }
    assert!(streams.is_over());
    Ok(out)
}

#[test]
fn pieces_go_through_all_stages() {
    let out = through(&[(Act::Wait, false), (Act::Double, false)], &["a", "b", ""]);
    assert_eq!(out.unwrap(), ["aa", "bb"]);
}

#[test]
fn what_is_dropped_is_gone_but_the_end_comes_through() {
    let out = through(&[(Act::Swallow, false), (Act::Double, false)], &["a", "b"]);
    assert_eq!(out.unwrap(), Vec::<String>::new());
}

#[test]
fn a_stage_can_break_the_response_off() {
    let out = through(&[(Act::Abort, false)], &["a", "b"]);
    assert_eq!(out, Err(StreamError::Aborted));
}

#[test]
fn a_stage_that_fails_breaks_off_or_lets_everything_pass() {
    assert_eq!(
        through(&[(Act::Fail, false)], &["a"]),
        Err(Fault::Trap.into())
    );
    assert_eq!(
        through(&[(Act::Fail, true)], &["a", "b"]).unwrap(),
        ["a", "b"]
    );
}
