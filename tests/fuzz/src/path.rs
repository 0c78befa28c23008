//! The normal form of a path.
//!
//! Normalising twice is normalising once; nothing climbs; what is matched is what is forwarded; and browsers, that
//! resolve dot segments by the same RFC, come to the same segments.

use route::{HostPattern, PathError, PathPattern, Table, collapse, normalise};
use url::Url;

/// Any text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let path = format!("/{}", text.strip_prefix('/').unwrap_or(text));
    let normal = match normalise(&path) {
        Ok(normal) => normal.into_owned(),
        Err(error) => return refused(&path, error),
    };
    assert_eq!(normalise(&normal).as_deref(), Ok(&*normal), "{path:?}");
    assert!(normal.starts_with('/') && normal.is_ascii());
    assert!(
        !normal
            .bytes()
            .any(|b| b <= b' ' || b == 0x7f || b"\"\\?#".contains(&b)),
        "{normal:?}"
    );
    assert!(
        normal
            .split('/')
            .all(|segment| !matches!(segment, "." | "..")),
        "{normal:?}"
    );
    assert!(
        !normal.to_ascii_lowercase().contains("%2e"),
        "{normal:?} hides a dot"
    );

    // It is what the backend gets, byte for byte, and what the backend would match.
    if path.parse::<http::Uri>().is_ok() {
        let sent: http::Uri = normal
            .parse()
            .unwrap_or_else(|error| panic!("{normal:?} is no target: {error}"));
        assert_eq!(sent.path(), normal);
    }
    let table = table();
    let found = |path: &str| table.find("a.test", path).map(|found| *found.target);
    assert_eq!(found(&normal), found(&collapse(&normal)), "{normal:?}");

    // What could be the drive of a file's path, this parser keeps.
    if path
        .split('/')
        .any(|segment| matches!(segment.as_bytes(), [b'a'..=b'z' | b'A'..=b'Z', b':' | b'|']))
    {
        return;
    }
    let browser =
        Url::parse("http://a.test").and_then(|base| base.join(&format!("http://a.test{path}")));
    let browser = browser.expect("a path that browsers take");
    assert_eq!(segments(&normal), segments(browser.path()), "{path:?}");
}

/// What is refused is broken.
fn refused(path: &str, error: PathError) {
    let broken = path
        .split('%')
        .skip(1)
        .any(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() < 2);
    let so = match error {
        PathError::Backslash => path.contains('\\') || path.to_ascii_lowercase().contains("%5c"),
        PathError::Climbs => path.contains("..") || path.to_ascii_lowercase().contains("%2e"),
        PathError::Control => path
            .bytes()
            .any(|b| !(0x21..0x7f).contains(&b) || b"\"#?".contains(&b)),
        PathError::Nul => path.contains("%00"),
        PathError::Parameter => path.contains(';'),
        PathError::Percent => broken,
        PathError::Relative => false,
    };
    assert!(so, "{path:?} is refused as {error:?}");
}

/// The segments as bytes.
fn segments(path: &str) -> Vec<Vec<u8>> {
    path.split('/').map(decoded).collect()
}

fn decoded(segment: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = segment;
    while let Some(next) = rest.chars().next() {
        let hex = rest.get(1..3).filter(|_| next == '%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[3..];
            }
            None => {
                let (own, after) = rest.split_at(next.len_utf8());
                bytes.extend_from_slice(own.as_bytes());
                rest = after;
            }
        }
    }
    bytes
}

fn table() -> Table<u8> {
    let rule = |path: PathPattern, target| (HostPattern::Any, path, target);
    let prefix = |path: &str| PathPattern::Prefix(path.to_owned());
    let rules = [
        rule(prefix("/"), 0),
        rule(prefix("/a"), 1),
        rule(prefix("/a/b"), 2),
        rule(PathPattern::Exact("/a/b/".to_owned()), 3),
        rule(prefix("/a%2Fb"), 4),
    ];
    Table::build(rules, [], None)
}
