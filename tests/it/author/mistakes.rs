//! What authors get wrong, and what they are told.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{portcullis, repository, scaffold, sdk};

/// It ends with this code and says this.
fn told(folder: &Path, arguments: &[&str], code: i32, what: &str) {
    let outcome = portcullis(folder, arguments);
    assert_eq!(outcome.code, code, "{arguments:?} {outcome:?}");
    assert!(outcome.stderr.contains(what), "{arguments:?} {outcome:?}");
    assert_eq!(outcome.stdout, "", "{arguments:?}");
}

#[test]
fn a_filter_needs_a_name_and_a_place_of_its_own() {
    let folder = TempDir::new().expect("a temporary folder");
    let at = |name: &str, what: &str| told(folder.path(), &["new", name, "--sdk", sdk()], 2, what);
    for name in ["My-Filter", "my_filter", "2nd", "..", "é", "a.b"] {
        at(
            name,
            "is no name for a plugin; write small letters, digits and '-', as in my-filter",
        );
    }
    fs::create_dir(folder.path().join("there")).expect("a folder");
    at(
        "there",
        "there is there already; write another folder, or move it away",
    );
    assert_eq!(
        fs::read_dir(folder.path().join("there"))
            .expect("a folder")
            .count(),
        0
    );
    let arguments = ["new", "mine", "--sdk", "nowhere"];
    told(
        folder.path(),
        &arguments,
        2,
        "there is no SDK at nowhere; write its folder",
    );
    assert!(!folder.path().join("mine").exists());
}

#[test]
fn a_folder_that_is_no_package_is_not_built() {
    let folder = TempDir::new().expect("a temporary folder");
    let what = "write the folder of a package, as `portcullis plugin new` makes it";
    told(folder.path(), &["build"], 2, what);
    told(folder.path(), &["build", "nowhere"], 2, what);
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins");
    told(
        folder.path(),
        &["build", plugins],
        2,
        "is a workspace, not a package",
    );
    fs::write(folder.path().join("Cargo.toml"), "no manifest").expect("a folder");
    told(
        folder.path(),
        &["build"],
        2,
        "cargo cannot read the package",
    );
}

/// A package of this library.
fn package(library: &str, kind: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let manifest = format!(
        "[package]\nname = \"mine\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"{kind}\"]\n[workspace]\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("a folder");
    fs::create_dir(folder.path().join("src")).expect("a folder");
    fs::write(folder.path().join("src/lib.rs"), library).expect("a folder");
    folder
}

#[test]
fn a_library_of_another_kind_is_not_built() {
    let folder = package("", "rlib");
    told(
        folder.path(),
        &["build"],
        1,
        "write crate-type = [\"cdylib\"] under [lib] in its Cargo.toml",
    );
}

#[test]
fn a_package_without_a_filter_is_told_to_have_one() {
    let folder = repository().join("bare");
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let manifest = fs::read_to_string(scaffold().folder.join("Cargo.toml")).expect("a manifest");
    fs::write(
        folder.join("Cargo.toml"),
        manifest.replace("my-filter", "bare"),
    )
    .expect("a folder");
    fs::write(folder.join("src/lib.rs"), "//! Nothing.\n").expect("a folder");
    let outcome = portcullis(&folder, &["build"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (1, ""),
        "{outcome:?}"
    );
    assert!(
        outcome
            .stderr
            .contains("write #[filter] on its `impl Filter`"),
        "{outcome:?}"
    );
    assert!(!folder.join("bare.wasm").exists());
    // And what the compiler says of code that it does not take.
    fs::write(folder.join("src/lib.rs"), "fn wrong() -> u8 { \"text\" }\n").expect("a folder");
    let outcome = portcullis(&folder, &["build"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("mismatched types"), "{outcome:?}");
}

#[test]
fn a_file_that_is_no_component_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path();
    let write = |name: &str, bytes: &[u8]| fs::write(path.join(name), bytes).expect("a folder");
    write("text.wasm", b"not WebAssembly");
    write("module.wasm", b"\0asm\x01\0\0\0");
    write("component.wasm", b"\0asm\x0d\0\x01\0");
    for command in ["inspect", "bench", "test"] {
        write("cases.jsonl", b"{\"request\": {}, \"expect\": {}}");
        let on = |file: &str, what: &str| told(path, &[command, file], 2, what);
        on(
            "nowhere.wasm",
            "cannot read nowhere.wasm; write the path of a component",
        );
        on(
            "text.wasm",
            "text.wasm cannot be loaded: it is not WebAssembly",
        );
        on(
            "module.wasm",
            "run: portcullis plugin build module.wasm --output FILE",
        );
        on(
            "component.wasm",
            "component.wasm cannot be loaded: it does not export `portcullis:filter/plugin`",
        );
    }
    let build = |file: &str, code: i32, what: &str| {
        told(path, &["build", file, "--output", "out.wasm"], code, what);
    };
    build("text.wasm", 1, "text.wasm is no module of a filter");
    build("module.wasm", 1, "module.wasm exports no filter");
    build("nowhere.wasm", 2, "write the folder of a package");
    told(path, &["build", "module.wasm"], 2, "write --output FILE");
    assert!(!path.join("out.wasm").exists());
}

#[test]
fn bench_says_what_it_lacks() {
    let folder = &scaffold().folder;
    let bench = |more: &[&str], what: &str| {
        let all = [&["bench", "my-filter.wasm"], more].concat();
        told(folder, &all, 2, what);
    };
    bench(&[], "write its configuration with --config JSON");
    bench(&["--config", "name"], "--config is not JSON");
    bench(
        &[
            "--config",
            r#"{"name": "you"}"#,
            "--request",
            r#"{"pth": "/"}"#,
        ],
        "unknown field `pth`",
    );
}

#[test]
fn every_command_has_help() {
    let folder = TempDir::new().expect("a temporary folder");
    for command in ["new", "build", "test", "inspect", "bench"] {
        let outcome = portcullis(folder.path(), &[command, "--help"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(
            outcome.stdout.contains("Usage: portcullis plugin"),
            "{outcome:?}"
        );
    }
    let help = portcullis(folder.path(), &["test", "--help"]).stdout;
    assert!(help.contains("verdict: next, respond"), "{help}");
}
