//! `portcullis plugin`, as authors of filters use it.

mod cases;
mod docs;
mod hooks;
mod mistakes;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use harness::{Outcome, gateway, ingress, portcullis_command, run, target, upstream};
use serde_json::{Value, json};

/// A filter that was begun and built by the commands.
struct Scaffold {
    folder: PathBuf,
    begun: Outcome,
    built: Outcome,
}

fn scaffold() -> &'static Scaffold {
    static SCAFFOLD: OnceLock<Scaffold> = OnceLock::new();
    SCAFFOLD.get_or_init(|| {
        let around = repository();
        let begun = portcullis(around, &["new", "my-filter", "--sdk", sdk()]);
        let folder = around.join("my-filter");
        let built = portcullis(&folder, &["build"]);
        Scaffold {
            folder,
            begun,
            built,
        }
    })
}

/// A repository for filters, which all of them are named from: the standard library is built for them once, and is
/// still there in the next run of the tests.
fn repository() -> &'static Path {
    static REPOSITORY: OnceLock<PathBuf> = OnceLock::new();
    REPOSITORY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author");
        let _none = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join(".git")).expect("a folder");
        folder
    })
}

fn sdk() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk")
}

/// Runs `portcullis plugin` in a folder.
fn portcullis(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut program = portcullis_command();
    program
        .arg("plugin")
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target().join("author"));
    run(&mut program)
}

/// The same, where it works.
fn works(folder: &Path, arguments: &[&str]) -> String {
    let outcome = portcullis(folder, arguments);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout
}

#[test]
fn a_new_filter_says_what_to_do_next_and_that_works() {
    let Scaffold {
        folder,
        begun,
        built,
    } = scaffold();
    assert_eq!(begun.code, 0, "{begun:?}");
    for next in [
        "cd my-filter && cargo test",
        "plugin build",
        "plugin test my-filter.wasm",
    ] {
        assert!(begun.stdout.contains(next), "{begun:?}");
    }
    assert_eq!(built.code, 0, "{built:?}");
    let size = std::fs::metadata(folder.join("my-filter.wasm"))
        .expect("a component")
        .len();
    assert!(
        built
            .stdout
            .contains(&format!("my-filter.wasm ({size} bytes)")),
        "{built:?}"
    );
    assert!(size < 250_000, "{size}");
    assert_eq!(
        works(folder, &["test", "my-filter.wasm"]),
        "2 passed, 0 failed\n"
    );
}

#[test]
fn the_sdk_is_that_of_the_sources_around_or_the_published_one() {
    let place = tempfile::TempDir::new().expect("a temporary folder");
    let manifest = |name: &str| {
        let manifest = place.path().join(name).join("Cargo.toml");
        std::fs::read_to_string(manifest).expect("a manifest")
    };
    let inside = place.path().join("inside").display().to_string();
    let said = works(Path::new(env!("CARGO_MANIFEST_DIR")), &["new", &inside]);
    assert!(!said.contains("registry"), "{said}");
    let own = Path::new(sdk()).canonicalize().expect("the SDK");
    let dependency = format!("portcullis-sdk = {{ path = {own:?} }}");
    assert!(manifest("inside").contains(&dependency));
    let said = works(place.path(), &["new", "outside"]);
    assert!(
        said.contains("from cargo's registry; where that is not there, write --sdk DIR"),
        "{said}"
    );
    assert!(manifest("outside").contains("portcullis-sdk = \"0.1.0\""));
}

#[test]
fn a_new_filter_passes_its_tests_natively() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tests = Command::new(cargo);
    // Locked by the build before.
    tests
        .args(["test", "--locked", "--offline"])
        .current_dir(&scaffold().folder)
        .env("CARGO_TARGET_DIR", target().join("author"));
    let outcome = run(&mut tests);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("everyone_is_greeted ... ok"),
        "{}",
        outcome.stdout
    );
}

#[tokio::test]
async fn a_new_filter_serves_with_the_manifest_that_comes_with_it() {
    let folder = &scaffold().folder;
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a file of the filter");
    let manifest = String::from_utf8(read("plugin.yaml")).expect("text");
    let up = upstream().start().await;
    let web = ingress("web")
        .annotation("portcullis.dev/filters", "my-filter")
        .annotation("portcullis.dev/filter.my-filter", "{name: you}")
        .host("a.test")
        .path("/", "svc", 80);
    let gw = gateway()
        .manifest(web)
        .service("svc", 80, &[&up])
        .file("plugin.yaml", &manifest)
        .start()
        .await;
    gw.write_bytes("my-filter.wasm", &read("my-filter.wasm"));
    gw.until_status("a.test", "/", 200).await;
    assert_eq!(
        gw.get("a.test", "/").await.saw().header("x-hello"),
        Some("you")
    );
}

#[tokio::test]
async fn a_file_in_the_operators_folder_is_a_filter_by_its_name() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let code = scaffold().folder.join("my-filter.wasm");
    std::fs::copy(code, folder.path().join("greet.wasm")).expect("a copy");
    let up = upstream().start().await;
    let web = ingress("web")
        .namespace("shop")
        .annotation("portcullis.dev/filters", "greet")
        .annotation("portcullis.dev/filter.greet", "{name: all}")
        .host("a.test")
        .path("/", "svc", 80);
    let gw = gateway()
        .manifest(web)
        .manifest(harness::service("svc", &[("http", 80)]).namespace("shop"))
        .manifest(
            harness::slice(
                "svc",
                "1",
                ("http", up.address().port()),
                &[harness::endpoint(up.address(), &json!({"ready": true}))],
            )
            .namespace("shop"),
        )
        .flag("--plugins", &folder.path().display().to_string())
        .start()
        .await;
    assert_eq!(
        gw.get("a.test", "/").await.saw().header("x-hello"),
        Some("all")
    );
}

#[test]
fn inspect_shows_what_a_component_is_and_needs() {
    let folder = &scaffold().folder;
    let text = works(folder, &["inspect", "my-filter.wasm"]);
    for line in [
        "my-filter 0.1.0\n",
        "  hooks   request-hook\n",
        "  grants  none needed\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let json = works(folder, &["inspect", "my-filter.wasm", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["name"], "my-filter");
    assert_eq!(json["version"], "0.1.0");
    assert_eq!(json["hooks"], json!(["request-hook"]));
    assert_eq!(json["grants"], json!([]));
    assert_eq!(json["imports"], json!([]));
    assert_eq!(json["schema"]["required"], json!(["name"]));
    let code = std::fs::read(folder.join("my-filter.wasm")).expect("the component");
    assert_eq!(json["size"], code.len());
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&code);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(json["digest"], digest);
    assert!(text.contains(&digest), "{text}");
}

#[test]
fn bench_tells_nanoseconds_and_is_a_gate() {
    let folder = &scaffold().folder;
    let bench = |more: &[&str]| {
        let all = ["bench", "my-filter.wasm", "--config", r#"{"name": "you"}"#];
        portcullis(folder, &[&all, more].concat())
    };
    let outcome = bench(&["--max-ns", "1000000000", "--request", r#"{"path": "/a"}"#]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for (line, name) in outcome.stdout.lines().zip(["hot", "fresh"]) {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            (words[0], &words[2..]),
            (name, &["ns", "a", "call"][..]),
            "{line}"
        );
        assert!(words[1].parse::<u64>().is_ok_and(|ns| ns > 0), "{line}");
    }
    let outcome = bench(&["--max-ns", "1"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stdout.contains("more than the 1 ns of --max-ns"),
        "{outcome:?}"
    );
}
