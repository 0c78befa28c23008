//! Calls that take their time: they hold up nobody, and end in time, also where nobody waits any more.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use proxy::filter::{ChunkVerdict, Fault, Filter, RequestVerdict};

use super::{guests::*, *};

type Answer = Pin<Box<dyn Future<Output = Outcome<RequestVerdict>>>>;

const LOOP: &str = "(loop (br 0)) i32.const 16";

fn slow(engine: &Engine, body: &str, time: u64) -> (Arc<Plugin>, Attached) {
    let plugin = plugin_on(engine, &Guest::on_request(body), |spec| {
        spec.limits.time = Duration::from_millis(time);
    });
    let filter = filter(&attach(&plugin));
    (plugin, filter)
}

/// Begins a call, and lets it run.
fn begin(filter: &Attached) -> Result<Answer, Fault> {
    match filter.on_request(exchange()) {
        Asked::Done((_, verdict)) => Err(verdict.expect_err("it runs aside")),
        Asked::Later(mut answer) => {
            let mut context = Context::from_waker(Waker::noop());
            assert!(answer.as_mut().poll(&mut context).is_pending());
            Ok(answer)
        }
    }
}

#[test]
fn a_call_aside_comes_back_with_its_request() {
    let (plugin, filter) = slow(&own_engine(|_| {}), NEXT, 5);
    for _ in 0..3 {
        let (exchange, verdict) = later(filter.on_request(exchange()));
        assert!(matches!(verdict, Ok(RequestVerdict::Next)), "{verdict:?}");
        assert_eq!(exchange.request.headers["a"], "1");
    }
    let counts = plugin.shared().instances();
    assert_eq!(
        (counts.alive, counts.made),
        (1, 2),
        "the trial, and one that is used again"
    );
    assert_eq!(counts.memory, 2 << 16);
}

#[test]
fn a_loop_aside_ends_in_time_and_holds_up_no_worker() {
    let (plugin, filter) = slow(&own_engine(|_| {}), LOOP, 20);
    let loops = begin(&filter).unwrap();
    let inline = super::filter(&attach(&super::plugin(&reader(), |_| {})));
    for _ in 0..100 {
        assert!(now(inline.on_request(exchange())).1.is_ok());
    }
    let (exchange, verdict) = runtime().block_on(loops);
    assert_eq!(verdict.unwrap_err(), Fault::Timeout);
    assert_eq!(exchange.request.headers["a"], "1");
    assert_eq!(plugin.shared().instances().alive, 0);
}

