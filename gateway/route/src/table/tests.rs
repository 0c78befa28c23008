//! Tests of the table module.

mod properties;

use super::{Match, Table, Verdict};
use crate::{HostPattern, PathPattern};

fn host(text: &str) -> HostPattern {
    HostPattern::parse(text).expect(text)
}

fn path(text: &str) -> PathPattern {
    let (kind, path) = text.split_once(' ').expect("a type and a path");
    match kind {
        "Exact" => PathPattern::Exact(path.into()),
        "Prefix" => PathPattern::Prefix(path.into()),
        "Specific" => PathPattern::ImplementationSpecific(path.into()),
        _ => panic!("no path type: {kind}"),
    }
}

/// A table of one host's paths; each leads to its own text.
fn paths<'a>(rules: &[&'a str]) -> Table<&'a str> {
    let rules = rules.iter().map(|text| (host("a.test"), path(text), *text));
    Table::build(rules, [], None)
}

fn found<'a>(rules: &[&'a str], request: &str) -> Option<&'a str> {
    paths(rules)
        .find("a.test", request)
        .map(|found| *found.target)
}

#[test]
fn the_path_table_of_the_documentation_holds() {
    let prefixes = ["Prefix /", "Prefix /aaa", "Prefix /aaa/bbb"];
    #[rustfmt::skip]
    let cases: &[(&[&str], &str, Option<&str>)] = &[
        (&["Prefix /"], "/", Some("Prefix /")),
        (&["Prefix /"], "/any/path", Some("Prefix /")),
        (&["Exact /foo"], "/foo", Some("Exact /foo")),
        (&["Exact /foo"], "/bar", None),
        (&["Exact /foo"], "/foo/", None),
        (&["Exact /foo/"], "/foo", None),
        (&["Prefix /foo"], "/foo", Some("Prefix /foo")),
        (&["Prefix /foo"], "/foo/", Some("Prefix /foo")),
        (&["Prefix /foo/"], "/foo", Some("Prefix /foo/")),
        (&["Prefix /foo/"], "/foo/", Some("Prefix /foo/")),
        (&["Prefix /aaa/bb"], "/aaa/bbb", None),
        (&["Prefix /aaa/bbb"], "/aaa/bbb", Some("Prefix /aaa/bbb")),
        (&["Prefix /aaa/bbb/"], "/aaa/bbb", Some("Prefix /aaa/bbb/")),
        (&["Prefix /aaa/bbb"], "/aaa/bbb/", Some("Prefix /aaa/bbb")),
        (&["Prefix /aaa/bbb"], "/aaa/bbb/ccc", Some("Prefix /aaa/bbb")),
        (&["Prefix /aaa/bbb"], "/aaa/bbbxyz", None),
        (&["Prefix /", "Prefix /aaa"], "/aaa/ccc", Some("Prefix /aaa")),
        (&prefixes, "/aaa/bbb", Some("Prefix /aaa/bbb")),
        (&prefixes, "/ccc", Some("Prefix /")),
        (&["Prefix /aaa"], "/ccc", None),
        (&["Prefix /foo", "Exact /foo"], "/foo", Some("Exact /foo")),
    ];
    for (rules, request, expected) in cases {
        assert_eq!(found(rules, request), *expected, "{rules:?} {request}");
        let reversed: Vec<_> = rules.iter().rev().copied().collect();
        assert_eq!(
            found(&reversed, request),
            *expected,
            "{reversed:?} {request}"
        );
    }
}

#[test]
fn matching_is_case_sensitive_and_takes_double_slashes_as_one() {
    assert_eq!(found(&["Exact /foo"], "/FOO"), None);
    assert_eq!(found(&["Prefix /foo"], "/FOO"), None);
    assert_eq!(
        found(&["Exact /foo/bar"], "//foo//bar"),
        Some("Exact /foo/bar")
    );
    assert_eq!(found(&["Prefix /foo"], "//foo///x"), Some("Prefix /foo"));
}

#[test]
fn an_encoded_slash_is_no_separator() {
    assert_eq!(found(&["Prefix /foo"], "/foo%2Fbar"), None);
    assert_eq!(
        found(&["Prefix /foo%2Fbar"], "/foo%2fbar/x"),
        Some("Prefix /foo%2Fbar")
    );
    assert_eq!(
        found(&["Prefix /foo%2Fbar"], "/foo%2Fbar/x"),
        Some("Prefix /foo%2Fbar")
    );
}

#[test]
fn the_precedence_of_paths_is_one_total_order() {
    // Each takes the request /a/b, and the earlier goes first however they are given.
    let order = [
        "Exact /a/b",
        "Prefix /a/b/",
        "Prefix /a/b",
        "Specific /a/b",
        "Prefix /a/",
        "Prefix /a",
        "Specific /a",
        "Specific /",
    ];
    for (i, first) in order.iter().enumerate() {
        for second in &order[i + 1..] {
            assert_eq!(found(&[first, second], "/a/b"), Some(*first));
            assert_eq!(found(&[second, first], "/a/b"), Some(*first));
        }
    }
}

