//! Tests of the table module.

use proptest::{prelude::*, sample::select};

use super::{Match, Table, Verdict};
use crate::{HostPattern, PathPattern, collapse};

type Rule = (HostPattern, PathPattern, usize);

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
        (
            &["Prefix /aaa/bbb"],
            "/aaa/bbb/ccc",
            Some("Prefix /aaa/bbb"),
        ),
        (&["Prefix /aaa/bbb"], "/aaa/bbbxyz", None),
        (
            &["Prefix /", "Prefix /aaa"],
            "/aaa/ccc",
            Some("Prefix /aaa"),
        ),
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

/// The contract's words as a search over all rules, without any index.
fn naive(
    rules: &[Rule],
    defaults: &[(HostPattern, Option<usize>)],
    catch_all: Option<usize>,
    name: &str,
    request: &str,
) -> Option<usize> {
    let request = collapse(request);
    let specificity = |h: &HostPattern| match h {
        HostPattern::Exact(_) => 2,
        HostPattern::Wildcard(_) => 1,
        HostPattern::Any => 0,
    };
    let hosts = rules
        .iter()
        .map(|r| &r.0)
        .chain(defaults.iter().map(|d| &d.0));
    let owner = hosts
        .filter(|h| h.matches(name))
        .max_by_key(|h| specificity(h));
    let elements = |p: &str| {
        p.split('/')
            .filter(|e| !e.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let takes = |p: &PathPattern| match p {
        PathPattern::Exact(own) => *own == request,
        PathPattern::ImplementationSpecific(own) | PathPattern::Prefix(own) => {
            elements(&request).starts_with(&elements(own))
        }
    };
    let best = rules
        .iter()
        .enumerate()
        .filter(|(_, (h, p, _))| Some(h) == owner && takes(p))
        .min_by_key(|(index, (_, p, _))| {
            let exact = matches!(p, PathPattern::Exact(_));
            let specific = matches!(p, PathPattern::ImplementationSpecific(_));
            let length = std::cmp::Reverse(p.as_str().len());
            (
                !exact,
                std::cmp::Reverse(elements(p.as_str()).len()),
                length,
                specific,
                *index,
            )
        });
    let default = defaults
        .iter()
        .find_map(|(h, target)| target.filter(|_| Some(h) == owner));
    let everything = catch_all.filter(|_| owner.is_none_or(|o| *o == HostPattern::Any));
    best.map(|(_, rule)| rule.2).or(default).or(everything)
}

fn any_host() -> impl Strategy<Value = HostPattern> {
    select(vec!["a.t", "b.t", "c.a.t", "*.t", "*.a.t", ""]).prop_map(host)
}

fn any_path() -> impl Strategy<Value = PathPattern> {
    let kinds = select(vec!["Exact", "Prefix", "Specific"]);
    let texts = select(vec![
        "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/a/bc", "/b", "/a/b/c",
    ]);
    (kinds, texts).prop_map(|(kind, text)| path(&format!("{kind} {text}")))
}

fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    proptest::collection::vec((any_host(), any_path()), 0..14).prop_map(|rules| {
        rules
            .into_iter()
            .enumerate()
            .map(|(i, (h, p))| (h, p, i))
            .collect()
    })
}

fn any_defaults() -> impl Strategy<Value = Vec<(HostPattern, Option<usize>)>> {
    proptest::collection::vec((any_host(), any::<bool>()), 0..4).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(i, (h, known))| (h, known.then_some(100 + i)))
            .collect()
    })
}

const HOSTS: [&str; 9] = [
    "a.t", "b.t", "c.a.t", "d.a.t", "e.c.a.t", "t", "z.u", "", ".a.t",
];
const REQUESTS: [&str; 11] = [
    "/", "/a", "/a/", "/a/b", "/a/b/", "//a//b", "/ab", "/a/bc/d", "/b/x", "/c", "/a/b/c",
];

proptest! {
    #[test]
    fn the_table_finds_what_the_naive_search_finds(
        rules in any_rules(), defaults in any_defaults(), catch_all in proptest::option::of(Just(999_usize)),
    ) {
        let table = Table::build(rules.clone(), defaults.clone(), catch_all);
        for name in HOSTS {
            for request in REQUESTS {
                let expected = naive(&rules, &defaults, catch_all, name, request);
                let actual = table.find(name, request).map(|f| *f.target);
                prop_assert_eq!(actual, expected, "{} {} of {:?} {:?}", name, request, rules, defaults);
            }
        }
    }

    #[test]
    fn exactly_one_candidate_is_chosen_iff_something_is_found(
        rules in any_rules(), defaults in any_defaults(), catch_all in proptest::option::of(Just(999_usize)),
    ) {
        let total = rules.len() + defaults.iter().filter(|d| d.1.is_some()).count() + usize::from(catch_all.is_some());
        let table = Table::build(rules, defaults, catch_all);
        for name in HOSTS {
            for request in REQUESTS {
                let candidates = table.candidates(name, request);
                prop_assert_eq!(candidates.len(), total);
                let chosen: Vec<_> = candidates.iter().filter(|c| c.verdict == Verdict::Chosen).map(|c| *c.target).collect();
                let found: Vec<_> = table.find(name, request).map(|f| *f.target).into_iter().collect();
                prop_assert_eq!(chosen, found, "{} {}", name, request);
            }
        }
    }

    #[test]
    fn only_the_order_of_equal_rules_matters(rules in any_rules(), seed in any::<prop::sample::Index>()) {
        // Keep the first of each host and path, then rotate: no two rules tie any more.
        let mut distinct: Vec<Rule> = Vec::new();
        for rule in rules {
            if !distinct.iter().any(|(h, p, _)| *h == rule.0 && *p == rule.1) {
                distinct.push(rule);
            }
        }
        let mut shuffled = distinct.clone();
        if !shuffled.is_empty() {
            shuffled.rotate_left(seed.index(distinct.len()));
            shuffled.reverse();
        }
        let (one, other) = (Table::build(distinct, [], None), Table::build(shuffled, [], None));
        for name in HOSTS {
            for request in REQUESTS {
                let (a, b) = (one.find(name, request), other.find(name, request));
                prop_assert_eq!(a.map(|f| *f.target), b.map(|f| *f.target), "{} {}", name, request);
            }
        }
    }
}
