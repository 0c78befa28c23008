//! Guests that mean harm: each ends in its own failure, soon, and the next call works.

use std::time::{Duration, Instant};

use super::{guests::*, *};

/// Calls the hook of a guest that fails if its configuration's id is 0; then, on the same worker,
/// that of another attachment of the same plugin, which must work.
fn fails(guest: Guest) -> Failure {
    let body = guest.on_request.as_deref().unwrap_or_default();
    let guest = Guest {
        on_request: Some(format!(
            "(if (i32.eqz (local.get $config)) (then {body} (drop)))
             {NEXT}"
        )),
        ..guest
    };
    let plugin = plugin(&guest, |spec| spec.limits.memory = 4 << 20);
    let (bad, good) = (attach(&plugin), attach(&plugin));
    let mut instances = Instances::new();
    let (exchange, verdict) = instances.on_request(&good, exchange());
    assert!(verdict.is_ok(), "{verdict:?}");
    let (exchange, verdict) = instances.on_request(&bad, exchange);
    let failure = verdict.expect_err("it fails");
    assert!(instances.is_empty(), "the instance is gone");
    assert_eq!(exchange.request.headers["a"], "1", "the request came back");
    let (_, verdict) = instances.on_request(&good, exchange);
    assert!(verdict.is_ok(), "{verdict:?}");
    failure
}

fn trap(guest: Guest) -> String {
    match fails(guest) {
        Failure::Trap { what, .. } => what,
        other => panic!("{other}"),
    }
}

#[test]
fn a_loop_ends_at_its_deadline() {
    let start = Instant::now();
    let failure = fails(Guest::on_request("(loop (br 0)) i32.const 16"));
    assert_eq!(failure, Failure::Timeout);
    assert_eq!(failure.word(), "plugin-timeout");
    // With compilation and a busy machine; a loop that is not ended would go on for ever.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_loop_takes_no_more_of_the_cpu_than_its_limit_and_two_ticks() {
    let plugin = plugin(&Guest::on_request("(loop (br 0)) i32.const 16"), |_| {});
    let attachment = attach(&plugin);
    let mut instances = Instances::new();
    let clock = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap()
    };
    let took = || {
        let before = clock();
        let (_, verdict) = Instances::new().on_request(&attachment, exchange());
        (clock() - before, verdict)
    };
    let (_, first) = instances.on_request(&attachment, exchange());
    assert_eq!(first.unwrap_err(), Failure::Timeout);
    // The best of three: the thread that ticks may be late on a busy machine.
    let best = (0..3).map(|_| took().0).min().unwrap();
    assert!(best < Duration::from_millis(10), "{best:?}");
}

#[test]
fn copying_memory_for_ever_ends_at_the_deadline() {
    let copy = "(loop (memory.copy (i32.const 0) (i32.const 65536) (i32.const 65536)) (br 0)) i32.const 16";
    assert_eq!(fails(Guest::on_request(copy)), Failure::Timeout);
}

#[test]
fn a_memory_bomb_ends_at_the_limit() {
    let pages = "(loop (drop (memory.grow (i32.const 1))) (br 0)) i32.const 16";
    let failure = fails(Guest::on_request(pages));
    assert!(matches!(failure, Failure::Memory { .. }), "{failure}");
    let at_once = "(drop (memory.grow (i32.const 60000))) i32.const 16";
    let failure = fails(Guest::on_request(at_once));
    assert_eq!(failure.word(), "plugin-memory");
}

#[test]
fn a_table_bomb_ends_at_the_limit() {
    let guest = Guest {
        own: "(table $t 1 funcref)".to_owned(),
        ..Guest::on_request(
            "(loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0)) i32.const 16",
        )
    };
    let failure = fails(guest);
    assert!(matches!(failure, Failure::Memory { .. }), "{failure}");
}

#[test]
fn endless_recursion_is_a_trap() {
    let guest = Guest {
        own: "(func $again (param i64) (result i64)\n (i64.add (call $again (local.get 0)) (i64.const 1)))"
            .to_owned(),
        ..Guest::on_request("(drop (call $again (i64.const 0))) i32.const 16")
    };
    assert!(trap(guest).contains("stack"));
}