#[test]
fn of_equal_rules_the_first_wins() {
    let rules = [
        (host("a.test"), path("Prefix /x"), 0),
        (host("a.test"), path("Prefix /x"), 1),
    ];
    assert_eq!(
        *Table::build(rules, [], None)
            .find("a.test", "/x")
            .expect("a rule")
            .target,
        0
    );
}

#[test]
fn a_specific_host_hides_less_specific_ones_even_where_no_path_matches() {
    let table = Table::build(
        [
            (host(""), path("Prefix /"), "any"),
            (host("*.foo.com"), path("Prefix /w"), "wildcard"),
            (host("a.foo.com"), path("Prefix /e"), "exact"),
        ],
        [],
        Some("catch-all"),
    );
    let cases = [
        ("a.foo.com", "/e", Some("exact")),
        ("a.foo.com", "/w", None),
        ("a.foo.com", "/", None),
        ("b.foo.com", "/w", Some("wildcard")),
        ("b.foo.com", "/e", None),
        ("foo.com", "/w", Some("any")),
        ("c.b.foo.com", "/w", Some("any")),
        ("", "/", Some("any")),
    ];
    for (name, request, expected) in cases {
        assert_eq!(
            table.find(name, request).map(|f| *f.target),
            expected,
            "{name} {request}"
        );
    }
}

#[test]
fn path_misses_go_to_the_default_of_their_host_and_never_further() {
    let table = Table::build(
        [
            (host("a.test"), path("Exact /x"), "rule"),
            (host("b.test"), path("Exact /x"), "rule"),
        ],
        [
            (host("a.test"), None),
            (host("a.test"), Some("first")),
            (host("a.test"), Some("second")),
            (host("known.test"), None),
        ],
        Some("catch-all"),
    );
    let find = |name, request| table.find(name, request).map(|f| (*f.target, f.by));
    assert_eq!(
        find("a.test", "/y"),
        Some(("first", Match::HostDefault(&host("a.test"))))
    );
    assert_eq!(find("b.test", "/y"), None);
    assert_eq!(find("known.test", "/"), None);
    assert_eq!(
        find("other.test", "/"),
        Some(("catch-all", Match::CatchAll))
    );
    assert_eq!(
        find("a.test", "/x"),
        Some(("rule", Match::Rule(&host("a.test"), &path("Exact /x"))))
    );
}

#[test]
fn rules_without_a_host_go_before_the_catch_all_and_miss_into_it() {
    let table = Table::build([(host(""), path("Exact /x"), "any")], [], Some("catch-all"));
    assert_eq!(table.find("z.test", "/x").map(|f| *f.target), Some("any"));
    assert_eq!(
        table.find("z.test", "/y").map(|f| *f.target),
        Some("catch-all")
    );
    let with_default = Table::build(
        [(host(""), path("Exact /x"), "any")],
        [(host(""), Some("default"))],
        Some("catch-all"),
    );
    assert_eq!(
        with_default.find("z.test", "/y").map(|f| *f.target),
        Some("default")
    );
}

#[test]
fn candidates_say_why_each_lost() {
    let table = Table::build(
        [
            (host("b.test"), path("Prefix /"), "other host"),
            (host(""), path("Prefix /"), "no host"),
            (host("a.test"), path("Prefix /z"), "other path"),
            (host("a.test"), path("Exact /a/b"), "chosen"),
            (host("a.test"), path("Prefix /a/b"), "not exact"),
            (host("a.test"), path("Exact /a/b"), "younger"),
        ],
        [(host("a.test"), Some("default"))],
        Some("catch-all"),
    );
    let verdicts: Vec<_> = table
        .candidates("a.test", "/a/b")
        .iter()
        .map(|c| (*c.target, c.verdict))
        .collect();
    let expected = [
        ("other host", Verdict::HostDiffers),
        ("no host", Verdict::HostLessSpecific),
        ("other path", Verdict::PathDiffers),
        ("chosen", Verdict::Chosen),
        ("not exact", Verdict::ExactFirst),
        ("younger", Verdict::Younger),
        ("default", Verdict::OnlyDefault),
        ("catch-all", Verdict::OnlyDefault),
    ];
    assert_eq!(verdicts, expected);
    let prefixes = paths(&["Prefix /a/", "Prefix /a", "Specific /a/", "Prefix /"]);
    let verdicts: Vec<_> = prefixes
        .candidates("a.test", "/a")
        .iter()
        .map(|c| c.verdict)
        .collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Chosen,
            Verdict::Shorter,
            Verdict::TypeLast,
            Verdict::FewerElements
        ]
    );
}
