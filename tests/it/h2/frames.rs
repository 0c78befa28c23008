//! Frames that RFC 9113 sections 4 to 6 allow.

use harness::{Frame, Gateway, Kind, Upstream, Verdict, block, flag, upstream};

pub(super) const OK: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];

pub(super) fn raw(kind: Kind, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    Frame::of(kind, flags, stream, payload).bytes()
}

pub(super) async fn start() -> (Gateway, Upstream) {
    let up = upstream().start().await;
    (crate::in_front_of(&up).start().await, up)
}

#[tokio::test]
async fn frames_that_nobody_knows_and_old_ones_are_passed_over() {
    let (gw, up) = start().await;
    let before = [
        raw(Kind::Unknown, 0xff, 0, b"whatever"),
        raw(Kind::Unknown, 0, 7, b""),
        raw(Kind::Priority, 0, 1, [0, 0, 0, 0, 16]),
        raw(Kind::Settings, 0, 0, [0, 0x99, 0, 0, 0, 1]),
        raw(Kind::WindowUpdate, 0, 0, [0, 0, 0, 1]),
        raw(Kind::Settings, 0, 0, [0, 4, 0x7f, 0xff, 0xff, 0xff]),
        raw(Kind::Ping, flag::ACK, 0, [0; 8]),
    ];
    for (number, bytes) in before.iter().enumerate() {
        let mut frames = gw.frames().await;
        frames.bytes(bytes).await;
        frames.send(&Frame::get(1, "a.test", "/")).await;
        assert_eq!(
            frames.verdict(1).await,
            Verdict::Status(200),
            "number {number}"
        );
    }
    assert_eq!(up.complete(), before.len());
}

#[tokio::test]
async fn field_blocks_in_pieces_and_padding_are_read() {
    let (gw, up) = start().await;
    let block = block(&OK);
    let mut frames = gw.frames().await;
    frames.bytes(&raw(Kind::Headers, 0, 1, &block[..7])).await;
    frames
        .bytes(&raw(Kind::Continuation, 0, 1, &block[7..20]))
        .await;
    frames
        .bytes(&raw(Kind::Continuation, flag::END_HEADERS, 1, &block[20..]))
        .await;
    frames
        .bytes(&raw(Kind::Data, flag::PADDED, 1, [3, b'a', b'b', 0, 0, 0]))
        .await;
    frames
        .bytes(&raw(Kind::Data, flag::END_STREAM, 1, "c"))
        .await;
    assert_eq!(frames.verdict(1).await, Verdict::Status(200));
    assert_eq!(up.only().body, b"abc");

    let mut with_priority = vec![2, 0, 0, 0, 0, 16];
    with_priority.extend_from_slice(&block);
    with_priority.extend_from_slice(&[0, 0]);
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS | flag::END_STREAM;
    frames
        .bytes(&raw(Kind::Headers, flags, 3, with_priority))
        .await;
    assert_eq!(frames.verdict(3).await, Verdict::Status(200));
}

#[tokio::test]
async fn pings_are_answered() {
    let (gw, _up) = start().await;
    let mut frames = gw.frames().await;
    frames.bytes(&raw(Kind::Ping, 0, 0, b"12345678")).await;
    let pong = frames.next_of(Kind::Ping).await.expect("an answer");
    assert_eq!(
        (pong.flags, pong.payload.as_slice()),
        (flag::ACK, &b"12345678"[..])
    );
}

#[tokio::test]
async fn the_settings_limit_streams() {
    let (gw, _up) = start().await;
    let mut frames = gw.frames().await;
    let settings = frames.next_of(Kind::Settings).await.expect("settings");
    let streams = settings
        .payload
        .chunks(6)
        .find(|setting| setting[..2] == [0, 3])
        .expect("a limit of streams");
    let limit = u32::from_be_bytes([streams[2], streams[3], streams[4], streams[5]]);
    assert!((1..=250).contains(&limit), "{limit} streams");
}

#[tokio::test]
async fn a_wrong_preface_is_closed() {
    let (gw, up) = start().await;
    let mut connection = gw.connect().await;
    connection.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    connection.rest().await;
    assert!(up.seen().is_empty());
}
