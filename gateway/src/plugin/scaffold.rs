//! `portcullis plugin new`: a filter that works, to change into another one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;

use crate::{
    cli::{Mistakes, NewFlags},
    say,
};

/// Writes the files of a new plugin.
pub(super) fn command(flags: NewFlags) -> anyhow::Result<ExitCode> {
    let NewFlags { folder, sdk } = flags;
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.filter(|name| is_name(name)).ok_or_else(|| {
        Mistakes::one(format!(
            "'{}' is no name for a plugin; write small letters, digits and '-', as in my-filter",
            folder.display()
        ))
    })?;
    if folder.exists() {
        return Err(Mistakes::one(format!(
            "{} is there already; write another folder, or move it away",
            folder.display()
        ))
        .into());
    }
    let sdk = match &sdk {
        Some(path) => Some(path.canonicalize().with_context(|| {
            Mistakes::one(format!(
                "there is no SDK at {}; write its folder",
                path.display()
            ))
        })?),
        None => sdk_around(&env::current_dir()?),
    };
    let version = env!("CARGO_PKG_VERSION");
    let dependency = match &sdk {
        Some(path) => format!("{{ path = {:?} }}", path.display().to_string()),
        None => format!("\"{version}\""),
    };
    let type_name = camel_case(name);
    for (path, text) in FILES {
        let text = text
            .replace("NAME", name)
            .replace("TYPE", &type_name)
            .replace("SDK", &dependency);
        write(&folder.join(path), &text)?;
    }
    let shown = folder.display();
    say(&format!(
        "{shown} is a filter that sets a header. Next:\n\
         \x20   cd {shown} && cargo test\n\
         \x20   portcullis plugin build\n\
         \x20   portcullis plugin test {name}.wasm\n\
         \x20   portcullis plugin inspect {name}.wasm"
    ));
    if sdk.is_none() {
        say(&format!(
            "It takes portcullis-sdk {version} from cargo's registry; where that is not there, write --sdk DIR."
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The SDK of the sources that one stands in.
fn sdk_around(folder: &Path) -> Option<PathBuf> {
    let mut sdks = folder.ancestors().map(|folder| folder.join("sdk"));
    sdks.find(|sdk| {
        let manifest = fs::read_to_string(sdk.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.contains("name = \"portcullis-sdk\""))
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file stands in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 63
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `my-filter` as the name of a type: `MyFilter`.
fn camel_case(name: &str) -> String {
    let words = name.split('-').filter_map(|word| {
        let (first, rest) = word.split_at_checked(1)?;
        Some(first.to_ascii_uppercase() + rest)
    });
    words.collect()
}

/// What a plugin begins with. `NAME`, `TYPE` and `SDK` are replaced.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("cases.jsonl", include_str!("template/cases.jsonl.txt")),
    ("plugin.yaml", include_str!("template/plugin.yaml.txt")),
    (".gitignore", "/target\n*.wasm\n"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages_and_objects() {
        for name in ["a", "my-filter", "geo2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2geo", "My", "a_b", "a/b", "-a", "ä"] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!(camel_case("my-filter2"), "MyFilter2");
    }
}
