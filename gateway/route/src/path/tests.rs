//! Tests of the path module.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{PathError, PathPattern, collapse, normalise};

#[test]
fn paths_take_the_normal_form_of_rfc_3986() {
    let cases = [
        // Section 5.2.4 and 5.4: dot segments.
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/b/../", "/a/"),
        ("/./", "/"),
        ("/.", "/"),
        ("/a/..", "/"),
        ("/a/.../b", "/a/.../b"),
        ("/a/..b/c", "/a/..b/c"),
        ("/a/b../c", "/a/b../c"),
        ("/.a/.b", "/.a/.b"),
        // Section 6.2.2.2: what need not be encoded is not.
        ("/%61", "/a"),
        ("/%41%5A%7a%30%39", "/AZz09"),
        ("/%2D%2e%5F%7E", "/-._~"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E%2e/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        // What must stay encoded does, in the case it was sent.
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2fb"),
        ("/a/%2E%2E%2Fb", "/a/..%2Fb"),
        ("/a%5cb", "/a%5cb"),
        ("/a%20b", "/a%20b"),
        ("/%25", "/%25"),
        ("/%2541", "/%2541"),
        ("/%252e%252e/b", "/%252e%252e/b"),
        ("/%c3%A9", "/%c3%A9"),
        ("/%3f%23", "/%3f%23"),
        ("/%0d%0a", "/%0d%0a"),
        // What may stand raw stays raw.
        ("/a;x=1/b,c", "/a;x=1/b,c"),
        ("/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
        ("/a|b{c}[d]^`<>", "/a|b{c}[d]^`<>"),
        // Empty segments stay: they are names to object stores.
        ("//", "//"),
        ("//a//b//", "//a//b//"),
        ("/a//../b", "/a/b"),
        ("/http://x/y", "/http://x/y"),
        ("/", "/"),
    ];
    for (path, expected) in cases {
        assert_eq!(normalise(path).as_deref(), Ok(expected), "{path:?}");
    }
}

#[test]
fn refused_paths_say_why() {
    let cases = [
        ("", PathError::Relative),
        ("a", PathError::Relative),
        ("*", PathError::Relative),
        ("?", PathError::Relative),
        ("http://a/b", PathError::Relative),
        ("/a\"b", PathError::Control),
        ("/a/..;/b", PathError::Parameter),
        ("/a/.;x=1/b", PathError::Parameter),
        ("/a/%2e%2E;", PathError::Parameter),
        ("/..", PathError::Climbs),
        ("/../a", PathError::Climbs),
        ("/a/../..", PathError::Climbs),
        ("/a/../../b", PathError::Climbs),
        ("/%2e%2e/a", PathError::Climbs),
        ("/a/%2E./.%2e/b", PathError::Climbs),
        ("/./../a", PathError::Climbs),
        ("/%00", PathError::Nul),
        ("/a%00b", PathError::Nul),
        ("/%", PathError::Percent),
        ("/%a", PathError::Percent),
        ("/%zz", PathError::Percent),
        ("/%1g", PathError::Percent),
        ("/a%", PathError::Percent),
        ("/%u0041", PathError::Percent),
        ("/%+1", PathError::Percent),
        ("/% 1", PathError::Percent),
        ("/%%41", PathError::Percent),
        ("/\\", PathError::Backslash),
        ("/a\\..\\b", PathError::Backslash),
        ("/a b", PathError::Control),
        ("/a\tb", PathError::Control),
        ("/a\r\nb", PathError::Control),
        ("/a\0b", PathError::Control),
        ("/a\x7fb", PathError::Control),
        ("/a#b", PathError::Control),
        ("/a?b", PathError::Control),
        ("/é", PathError::Control),
    ];
    for (path, expected) in cases {
        assert_eq!(normalise(path), Err(expected), "{path:?}");
    }
}

#[test]
fn unchanged_paths_are_borrowed() {
    for path in [
        "/",
        "/a/b",
        "/a//b/",
        "/a%20b",
        "/a%2Fb",
        "/...",
        "/.well-known/x",
    ] {
        assert!(matches!(normalise(path), Ok(Cow::Borrowed(_))), "{path:?}");
    }
    assert!(matches!(collapse("/a/b"), Cow::Borrowed(_)));
}

#[test]
fn runs_of_slashes_match_as_one() {
    for (path, expected) in [
        ("//", "/"),
        ("/a//b", "/a/b"),
        ("///a////b//", "/a/b/"),
        ("/a/b/", "/a/b/"),
    ] {
        assert_eq!(collapse(path), expected);
    }
}

#[test]
fn percent_encodings_match_in_either_case() {
    let cases = [
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/caf%C3%a9/x", "/caf%C3%A9/x"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2F%2f//b", "/a%2F%2F/b"),
        ("/a%20b", "/a%20b"),
        ("/%25c3", "/%25c3"),
    ];
    for (path, expected) in cases {
        assert_eq!(collapse(path), expected);
    }
    assert!(matches!(collapse("/a%2Fb"), Cow::Borrowed(_)));
}

#[test]
fn patterns_name_their_type_and_path() {
    let cases = [
        (PathPattern::Exact("/a".into()), "Exact /a"),
        (PathPattern::Prefix("/a/".into()), "Prefix /a/"),
        (
            PathPattern::ImplementationSpecific("/".into()),
            "ImplementationSpecific /",
        ),
    ];
    for (pattern, expected) in cases {
        assert_eq!(pattern.to_string(), expected);
    }
}

/// Paths made of what trips normalisers.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("/"),
        2 => Just("."),
        2 => Just(".."),
        1 => Just("a"),
        1 => Just("%2e"),
        1 => Just("%2E%2e"),
        1 => Just("%2F"),
        1 => Just("%61"),
        1 => Just("%25"),
        1 => Just("%c3%a9"),
        1 => Just("%"),
        1 => Just(";x=1"),
        1 => Just("%5c"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// The depth that the segments of `path` reach, as RFC 3986 section 5.2.4 walks them; `None` above the root.
fn depth(path: &str) -> Option<i32> {
    let mut depth = 0_i32;
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return None;
        }
    }
    Some(depth)
}

