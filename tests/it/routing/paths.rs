//! Paths of one host, over real sockets.

use harness::{Upstream, gateway, ingress, upstream};

type Row = (&'static [&'static str], &'static str, Option<usize>);

/// The documentation's table: rules of a host, a request, and the number of the rule that takes it.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    (&["Prefix /"], "/", Some(0)),
    (&["Prefix /"], "/any/path/at-all", Some(0)),
    (&["Exact /foo"], "/foo", Some(0)),
    (&["Exact /foo"], "/bar", None),
    (&["Exact /foo"], "/foo/", None),
    (&["Exact /foo/"], "/foo", None),
    (&["Prefix /foo"], "/foo", Some(0)),
    (&["Prefix /foo"], "/foo/", Some(0)),
    (&["Prefix /foo/"], "/foo", Some(0)),
    (&["Prefix /foo/"], "/foo/", Some(0)),
    (&["Prefix /aaa/bb"], "/aaa/bbb", None),
    (&["Prefix /aaa/bbb"], "/aaa/bbb", Some(0)),
    (&["Prefix /aaa/bbb/"], "/aaa/bbb", Some(0)),
    (&["Prefix /aaa/bbb"], "/aaa/bbb/", Some(0)),
    (&["Prefix /aaa/bbb"], "/aaa/bbb/ccc", Some(0)),
    (&["Prefix /aaa/bbb"], "/aaa/bbbxyz", None),
    (&["Prefix /", "Prefix /aaa"], "/aaa/ccc", Some(1)),
    (&["Prefix /", "Prefix /aaa", "Prefix /aaa/bbb"], "/aaa/bbb", Some(2)),
    (&["Prefix /", "Prefix /aaa", "Prefix /aaa/bbb"], "/ccc", Some(0)),
    (&["Prefix /aaa"], "/ccc", None),
    (&["Prefix /foo", "Exact /foo"], "/foo", Some(1)),
];

/// Where the documentation leaves a choice.
#[rustfmt::skip]
const CHOICES: &[Row] = &[
    (&["Prefix /foo/", "Exact /foo"], "/foo", Some(1)),
    (&["Prefix /foo", "Prefix /foo/"], "/foo", Some(1)),
    (&["ImplementationSpecific /foo", "Prefix /foo"], "/foo/x", Some(1)),
    (&["ImplementationSpecific /foo"], "/foo/x", Some(0)),
    (&["ImplementationSpecific /foo"], "/foobar", None),
    (&["Prefix /", "ImplementationSpecific /foo"], "/foo", Some(1)),
    (&["Exact /foo"], "/FOO", None),
    (&["Prefix /foo"], "/FOO", None),
    (&["Exact /foo"], "/foo?x=/bar", Some(0)),
    (&["Exact /foo/bar"], "//foo//bar", Some(0)),
    (&["Exact /foo"], "/%66oo", Some(0)),
    (&["Exact /foo"], "/x/../foo", Some(0)),
    (&["Exact /foo"], "/x/%2e%2e/foo", Some(0)),
    (&["Exact /foo"], "/./foo", Some(0)),
    (&["Prefix /foo"], "/foo%2Fbar", None),
    (&["Prefix /foo"], "/foo;x=1", None),
    (&["Prefix /foo"], "/foo/../bar", None),
];

async fn check(table: &[Row]) {
    let mut backends: Vec<Upstream> = Vec::new();
    let mut builder = gateway();
    for number in 0..3 {
        let name = format!("rule-{number}");
        let up = upstream().name(&name).start().await;
        builder = builder.service(&name, 80, &[&up]);
        backends.push(up);
    }
    for (row, (rules, _, _)) in table.iter().enumerate() {
        let mut object = ingress(&format!("row-{row}")).host(&format!("row-{row}.test"));
        for (number, rule) in rules.iter().enumerate() {
            let (kind, path) = rule.split_once(' ').expect("a type and a path");
            object = object.typed(kind, path, &format!("rule-{number}"), 80);
        }
        builder = builder.manifest(object);
    }
    let gw = builder.start().await;

    for (row, (rules, target, expected)) in table.iter().enumerate() {
        let answer = gw.get(&format!("row-{row}.test"), target).await;
        match expected {
            Some(number) => {
                let saw = answer.saw();
                assert_eq!(saw.backend, format!("rule-{number}"), "{rules:?} {target}");
            }
            None => {
                assert_eq!(
                    (answer.status, answer.reason()),
                    (404, Some("no-route")),
                    "{rules:?} {target}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_path_table_of_the_documentation_holds() {
    check(TABLE).await;
}

#[tokio::test]
async fn where_the_documentation_leaves_a_choice_there_is_one_order() {
    check(CHOICES).await;
}

#[tokio::test]
async fn a_backend_gets_the_path_that_was_matched_and_the_query_as_it_was() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let cases = [
        ("/", "/"),
        ("/a/b?x=1", "/a/b?x=1"),
        ("/a/./b/../c", "/a/c"),
        ("/%61%2d%7E", "/a-~"),
        ("/a//b", "/a//b"),
        ("//", "//"),
        ("/a%2fb%2F", "/a%2fb%2F"),
        ("/a%20b", "/a%20b"),
        ("/caf%C3%a9", "/caf%C3%a9"),
        ("/a;b=c,d", "/a;b=c,d"),
        ("/a%5cb", "/a%5cb"),
        ("/x?", "/x?"),
        ("/x?a=%61%2e%2e/../b&c", "/x?a=%61%2e%2e/../b&c"),
        ("/x?q=http://y/z?w", "/x?q=http://y/z?w"),
        ("/x?a|b=c{d}", "/x?a|b=c{d}"),
        ("/x/..?y", "/?y"),
        // RFC 3986 has no such letters: what clients mean that send UTF-8, here a byte a character.
        (
            "/x?q=caf\u{c3}\u{a9}&\u{e2}\u{82}\u{ac}|",
            "/x?q=caf%C3%A9&%E2%82%AC|",
        ),
    ];
    for (sent, expected) in cases {
        assert_eq!(
            gw.get("a.test", sent).await.saw().target,
            expected,
            "{sent}"
        );
    }
}

#[tokio::test]
async fn paths_that_servers_read_differently_are_refused() {
    let up = upstream().start().await;
    let gw = crate::in_front_of(&up).start().await;
    let cases = [
        "/%00",
        "/a\"b",
        "/a/..;/b",
        "/a/%2e.;x=1/b",
        "/a%00b",
        "/%",
        "/%zz",
        "/%2",
        "/a\\b",
        "/\\..\\a",
        "/..",
        "/../a",
        "/a/../../b",
        "/%2e%2e/a",
        "/a/%2e%2e/%2E%2E/b",
        "/a#b",
    ];
    for target in cases {
        let answer = gw.get("a.test", target).await;
        assert_eq!(
            (answer.status, answer.reason()),
            (400, Some("bad-request")),
            "{target}"
        );
    }
    assert!(up.seen().is_empty(), "{:?}", up.seen());
}
