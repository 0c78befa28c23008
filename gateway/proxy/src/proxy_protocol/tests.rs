//! PROXY headers over streams.

use super::*;

fn read(bytes: &[u8]) -> (Result<Option<SocketAddr>, HeaderError>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut stream = Prefixed::new(bytes);
    runtime.block_on(async {
        let address = stream.read_header().await;
        let mut rest = Vec::new();
        if address.is_ok() {
            stream.read_to_end(&mut rest).await.unwrap();
        }
        (address, rest)
    })
}

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

#[test]
fn both_versions_tell_the_source_and_leave_the_rest() {
    let (address, rest) = read(b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\nGET / ");
    assert_eq!(address.unwrap(), Some("203.0.113.7:4711".parse().unwrap()));
    assert_eq!(rest, b"GET / ");
    let (address, _) = read(b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n");
    assert_eq!(
        address.unwrap(),
        Some("[2001:db8::1]:4711".parse().unwrap())
    );
    let v2 = [
        V2,
        b"\x21\x11\x00\x0c",
        &[203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80],
        b"GET",
    ]
    .concat();
    let (address, rest) = read(&v2);
    assert_eq!(address.unwrap(), Some("203.0.113.7:4711".parse().unwrap()));
    assert_eq!(rest, b"GET");
}

#[test]
fn local_and_unknown_tell_none() {
    assert_eq!(read(b"PROXY UNKNOWN\r\nx").0.unwrap(), None);
    let local = [V2, b"\x20\x00\x00\x00", b"x"].concat();
    let (address, rest) = read(&local);
    assert_eq!((address.unwrap(), rest), (None, b"x".to_vec()));
}

#[test]
fn what_is_no_header_is_refused() {
    for bad in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PROXY TCP4 x y 1 2\r\n",
        b"PROXY TCP4 1.2.3.4",
        b"",
    ] {
        assert!(read(bad).0.is_err(), "{bad:?}");
    }
}
