//! Frames that RFC 9113 sections 4 to 6 forbid, and some that it allows.

use harness::{Frame, Frames, Gateway, Kind, Upstream, Verdict, block, flag, upstream};

const OK: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];

fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

fn raw(kind: Kind, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    Frame::of(kind, flags, stream, payload).bytes()
}

/// What is wrong, and the frames that follow the preface.
#[rustfmt::skip]
fn forbidden() -> Vec<(&'static str, Vec<u8>)> {
    let open = Frame::headers(1, &OK, false).bytes();
    let ended = Frame::headers(1, &OK, true).bytes();
    let unfinished = raw(Kind::Headers, flag::END_STREAM, 1, &block(&OK)[..10]);
    let after = |first: &[u8], second: Vec<u8>| [first, &second].concat();
    vec![
        ("DATA on stream 0", Frame::data(0, "x", true).bytes()),
        ("DATA on an idle stream", Frame::data(1, "x", true).bytes()),
        ("DATA after the end", after(&ended, Frame::data(1, "x", true).bytes())),
        ("DATA with more padding than payload", after(&open, raw(Kind::Data, flag::PADDED, 1, [200, 1, 2]))),
        ("HEADERS on stream 0", Frame::headers(0, &OK, true).bytes()),
        ("HEADERS on an even stream", Frame::headers(2, &OK, true).bytes()),
        ("HEADERS on a stream that was passed over", after(&Frame::headers(5, &OK, false).bytes(), Frame::headers(3, &OK, true).bytes())),
        ("HEADERS with more padding than payload", raw(Kind::Headers, flag::PADDED | flag::END_HEADERS, 1, [200, 1])),
        ("HEADERS with a broken field block", raw(Kind::Headers, flag::END_HEADERS | flag::END_STREAM, 1, [0xff, 0xff, 0xff])),
        ("HEADERS with an index that nobody set", raw(Kind::Headers, flag::END_HEADERS | flag::END_STREAM, 1, [0xfe])),
        ("HEADERS with a huge string", raw(Kind::Headers, flag::END_HEADERS | flag::END_STREAM, 1, [0, 0x7f, 0xff, 0xff, 0xff, 0x7f])),
        ("DATA within a field block", after(&unfinished, Frame::data(1, "x", true).bytes())),
        ("PING within a field block", after(&unfinished, raw(Kind::Ping, 0, 0, [0; 8]))),
        ("an unknown frame within a field block", after(&unfinished, raw(Kind::Unknown, 0, 0, [0; 8]))),
        ("CONTINUATION on another stream", after(&unfinished, raw(Kind::Continuation, flag::END_HEADERS, 3, &block(&OK)[10..]))),
        ("CONTINUATION of nothing", raw(Kind::Continuation, flag::END_HEADERS, 1, block(&OK))),
        ("CONTINUATION on stream 0", raw(Kind::Continuation, flag::END_HEADERS, 0, [])),
        ("PUSH_PROMISE", raw(Kind::PushPromise, flag::END_HEADERS, 1, [0, 0, 0, 2])),
        ("RST_STREAM on stream 0", raw(Kind::Reset, 0, 0, [0; 4])),
        ("RST_STREAM on an idle stream", raw(Kind::Reset, 0, 1, [0; 4])),
        ("RST_STREAM of three bytes", after(&open, raw(Kind::Reset, 0, 1, [0; 3]))),
        ("SETTINGS on a stream", raw(Kind::Settings, 0, 1, setting(3, 1))),
        ("SETTINGS of five bytes", raw(Kind::Settings, 0, 0, [0; 5])),
        ("SETTINGS acknowledged with a payload", raw(Kind::Settings, flag::ACK, 0, setting(3, 1))),
        ("ENABLE_PUSH of 2", raw(Kind::Settings, 0, 0, setting(2, 2))),
        ("a window beyond 31 bits", raw(Kind::Settings, 0, 0, setting(4, 1 << 31))),
        ("frames below 16 KiB", raw(Kind::Settings, 0, 0, setting(5, 100))),
        ("frames beyond 16 MiB", raw(Kind::Settings, 0, 0, setting(5, 1 << 24))),
        ("PING of seven bytes", raw(Kind::Ping, 0, 0, [0; 7])),
        ("PING on a stream", raw(Kind::Ping, 0, 1, [0; 8])),
        ("GOAWAY on a stream", raw(Kind::GoAway, 0, 1, [0; 8])),
        ("WINDOW_UPDATE of three bytes", raw(Kind::WindowUpdate, 0, 0, [0; 3])),
        ("WINDOW_UPDATE of 0", raw(Kind::WindowUpdate, 0, 0, [0; 4])),
        ("WINDOW_UPDATE of a stream by 0", after(&open, raw(Kind::WindowUpdate, 0, 1, [0; 4]))),
        ("WINDOW_UPDATE beyond 31 bits", raw(Kind::WindowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff])),
        ("WINDOW_UPDATE on an idle stream", raw(Kind::WindowUpdate, 0, 1, [0, 0, 0, 1])),
        ("PRIORITY on stream 0", raw(Kind::Priority, 0, 0, [0; 5])),
        ("a frame beyond 16 KiB", after(&open, Frame::data(1, vec![0; 16_385], true).bytes())),
        ("SETTINGS beyond 16 KiB", raw(Kind::Settings, 0, 0, vec![0; 16_386])),
    ]
}

async fn start() -> (Gateway, Upstream) {
    let up = upstream().start().await;
    (crate::in_front_of(&up).start().await, up)
}

/// Reads until the server ends the stream or the connection with an error.
async fn ends(frames: &mut Frames) -> Option<Verdict> {
    loop {
        match frames.next().await {
            None => return Some(Verdict::Closed),
            Some(frame) if frame.kind == Kind::GoAway as u8 || frame.kind == Kind::Reset as u8 => {
                return Some(Verdict::GoAway(0));
            }
            Some(_) => {}
        }
    }
}

#[tokio::test]
async fn forbidden_frames_end_the_stream_or_the_connection() {
    let (gw, up) = start().await;
    for (what, bytes) in forbidden() {
        let mut frames = gw.frames().await;
        frames.bytes(&bytes).await;
        assert!(ends(&mut frames).await.is_some(), "{what}");
    }
    assert!(
        up.violations().iter().all(|v| !v.contains("Malformed")),
        "{:?}",
        up.violations()
    );
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn frames_that_nobody_knows_and_old_ones_are_passed_over() {
    let (gw, up) = start().await;
    let before = [
        raw(Kind::Unknown, 0xff, 0, b"whatever"),
        raw(Kind::Unknown, 0, 7, b""),
        raw(Kind::Priority, 0, 1, [0, 0, 0, 0, 16]),
        raw(Kind::Settings, 0, 0, setting(0x99, 1)),
        raw(Kind::WindowUpdate, 0, 0, [0, 0, 0, 1]),
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
