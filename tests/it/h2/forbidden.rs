//! Frames that RFC 9113 sections 4 to 6 and 8 forbid, and the error that each is answered with.

use harness::{Frame, Kind, Verdict, block, field, flag};

use super::frames::{OK, raw, start};

/// Error codes, RFC 9113 section 7.
const PROTOCOL: u32 = 1;
const FLOW: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
/// The library knows COMPRESSION_ERROR, but says PROTOCOL_ERROR.
const COMPRESSION: u32 = PROTOCOL;

fn setting(id: u16, value: u32) -> Vec<u8> {
    let payload = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    raw(Kind::Settings, 0, 0, payload)
}

/// What is wrong, the error, and the frames that follow the preface.
type Case = (&'static str, u32, Vec<u8>);

fn after(first: &[u8], second: impl AsRef<[u8]>) -> Vec<u8> {
    [first, second.as_ref()].concat()
}

fn open() -> Vec<u8> {
    Frame::headers(1, &OK, false).bytes()
}

fn ended() -> Vec<u8> {
    Frame::headers(1, &OK, true).bytes()
}

#[rustfmt::skip]
fn data_and_headers() -> Vec<Case> {
    let reset = raw(Kind::Reset, 0, 1, [0, 0, 0, 8]);
    let done = after(&open(), Frame::data(1, "x", true).bytes());
    vec![
        ("DATA on stream 0", PROTOCOL, Frame::data(0, "x", true).bytes()),
        ("DATA on an idle stream", PROTOCOL, Frame::data(1, "x", true).bytes()),
        ("DATA on a later idle stream", PROTOCOL, after(&ended(), Frame::data(5, "x", true).bytes())),
        ("DATA after the end", CLOSED, after(&ended(), Frame::data(1, "x", true).bytes())),
        ("DATA after the end of DATA", CLOSED, after(&done, Frame::data(1, "x", true).bytes())),
        ("DATA after a reset", CLOSED, after(&after(&open(), &reset), Frame::data(1, "x", true).bytes())),
        ("DATA with more padding than payload", PROTOCOL, after(&open(), raw(Kind::Data, flag::PADDED, 1, [200, 1, 2]))),
        ("DATA with as much padding as payload", PROTOCOL, after(&open(), raw(Kind::Data, flag::PADDED, 1, [3, 1, 2]))),
        ("DATA without a padding length", SIZE, after(&open(), raw(Kind::Data, flag::PADDED, 1, []))),
        ("DATA beyond 16 KiB", SIZE, after(&open(), Frame::data(1, vec![0; 16_385], true).bytes())),
        ("DATA beyond the window", FLOW, after(&open(), Frame::data(1, vec![0; 16_384], false).bytes().repeat(12))),
        ("DATA short of its length", PROTOCOL, after(&with(&[("content-length", "5")], false), Frame::data(1, "abc", true).bytes())),
        ("DATA beyond its length", PROTOCOL, after(&with(&[("content-length", "2")], false), Frame::data(1, "abc", true).bytes())),
        ("HEADERS on stream 0", PROTOCOL, Frame::headers(0, &OK, true).bytes()),
        ("HEADERS on an even stream", PROTOCOL, Frame::headers(2, &OK, true).bytes()),
        ("HEADERS on a stream that was passed over", PROTOCOL, after(&Frame::headers(5, &OK, false).bytes(), Frame::headers(3, &OK, true).bytes())),
        ("HEADERS after the end", CLOSED, after(&ended(), ended())),
        ("HEADERS after a reset", CLOSED, after(&after(&open(), &reset), ended())),
        ("HEADERS in a body that go on", PROTOCOL, after(&open(), Frame::headers(1, &[("x", "1")], false).bytes())),
        ("HEADERS with more padding than payload", PROTOCOL, raw(Kind::Headers, flag::PADDED | flag::END_HEADERS, 1, [200, 1])),
        ("HEADERS without a padding length", SIZE, raw(Kind::Headers, flag::PADDED | flag::END_HEADERS, 1, [])),
        ("HEADERS with half a priority", SIZE, raw(Kind::Headers, flag::PRIORITY | flag::END_HEADERS, 1, [0, 0])),
        ("HEADERS that depend on themselves", PROTOCOL, raw(Kind::Headers, 5 | flag::PRIORITY, 1, after(&[0, 0, 0, 1, 16], block(&OK)))),
        ("HEADERS beyond 16 KiB", SIZE, raw(Kind::Headers, 5, 1, vec![0; 16_385])),
    ]
}

/// Fields beside those of a good request.
fn with(fields: &[(&str, &str)], end: bool) -> Vec<u8> {
    Frame::headers(1, &[&OK[..], fields].concat(), end).bytes()
}

#[rustfmt::skip]
fn field_blocks() -> Vec<Case> {
    let block_of = |more: &[u8]| raw(Kind::Headers, 5, 1, after(&block(&OK), more));
    let trailers = |fields: &[(&str, &str)]| after(&open(), Frame::headers(1, fields, true).bytes());
    vec![
        ("an index that nobody set", COMPRESSION, block_of(&[0xfe])),
        ("an index of 0", COMPRESSION, block_of(&[0x80])),
        ("an endless integer", COMPRESSION, block_of(&[0xff; 8])),
        ("a huge string", COMPRESSION, block_of(&[0, 0x7f, 0xff, 0xff, 0xff, 0x7f])),
        ("half a string", COMPRESSION, block_of(b"\x00\x05ab")),
        ("the end of Huffman's code", COMPRESSION, block_of(b"\x00\x01x\x84\xff\xff\xff\xff")),
        ("padding of Huffman's code with zeros", COMPRESSION, block_of(b"\x00\x01x\x81\x18")),
        ("a table beyond its size", COMPRESSION, raw(Kind::Headers, 5, 1, after(&[0x3f, 0xe1, 0xff, 0x03], block(&OK)))),
        ("a table's size at the end", COMPRESSION, block_of(&[0x20])),
        ("upper case", PROTOCOL, with(&[("X-A", "1")], true)),
        ("a field of a connection", PROTOCOL, with(&[("connection", "close")], true)),
        ("te of something else", PROTOCOL, with(&[("te", "gzip")], true)),
        ("an unknown pseudo-field", PROTOCOL, with(&[(":x", "1")], true)),
        ("a second method", PROTOCOL, with(&[(":method", "GET")], true)),
        ("a pseudo-field behind a field", PROTOCOL, Frame::headers(1, &[OK[0], ("x", "1"), OK[1], OK[2], OK[3]], true).bytes()),
        ("no path", PROTOCOL, Frame::headers(1, &OK[..3], true).bytes()),
        ("a pseudo-field in trailers", PROTOCOL, trailers(&[(":path", "/x")])),
        ("a pseudo-field of answers in trailers", PROTOCOL, trailers(&[(":status", "200")])),
        ("an unknown pseudo-field in trailers", PROTOCOL, trailers(&[(":x", "1")])),
        ("a pseudo-field behind a trailer", PROTOCOL, trailers(&[("x", "1"), (":path", "/x")])),
        ("an indexed pseudo-field in trailers", PROTOCOL, after(&open(), raw(Kind::Headers, 5, 1, [0x84]))),
    ]
}

#[rustfmt::skip]
fn continuations() -> Vec<Case> {
    let block = block(&OK);
    let unfinished = raw(Kind::Headers, flag::END_STREAM, 1, &block[..10]);
    let within = |frame: Vec<u8>| after(&unfinished, frame);
    vec![
        ("DATA within a field block", PROTOCOL, within(Frame::data(1, "x", true).bytes())),
        ("HEADERS within a field block", PROTOCOL, within(Frame::headers(3, &OK, true).bytes())),
        ("PRIORITY within a field block", PROTOCOL, within(raw(Kind::Priority, 0, 1, [0; 5]))),
        ("RST_STREAM within a field block", PROTOCOL, within(raw(Kind::Reset, 0, 1, [0; 4]))),
        ("SETTINGS within a field block", PROTOCOL, within(raw(Kind::Settings, 0, 0, []))),
        ("PING within a field block", PROTOCOL, within(raw(Kind::Ping, 0, 0, [0; 8]))),
        ("GOAWAY within a field block", PROTOCOL, within(raw(Kind::GoAway, 0, 0, [0; 8]))),
        ("WINDOW_UPDATE within a field block", PROTOCOL, within(raw(Kind::WindowUpdate, 0, 0, [0, 0, 0, 1]))),
        ("an unknown frame within a field block", PROTOCOL, within(raw(Kind::Unknown, 0, 0, [0; 8]))),
        ("CONTINUATION on another stream", PROTOCOL, within(raw(Kind::Continuation, flag::END_HEADERS, 3, &block[10..]))),
        ("CONTINUATION on stream 0 within a field block", PROTOCOL, within(raw(Kind::Continuation, flag::END_HEADERS, 0, &block[10..]))),
        ("CONTINUATION of nothing", PROTOCOL, raw(Kind::Continuation, flag::END_HEADERS, 1, &block)),
        ("CONTINUATION after the end", PROTOCOL, after(&ended(), raw(Kind::Continuation, flag::END_HEADERS, 1, []))),
        ("CONTINUATION on stream 0", PROTOCOL, raw(Kind::Continuation, flag::END_HEADERS, 0, [])),
    ]
}

#[rustfmt::skip]
fn others() -> Vec<Case> {
    vec![
        ("PUSH_PROMISE", PROTOCOL, raw(Kind::PushPromise, flag::END_HEADERS, 1, [0, 0, 0, 2])),
        ("RST_STREAM on stream 0", PROTOCOL, raw(Kind::Reset, 0, 0, [0; 4])),
        ("RST_STREAM on an idle stream", PROTOCOL, raw(Kind::Reset, 0, 1, [0; 4])),
        ("RST_STREAM of three bytes", SIZE, after(&open(), raw(Kind::Reset, 0, 1, [0; 3]))),
        ("RST_STREAM of five bytes", SIZE, after(&open(), raw(Kind::Reset, 0, 1, [0; 5]))),
        ("SETTINGS on a stream", PROTOCOL, raw(Kind::Settings, 0, 1, [0, 3, 0, 0, 0, 1])),
        ("SETTINGS of five bytes", SIZE, raw(Kind::Settings, 0, 0, [0; 5])),
        ("SETTINGS acknowledged with a payload", SIZE, raw(Kind::Settings, flag::ACK, 0, [0; 6])),
        ("SETTINGS beyond 16 KiB", SIZE, raw(Kind::Settings, 0, 0, vec![0; 16_386])),
        ("ENABLE_PUSH of 2", PROTOCOL, setting(2, 2)),
        ("a window beyond 31 bits", FLOW, setting(4, 1 << 31)),
        ("frames below 16 KiB", PROTOCOL, setting(5, 16_383)),
        ("frames beyond 16 MiB", PROTOCOL, setting(5, 1 << 24)),
        ("ENABLE_CONNECT_PROTOCOL of 2", PROTOCOL, setting(8, 2)),
        ("PING of seven bytes", SIZE, raw(Kind::Ping, 0, 0, [0; 7])),
        ("PING of nine bytes", SIZE, raw(Kind::Ping, 0, 0, [0; 9])),
        ("PING beyond 16 KiB", SIZE, raw(Kind::Ping, 0, 0, vec![0; 16_385])),
        ("PING on a stream", PROTOCOL, raw(Kind::Ping, 0, 1, [0; 8])),
        ("GOAWAY on a stream", PROTOCOL, raw(Kind::GoAway, 0, 1, [0; 8])),
        ("GOAWAY of seven bytes", SIZE, raw(Kind::GoAway, 0, 0, [0; 7])),
        ("WINDOW_UPDATE of three bytes", SIZE, raw(Kind::WindowUpdate, 0, 0, [0; 3])),
        ("WINDOW_UPDATE of five bytes", SIZE, raw(Kind::WindowUpdate, 0, 0, [0; 5])),
        ("WINDOW_UPDATE of 0", PROTOCOL, raw(Kind::WindowUpdate, 0, 0, [0; 4])),
        ("WINDOW_UPDATE of a stream by 0", PROTOCOL, after(&open(), raw(Kind::WindowUpdate, 0, 1, [0; 4]))),
        ("WINDOW_UPDATE beyond 31 bits", FLOW, raw(Kind::WindowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff])),
        ("WINDOW_UPDATE of a stream beyond 31 bits", FLOW, after(&open(), raw(Kind::WindowUpdate, 0, 1, [0x7f, 0xff, 0xff, 0xff]))),
        ("WINDOW_UPDATE on an idle stream", PROTOCOL, raw(Kind::WindowUpdate, 0, 1, [0, 0, 0, 1])),
        ("PRIORITY on stream 0", PROTOCOL, raw(Kind::Priority, 0, 0, [0; 5])),
        ("PRIORITY of four bytes", SIZE, raw(Kind::Priority, 0, 1, [0; 4])),
        ("PRIORITY of six bytes", SIZE, raw(Kind::Priority, 0, 1, [0; 6])),
        ("PRIORITY of itself", PROTOCOL, after(&open(), raw(Kind::Priority, 0, 1, [0, 0, 0, 1, 16]))),
        ("an unknown frame beyond 16 KiB", SIZE, raw(Kind::Unknown, 0, 0, vec![0; 16_385])),
    ]
}

