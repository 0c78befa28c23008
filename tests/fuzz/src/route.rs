//! Tables of rules, and requests.
//!
//! The oracle is a search over all rules, one by one, in the words of the Ingress API.
//!
//! A line is a rule, `HOST e|p|i PATH`, a default backend, `HOST d`, or a request, `? HOST PATH`; a host `-` is none.

use std::cmp::Reverse;

use route::{Authority, HostPattern, PathPattern, Table, collapse, normalise};

type Rule = (HostPattern, PathPattern, usize);
type Default = (HostPattern, Option<usize>);

/// Lines as above.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (mut rules, mut defaults, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for (number, line) in text.lines().take(LINES).enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        match *words {
            ["?", host, path] => requests.push((host, path)),
            [host, "d"] => defaults.extend(pattern(host).map(|host| (host, Some(number)))),
            [host, kind, path] => {
                rules.extend(
                    pattern(host)
                        .zip(self::path(kind, path))
                        .map(|(host, path)| (host, path, number)),
                );
            }
            _ => {}
        }
    }
    let catch_all = (text.len() % 2 == 0).then_some(LINES);
    let table = Table::build(rules.clone(), defaults.clone(), catch_all);
    for (host, path) in requests {
        let host = Authority::parse(host).map(|authority| authority.host().to_ascii_lowercase());
        let (Ok(host), Ok(path)) = (host, normalise(path)) else {
            continue;
        };
        let found = table.find(&host, &path).map(|found| *found.target);
        assert_eq!(
            found,
            naive(&rules, &defaults, catch_all, &host, &path),
            "{host} {path} of {text}"
        );
    }
}

fn pattern(host: &str) -> Option<HostPattern> {
    HostPattern::parse(if host == "-" { "" } else { host }).ok()
}

/// A path in the form that is matched: that of others is made so before they come into a table.
fn path(kind: &str, path: &str) -> Option<PathPattern> {
    let normal = normalise(path).ok()?;
    if normal != path || collapse(path) != path {
        return None;
    }
    let path = path.to_owned();
    match kind {
        "e" => Some(PathPattern::Exact(path)),
        "p" => Some(PathPattern::Prefix(path)),
        "i" => Some(PathPattern::ImplementationSpecific(path)),
        _ => None,
    }
}

fn naive(
    rules: &[Rule],
    defaults: &[Default],
    catch_all: Option<usize>,
    host: &str,
    path: &str,
) -> Option<usize> {
    // A path with `//` matches as with `/`, and `%2f` as `%2F`.
    let mut path = path.to_owned();
    for (at, _) in path.clone().match_indices('%') {
        let upper = path[at..at + 3].to_ascii_uppercase();
        path.replace_range(at..at + 3, &upper);
    }
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    let elements = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|element| !element.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let takes = |own: &PathPattern| match own {
        PathPattern::Exact(own) => *own == path,
        PathPattern::Prefix(own) | PathPattern::ImplementationSpecific(own) => {
            elements(&path).starts_with(&elements(own))
        }
    };

    // The most specific host that takes the request has it, whatever its paths are.
    let rank = |own: &HostPattern| match own {
        HostPattern::Exact(_) => 2,
        HostPattern::Wildcard(_) => 1,
        HostPattern::Any => 0,
    };
    let hosts = rules
        .iter()
        .map(|rule| &rule.0)
        .chain(defaults.iter().map(|default| &default.0));
    let owner = hosts
        .filter(|own| own.matches(host))
        .max_by_key(|own| rank(own));

    // Exact, then more elements, then longer, then not ImplementationSpecific, then the older.
    let mut fit: Vec<&Rule> = rules
        .iter()
        .filter(|(own, path, _)| Some(own) == owner && takes(path))
        .collect();
    fit.sort_by_key(|(_, path, _)| {
        let (text, kind) = (path.as_str(), path.type_name());
        let order = (
            kind != "Exact",
            Reverse(elements(text).len()),
            Reverse(text.len()),
        );
        (order, kind == "ImplementationSpecific")
    });
    let default = defaults
        .iter()
        .find(|default| Some(&default.0) == owner)
        .and_then(|default| default.1);
    let all = catch_all.filter(|_| owner.is_none_or(|owner| *owner == HostPattern::Any));
    fit.first().map(|rule| rule.2).or(default).or(all)
}

const LINES: usize = 200;
