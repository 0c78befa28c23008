//! Hooks that are given a whole body.

use std::time::Duration;

use bytes::Bytes;
use proxy::filter::{BodyVerdict, Fault, Filter};

use super::{guests::*, *};

/// Puts four bytes in the place of the body, which it gives back first.
const REPLACE: &str = "(call $drop-request (local.get $req))
    (i32.store8 (i32.const 3000) (i32.const 1))
    (i32.store (i32.const 3004) (local.get $body))
    (i32.store (i32.const 3008) (i32.const 4))
    (i32.store8 (local.get $body) (i32.const 33))
    (i32.const 3000)";

fn on_request_body(body: &str) -> Guest {
    Guest {
        on_request: None,
        on_request_body: Some(body.to_owned()),
        ..Guest::default()
    }
}

fn on_response_body(body: &str) -> Guest {
    Guest {
        on_request: None,
        on_response_body: Some(body.to_owned()),
        ..Guest::default()
    }
}

#[test]
fn a_request_body_passes_or_is_replaced_or_answered() {
    let ask = |guest: &Guest| {
        let filter = filter(&attach(&plugin(guest, |_| {})));
        assert!(filter.hooks().request_body && !filter.hooks().request);
        assert_eq!(filter.body_limit(), 64 << 10);
        let (_, verdict) = now(filter.on_request_body(exchange(), Bytes::from_static(b"a body")));
        verdict.expect("a verdict")
    };
    assert!(matches!(ask(&on_request_body(NEXT)), BodyVerdict::Next));
    match ask(&on_request_body(REPLACE)) {
        BodyVerdict::Replace(body) => assert_eq!(&body[..], b"! bo"),
        other => panic!("{other:?}"),
    }
    let responding = "(call $drop-request (local.get $req))
        (i32.store8 (i32.const 3000) (i32.const 2))
        (i32.store16 (i32.const 3004) (i32.const 422))
        (i32.store (i32.const 3016) (local.get $body))
        (i32.store (i32.const 3020) (local.get $size))
        (i32.const 3000)";
    match ask(&on_request_body(responding)) {
        BodyVerdict::Respond(answer) => {
            assert_eq!(answer.status(), 422);
            assert_eq!(&answer.body()[..], b"a body");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_of_a_mebibyte_goes_in_and_out_and_no_more() {
    let out = |size: u32| Guest {
        pages: 40,
        ..on_request_body(&format!(
            "(call $drop-request (local.get $req))
            (i32.store8 (i32.const 3000) (i32.const 1))
            (i32.store (i32.const 3004) (local.get $body))
            (i32.store (i32.const 3008) (i32.const {size}))
            (i32.const 3000)"
        ))
    };
    let whole = Bytes::from(vec![7; 1 << 20]);
    let ask = |size| {
        let plugin = plugin(&out(size), |spec| spec.limits.time = Duration::from_secs(1));
        let filter = filter(&attach(&plugin));
        later(filter.on_request_body(exchange(), whole.clone())).1
    };
    match ask(1 << 20) {
        Ok(BodyVerdict::Replace(body)) => assert_eq!(body, whole),
        other => panic!("{other:?}"),
    }
    assert_eq!(ask((1 << 20) + 1).unwrap_err(), Fault::Trap);
}

#[test]
fn with_a_response_body_the_response_can_be_changed_and_the_request_cannot() {
    let changing = |end: &str| {
        Guest {
        own: r#"(import "portcullis:filter/types@0.1.0" "[method]request.set-header" (func $request (param i32 i32 i32 i32 i32 i32)))
            (import "portcullis:filter/types@0.1.0" "[method]response.set-header" (func $response (param i32 i32 i32 i32 i32 i32)))
            (data (i32.const 1024) "a") (data (i32.const 1028) "new") (data (i32.const 1032) "r")"#
            .to_owned(),
        ..on_response_body(&format!(
            "(call $request (local.get $req) (i32.const 1024) (i32.const 1) (i32.const 1028) (i32.const 3) (i32.const 2048))
            (call $response (local.get $resp) (i32.const 1032) (i32.const 1) (i32.const 1028) (i32.const 3) (i32.const 2056))
            (call $drop-response (local.get $resp)) {end} {REPLACE}"
        ))
    }
    };
    let ask = |end| {
        let filter = filter(&attach(&plugin(&changing(end), |_| {})));
        now(filter.on_response_body(answered(), Bytes::from_static(b"body")))
    };
    let (exchange, verdict) = ask("");
    assert!(
        matches!(verdict, Ok(BodyVerdict::Replace(_))),
        "{verdict:?}"
    );
    assert_eq!(exchange.request.headers["a"], "1", "it can only be read");
    assert_eq!(exchange.response.unwrap().headers["r"], "new");
    let (exchange, verdict) = ask("unreachable");
    assert_eq!(verdict.unwrap_err(), Fault::Trap);
    assert_eq!(exchange.response.unwrap().headers["r"], "1", "it is undone");
}

#[test]
fn a_permit_is_for_the_head_of_a_request() {
    let guest = Guest {
        world: "import portcullis:filter/rate-limit@0.1.0;",
        own: r#"(import "portcullis:filter/rate-limit@0.1.0" "acquire" (func $acquire (param i32 i32 i32) (result i32)))"#
            .to_owned(),
        ..on_request_body(&format!(
            "(drop (call $acquire (i32.const 128) (i32.const 5) (i32.const 1))) {NEXT}"
        ))
    };
    let filter = filter(&attach(&plugin(&guest, |spec| {
        spec.grants.rate_limit = true;
    })));
    let (_, verdict) = now(filter.on_request_body(exchange(), Bytes::new()));
    assert_eq!(verdict.unwrap_err(), Fault::Trap);
}
