//! A chunked body of an HTTP/1 client: the oracle is that of [`crate::head`].

/// The bytes behind the head.
pub fn run(data: &[u8]) {
    crate::head::run(&[HEAD, data].concat());
}

const HEAD: &[u8] = b"POST /chunked HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
