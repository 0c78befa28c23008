//! Tests of the host module.

use proptest::prelude::*;

use super::{Authority, HostError, HostPattern};

fn pattern(host: &str) -> HostPattern {
    HostPattern::parse(host).expect(host)
}

#[test]
fn hosts_of_rules_are_read() {
    let cases = [
        ("", HostPattern::Any),
        ("foo.com", HostPattern::Exact("foo.com".into())),
        ("Foo.COM", HostPattern::Exact("foo.com".into())),
        ("localhost", HostPattern::Exact("localhost".into())),
        (
            "1.2.3.4.nip.io",
            HostPattern::Exact("1.2.3.4.nip.io".into()),
        ),
        (
            "xn--bcher-kva.example",
            HostPattern::Exact("xn--bcher-kva.example".into()),
        ),
        ("*.foo.com", HostPattern::Wildcard("foo.com".into())),
        ("*.Foo.com", HostPattern::Wildcard("foo.com".into())),
        ("*.com", HostPattern::Wildcard("com".into())),
    ];
    for (text, expected) in cases {
        assert_eq!(HostPattern::parse(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn wrong_hosts_of_rules_say_what_is_wrong() {
    let long = format!("{}.com", vec!["a".repeat(60); 5].join("."));
    let long_label = format!("{}.com", "a".repeat(64));
    let cases = [
        ("*", HostError::Wildcard),
        ("foo.*", HostError::Wildcard),
        ("foo.*.com", HostError::Wildcard),
        ("*foo.com", HostError::Wildcard),
        ("f*o.com", HostError::Wildcard),
        ("*.*.com", HostError::Wildcard),
        ("foo.com:80", HostError::Port),
        ("1.2.3.4", HostError::Address),
        ("*.1.2.3.4", HostError::Address),
        ("foo_bar.com", HostError::Name),
        ("-foo.com", HostError::Name),
        ("foo-.com", HostError::Name),
        ("foo..com", HostError::Name),
        (".foo.com", HostError::Name),
        ("foo.com.", HostError::Name),
        ("*.", HostError::Name),
        ("foo com", HostError::Name),
        ("bücher.example", HostError::Name),
        (&long_label, HostError::Name),
        (&long, HostError::TooLong),
    ];
    for (text, expected) in cases {
        assert_eq!(HostPattern::parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn a_wildcard_covers_exactly_one_label() {
    let wildcard = pattern("*.foo.com");
    let cases = [
        ("bar.foo.com", true),
        ("baz.bar.foo.com", false),
        ("foo.com", false),
        (".foo.com", false),
        ("barfoo.com", false),
        ("bar.foo.com.evil", false),
        ("bar.foo.org", false),
    ];
    for (host, expected) in cases {
        assert_eq!(wildcard.matches(host), expected, "{host:?}");
    }
}

#[test]
fn an_exact_host_matches_itself_only_and_any_matches_all() {
    assert!(pattern("foo.com").matches("foo.com"));
    for other in ["bar.foo.com", "foo.com.", "foo.co", "oo.com", ""] {
        assert!(!pattern("foo.com").matches(other), "{other:?}");
        assert!(HostPattern::Any.matches(other), "{other:?}");
    }
}

#[test]
fn patterns_display_as_they_are_written() {
    for text in ["foo.com", "*.foo.com"] {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(HostPattern::Any.to_string(), "*");
}

#[test]
fn authorities_are_split_into_host_and_port() {
    let cases = [
        ("foo.com", "foo.com", None),
        ("Foo.Com", "Foo.Com", None),
        ("foo.com:8080", "foo.com", Some(8080)),
        ("foo.com.", "foo.com", None),
        ("foo.com.:443", "foo.com", Some(443)),
        ("foo.com:65535", "foo.com", Some(65535)),
        ("localhost", "localhost", None),
        ("my_host-1.a~b", "my_host-1.a~b", None),
        ("0.0.0.0=5000", "0.0.0.0=5000", None),
        ("192.0.2.1", "192.0.2.1", None),
        ("192.0.2.1:80", "192.0.2.1", Some(80)),
        ("[::1]", "::1", None),
        ("[2001:db8::1]:8443", "2001:db8::1", Some(8443)),
        ("[::ffff:192.0.2.1]", "::ffff:192.0.2.1", None),
    ];
    for (text, host, port) in cases {
        let authority = Authority::parse(text).expect(text);
        assert_eq!(
            (authority.host(), authority.port()),
            (host, port),
            "{text:?}"
        );
    }
}

#[test]
fn authorities_that_servers_read_differently_are_refused() {
    let long = "a".repeat(254);
    #[rustfmt::skip]
    let cases = [
        "", ":80", ".", ".foo.com", "foo..com", "foo.com..", "user@foo.com", "user:pw@foo.com", "foo.com/", "foo.com/path",
        "foo.com?x", "foo.com#x", "foo.com\\x", "foo.com,bar.com", "foo.com bar.com", " foo.com", "foo.com ", "foo.com\t",
        "foo\0.com", "foo%2ecom", "foo%00.com", "föö.com", "foo.com:80:80", "foo.com:x", "foo.com:8x", "foo.com:-1",
        "foo.com:+80", "foo.com: 80", "foo.com:65536", "foo.com:99999999999999999999", "http://foo.com", "//foo.com",
        "[::1", "::1", "::1]", "[]", "[]:80", "[foo.com]", "[1.2.3.4]", "[::1]x", "[::1]:x", "[::1]]", "[::1%25eth0]", "[[::1]]",
        "[::g]", "*", "*.foo.com", "foo;bar", "foo&bar", "foo'bar", "foo\"bar", "foo<bar>", "foo{bar}", "foo|bar", "foo^bar",
        "foo`bar", "foo$bar", "foo!bar", "foo(bar)", "foo+bar", &long,
    ];
    for text in cases {
        assert!(Authority::parse(text).is_err(), "{text:?} was accepted");
    }
}

proptest! {
    #[test]
    fn what_an_authority_accepts_has_no_delimiters(text in "\\PC{0,40}") {
        if let Ok(authority) = Authority::parse(&text) {
            prop_assert!(!authority.host().contains(['/', '@', '?', '#', '\\', ' ', ',', '%', '[', ']']));
            prop_assert!(!authority.host().is_empty());
            prop_assert!(text.contains(authority.host()));
        }
    }

    #[test]
    fn every_rule_host_is_an_authority(label in "[a-z0-9]{1,8}", rest in "[a-z]{1,5}\\.[a-z]{2,3}", port in any::<u16>()) {
        let host = format!("{label}.{rest}");
        let text = format!("{host}:{port}");
        let authority = Authority::parse(&text).expect("a name and a port");
        prop_assert!(pattern(&host).matches(authority.host()));
        let wildcard = format!("*.{rest}");
        prop_assert!(pattern(&wildcard).matches(authority.host()));
    }

    #[test]
    fn parsing_a_rule_host_never_panics_and_is_idempotent(text in "\\PC{0,30}") {
        if let Ok(host) = HostPattern::parse(&text) && host != HostPattern::Any {
            prop_assert_eq!(HostPattern::parse(&host.to_string()), Ok(host));
        }
    }
}
