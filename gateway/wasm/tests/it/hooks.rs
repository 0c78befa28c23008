//! What hooks can see and do, and what is undone when they fail.

use proxy::filter::{RequestVerdict, ResponseVerdict};
use route::Backends;

use super::{guests::*, *};

/// Answers with the status 400 plus the number of the error at 2049, if there is one at 2048.
const ANSWER: &str = "(func $answer (result i32)
    (if (i32.eqz (i32.load8_u (i32.const 2048))) (then (return (i32.const 16))))
    (call $respond (i32.add (i32.const 400) (i32.load8_u (i32.const 2049)))))
(func $respond (param i32) (result i32)
    (i32.store8 (i32.const 3000) (i32.const 1))
    (i32.store16 (i32.const 3004) (local.get 0))
    (i32.const 3000))";

/// A guest that does one thing to a field of the request, and answers with the error.
fn changes(how: &str, name: &str, value: &[u8]) -> Guest {
    let escape = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("\\{b:02x}")).collect() };
    let (n, v) = (name.len(), value.len());
    let own = format!(
        r#"(import "portcullis:filter/types@0.1.0" "[method]request.{how}-header" (func $change (param i32 i32 i32 i32 i32 i32)))
        (data (i32.const 1024) "{}")
        (data (i32.const 1536) "{}")
        {ANSWER}"#,
        escape(name.as_bytes()),
        escape(value)
    );
    Guest {
        own,
        ..Guest::on_request(&format!(
            "(call $change (local.get $req) (i32.const 1024) (i32.const {n}) (i32.const 1536) (i32.const {v}) (i32.const 2048))
             (call $drop-request (local.get $req)) (call $answer)"
        ))
    }
}

fn call(guest: &Guest) -> (Box<Exchange>, Result<RequestVerdict, Failure>) {
    Instances::new().on_request(&attach(&plugin(guest, |_| {})), exchange())
}