/// Whether a `%` stands without two hexadecimal digits behind it.
fn is_broken(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() < 2
    })
}

proptest! {
    #[test]
    fn normalising_is_idempotent_and_leaves_no_dot_segment(path in tricky()) {
        if let Ok(once) = normalise(&path) {
            let twice = normalise(&once).expect("the normal form is a path");
            prop_assert_eq!(&twice, &once);
            prop_assert!(once.starts_with('/'));
            prop_assert!(once.split('/').all(|s| s != "." && s != ".."));
            prop_assert_eq!(matches!(normalise(&path), Ok(Cow::Borrowed(_))), *once == path);
        }
    }

    #[test]
    fn what_is_matched_is_what_is_forwarded(path in tricky(), rule in tricky()) {
        if let (Ok(sent), Ok(rule)) = (normalise(&path), normalise(&rule)) {
            let seen_by_backend = normalise(&sent).expect("the normal form is a path");
            for pattern in [PathPattern::Exact, PathPattern::Prefix] {
                let pattern = pattern(collapse(&rule).into_owned());
                prop_assert_eq!(pattern.matches(&collapse(&sent)), pattern.matches(&collapse(&seen_by_backend)));
            }
        }
    }

    #[test]
    fn a_path_is_refused_exactly_if_it_climbs_or_is_broken(path in tricky()) {
        let decoded = path.replace("%2e", ".").replace("%2E", ".").replace("%61", "a");
        let result = normalise(&path);
        let parameter = |s: &str| s.starts_with(".;") || s.starts_with("..;");
        if !is_broken(&path) && decoded.split('/').any(parameter) {
            prop_assert_eq!(result, Err(PathError::Parameter));
        } else if is_broken(&path) {
            prop_assert!(result == Err(PathError::Percent) || result == Err(PathError::Climbs), "{:?}", result);
        } else if depth(&decoded).is_none() {
            prop_assert_eq!(result, Err(PathError::Climbs));
        } else {
            prop_assert!(result.is_ok(), "{:?}", result);
        }
    }

    #[test]
    fn encoded_slashes_keep_their_number_and_never_part_segments(path in tricky()) {
        if let Ok(normal) = normalise(&path) && !path.contains("..") && !path.to_lowercase().contains("%2e") {
            prop_assert_eq!(normal.matches("%2F").count(), path.matches("%2F").count());
            let dots = path.split('/').filter(|s| *s == ".").count();
            prop_assert!(normal.matches('/').count() + dots >= path.matches('/').count());
        }
    }

    #[test]
    fn any_text_is_normalised_or_refused(path in "\\PC{0,60}") {
        if let Ok(normal) = normalise(&path) {
            prop_assert!(normal.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\'));
        }
    }

    #[test]
    fn collapsing_is_idempotent(path in "/([/ab]|%[0-9a-fA-F]{2}){0,12}") {
        let once = collapse(&path).into_owned();
        prop_assert!(!once.contains("//"));
        prop_assert_eq!(collapse(&once).into_owned(), once);
    }
}
