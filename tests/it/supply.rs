//! What the program is made of: every locked package has a licence and a source that `deny.toml` allows,
//! and no second version that it does not name with a reason. cargo-deny (`make audit`) knows more, and
//! takes minutes to build.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};
use toml::Table;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A package that is built for Linux.
struct Package {
    name: String,
    version: String,
    license: String,
    source: Option<String>,
}

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace")
}

/// The packages of a workspace, with all that they need.
fn packages(manifest: &str) -> Vec<Package> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--locked", "--format-version", "1"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    command.arg("--manifest-path").arg(root().join(manifest));
    let outcome = harness::run(&mut command);
    assert_eq!(outcome.code, 0, "{manifest}: {}", outcome.stderr);
    let metadata: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let nodes = list(&metadata["resolve"]["nodes"]);
    let built: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = list(&metadata["packages"]);
    let packages = packages
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| built.contains(id)));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    packages
        .map(|package| Package {
            name: text(&package["name"]).expect("a name"),
            version: text(&package["version"]).expect("a version"),
            license: text(&package["license"]).unwrap_or_default(),
            source: text(&package["source"]),
        })
        .collect()
}

fn rules() -> Table {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    text.parse().expect("TOML")
}

/// The entries of a list of a section: texts, or tables with the field `crate`.
fn entries(rules: &Table, section: &str, list: &str) -> Vec<toml::Value> {
    let list = rules[section][list].as_array();
    list.cloned().unwrap_or_default()
}

fn licensees(names: &[toml::Value]) -> Vec<Licensee> {
    let names = names.iter().filter_map(toml::Value::as_str);
    names
        .map(|name| Licensee::parse(name).expect("the name of a licence"))
        .collect()
}

#[test]
fn every_package_has_a_licence_and_a_source_that_are_allowed() {
    let rules = rules();
    let allowed = licensees(&entries(&rules, "licenses", "allow"));
    let exceptions = entries(&rules, "licenses", "exceptions");
    let mut wrong = Vec::new();
    for manifest in ["Cargo.toml", "plugins/Cargo.toml"] {
        let packages = packages(manifest);
        assert!(packages.len() > 50, "{}", packages.len());
        println!("{manifest}: {} packages", packages.len());
        for Package {
            name,
            version,
            license,
            source,
        } in packages
        {
            let own = exceptions
                .iter()
                .filter(|e| e["crate"].as_str() == Some(&name));
            let own = own.flat_map(|e| licensees(e["allow"].as_array().expect("a list")));
            let own: Vec<_> = own.chain(allowed.iter().cloned()).collect();
            let fits = Expression::parse_mode(&license, ParseMode::LAX)
                .is_ok_and(|terms| terms.evaluate(|term| own.iter().any(|l| l.satisfies(term))));
            if !fits {
                wrong.push(format!("{name} {version}: licence {license:?}"));
            }
            if source.as_deref().is_some_and(|source| source != CRATES_IO) {
                wrong.push(format!("{name} {version}: from {source:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_package_comes_in_two_versions_without_a_reason() {
    let rules = rules();
    let skipped = entries(&rules, "bans", "skip");
    let mut unused: BTreeSet<&str> = skipped.iter().filter_map(|s| s["crate"].as_str()).collect();
    let mut wrong = Vec::new();
    for manifest in ["Cargo.toml", "plugins/Cargo.toml"] {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Package { name, version, .. } in packages(manifest) {
            let skip = skipped
                .iter()
                .filter_map(|s| s["crate"].as_str())
                .find(|skip| {
                    let (skipped, line) = skip.split_once('@').expect("NAME@VERSION");
                    skipped == name && version.starts_with(&format!("{line}."))
                });
            match skip {
                Some(skip) => drop(unused.remove(skip)),
                None => versions.entry(name).or_default().push(version),
            }
        }
        let twice = versions
            .into_iter()
            .filter(|(_, versions)| versions.len() > 1);
        wrong.extend(twice.map(|(name, versions)| format!("{manifest}: {name} {versions:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        unused.is_empty(),
        "deny.toml skips what is not there: {unused:?}"
    );
    let silent = skipped.iter().filter(|s| s["reason"].as_str().is_none());
    assert_eq!(silent.count(), 0, "every one that is skipped has a reason");
}
