//! The host of a request and the host of a rule.
//!
//! What the gateway takes for a host, the URL parser of browsers takes for the same one; reading it again changes
//! nothing; a wildcard takes one label.

use route::{Authority, HostPattern};
use url::Url;

/// Any text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(authority) = Authority::parse(text) {
        request(text, &authority);
    }
    if let Ok(pattern) = HostPattern::parse(text) {
        rule(&pattern);
    }
}

fn request(text: &str, authority: &Authority<'_>) {
    let host = authority.host();
    assert!(
        !host.is_empty()
            && !host.contains(['/', '@', '?', '#', '\\', ' ', ',', '%', '[', ']', '*'])
    );
    let again = match (host.contains(':'), authority.port()) {
        (true, None) => format!("[{host}]"),
        (true, Some(port)) => format!("[{host}]:{port}"),
        (false, None) => host.to_owned(),
        (false, Some(port)) => format!("{host}:{port}"),
    };
    assert_eq!(
        Authority::parse(&again).as_ref().map(Authority::host),
        Ok(host),
        "{again:?}"
    );

    // Browsers take names that end in a number for an address, and decode international ones.
    let last = host
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let numeric = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
    if numeric || host.to_ascii_lowercase().contains("xn--") {
        return;
    }
    let url = Url::parse(&format!("http://{text}/"))
        .unwrap_or_else(|error| panic!("{text:?} is no host: {error}"));
    let theirs = url.host_str().unwrap_or_default();
    let theirs = theirs.trim_start_matches('[').trim_end_matches(']');
    let theirs = theirs.strip_suffix('.').unwrap_or(theirs);
    if host.contains(':') {
        assert_eq!(
            theirs.parse::<std::net::Ipv6Addr>(),
            host.parse(),
            "{text:?}"
        );
    } else {
        assert_eq!(theirs, host.to_ascii_lowercase(), "{text:?}");
    }
    assert_eq!(
        url.port_or_known_default(),
        authority.port().or(Some(80)),
        "{text:?}"
    );
}

fn rule(pattern: &HostPattern) {
    if let HostPattern::Any = pattern {
        return;
    }
    let text = pattern.to_string();
    assert_eq!(HostPattern::parse(&text).as_ref(), Ok(pattern));
    match pattern {
        HostPattern::Wildcard(suffix) => {
            assert!(pattern.matches(&format!("a.{suffix}")));
            assert!(!pattern.matches(suffix) && !pattern.matches(&format!(".{suffix}")));
            assert!(!pattern.matches(&format!("b.a.{suffix}")));
        }
        HostPattern::Exact(name) => {
            assert!(pattern.matches(name) && !pattern.matches(&format!("a.{name}")));
            let authority =
                Authority::parse(name).expect("each rule's host is one that a request can name");
            assert_eq!(authority.host(), name);
        }
        HostPattern::Any => {}
    }
}
