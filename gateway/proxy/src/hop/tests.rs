//! Which fields are one hop's.

use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

#[test]
fn fixed_and_nominated_fields_go_and_others_stay() {
    let mut all = headers(&[
        ("accept", "a"),
        ("connection", "close, X-One"),
        ("connection", "x-two, keep-alive"),
        ("x-one", "1"),
        ("x-two", "2"),
        ("x-three", "3"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "x"),
        ("te", "gzip, Trailers"),
        ("transfer-encoding", "chunked"),
        ("http2-settings", "AAA"),
        ("upgrade", "h2c"),
        ("accept", "b"),
    ]);
    let hop = strip(&mut all).unwrap();
    assert_eq!(
        all,
        headers(&[("accept", "a"), ("x-three", "3"), ("accept", "b")])
    );
    assert!(hop.trailers);
    assert_eq!(hop.upgrade, None);
}

#[test]
fn an_upgrade_is_one_only_where_connection_says_so() {
    let mut with = headers(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
    assert_eq!(strip(&mut with).unwrap().upgrade.unwrap(), "websocket");
    assert!(with.is_empty());
    let mut without = headers(&[("upgrade", "websocket")]);
    assert_eq!(strip(&mut without).unwrap().upgrade, None);
    assert!(without.is_empty());
}

#[test]
fn connection_cannot_take_away_what_the_message_is() {
    for name in [
        "host",
        "Content-Length",
        "cookie",
        "authorization",
        "content-type",
    ] {
        let mut all = headers(&[("connection", name)]);
        assert_eq!(strip(&mut all).unwrap_err(), Nominated, "{name}");
    }
}

/// Names that are fixed, nominated or neither.
fn name() -> impl Strategy<Value = String> {
    let fixed = proptest::sample::select(HOP.to_vec()).prop_map(str::to_owned);
    prop_oneof![3 => "[a-z]{1,2}", 1 => fixed]
}

proptest! {
    #[test]
    fn what_is_removed_is_what_was_nominated_and_the_fixed_set(
        names in proptest::collection::vec(name(), 0..10),
        nominated in proptest::collection::vec(name(), 0..4),
        upper in any::<bool>(),
    ) {
        let mut fields: Vec<(&str, &str)> = names
            .iter()
            .filter(|name| *name != "connection")
            .map(|name| (name.as_str(), "v"))
            .collect();
        // What decides on the message is refused instead, as the test above has it.
        prop_assume!(nominated.iter().all(|name| name != "transfer-encoding"));
        let list = nominated.join(" , ");
        let list = if upper { list.to_ascii_uppercase() } else { list };
        fields.push(("connection", &list));
        let mut all = headers(&fields);
        strip(&mut all).unwrap();
        let fixed = |name: &str| HOP.contains(&name);
        fields.retain(|(name, _)| !fixed(name) && !nominated.iter().any(|own| own == name));
        prop_assert_eq!(all, headers(&fields));
    }
}
