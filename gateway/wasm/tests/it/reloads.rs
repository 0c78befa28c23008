//! What is kept from one call, configuration or version to the next, and what is not.

use proxy::filter::{Filter, RequestVerdict};

use super::{guests::*, *};

/// Answers where it has been called before, by what it finds in its memory.
fn remembering() -> Guest {
    Guest {
        own: "(func $answer (result i32)
            (i32.store8 (i32.const 3000) (i32.const 1))
            (i32.store16 (i32.const 3004) (i32.const 299))
            (i32.const 3000))"
            .to_owned(),
        ..Guest::on_request(
            "(call $drop-request (local.get $req))
            (if (result i32) (i32.load (i32.const 100000)) (then (call $answer)) (else
                (i32.store (i32.const 100000) (i32.const 1)) (i32.const 16)))",
        )
    }
}

fn passes(filter: &Attached) -> bool {
    matches!(
        now(filter.on_request(exchange())).1,
        Ok(RequestVerdict::Next)
    )
}

#[test]
fn with_an_instance_a_request_nothing_is_left_of_the_one_before() {
    let fresh = plugin(&remembering(), |spec| spec.isolation = Isolation::Request);
    let fresh = filter(&attach(&fresh));
    for _ in 0..50 {
        assert!(passes(&fresh));
    }
    // Otherwise a guest may keep what it likes.
    let shared = filter(&attach(&plugin(&remembering(), |_| {})));
    assert!(passes(&shared) && !passes(&shared));
}

#[test]
fn a_thousand_configurations_leave_one_instance() {
    let plugin = plugin(&reader(), |_| {});
    let counts = || plugin.shared().instances();
    let mut kept = filter(&attach(&plugin));
    assert!(passes(&kept));
    let before = counts();
    for number in 0..1000 {
        let config = format!("{{\"number\":{number}}}");
        kept = filter(&attach_with(&plugin, &config).unwrap());
        assert!(passes(&kept));
        if number % 100 == 0 {
            wasm::tidy();
        }
    }
    let after = counts();
    assert_eq!((after.alive, after.memory), (before.alive, before.memory));
    assert_eq!(after.failed, 0);
}

#[test]
fn a_thousand_versions_leave_nothing_behind() {
    let component = Arc::new(load(&reader()).unwrap());
    let shared = Arc::new(Shared::default());
    let mut pooled = 0;
    for _ in 0..1000 {
        let spec = PluginSpec {
            name: "default/test".to_owned(),
            component: Arc::clone(&component),
            grants: Grants::default(),
            limits: Limits::default(),
            isolation: Isolation::Shared,
            shared: Arc::clone(&shared),
        };
        let plugin = Plugin::new(engine(), spec).unwrap();
        assert!(passes(&filter(&attach(&plugin))));
        wasm::tidy();
        pooled = pooled.max(shared.instances().alive);
    }
    assert!(
        pooled <= 2,
        "an idle instance leaves at the second look: {pooled}"
    );
    wasm::tidy();
    wasm::tidy();
    assert_eq!(shared.instances().alive, 0);
    assert_eq!(shared.instances().memory, 0);
}

#[test]
fn values_of_another_plugin_are_not_seen() {
    let guest = Guest {
        world: "import portcullis:filter/key-value@0.1.0;",
        own: r#"(import "portcullis:filter/key-value@0.1.0" "increment" (func $add (param i32 i32 i64 i32 i32 i32)))
            (data (i32.const 1024) "key")"#
            .to_owned(),
        // Answers 200 plus the sum.
        ..Guest::on_request(
            "(call $drop-request (local.get $req))
            (call $add (i32.const 1024) (i32.const 3) (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 2048))
            (i32.store8 (i32.const 3000) (i32.const 1))
            (i32.store16 (i32.const 3004) (i32.add (i32.const 200) (i32.load (i32.const 2056))))
            (i32.const 3000)",
        )
    };
    let make = || plugin(&guest, |spec| spec.grants.key_value = Some(10_000));
    let sum = |plugin: &Arc<Plugin>, namespace: &str| {
        let attachment = plugin
            .attach(namespace, "site/filter", "{}".to_owned())
            .unwrap();
        let filter = filter(&attachment);
        let sums: Vec<u16> = (0..2)
            .map(|_| match now(filter.on_request(exchange())).1 {
                Ok(RequestVerdict::Respond(answer)) => answer.status().as_u16() - 200,
                other => panic!("{other:?}"),
            })
            .collect();
        sums
    };
    let (one, other) = (make(), make());
    assert_eq!(sum(&one, "a"), [1, 2]);
    assert_eq!(sum(&other, "a"), [1, 2], "another plugin");
    assert_eq!(sum(&one, "b"), [1, 2], "another namespace");
}

#[test]
fn handles_to_buckets_are_limited() {
    // 700 a hook, and none is dropped: at the second hook there are too many.
    let guest = Guest {
        world: "import portcullis:filter/rate-limit@0.1.0;",
        own: r#"(import "portcullis:filter/rate-limit@0.1.0" "[static]bucket.open" (func $open (param i32 i32 i32 i32 i32)))
            (data (i32.const 1024) "name")
            (data (i32.const 1040) "\01\00\00\00\60\ea\00\00\02\00\00\00")"#
            .to_owned(),
        ..Guest::on_request(&format!(
            "(local.set $config (i32.const 700))
            (loop
                (call $open (i32.const 1024) (i32.const 4) (i32.const 1040) (i32.const 1) (i32.const 2048))
                (br_if 0 (local.tee $config (i32.sub (local.get $config) (i32.const 1)))))
            {NEXT}"
        ))
    };
    let plugin = plugin(&guest, |spec| {
        spec.grants.rate_limit = true;
        // It runs here all the same.
        spec.limits.time = Duration::from_secs(5);
    });
    let attachment = attach(&plugin);
    let mut instances = Instances::new();
    assert!(instances.on_request(&attachment, exchange()).1.is_ok());
    let failure = instances.on_request(&attachment, exchange()).1.unwrap_err();
    assert!(failure.to_string().contains("buckets"), "{failure}");
}

#[test]
fn configurations_are_checked_against_the_schema_before_the_plugin_is_asked() {
    let guest = Guest {
        schema: r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"enum":["x","y"]}},"required":["c"]}"#,
        configure: "unreachable".to_owned(),
        ..Guest::default()
    };
    let plugin = plugin(&guest, |_| {});
    let Failure::Config(errors) = attach_with(&plugin, r#"{"a":"no","b":"z"}"#).err().unwrap()
    else {
        panic!("the plugin was asked");
    };
    let mut places: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["", "/a", "/b"], "{errors:?}");
    let failure = attach_with(&plugin, "{").err().unwrap();
    assert!(failure.to_string().contains("not JSON"), "{failure}");
    let trapped = attach_with(&plugin, r#"{"c":1}"#).err().unwrap();
    assert_eq!(trapped.word(), "plugin-trap");
}
