//! What `docs/plugins.md` shows, done.

use std::{fs, path::Path, process::Command};

use harness::{gateway, run, target, upstream};

use super::{portcullis, repository, sdk, works};

/// The first block of a language in the page.
fn block(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugins.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, rest) = page
        .split_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("no block of {language}"));
    let (text, _) = rest.split_once("```\n").expect("the end of a block");
    text.to_owned()
}

#[tokio::test]
async fn the_filter_of_the_page_is_tested_built_and_serves() {
    let folder = repository().join("hello");
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a folder");
    let manifest = block("toml").replace("../portcullis/sdk", sdk());
    // Below a target folder it would belong to this workspace.
    write("Cargo.toml", &(manifest + "\n[workspace]\n"));
    write("src/lib.rs", &block("rust"));
    write("cases.jsonl", &block("jsonl"));

    works(&folder, &["build"]);
    assert_eq!(
        works(&folder, &["test", "hello.wasm"]),
        "3 passed, 0 failed\n"
    );
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tests = run(Command::new(cargo)
        .args(["test", "--locked", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", target().join("author")));
    assert_eq!(tests.code, 0, "{}", tests.stderr);

    let up = upstream().start().await;
    let gw = gateway()
        .service("web", 80, &[&up])
        .file("web.yaml", &block("yaml"))
        .start()
        .await;
    let component = fs::read(folder.join("hello.wasm")).expect("a component");
    gw.write_bytes("hello.wasm", &component);
    gw.until_status("a.test", "/", 200).await;
    assert_eq!(
        gw.get("a.test", "/").await.saw().header("x-hello"),
        Some("you")
    );
    let problems = gw.admin_get("/api/v1/problems").await.json();
    assert_eq!(
        problems["problems"].as_array().map(Vec::len),
        Some(0),
        "{problems}"
    );
}

#[test]
fn the_commands_of_the_page_are_those_of_the_program() {
    let page = block("sh");
    let commands = page
        .lines()
        .filter_map(|line| line.strip_prefix("portcullis plugin "));
    let mut names: Vec<_> = commands.filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["bench", "build", "inspect", "new", "test"]);
    for name in names {
        let outcome = portcullis(Path::new("."), &[name, "--help"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
}
