//! Request lines and field lines that RFC 9112 does not allow.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "two blanks before the target",
        b"GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "two blanks before the version",
        b"GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a blank after the version",
        b"GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
    ),
    (
        "a blank before the method",
        b" GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "tabs as separators",
        b"GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a tab before the version",
        b"GET /\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    ("no version", b"GET /\r\nHost: a.test\r\n\r\n"),
    ("no target", b"GET HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("no method", b"/ HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    (
        "lower-case version",
        b"GET / http/1.1\r\nHost: a.test\r\n\r\n",
    ),
    ("version 2.0", b"GET / HTTP/2.0\r\nHost: a.test\r\n\r\n"),
    ("version 0.9", b"GET / HTTP/0.9\r\nHost: a.test\r\n\r\n"),
    (
        "version of one digit",
        b"GET / HTTP/1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "version without a point",
        b"GET / HTTP/11\r\nHost: a.test\r\n\r\n",
    ),
    (
        "version of three parts",
        b"GET / HTTP/1.1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "version with leading zero",
        b"GET / HTTP/01.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "version with text behind",
        b"GET / HTTP/1.1x\r\nHost: a.test\r\n\r\n",
    ),
    (
        "another protocol",
        b"GET / HTTPS/1.1\r\nHost: a.test\r\n\r\n",
    ),
    ("a fourth word", b"GET / HTTP/1.1 x\r\nHost: a.test\r\n\r\n"),
    (
        "a blank within the target",
        b"GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a delimiter in the method",
        b"GE(T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a colon in the method",
        b"GET: / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "NUL in the method",
        b"GE\0T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "NUL in the target",
        b"GET /\0 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "DEL in the target",
        b"GET /\x7f HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a high byte in the target",
        b"GET /\xe9 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a bare CR in the request line",
        b"GET /\r HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a bare CR as the line's end",
        b"GET / HTTP/1.1\rHost: a.test\r\n\r\n",
    ),
    ("a fragment", b"GET /#x HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    (
        "a control in the query",
        b"GET /?a\x01b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a relative target",
        b"GET a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a query without a path",
        b"GET ?x HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "an authority as target",
        b"GET a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "the asterisk for GET",
        b"GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "CONNECT",
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    ),
    (
        "CONNECT of a path",
        b"CONNECT / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "another scheme",
        b"GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a scheme without an authority",
        b"GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "user information in the target",
        b"GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a path that climbs",
        b"GET /../x HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a path with NUL",
        b"GET /%00 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    ("a backslash", b"GET /a\\b HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    (
        "a field without a colon",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad\r\n\r\n",
    ),
    (
        "a field without a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\n: x\r\n\r\n",
    ),
    (
        "a blank before the colon",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad : 1\r\n\r\n",
    ),
    (
        "a tab before the colon",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad\t: 1\r\n\r\n",
    ),
    (
        "a blank in a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX Bad: 1\r\n\r\n",
    ),
    (
        "a blank before the first field",
        b"GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
    ),
    (
        "a blank before the first of two",
        b"GET / HTTP/1.1\r\n X: 1\r\nHost: a.test\r\n\r\n",
    ),
    (
        "a folded field",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Fold: 1\r\n 2\r\n\r\n",
    ),
    (
        "a field folded with a tab",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Fold: 1\r\n\t2\r\n\r\n",
    ),
    (
        "a line of blanks",
        b"GET / HTTP/1.1\r\nHost: a.test\r\n  \r\n\r\n",
    ),
    (
        "a delimiter in a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX(Bad: 1\r\n\r\n",
    ),
    (
        "a slash in a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX/Bad: 1\r\n\r\n",
    ),
    (
        "a quote in a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\"X\": 1\r\n\r\n",
    ),
    (
        "NUL in a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX\0Bad: 1\r\n\r\n",
    ),
    (
        "a high byte in a name",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX\xe9: 1\r\n\r\n",
    ),
    (
        "NUL in a value",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\0b\r\n\r\n",
    ),
    (
        "a bare CR in a value",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\rb\r\n\r\n",
    ),
    (
        "a bare CR before CRLF",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\r\r\n\r\n",
    ),
    (
        "a control in a value",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\x01b\r\n\r\n",
    ),
    (
        "DEL in a value",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\x7fb\r\n\r\n",
    ),
    (
        "a vertical tab in a value",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\x0bb\r\n\r\n",
    ),
    (
        "TLS on the plain listener",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ),
    ("garbage", b"\x00\x01\x02\x03\r\n\r\n"),
];