/// When the first and when the second of two loops ended that began together.
fn two_loops() -> [Duration; 2] {
    let (_plugin, filter) = slow(&own_engine(|_| {}), LOOP, 100);
    let mut loops = [(); 2].map(|()| Some(begin(&filter).expect("there is room")));
    let (start, mut ends) = (Instant::now(), Vec::new());
    runtime().block_on(poll_fn(|context| {
        for slot in &mut loops {
            let Some(answer) = slot else {
                continue;
            };
            if let Poll::Ready((_, verdict)) = answer.as_mut().poll(context) {
                assert_eq!(verdict.err(), Some(Fault::Timeout));
                ends.push(start.elapsed());
                *slot = None;
            }
        }
        if ends.len() == 2 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    [ends[0], ends[1]]
}

#[test]
fn two_loops_share_a_thread() {
    // One after the other, the first would end at half of the second's time. A busy machine may hold up
    // the second at its end: one of several pairs shows it.
    let mut pairs = (0..8).map(|_| two_loops());
    assert!(pairs.any(|[first, second]| first > second.mul_f64(0.7)));
}

#[test]
fn a_plugin_has_sixty_four_calls_at_once_and_all_have_two_hundred_and_fifty_six() {
    let engine = own_engine(|_| {});
    let plugins: Vec<_> = (0..5).map(|_| slow(&engine, LOOP, 60_000)).collect();
    let mut running = Vec::new();
    for (_, filter) in &plugins[..4] {
        running.extend((0..64).map(|_| begin(filter).unwrap()));
        assert_eq!(begin(filter).err().unwrap(), Fault::Memory);
    }
    let (last, filter) = &plugins[4];
    assert_eq!(begin(filter).err().unwrap(), Fault::Memory);
    drop(running);
    for (plugin, _) in &plugins {
        let counts = || plugin.shared().instances();
        eventually("dropped calls end", || counts().alive == 0);
    }
    // That there were too many is not held against the plugin: its breaker is closed.
    eventually("there is room again", || begin(filter).is_ok());
    assert_eq!(last.shared().instances().failed, 0);
}

#[test]
fn what_nobody_waits_for_any_more_ends_with_its_instance() {
    let (plugin, filter) = slow(&own_engine(|_| {}), LOOP, 60_000);
    let alive = || plugin.shared().instances().alive;
    for _ in 0..3 {
        let call = begin(&filter).unwrap();
        eventually("it runs", || alive() == 1);
        drop(call);
        eventually("it is gone", || alive() == 0);
    }
}

#[test]
fn traps_and_limits_are_the_same_aside() {
    let engine = own_engine(|_| {});
    let ask = |guest: &Guest| {
        let plugin = plugin_on(&engine, guest, |spec| {
            spec.limits.time = Duration::from_secs(5);
            spec.limits.memory = 4 << 20;
        });
        let (exchange, verdict) = later(filter(&attach(&plugin)).on_request(exchange()));
        assert_eq!(exchange.request.headers["a"], "1");
        assert_eq!(plugin.shared().instances().alive, 0);
        verdict.unwrap_err()
    };
    assert_eq!(ask(&Guest::on_request("unreachable")), Fault::Trap);
    let bomb = "(loop (drop (memory.grow (i32.const 1))) (br 0)) i32.const 16";
    assert_eq!(ask(&Guest::on_request(bomb)), Fault::Memory);
    let deep = Guest {
        own: "(func $again (param i64) (result i64)\n (i64.add (call $again (local.get 0)) (i64.const 1)))"
            .to_owned(),
        ..Guest::on_request("(drop (call $again (i64.const 0))) i32.const 16")
    };
    assert_eq!(ask(&deep), Fault::Trap);
    assert_eq!(
        ask(&Guest::on_request("(return (i32.const 16))")),
        Fault::Trap
    );
}

#[test]
fn configuring_aside_has_its_own_time() {
    // The first configuration is taken by the trial; after that `configure` goes on for ever.
    let guest = Guest {
        own: r#"(import "portcullis:filter/clock@0.1.0" "wall" (func $wall (result i64)))"#.to_owned(),
        world: "import portcullis:filter/clock@0.1.0;",
        configure: "(if (i32.eq (i32.load8_u (local.get $text)) (i32.const 49)) (then (loop (br 0)))) i32.const 16"
            .to_owned(),
        ..Guest::default()
    };
    let plugin = plugin_on(&own_engine(|_| {}), &guest, |spec| {
        spec.limits.time = Duration::from_millis(5);
    });
    assert_eq!(attach_with(&plugin, "1").err().unwrap(), Failure::Timeout);
    assert!(attach_with(&plugin, "2").is_ok());
}

#[test]
fn all_pieces_of_a_body_reach_one_instance_aside_too() {
    let guest = Guest {
        on_request: None,
        on_chunk: Some(
            "(call $drop-request (local.get $req)) (call $drop-response (local.get $resp))
            (i32.store (i32.const 4000) (i32.add (i32.load (i32.const 4000)) (i32.const 1)))
            (i32.store8 (i32.const 3000) (i32.const 1))
            (i32.store (i32.const 3004) (i32.const 4000))
            (i32.store (i32.const 3008) (i32.const 1))
            (i32.const 3000)"
                .to_owned(),
        ),
        ..Guest::default()
    };
    let plugin = plugin_on(&own_engine(|_| {}), &guest, |spec| {
        spec.limits.time = Duration::from_millis(5);
    });
    let filter = filter(&attach(&plugin));
    let (mut one, mut other) = (filter.stream(), filter.stream());
    for number in 1..4_u8 {
        for stream in [&mut one, &mut other] {
            let (_, verdict) = later(stream.chunk(answered(), Bytes::new(), number == 3));
            match verdict {
                Ok(ChunkVerdict::Replace(count)) => assert_eq!(&count[..], [number]),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(plugin.shared().instances().alive, 2, "both are free again");
}
