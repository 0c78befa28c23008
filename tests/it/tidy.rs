//! What the compiler cannot check: which room may know which, and how files begin and end.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Where our code is.
const FOLDERS: [&str; 4] = ["gateway", "plugins", "sdk", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The names under `[dependencies]` of a package's manifest.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest =
        std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
    let lines = manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', '=', ' ']).next());
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Whether a file holds unit tests, below `src`.
fn is_unit_test(path: &Path) -> bool {
    let mut below = path
        .components()
        .skip_while(|part| part.as_os_str() != "src");
    below.any(|part| {
        Path::new(part.as_os_str())
            .file_stem()
            .is_some_and(|stem| stem == "tests")
    })
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source file")
}

#[test]
fn rooms_know_only_what_they_may() {
    let ours = ["route", "ingress", "proxy", "wasm", "portcullis", "sdk"];
    let allowed = [
        ("gateway/route", &[][..]),
        ("gateway/ingress", &["route"]),
        ("gateway/proxy", &["route"]),
        ("gateway/wasm", &["proxy", "route"]),
        ("gateway", &["ingress", "proxy", "route", "wasm"]),
    ];
    for (folder, allowed) in allowed {
        let known: Vec<String> = dependencies(folder)
            .into_iter()
            .filter(|name| ours.contains(&name.as_str()))
            .collect();
        let forbidden: Vec<_> = known
            .iter()
            .filter(|name| !allowed.contains(&name.as_str()))
            .collect();
        assert!(forbidden.is_empty(), "{folder} knows {forbidden:?}");
    }
}

/// The lints of a workspace, without its comments.
fn lints(manifest: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(manifest)).expect("a manifest");
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim_end());
    let mut kept = Vec::new();
    let mut inside = false;
    for line in lines {
        if line.starts_with('[') {
            inside = line.starts_with("[workspace.lints");
        }
        if inside && !line.is_empty() {
            kept.push(line.to_owned());
        }
    }
    kept
}

#[test]
fn all_workspaces_keep_the_same_lints() {
    let ours = lints("Cargo.toml");
    assert!(!ours.is_empty());
    for other in ["plugins/Cargo.toml", "tests/fuzz/Cargo.toml"] {
        assert_eq!(lints(other), ours, "{other}");
    }
}

#[test]
fn big_libraries_live_in_one_room_each() {
    let homes = [
        ("k8s-openapi", &["gateway/ingress"][..]),
        ("kube", &["gateway/ingress"]),
        ("wasmtime", &["gateway/wasm"]),
        ("tokio-rustls", &["gateway/proxy", "gateway/wasm"]),
    ];
    for (library, homes) in homes {
        for folder in [
            "gateway",
            "gateway/route",
            "gateway/ingress",
            "gateway/proxy",
            "gateway/wasm",
        ] {
            let known = dependencies(folder).contains(library);
            assert!(
                !known || homes.contains(&folder),
                "{folder} knows {library}"
            );
        }
    }
    let pure = dependencies("gateway/route");
    for library in ["tokio", "hyper", "rustls", "arc-swap", "tracing", "socket2"] {
        assert!(!pure.contains(library), "route knows {library}");
    }
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let all = FOLDERS.map(|folder| sources(&root().join(folder)));
    let silent: Vec<_> = all
        .into_iter()
        .flatten()
        .filter(|path| !read(path).starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn files_stay_short() {
    let all = FOLDERS.map(|folder| sources(&root().join(folder)));
    let mut long = Vec::new();
    for path in all.into_iter().flatten().filter(|path| !is_unit_test(path)) {
        let text = read(&path);
        // A small test module may stand at the end of its file.
        let lines = text.lines().take_while(|line| *line != "mod tests {");
        let lines = lines.count();
        if lines > 350 {
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn nothing_is_left_to_do_without_a_number() {
    let (todo, fixme) = (["TO", "DO"].concat(), ["FIX", "ME"].concat());
    for folder in FOLDERS {
        for path in sources(&root().join(folder)) {
            let text = read(&path);
            for (number, line) in text.lines().enumerate() {
                let open = line.contains(&fixme)
                    || (line.contains(&todo) && !line.contains(&format!("{todo}(#")));
                assert!(!open, "{}:{}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn no_test_is_skipped_or_expected_to_panic() {
    let marks = ["ignore", "should_panic"].map(|mark| format!("#[{mark}"));
    for folder in FOLDERS {
        for path in sources(&root().join(folder)) {
            let text = read(&path);
            for mark in &marks {
                let found = text.lines().any(|line| line.trim_start().starts_with(mark));
                assert!(!found, "{} has {mark}]", path.display());
            }
        }
    }
}
