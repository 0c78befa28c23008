//! The rules of fields, case by case.

use super::*;

#[test]
fn the_gateways_own_fields_cannot_be_changed_in_any_way() {
    let ours = [
        ":path",
        ":status",
        "Host",
        "content-length",
        "Content-Length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-authorization",
        "Proxy-Connection",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        "x-forwarded-for",
        "X-Forwarded-Anything",
        "forwarded",
        "x-request-id",
        "traceparent",
    ];
    for message in [Message::Request, Message::Response] {
        for change in [Change::Set, Change::Add, Change::Remove] {
            for field in ours {
                let result = name(message, change, field);
                assert_eq!(result, Err(FieldError::Forbidden), "{field} {change:?}");
            }
        }
    }
}

#[test]
fn a_cookie_of_a_response_can_only_be_added() {
    let cookie = |message, change| name(message, change, "Set-Cookie").is_ok();
    assert!(cookie(Message::Response, Change::Add));
    assert!(!cookie(Message::Response, Change::Set));
    assert!(!cookie(Message::Response, Change::Remove));
    assert!(cookie(Message::Request, Change::Set));
}

#[test]
fn names_are_tokens() {
    for wrong in ["", "a b", "a:b", "a\r\nb", "é", "a\0"] {
        let result = name(Message::Request, Change::Set, wrong);
        assert_eq!(result, Err(FieldError::InvalidName), "{wrong:?}");
    }
    let long = "a".repeat(64 << 10);
    assert_eq!(
        name(Message::Request, Change::Set, &long),
        Err(FieldError::TooLarge)
    );
}

#[test]
fn values_hold_no_line_end_and_no_nul_but_any_other_byte() {
    for wrong in [
        &b"a\r\nb: c"[..],
        b"a\nb",
        b"a\rb",
        b"\0",
        b"a\x01",
        b"a\x7f",
        b"a\r\n",
    ] {
        assert_eq!(value(wrong), Err(FieldError::InvalidValue), "{wrong:?}");
    }
    for right in [&b""[..], b"a b", b"\x80\xff", b"a\tb"] {
        assert_eq!(value(right).unwrap().as_bytes(), right);
    }
    assert_eq!(value(b" \ta \t").unwrap().as_bytes(), b"a");
    assert_eq!(value(b" \t ").unwrap().as_bytes(), b"");
    assert_eq!(value(&vec![b'a'; 1 << 20]), Err(FieldError::TooLarge));
}

#[test]
fn a_path_never_leads_to_another_host_or_climbs() {
    for wrong in [
        "",
        "evil",
        "//evil",
        "//evil?q",
        "/a/../b",
        "/..",
        "/.",
        "/%2e%2E/a",
        "/.%2e",
        "/a b",
        "/a#b",
        "/a?b c",
        "/a?b#c",
        "/a?\r\n",
        "/a\0",
        "/%00",
        "/%zz",
        "/a\\b",
        "*",
        "http://a/",
    ] {
        assert_eq!(path(wrong), Err(FieldError::InvalidName), "{wrong:?}");
    }
    assert_eq!(
        path(&format!("/{}", "a".repeat(9000))),
        Err(FieldError::TooLarge)
    );
    for (right, normal) in [
        ("/", "/"),
        ("/a?b=%zz&c", "/a?b=%zz&c"),
        ("/%61//b/", "/a//b/"),
        ("/?", "/?"),
    ] {
        assert_eq!(path(right).unwrap().as_str(), normal);
    }
}

#[test]
fn one_hook_sets_64_fields_of_32_kib_together() {
    let mut spent = Spent::default();
    assert!((0..64).all(|_| spent.charge(10).is_ok()));
    assert_eq!(spent.charge(0), Err(FieldError::TooMany));
    let mut spent = Spent::default();
    assert!(spent.charge(32 << 10).is_ok());
    assert_eq!(spent.charge(1), Err(FieldError::TooLarge));
}
