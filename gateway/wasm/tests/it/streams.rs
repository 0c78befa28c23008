//! Hooks that are given a body piece by piece.

use bytes::Bytes;
use proxy::filter::{ChunkVerdict, Fault, Filter, ResponseStream};

use super::{guests::*, *};

/// Counts pieces in the instance's memory, at 4000, and does as the number says: the verdict of that
/// number; from 4 on it traps.
fn counting() -> Guest {
    Guest {
        on_request: None,
        own: "(func $count (result i32) (local $before i32)
            (local.set $before (i32.load (i32.const 4000)))
            (i32.store (i32.const 4000) (i32.add (local.get $before) (i32.const 1)))
            (local.get $before))"
            .to_owned(),
        on_chunk: Some(
            "(call $drop-request (local.get $req)) (call $drop-response (local.get $resp))
            (i32.store8 (i32.const 3000) (call $count))
            (i32.store (i32.const 3004) (local.get $body))
            (i32.store (i32.const 3008) (i32.sub (local.get $size) (i32.const 1)))
            (if (i32.gt_u (i32.load8_u (i32.const 3000)) (i32.const 3)) (then unreachable))
            (i32.const 3000)"
                .to_owned(),
        ),
        ..Guest::default()
    }
}

fn piece(stream: &mut dyn ResponseStream, last: bool) -> Result<ChunkVerdict, Fault> {
    now(stream.chunk(answered(), Bytes::from_static(b"piece"), last)).1
}

#[test]
fn all_pieces_of_one_response_reach_one_instance() {
    let plugin = plugin(&counting(), |_| {});
    let filter = filter(&attach(&plugin));
    assert!(filter.hooks().response_stream);
    let alive = || plugin.shared().instances().alive;
    assert_eq!(alive(), 0, "the trial is over");
    let (mut first, mut second) = (filter.stream(), filter.stream());
    assert!(matches!(piece(&mut *first, false), Ok(ChunkVerdict::Pass)));
    assert!(matches!(piece(&mut *second, false), Ok(ChunkVerdict::Pass)));
    match piece(&mut *first, false) {
        Ok(ChunkVerdict::Replace(piece)) => assert_eq!(&piece[..], b"piec"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(piece(&mut *first, false), Ok(ChunkVerdict::Drop)));
    assert!(matches!(piece(&mut *first, true), Ok(ChunkVerdict::Abort)));
    assert_eq!(alive(), 2);
    drop(second);
    assert_eq!(alive(), 1, "dropped midway, it takes its instance along");
    // The other instance is free again, and has counted four pieces.
    let mut third = filter.stream();
    assert_eq!(piece(&mut *third, false).unwrap_err(), Fault::Trap);
    assert_eq!(alive(), 0);
    let counts = plugin.shared().instances();
    assert_eq!((counts.made, counts.failed, counts.memory), (3, 1, 0));
}

#[test]
fn after_a_trap_no_instance_sees_the_rest() {
    let guest = Guest {
        on_chunk: Some("unreachable".to_owned()),
        ..counting()
    };
    let plugin = plugin(&guest, |_| {});
    let filter = filter(&attach(&plugin));
    let mut stream = filter.stream();
    assert_eq!(piece(&mut *stream, false).unwrap_err(), Fault::Trap);
    assert_eq!(piece(&mut *stream, true).unwrap_err(), Fault::Trap);
    assert_eq!(
        plugin.shared().instances().made,
        2,
        "the trial and one more"
    );
}

#[test]
fn a_response_whose_head_is_sent_cannot_be_changed() {
    let guest = Guest {
        on_request: None,
        own: r#"(import "portcullis:filter/types@0.1.0" "[method]response.set-status" (func $status (param i32 i32 i32)))"#
            .to_owned(),
        on_chunk: Some(
            "(call $status (local.get $resp) (i32.const 404) (i32.const 2048))
            (call $drop-request (local.get $req)) (call $drop-response (local.get $resp))
            ;; The error `forbidden`, or a trap.
            (if (i32.ne (i32.load16_u (i32.const 2048)) (i32.const 0x0201)) (then unreachable))
            (i32.const 16)"
                .to_owned(),
        ),
        ..Guest::default()
    };
    let filter = filter(&attach(&plugin(&guest, |_| {})));
    let mut stream = filter.stream();
    let asked = stream.chunk(answered(), Bytes::new(), true);
    let (exchange, verdict) = now(asked);
    assert!(matches!(verdict, Ok(ChunkVerdict::Pass)), "{verdict:?}");
    assert_eq!(exchange.response.unwrap().status, 200);
}

#[test]
fn bodies_that_are_looked_at_do_not_use_up_the_pool_for_all() {
    let settings = Settings {
        instances: 8,
        ..Settings::default()
    };
    let engine = Engine::new(&settings).unwrap();
    let component = Component::load(&engine, &counting().build()).unwrap();
    let plugin = Plugin::new(&engine, spec(component)).unwrap();
    let filter = filter(&attach(&plugin));
    let mut streams: Vec<_> = (0..3).map(|_| filter.stream()).collect();
    assert!(piece(&mut *streams[0], false).is_ok());
    assert!(piece(&mut *streams[1], false).is_ok());
    assert_eq!(piece(&mut *streams[2], false).unwrap_err(), Fault::Memory);
    streams.remove(0);
    assert!(piece(&mut *filter.stream(), false).is_ok());
}