fn status(verdict: &Result<RequestVerdict, Failure>) -> u16 {
    match verdict {
        Ok(RequestVerdict::Respond(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_are_set_and_added() {
    let (exchange, verdict) = call(&changes("set", "A", b"2"));
    assert!(matches!(verdict, Ok(RequestVerdict::Next)));
    assert_eq!(exchange.request.headers["a"], "2");
    let (exchange, _) = call(&changes("add", "a", b"\xff"));
    let values: Vec<_> = exchange.request.headers.get_all("a").iter().collect();
    assert_eq!(values, [&b"1"[..], b"\xff"]);
}

#[test]
fn fields_that_would_break_the_message_are_typed_errors() {
    // The order is that of `header-error`.
    let (name, value, forbidden, large) = (400, 401, 402, 403);
    let cases: [(&str, &[u8], u16); 10] = [
        ("b ad", b"x", name),
        ("", b"x", name),
        ("ok", b"x\r\nevil: 1", value),
        ("ok", b"x\0", value),
        (":path", b"/", forbidden),
        ("Content-Length", b"3", forbidden),
        ("transfer-encoding", b"chunked", forbidden),
        ("connection", b"close", forbidden),
        ("host", b"evil", forbidden),
        ("X-Forwarded-For", b"1.2.3.4", forbidden),
    ];
    for (field, text, expected) in cases {
        let (exchange, verdict) = call(&changes("set", field, text));
        assert_eq!(status(&verdict), expected, "{field}");
        assert_eq!(exchange.request.headers.len(), 3, "{field}");
    }
    let mut guest = changes("set", "ok", b"");
    guest.on_request = guest.on_request.map(|body| {
        body.replace(
            "(i32.const 1536) (i32.const 0)",
            "(i32.const 4096) (i32.const 40000)",
        )
    });
    assert_eq!(status(&call(&guest).1), large);
}

#[test]
fn what_a_hook_changed_before_it_failed_is_undone() {
    let mut guest = changes("set", "a", b"changed");
    guest.on_request = guest.on_request.map(|body| format!("{body} unreachable"));
    let (exchange, verdict) = call(&guest);
    assert_eq!(verdict.unwrap_err().word(), "plugin-trap");
    assert_eq!(exchange.request.headers["a"], "1");
}

#[test]
fn an_answer_is_under_the_same_rules_as_any_field() {
    let answering = |number: u16, field: &str| Guest {
        own: format!(
            "{ANSWER}\n(data (i32.const 1024) \"{field}\")
            (data (i32.const 1100) \"body\")"
        ),
        ..Guest::on_request(&format!(
            "(call $drop-request (local.get $req))
             (i32.store (i32.const 1200) (i32.const 1024))
             (i32.store (i32.const 1204) (i32.const {}))
             (i32.store (i32.const 1208) (i32.const 1100))
             (i32.store (i32.const 1212) (i32.const 4))
             (i32.store (i32.const 3008) (i32.const 1200))
             (i32.store (i32.const 3012) (i32.const 1))
             (i32.store (i32.const 3016) (i32.const 1100))
             (i32.store (i32.const 3020) (i32.const 4))
             (call $respond (i32.const {number}))",
            field.len()
        ))
    };
    match call(&answering(418, "x-why")).1 {
        Ok(RequestVerdict::Respond(answer)) => {
            assert_eq!(answer.status(), 418);
            assert_eq!(answer.headers()["x-why"], "body");
            assert_eq!(&answer.body()[..], b"body");
        }
        other => panic!("{other:?}"),
    }
    for (number, field) in [
        (418, "content-length"),
        (418, "a b"),
        (99, "x"),
        (101, "x"),
        (600, "x"),
    ] {
        let failure = call(&answering(number, field)).1.unwrap_err();
        assert_eq!(failure.word(), "plugin-trap", "{number} {field}");
    }
}

#[test]
fn a_request_is_rerouted_only_where_it_is_granted_and_known() {
    let rerouting = |backend: &str| Guest {
        own: format!(
            r#"(import "portcullis:filter/types@0.1.0" "[method]request.reroute" (func $reroute (param i32 i32 i32 i32)))
            (data (i32.const 1024) "{backend}")
            {ANSWER}"#
        ),
        ..Guest::on_request(&format!(
            "(call $reroute (local.get $req) (i32.const 1024) (i32.const {}) (i32.const 2048))
             (call $drop-request (local.get $req)) (call $answer)",
            backend.len()
        ))
    };
    let listed =
        |names: &[&str]| Backends::Listed(names.iter().map(|&name| name.to_owned()).collect());
    let (denied, unknown) = (Some(400), Some(401));
    let cases = [
        ("there:80", Backends::All, None),
        ("there:80", listed(&["there:80"]), None),
        ("there:80", listed(&["there:81"]), denied),
        ("there:80", Backends::default(), denied),
        ("gone:80", Backends::All, unknown),
        ("there", Backends::All, unknown),
    ];
    for (backend, grant, expected) in cases {
        let plugin = plugin(&rerouting(backend), |spec| spec.grants.backends = grant);
        let (exchange, verdict) = Instances::new().on_request(&attach(&plugin), exchange());
        match expected {
            Some(expected) => assert_eq!(status(&verdict), expected, "{backend}"),
            None => assert_eq!(exchange.steering.backend.as_deref(), Some(backend)),
        }
    }
}

#[test]
fn what_one_hook_keeps_the_next_finds_even_in_another_instance() {
    let guest = Guest {
        own: r#"(import "portcullis:filter/types@0.1.0" "[method]request.set-state" (func $keep (param i32 i32 i32 i32 i32 i32)))
            (import "portcullis:filter/types@0.1.0" "[method]request.state" (func $kept (param i32 i32 i32 i32)))
            (import "portcullis:filter/types@0.1.0" "[method]response.set-status" (func $status (param i32 i32 i32)))
            (data (i32.const 1024) "key")"#
            .to_owned(),
        on_response: Some(format!(
            "(call $kept (local.get $req) (i32.const 1024) (i32.const 3) (i32.const 2048))
             (call $status (local.get $resp) (i32.add (i32.const 200) (i32.load (i32.const 2056))) (i32.const 2100))
             {NEXT_RESPONSE}"
        )),
        ..Guest::on_request(&format!(
            "(call $keep (local.get $req) (i32.const 1024) (i32.const 3) (i32.const 1024) (i32.const 3) (i32.const 2048)) {NEXT}"
        ))
    };
    for isolation in [Isolation::Shared, Isolation::Request] {
        let attachment = attach(&plugin(&guest, |spec| spec.isolation = isolation));
        let mut instances = Instances::new();
        let (mut exchange, verdict) = instances.on_request(&attachment, exchange());
        assert!(verdict.is_ok(), "{verdict:?}");
        assert_eq!(instances.is_empty(), isolation == Isolation::Request);
        let (response, ()) = http::Response::new(()).into_parts();
        exchange.response = Some(response);
        let (exchange, verdict) = instances.on_response(&attachment, exchange);
        assert!(matches!(verdict, Ok(ResponseVerdict::Next)), "{verdict:?}");
        assert_eq!(
            exchange.response.unwrap().status,
            203,
            "the key has three bytes"
        );
    }
}

#[test]
fn buckets_are_shared_by_workers_and_survive_a_change_of_configuration() {
    let guest = Guest {
        world: "import portcullis:filter/rate-limit@0.1.0;",
        own: format!(
            r#"(import "portcullis:filter/rate-limit@0.1.0" "[static]bucket.open" (func $open (param i32 i32 i32 i32 i32)))
            (import "portcullis:filter/rate-limit@0.1.0" "[method]bucket.take" (func $take (param i32 i32 i32 i32 i32)))
            (import "portcullis:filter/rate-limit@0.1.0" "[resource-drop]bucket" (func $drop-bucket (param i32)))
            (data (i32.const 1024) "name")
            (data (i32.const 1040) "\01\00\00\00\60\ea\00\00\02\00\00\00")
            {ANSWER}"#
        ),
        ..Guest::on_request(
            "
             (call $drop-request (local.get $req))
             (call $open (i32.const 1024) (i32.const 4) (i32.const 1040) (i32.const 1) (i32.const 2048))
             (local.set $config (i32.load (i32.const 2052)))
             (call $take (local.get $config) (i32.const 1024) (i32.const 4) (i32.const 1) (i32.const 2060))
             (call $drop-bucket (local.get $config))
             (if (result i32) (i32.load8_u (i32.const 2060))
                (then (i32.const 16)) (else (call $respond (i32.const 429))))",
        )
    };
    let plugin = plugin(&guest, |spec| spec.grants.rate_limit = true);
    let first = attach(&plugin);
    assert!(matches!(
        Instances::new().on_request(&first, exchange()).1,
        Ok(RequestVerdict::Next)
    ));
    let second = attach_with(&plugin, r#"{"changed":1}"#).unwrap();
    drop(first);
    let mut other = Instances::new();
    assert!(matches!(
        other.on_request(&second, exchange()).1,
        Ok(RequestVerdict::Next)
    ));
    assert_eq!(status(&other.on_request(&second, exchange()).1), 429);
    let elsewhere = plugin
        .attach("default", "another/filter", "{}".to_owned())
        .unwrap();
    assert!(matches!(
        other.on_request(&elsewhere, exchange()).1,
        Ok(RequestVerdict::Next)
    ));
}

#[test]
fn a_permit_returns_with_the_end_of_its_request() {
    let guest = Guest {
        world: "import portcullis:filter/rate-limit@0.1.0;",
        own: format!(
            r#"(import "portcullis:filter/rate-limit@0.1.0" "acquire" (func $acquire (param i32 i32 i32) (result i32)))
            {ANSWER}"#
        ),
        ..Guest::on_request(
            "(call $drop-request (local.get $req))
             (if (result i32) (call $acquire (i32.const 128) (i32.const 5) (i32.const 1))
                (then (i32.const 16)) (else (call $respond (i32.const 429))))",
        )
    };
    let attachment = attach(&plugin(&guest, |spec| spec.grants.rate_limit = true));
    let mut instances = Instances::new();
    let (first, verdict) = instances.on_request(&attachment, exchange());
    assert!(matches!(verdict, Ok(RequestVerdict::Next)), "{verdict:?}");
    assert_eq!(
        status(&instances.on_request(&attachment, exchange()).1),
        429
    );
    drop(first);
    let (_, verdict) = instances.on_request(&attachment, exchange());
    assert!(matches!(verdict, Ok(RequestVerdict::Next)), "{verdict:?}");
}

#[test]
fn a_refused_configuration_says_where() {
    let guest = Guest {
        own: "(data (i32.const 1024) \"\\01\\00\\00\\00\\40\\04\\00\\00\\04\\00\\00\\00\\44\\04\\00\\00\\03\\00\\00\\00\")\n(data (i32.const 1088) \"/a/bbad\")"
            .to_owned(),
        configure: "i32.const 1024".to_owned(),
        ..Guest::default()
    };
    match attach_with(&plugin(&guest, |_| {}), "{}").err().unwrap() {
        Failure::Config(errors) => {
            let [error] = &errors[..] else {
                panic!("one error: {errors:?}");
            };
            assert_eq!((&*error.pointer, &*error.message), ("/a/b", "bad"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_idle_instance_leaves_and_a_hook_that_is_not_there_costs_none() {
    let attachment = attach(&plugin(&reader(), |_| {}));
    let mut instances = Instances::new();
    let (response, ()) = http::Response::new(()).into_parts();
    let mut exchange = exchange();
    exchange.response = Some(response);
    let (exchange, verdict) = instances.on_response(&attachment, exchange);
    assert!(matches!(verdict, Ok(ResponseVerdict::Next)));
    assert!(instances.is_empty());
    assert!(instances.on_request(&attachment, exchange).1.is_ok());
    instances.tidy();
    assert_eq!(instances.len(), 1, "it was just called");
    instances.tidy();
    assert!(instances.is_empty());
}

#[test]
fn an_attachment_that_is_gone_is_released() {
    // It traps if the first configuration is released: then the instance is not kept.
    let guest = Guest {
        release: "(if (i32.eqz (local.get $id)) (then unreachable))".to_owned(),
        ..Guest::default()
    };
    let plugin = plugin(&guest, |_| {});
    let (first, second, third) = (attach(&plugin), attach(&plugin), attach(&plugin));
    let mut instances = Instances::new();
    for attachment in [&first, &second, &third] {
        assert!(instances.on_request(attachment, exchange()).1.is_ok());
    }
    drop(second);
    instances.tidy();
    assert_eq!(instances.len(), 1, "another one was released");
    assert!(instances.on_request(&third, exchange()).1.is_ok());
    drop(first);
    instances.tidy();
    assert!(instances.is_empty());
}
