//! The table against a naive search, over whatever tables proptest makes.

use proptest::{prelude::*, sample::select};

use super::{host, path};
use crate::{HostPattern, PathPattern, Table, Verdict, collapse};

type Rule = (HostPattern, PathPattern, usize);

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