#[test]
fn an_unreachable_is_a_trap_with_its_place() {
    let guest = Guest {
        own: "(func $inner unreachable)".to_owned(),
        ..Guest::on_request("(call $inner) i32.const 16")
    };
    match fails(guest) {
        Failure::Trap { what, stack, .. } => {
            assert!(what.contains("unreachable"), "{what}");
            assert!(stack[0].contains("inner"), "{stack:?}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn memory_outside_of_its_own_is_a_trap() {
    assert!(
        trap(Guest::on_request(
            "(drop (i32.load (i32.const -8))) i32.const 16"
        ))
        .contains("memory")
    );
    // A verdict that lies where there is no memory, and one that is none.
    trap(Guest::on_request(
        "(call $drop-request (local.get $req)) (return (i32.const -16))",
    ));
    let nonsense = "(i32.store8 (i32.const 512) (i32.const 7))
        (call $drop-request (local.get $req)) (return (i32.const 512))";
    trap(Guest::on_request(nonsense));
}

#[test]
fn keeping_the_request_past_the_call_is_a_trap() {
    let kept = trap(Guest::on_request("(return (i32.const 16))"));
    assert!(kept.contains("borrow"), "{kept}");
}

#[test]
fn what_it_need_not_be_called_for_is_said_in_configure_only() {
    for function in ["requests-with", "resume-sessions"] {
        let why = trap(Guest {
            world: "import portcullis:filter/interest@0.1.0;",
            own: format!(
                "(import \"portcullis:filter/interest@0.1.0\" \"{function}\" (func $say (param i32 i32 i32 i32)))"
            ),
            ..Guest::on_request(&format!(
                "(call $say (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) {NEXT}"
            ))
        });
        assert!(
            why.contains(&format!("`{function}` is for `configure`")),
            "{why}"
        );
    }
}

#[test]
fn a_handle_of_nothing_is_a_trap() {
    let guest = Guest {
        own: HEADER.to_owned(),
        ..Guest::on_request(
            "(call $header (i32.const 77) (i32.const 0) (i32.const 0) (i32.const 2048)) i32.const 16",
        )
    };
    trap(guest);
}

#[test]
fn flooding_the_host_with_calls_ends_at_the_budget() {
    let guest = Guest {
        own: r#"(import "portcullis:filter/types@0.1.0" "[method]request.tls" (func $tls (param i32) (result i32)))"#
            .to_owned(),
        ..Guest::on_request("(loop (drop (call $tls (local.get $req))) (br 0)) i32.const 16")
    };
    let plugin = plugin(&guest, |spec| spec.limits.time = Duration::from_secs(5));
    let (_, verdict) = Instances::new().on_request(&attach(&plugin), exchange());
    let failure = verdict.unwrap_err();
    assert!(failure.to_string().contains("so often"), "{failure}");
}

#[test]
fn more_than_one_call_may_bring_out_is_a_trap() {
    let guest = Guest {
        own: format!("{HEADER}\n(func $room (drop (memory.grow (i32.const 40))))"),
        ..Guest::on_request(
            "(call $room)
             (call $header (local.get $req) (i32.const 0) (i32.const 2500000) (i32.const 2048)) i32.const 16",
        )
    };
    trap(guest);
}

#[test]
fn configure_may_neither_loop_nor_trap() {
    let configuring = |body: &str| {
        let guest = Guest {
            configure: format!("{body} i32.const 16"),
            ..Guest::default()
        };
        attach_with(&plugin(&guest, |_| {}), "{}").err().unwrap()
    };
    assert_eq!(configuring("(loop (br 0))"), Failure::Timeout);
    assert!(matches!(configuring("unreachable"), Failure::Trap { .. }));
}

#[test]
fn five_failures_open_the_breaker_of_that_attachment_alone() {
    let guest = Guest::on_request(&format!(
        "(if (i32.eqz (local.get $config)) (then unreachable)) {NEXT}"
    ));
    let plugin = plugin(&guest, |_| {});
    let (bad, good) = (attach(&plugin), attach(&plugin));
    let mut instances = Instances::new();
    let mut words = Vec::new();
    for _ in 0..6 {
        let (_, verdict) = instances.on_request(&bad, exchange());
        words.push(verdict.unwrap_err().word());
    }
    assert_eq!(words[..5], ["plugin-trap"; 5]);
    assert_eq!(words[5], "plugin-open");
    let (_, verdict) = instances.on_request(&good, exchange());
    assert!(verdict.is_ok());
}

#[test]
fn an_empty_pool_is_a_failure_and_not_a_defect() {
    let settings = Settings {
        instances: 1,
        ..Settings::default()
    };
    let engine = Engine::new(&settings).unwrap();
    assert_ne!(
        engine.pooling(),
        wasm::Pooling::OnDemand,
        "this machine has a pool"
    );
    let component = Component::load(&engine, &Guest::default().build()).unwrap();
    let plugin = Plugin::new(&engine, spec(component)).unwrap();
    let attachment = attach(&plugin);
    let (mut one, mut other) = (Instances::new(), Instances::new());
    assert!(one.on_request(&attachment, exchange()).1.is_ok());
    let failure = other.on_request(&attachment, exchange()).1.unwrap_err();
    assert_eq!(failure.word(), "plugin-memory", "{failure}");
    drop(one);
    assert!(other.on_request(&attachment, exchange()).1.is_ok());
}
