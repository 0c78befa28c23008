//! Many ways to write one element of a request, none of which the grammar allows.

/// What is varied, the bytes before it, its forms, and the bytes after it.
pub(super) type Table = (
    &'static str,
    &'static [u8],
    &'static [&'static [u8]],
    &'static [u8],
);

/// Refused before a backend sees anything.
#[rustfmt::skip]
pub(super) const HEADS: &[Table] = &[
    ("method", b"", METHODS, b" / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("version", b"GET / ", VERSIONS, b"\r\nHost: a.test\r\n\r\n"),
    ("request line", b"", LINES, b"\r\nHost: a.test\r\n\r\n"),
    ("target", b"GET ", TARGETS, b" HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ("field", b"GET / HTTP/1.1\r\nHost: a.test\r\n", FIELDS, b"\r\n\r\n"),
    ("host", b"GET / HTTP/1.1\r\nHost: ", HOSTS, b"\r\n\r\n"),
    ("connection", b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Hop: 1\r\nConnection: ", CONNECTIONS, b"\r\n\r\n"),
    ("length", b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ", LENGTHS, b"\r\n\r\nabc"),
    ("length beside 3", b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n", SECOND_LENGTHS, b"\r\n\r\nabc"),
    ("coding", b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: ", CODINGS, b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ("coding in 1.0", b"POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: ", &[b"chunked", b"gzip", b"identity"], b"\r\n\r\n0\r\n\r\n"),
    ("coding field", b"POST / HTTP/1.1\r\nHost: a.test\r\n", CODING_FIELDS, b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ("coding field beside a length", b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n", CODING_FIELDS, b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
];

/// Refused where a backend may have the head already.
#[rustfmt::skip]
pub(super) const BODIES: &[Table] = &[
    ("chunk", b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKS, b"\r\nabc\r\n0\r\n\r\n"),
    ("chunk's end", b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", CHUNK_ENDS, b"0\r\n\r\n"),
    ("trailer", b"POST / HTTP/1.1\r\nHost: a.test\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", TRAILERS, b"\r\n\r\n"),
];

#[rustfmt::skip]
const METHODS: &[&[u8]] = &[
    b"", b"GE T", b"G\x00ET", b"GET\x7f", b"{GET}", b"GET,", b"G@T", b"\"GET\"", b"GET/", b"G\xe9T", b"(GET)", b"[GET]", b"GET;",
    b"G=T", b"G\\T", b"G?T", b"<GET>", b"GET:", b"\tGET", b"\xef\xbb\xbfGET", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];
#[rustfmt::skip]
const VERSIONS: &[&[u8]] = &[
    b"", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.1\t", b"http/1.1", b"Http/1.1", b"HTTP/1.10", b"HTTP/1.01", b"HTTP/1,1",
    b"HTTP/1.1.1", b"HTTP 1.1", b"HTTP/ 1.1", b"HTTP/1. 1", b"HTTP/+1.1", b"HTTP/1.1;x", b"HTTP/1", b"HTTP/", b"HTTP", b"HTTP/2.0",
    b"HTTP/2", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/9.9", b"HTTP/a.b", b"XTTP/1.1", b"HTTP/1.1\x00", b"HTTP/1.1\x0b", b"\x00HTTP/1.1",
    b"SIP/2.0", b"HTTP/-1.1", b"HTTP/1.\xb2", b"HTTP/1.1\r", b"HTTP/1.1 HTTP/1.1", b"\xa0HTTP/1.1",
];
#[rustfmt::skip]
const LINES: &[&[u8]] = &[
    b"GET", b"GET ", b"GET /", b"GET / ", b"GET / / HTTP/1.1", b"GET\x0b/ HTTP/1.1", b"GET\x0c/ HTTP/1.1", b"GET\xa0/ HTTP/1.1",
    b"GET\x00/ HTTP/1.1", b"GET\r/ HTTP/1.1", b"HTTP/1.1 200 OK", b"\r\r\nGET / HTTP/1.1", b"\r GET / HTTP/1.1",
    b"\n\nGET / HTTP/1.1", b"PRI * HTTP/2.0", b"GET / HTTP/1.1\rHost: a.test\r\r", b"GET / HTTP/1.1\n\rHost: a.test\n\r\n\r",
];
#[rustfmt::skip]
const TARGETS: &[&[u8]] = &[
    b"/a\tb", b"/\x01", b"/\x0b", b"/\x0c", b"/a\rb", b"/\x80", b"/caf\xc3\xa9", b"#", b"/?q=#f", b"/?\x00", b"/?a b", b"foo/bar",
    b"http://", b"http:/a.test/", b"http:a.test/", b"javascript:alert(1)", b"http://a.test:99999/", b"http://a.test:x/",
    b"http://a.test\\@b.test/", b"http://b.test/", b"http://a.test@b.test/", b"/%", b"/%0", b"/%u0041", b"/..", b"/%2e%2e/x",
    b"/a/../../x", b"/\\..\\x", b"/..\\x", b"/a/%2e%2e/%2E%2E/x", b"/;/../../x",
];
#[rustfmt::skip]
const FIELDS: &[&[u8]] = &[
    b" : 1", b"X\x01: 1", b"X\x7f: 1", b"X): 1", b"X<: 1", b"X>: 1", b"X@: 1", b"X,: 1", b"X;: 1", b"X\\: 1", b"X[: 1", b"X]: 1",
    b"X?: 1", b"X=: 1", b"X{: 1", b"X}: 1", b"X: \x00", b"X: a\x08", b"X: a\x0c", b"X: a\x1f", b"X: 1\r", b"X:\r\n 1", b"X: 1\r\n ",
    b"X: 1\nY: 2", b"X: 1\rY: 2", b"X: 1\n\rY: 2", b"\rX: 1", b"\x0bX: 1", b"X\r: 1", b"X\n: 1", b"X\r\n: 1", b"X: 1\r\r",
    b"X\xa0: 1", b"\xd0\xa5: 1", b"X: 1\x1a", b"\x00: 1", b"\xff\xfe: 1", b"Host", b"GET / HTTP/1.1",
];
#[rustfmt::skip]
const HOSTS: &[&[u8]] = &[
    b"u:p@a.test", b"a.test/", b"//a.test", b"a.test:-1", b"a.test:99999999999", b"a.test: 80", b"a.test :80", b"[::1]:x", b"[]",
    b"[::g]", b"a.test%20", b"%61.test", b"..", b"a.test..", b"\"a.test\"", b"'a.test'", b"a.test;x", b"a.test&x", b"(a.test)",
    b"{a.test}", b"a.test|b", b"a.test^b", b"a`b.test", b"a.test\x00", b"a.test\x01", b"a.test\x7f", b"\xff", b"a.te\tst", b"*",
    b"a,test", b"a$test", b"a!test", b"a+b.test", b"a.test@b.test", b"b.test@a.test", b"a.test:80@b.test", b"a.test:80/b",
    b"a.test\r\n b.test",
];
#[rustfmt::skip]
const CONNECTIONS: &[&[u8]] = &[
    b"\"x-hop\"", b"x-hop;a", b"x-hop\tclose", b"x hop", b"(close)", b"\xe9", b"close, @", b"Transfer-Encoding", b"close, host",
    b"Content-Length", b"keep-alive, cookie", b"authorization", b"content-type",
];
#[rustfmt::skip]
const LENGTHS: &[&[u8]] = &[
    b"-0", b"3 3", b"3,3", b"3, 3", b"3;x", b"3\x0b", b"\x0c3", b"3\x0c", b"\xa03", b"\x003", b"18446744073709551616", b"three",
    b"99999999999999999999999999", b"9223372036854775808", b"\xd9\xa3", b"\xef\xbc\x93", b"NaN", b"3\r\n ", b",3", b"3,", b"03",
    b"0003", b"00", b"0o3", b"0b11", b"3e0", b"0x3", b"0x", b".3",
];
#[rustfmt::skip]
const SECOND_LENGTHS: &[&[u8]] = &[
    b"Content-Length: 3", b"content-length: 4", b"Content-Length: x", b"Content-Length: +3", b"Content-Length: 03",
    b"Content-Length: 0", b"Content-Length\t: 3", b" Content-Length: 3", b"Content-\x00Length: 3", b"Content-Length\x00: 3",
    b"\rContent-Length: 3", b"Content-Length\r: 3", b"X: y\rContent-Length: 3", b"X: y\nContent-Length: 3", b"Content Length: 3",
    b"Content-Length;: 3", b"Connection: Content-Length", b"X: y\r\nContent-Length: 30",
];
#[rustfmt::skip]
const CODINGS: &[&[u8]] = &[
    b"chunked,chunked", b"deflate", b"cow, chunked", b", chunked", b"chunked ,", b"chunked; x=1", b"chunked;q=1", b"'chunked'",
    b"chunked x", b"chunk", b"chunke", b"\x00chunked", b"chunked\x0b", b"\x0cchunked", b"chunked\xa0", b"chunked\x7f", b"\x08chunked",
    b"chun\x00ked", b"chun\xe2\x84\xaaed", b"[chunked]", b"{chunked}", b"chunked\r\n ", b"chu\r\n nked", b"chunked, trailers",
    b"trailers", b"chunked.", b"chunked:", b"chunked=1", b"chunked/1", b"chunked\\", b"@chunked", b"x-chunked", b"0", b"null",
];
#[rustfmt::skip]
const CODING_FIELDS: &[&[u8]] = &[
    b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked", b"\tTransfer-Encoding: chunked", b"\x0bTransfer-Encoding: chunked",
    b"Transfer\x00-Encoding: chunked", b"Transfer-Encoding\x00: chunked", b"Transfer-Encoding\r: chunked",
    b"Transfer-Encoding\x0b: chunked", b"\rTransfer-Encoding: chunked", b"X: y\r\rTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\rX: y", b"Transfer-Encoding: chunked\nX: y", b"Transfer Encoding: chunked",
    b"Transfer-Encoding;: chunked", b"\"Transfer-Encoding\": chunked", b"Transfer-Encoding\xe9: chunked", b"Transfer-Encoding:: chunked",
    b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding",
];
#[rustfmt::skip]
const CHUNKS: &[&[u8]] = &[
    b"\t3", b"\x003", b"3.0", b"3h", b"0003g", b"ffffffffffffffff", b"8000000000000000", b"fffffffffffffffff3", b"3\r", b"3\n",
    b"\"3\"", b"\xef\xbc\x93", b"3\xa0", b"3\x0b", b"3 x", b"3,x", b"3:x", b"3;", b"3;;", b"3;x;", b"3; ", b"3 ;", b"3;=y", b"3;x=",
    b"3;x=\"", b"3;x=\"y", b"3;\"x\"", b"3;x=\"y\"z", b"3;x=\"y\\", b"3;x y", b"3;x=y z", b"3;x=(", b"3;\xe9", b"3;x\x00", b"3;x=\"\x00\"",
    b"3;x=\"\r\n\"", b"3;x\x7f", b"3;\x0b", b"3;x ", b"3;x=\"y\" ",
];
#[rustfmt::skip]
const CHUNK_ENDS: &[&[u8]] = &[b"", b"\r", b"\n", b"\r\r\n", b"\n\r", b"XX", b"d\r\n", b"\r\n\r\n", b"\r\n-", b"\r\n+", b"\r\n "];
#[rustfmt::skip]
const TRAILERS: &[&[u8]] = &[
    b" X: 1", b"X: a\rb", b"X\x00: 1", b"X: 1\nY: 2", b"\rX: 1", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: b.test",
    b"Authorization: x", b"Cookie: x", b"Connection: close", b"Keep-Alive: x", b"Proxy-Connection: x", b"TE: x", b"Upgrade: x",
    b"Trailer: x", b"Expect: 100-continue", b"Content-Type: x", b"Content-Encoding: x", b"Cache-Control: x", b"Max-Forwards: 1",
    b"Range: bytes=0-", b"Proxy-Authorization: x", b"Set-Cookie: x",
];
