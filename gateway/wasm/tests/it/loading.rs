//! What is refused at load, each with its own error, and what the cache does.

use std::os::unix::fs::PermissionsExt;

use wasm::{Capability, Hook};

use super::{guests::*, *};

const RANDOM: &str = "import portcullis:filter/random@0.1.0;";

/// Draws a random number.
fn dice() -> Guest {
    Guest {
        world: RANDOM,
        own: r#"(import "portcullis:filter/random@0.1.0" "get-u64" (func $random (result i64)))"#
            .to_owned(),
        ..Guest::on_request(&format!("(drop (call $random)) {NEXT}"))
    }
}

fn error(bytes: &[u8]) -> LoadError {
    match Component::load(engine(), bytes) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

#[test]
fn a_component_says_who_it_is_and_what_it_needs() {
    let guest = Guest {
        schema: r#"{"type":"object"}"#,
        on_response: Some(NEXT_RESPONSE.to_owned()),
        ..dice()
    };
    let component = load(&guest).unwrap();
    assert_eq!(component.info().name, "guest");
    assert_eq!(component.info().version, "1.2.3");
    assert_eq!(component.info().schema, r#"{"type":"object"}"#);
    assert_eq!(component.hooks(), [Hook::Request, Hook::Response]);
    assert_eq!(component.capabilities(), [Capability::Random]);
    assert_eq!(component.digest().len(), 64);
}

#[test]
fn what_is_no_component_is_told_apart() {
    assert!(matches!(error(b""), LoadError::NotWasm));
    assert!(matches!(error(b"\x7fELF and more"), LoadError::NotWasm));
    let module = wat::parse_str("(module)").unwrap();
    assert!(matches!(error(&module), LoadError::CoreModule));
    let whole = reader().build();
    assert!(matches!(error(&whole[..6]), LoadError::Truncated { at: 4 }));
    for length in [9, 100, whole.len() / 2, whole.len() - 1] {
        let cut = error(&whole[..length]);
        assert!(
            matches!(cut, LoadError::Truncated { .. }),
            "{length}: {cut}"
        );
    }
    // A section of types that holds none.
    let broken = error(b"\0asm\x0d\0\x01\0\x07\x02\xff\xff");
    assert!(matches!(broken, LoadError::Malformed(_)), "{broken}");
    let large = vec![0; 33 << 20];
    assert!(matches!(error(&large), LoadError::TooLarge { size } if size == 33 << 20));
}

#[test]
fn another_version_of_the_world_is_named() {
    let wit = include_str!("../../../../wit/filter.wit").replace("filter@0.1.0;", "filter@0.2.0;");
    let refused = error(&reader().build_against(&wit));
    assert!(
        matches!(&refused, LoadError::Version { found } if found == "0.2.0"),
        "{refused}"
    );
}

#[test]
fn what_the_world_does_not_have_is_refused_by_name() {
    let component = |text: &str| wat::parse_str(text).unwrap();
    let foreign = component(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#);
    let refused = error(&foreign);
    assert!(
        refused.to_string().contains("wasi:cli/environment@0.2.0"),
        "{refused}"
    );
    assert!(matches!(refused, LoadError::Foreign { .. }));
    let client = component(r#"(component (import "portcullis:filter/teleport@0.1.0" (instance)))"#);
    assert!(matches!(error(&client), LoadError::Unavailable { .. }));
    assert!(matches!(
        error(&component("(component)")),
        LoadError::NoPlugin
    ));
    let idle = Guest {
        on_request: None,
        ..Guest::default()
    };
    assert!(matches!(error(&idle.build()), LoadError::NoHook));
}

#[test]
fn an_import_without_its_grant_is_refused_by_name() {
    let Err(refused) = Plugin::new(engine(), spec(load(&dice()).unwrap())) else {
        panic!("it was accepted");
    };
    assert!(matches!(refused, LoadError::NotGranted(Capability::Random)));
    assert!(refused.to_string().contains("random: true"), "{refused}");
    let plugin = plugin(&dice(), |spec| spec.grants.random = true);
    let (_, verdict) = Instances::new().on_request(&attach(&plugin), exchange());
    assert!(verdict.is_ok());
}

#[test]
fn describe_may_neither_loop_nor_trap_nor_use_what_is_granted() {
    let describing = |body: &str| {
        let guest = Guest {
            describe: format!("{body} i32.const 64"),
            ..dice()
        };
        error(&guest.build())
    };
    let looped = describing("(loop (br 0))");
    assert!(
        matches!(looped, LoadError::Describe(Failure::Timeout)),
        "{looped}"
    );
    let trapped = describing("unreachable");
    assert!(
        matches!(trapped, LoadError::Describe(Failure::Trap { .. })),
        "{trapped}"
    );
    let eager = describing("(drop (call $random))");
    assert!(eager.to_string().contains("`describe`"), "{eager}");
    for schema in ["", "not json", "[]", "1"] {
        let guest = Guest {
            schema,
            ..Guest::default()
        };
        assert!(
            matches!(error(&guest.build()), LoadError::Schema { .. }),
            "{schema:?}"
        );
    }
}

#[test]
fn more_memory_than_the_limit_is_refused_before_it_is_used() {
    let component = load(&Guest::default()).unwrap();
    let mut spec = spec(component);
    spec.limits.memory = 64 << 10;
    let refused = Plugin::new(engine(), spec).err().unwrap();
    assert!(
        matches!(
            refused,
            LoadError::Memory {
                needed: 0x20000,
                limit: 0x10000
            }
        ),
        "{refused}"
    );
}

#[test]
fn ten_thousand_instances_in_one_component_are_refused() {
    let instances = "(core instance (instantiate $m))".repeat(10_000);
    let text = format!("(component (core module $m (memory 1)) {instances})");
    let refused = error(&wat::parse_str(text).unwrap());
    assert!(matches!(refused, LoadError::Malformed(_)), "{refused}");
}

#[test]
fn what_was_compiled_is_found_again_and_nothing_else_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let settings = Settings {
        cache: Some(cache.clone()),
        instances: 8,
        ..Settings::default()
    };
    let engine = Engine::new(&settings).unwrap();
    let bytes = reader().build();
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&cache).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    Component::load(&engine, &bytes).unwrap();
    let [file] = &files()[..] else {
        panic!("one file");
    };
    let written = || std::fs::metadata(file).unwrap().modified().unwrap();
    let first = written();
    Component::load(&engine, &bytes).unwrap();
    assert_eq!(written(), first, "it was compiled again");

    // A byte of the machine code changes: it is compiled again and put right.
    let good = std::fs::read(file).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(file, &bad).unwrap();
    Component::load(&engine, &bytes).unwrap();
    assert_eq!(std::fs::read(file).unwrap().len(), good.len());
    assert_ne!(std::fs::read(file).unwrap(), bad);

    // A folder that others can write to is not used at all.
    std::fs::remove_file(file).unwrap();
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o770)).unwrap();
    let engine = Engine::new(&settings).unwrap();
    Component::load(&engine, &bytes).unwrap();
    assert!(files().is_empty());
}
