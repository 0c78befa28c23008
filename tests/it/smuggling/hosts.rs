//! `Host`: exactly one, RFC 9112 section 3.2, that names one host for every reader.

use super::Case;

pub(super) const CASES: &[Case] = &[
    ("none", b"GET / HTTP/1.1\r\n\r\n"),
    (
        "none but other fields",
        b"GET / HTTP/1.1\r\nX-Host: a.test\r\n\r\n",
    ),
    (
        "none beside an absolute target",
        b"GET http://a.test/ HTTP/1.1\r\n\r\n",
    ),
    ("empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    ("blank", b"GET / HTTP/1.1\r\nHost:  \r\n\r\n"),
    (
        "two alike",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
    ),
    (
        "two that differ",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    ),
    (
        "two far apart",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX: 1\r\nhost: b.test\r\n\r\n",
    ),
    (
        "two of which one is empty",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nHost:\r\n\r\n",
    ),
    (
        "two beside an absolute target",
        b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
    ),
    ("a list", b"GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n"),
    (
        "a blank within",
        b"GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n",
    ),
    (
        "user information",
        b"GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n",
    ),
    ("a path", b"GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n"),
    ("a query", b"GET / HTTP/1.1\r\nHost: a.test?x\r\n\r\n"),
    ("a fragment", b"GET / HTTP/1.1\r\nHost: a.test#x\r\n\r\n"),
    ("a scheme", b"GET / HTTP/1.1\r\nHost: http://a.test\r\n\r\n"),
    ("a backslash", b"GET / HTTP/1.1\r\nHost: a.test\\x\r\n\r\n"),
    (
        "a port of letters",
        b"GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n",
    ),
    (
        "a port too great",
        b"GET / HTTP/1.1\r\nHost: a.test:65536\r\n\r\n",
    ),
    (
        "a signed port",
        b"GET / HTTP/1.1\r\nHost: a.test:+80\r\n\r\n",
    ),
    ("two ports", b"GET / HTTP/1.1\r\nHost: a.test:80:80\r\n\r\n"),
    ("a port only", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    ("an open bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    (
        "an address without brackets",
        b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
    ),
    (
        "no address in brackets",
        b"GET / HTTP/1.1\r\nHost: [a.test]\r\n\r\n",
    ),
    (
        "text after brackets",
        b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n",
    ),
    (
        "an encoded point",
        b"GET / HTTP/1.1\r\nHost: a%2etest\r\n\r\n",
    ),
    (
        "an encoded NUL",
        b"GET / HTTP/1.1\r\nHost: a.test%00\r\n\r\n",
    ),
    ("a high byte", b"GET / HTTP/1.1\r\nHost: \xe9.test\r\n\r\n"),
    (
        "a label that is empty",
        b"GET / HTTP/1.1\r\nHost: a..test\r\n\r\n",
    ),
    (
        "a point in front",
        b"GET / HTTP/1.1\r\nHost: .a.test\r\n\r\n",
    ),
    ("a point only", b"GET / HTTP/1.1\r\nHost: .\r\n\r\n"),
    (
        "brackets of another kind",
        b"GET / HTTP/1.1\r\nHost: <a.test>\r\n\r\n",
    ),
    ("a wildcard", b"GET / HTTP/1.1\r\nHost: *.test\r\n\r\n"),
    (
        "a folded host",
        b"GET / HTTP/1.1\r\nHost:\r\n a.test\r\n\r\n",
    ),
    (
        "a blank before the colon",
        b"GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
    ),
    (
        "1.0 with two",
        b"GET / HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    ),
];