#[tokio::test]
async fn forbidden_frames_end_the_stream_or_the_connection_with_their_error() {
    // The backend never answers: only an error can end a stream.
    let up = harness::upstream()
        .answer(|_| harness::Reply::echo().after(&harness::Gate::closed()))
        .start()
        .await;
    let gw = crate::in_front_of(&up).start().await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for (what, code, bytes) in [
        data_and_headers(),
        field_blocks(),
        continuations(),
        others(),
    ]
    .concat()
    {
        count += 1;
        let mut frames = gw.frames().await;
        frames.bytes(&bytes).await;
        let verdict = frames.verdict(1).await;
        if ![Verdict::GoAway(code), Verdict::Reset(code)].contains(&verdict) {
            wrong.push(format!("{what}: {verdict:?}, not {code}"));
        }
    }
    assert!(wrong.is_empty(), "of {count}:\n{}", wrong.join("\n"));
    assert!(
        up.violations().iter().all(|v| v == "Truncated"),
        "{:?}",
        up.violations()
    );
}

#[tokio::test]
async fn a_first_frame_that_is_no_settings_is_a_protocol_error() {
    let (gw, up) = start().await;
    let firsts = [
        Frame::headers(1, &OK, true).bytes(),
        raw(Kind::Settings, flag::ACK, 0, []),
        raw(Kind::Settings, 0, 1, []),
        raw(Kind::Ping, 0, 0, [0; 8]),
    ];
    for first in firsts {
        let mut connection = gw.connect().await;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        connection.send(after(preface, first)).await;
        let rest = connection.rest().await;
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0];
        let at = rest.windows(9).position(|window| window == goaway);
        let code = at.map(|at| rest[at + 13..].to_vec());
        assert_eq!(
            code.as_deref(),
            Some(&PROTOCOL.to_be_bytes()[..]),
            "{rest:?}"
        );
    }
    assert!(up.seen().is_empty());
}

/// The frames before the one that breaks the rules are taken, and trailers in any form are read.
#[tokio::test]
async fn what_comes_before_a_fault_is_served() {
    let (gw, up) = start().await;
    let mut frames = gw.frames().await;
    frames.send(&Frame::headers(1, &OK, false)).await;
    frames.send(&Frame::data(1, "abc", false)).await;
    let trailers = [field(b"x", b"1"), vec![0x40, 1, b'y', 1, b'2', 0xbe]].concat();
    let padded = [&[4, 0, 0, 0, 0, 16][..], &trailers, &[0; 4]].concat();
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS | flag::END_STREAM;
    frames.bytes(&raw(Kind::Headers, flags, 1, padded)).await;
    assert_eq!(frames.verdict(1).await, Verdict::Status(200));
    assert_eq!(up.only().body, b"abc");
    frames.bytes(&raw(Kind::Ping, 0, 0, [0; 7])).await;
    assert_eq!(frames.verdict(3).await, Verdict::GoAway(SIZE));
}
