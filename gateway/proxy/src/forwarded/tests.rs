//! Who is believed, and what the backend is told.

use super::*;

fn peer(address: &str, trusted: &[&str]) -> (Peer, Vec<IpNet>) {
    let proxies: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
    (
        Peer::new(
            SocketAddr::new(address.parse().unwrap(), 4711),
            false,
            &proxies,
        ),
        proxies,
    )
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn told(peer: &Peer, proxies: &[IpNet], mut headers: HeaderMap) -> HeaderMap {
    let origin = peer.origin(&headers, proxies);
    peer.write(
        &origin,
        &HeaderValue::from_static("a.test"),
        None,
        &mut headers,
    );
    headers
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    let (peer, proxies) = peer("203.0.113.7", &["10.0.0.0/8"]);
    let lies = headers(&[
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
    ]);
    let told = told(&peer, &proxies, lies);
    assert_eq!(told["x-forwarded-for"], "203.0.113.7");
    assert_eq!(told["x-forwarded-proto"], "http");
    assert_eq!(told["x-forwarded-host"], "a.test");
    assert_eq!(told["x-forwarded-port"], "80");
    assert_eq!(told["x-real-ip"], "203.0.113.7");
    assert!(!told.contains_key("forwarded"));
}

#[test]
fn the_client_is_the_right_most_untrusted_address() {
    let (peer, proxies) = peer("10.0.0.1", &["10.0.0.0/8"]);
    let chain = headers(&[
        ("x-forwarded-for", "1.1.1.1, 203.0.113.7"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "https"),
    ]);
    let told = told(&peer, &proxies, chain);
    assert_eq!(told["x-forwarded-for"], "203.0.113.7, 10.0.0.2, 10.0.0.1");
    assert_eq!(told["x-real-ip"], "203.0.113.7");
    assert_eq!(told["x-forwarded-proto"], "https");
    assert_eq!(told["x-forwarded-port"], "443");
}

#[test]
fn garbage_ends_the_chain_and_a_chain_of_proxies_begins_at_its_first() {
    let (peer, proxies) = peer("10.0.0.1", &["10.0.0.0/8"]);
    let client = |list: &str| {
        peer.origin(&headers(&[("x-forwarded-for", list)]), &proxies)
            .client
            .to_string()
    };
    assert_eq!(client("203.0.113.7, garbage, 10.0.0.2"), "10.0.0.2");
    assert_eq!(client("10.0.0.3, 10.0.0.2"), "10.0.0.3");
    assert_eq!(client("unknown"), "10.0.0.1");
    assert_eq!(client("203.0.113.7:1234"), "203.0.113.7");
    assert_eq!(client("[2001:db8::1]"), "2001:db8::1");
}

#[test]
fn a_mapped_address_is_an_ipv4_address() {
    let (peer, proxies) = peer("::ffff:10.0.0.1", &["10.0.0.0/8"]);
    assert!(peer.trusted);
    let told = told(
        &peer,
        &proxies,
        headers(&[("x-forwarded-for", "::ffff:203.0.113.7")]),
    );
    assert_eq!(told["x-forwarded-for"], "203.0.113.7, 10.0.0.1");
}

#[test]
fn the_longest_address_is_told_whole() {
    // With a suffix of IPv4 there would be 45 bytes; Rust writes these as groups.
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let (peer, proxies) = peer(longest, &[]);
    let told = told(&peer, &proxies, HeaderMap::new());
    assert_eq!(told["x-real-ip"], longest);
    assert_eq!(told["x-forwarded-for"], longest);
}
