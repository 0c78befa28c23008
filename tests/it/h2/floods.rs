//! Floods of frames are cut, and others do not notice.

use harness::{Frame, Frames, Gateway, Kind, Verdict, block, flag, indexed_name, upstream};

const OK: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];

/// Sends what `frame` makes until the server cuts the connection; fails beyond `limit` frames.
async fn is_cut(gw: &Gateway, what: &str, limit: u32, mut frame: impl FnMut(u32) -> Vec<u8>) {
    let mut frames: Frames = gw.frames().await;
    for number in 0..limit {
        frames.bytes(&frame(number)).await;
        if number % 50 == 49 {
            // Whatever came so far; a ping's answer shows that the server has read all of it.
            frames
                .bytes(&Frame::of(Kind::Ping, 0, 0, number.to_be_bytes().repeat(2)).bytes())
                .await;
            loop {
                match frames.next().await {
                    None => return,
                    Some(seen) if seen.kind == Kind::GoAway as u8 => return,
                    Some(seen) if seen.kind == Kind::Ping as u8 => break,
                    Some(_) => {}
                }
            }
        }
    }
    panic!("{what}: {limit} frames and not cut");
}

async fn start() -> (Gateway, harness::Upstream) {
    let up = upstream().start().await;
    (crate::in_front_of(&up).start().await, up)
}

#[tokio::test]
async fn rapid_resets_are_cut() {
    let (gw, _up) = start().await;
    is_cut(&gw, "rapid reset", 1_100, |number| {
        let stream = number * 2 + 1;
        [
            Frame::headers(stream, &OK, true).bytes(),
            Frame::of(Kind::Reset, 0, stream, 8_u32.to_be_bytes()).bytes(),
        ]
        .concat()
    })
    .await;
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn streams_that_make_the_server_reset_them_are_cut() {
    let (gw, _up) = start().await;
    is_cut(&gw, "made you reset", 1_100, |number| {
        let stream = number * 2 + 1;
        let zero = Frame::of(Kind::WindowUpdate, 0, stream, [0; 4]).bytes();
        [Frame::headers(stream, &OK, false).bytes(), zero].concat()
    })
    .await;
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn endless_field_blocks_are_cut() {
    let (gw, up) = start().await;
    for piece in [0, 8_000] {
        let mut frames = gw.frames().await;
        frames
            .send(&Frame::of(Kind::Headers, flag::END_STREAM, 1, block(&OK)))
            .await;
        for _ in 0..1_100 {
            frames
                .send(&Frame::of(
                    Kind::Continuation,
                    0,
                    1,
                    block(&[("x", &"y".repeat(piece))]),
                ))
                .await;
        }
        while let Some(frame) = frames.next().await {
            if frame.kind == Kind::GoAway as u8 {
                break;
            }
        }
    }
    assert!(up.seen().is_empty());
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn empty_data_is_cut() {
    let (gw, _up) = start().await;
    is_cut(&gw, "empty DATA", 1_100, |number| match number {
        0 => Frame::headers(1, &OK, false).bytes(),
        _ => Frame::data(1, "", false).bytes(),
    })
    .await;
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}

#[tokio::test]
async fn frames_that_ask_for_nothing_are_cut_and_others_are_served() {
    let (gw, _up) = start().await;
    let kinds = [
        Frame::of(Kind::Ping, 0, 0, [0; 8]),
        Frame::of(Kind::Settings, 0, 0, []),
        Frame::of(Kind::Priority, 0, 1, [0; 5]),
    ];
    let mut victim = gw.http2().await;
    for kind in kinds {
        let mut frames = gw.frames().await;
        frames.bytes(&kind.bytes().repeat(1_100)).await;
        let goaway = frames.next_of(Kind::GoAway).await.expect("a GOAWAY");
        assert_eq!(goaway.payload[4..8], 11_u32.to_be_bytes(), "{kind:?}");
        assert_eq!(victim.get("a.test", "/").await.status, 200);
    }
}

/// RFC 7541 section 7.3: a byte that stands for a field of 3,900.
#[tokio::test]
async fn no_frame_of_a_client_is_worth_a_line_of_the_log() {
    let (gw, _up) = start().await;
    let said = gw.log().len();
    is_cut(&gw, "answers to pings never sent", 3_000, |number| {
        Frame::of(Kind::Ping, flag::ACK, 0, number.to_be_bytes().repeat(2)).bytes()
    })
    .await;
    let log = gw.log();
    assert_eq!(log.get(said..).unwrap_or_default(), [] as [&str; 0]);
}

#[tokio::test]
async fn few_bytes_that_stand_for_large_heads_take_no_memory() {
    let (gw, up) = start().await;
    let whole = flag::END_HEADERS | flag::END_STREAM;
    let before = gw.peak_resident();
    for _ in 0..20 {
        let mut frames = gw.frames().await;
        let large = indexed_name(COOKIE, "c".repeat(3_900).as_bytes());
        let head = [block(&OK), large].concat();
        frames.send(&Frame::of(Kind::Headers, whole, 1, head)).await;
        assert_eq!(frames.verdict(1).await, Verdict::Status(200));
        let bomb = [block(&OK), vec![NEWEST; 16_000]].concat();
        frames.send(&Frame::of(Kind::Headers, whole, 3, bomb)).await;
        // RFC 9113 section 10.5.1 has 431 or the stream's end; ENHANCE_YOUR_CALM ends the connection.
        let verdict = frames.verdict(3).await;
        let refused = matches!(
            verdict,
            Verdict::Status(431) | Verdict::Reset(_) | Verdict::GoAway(11)
        );
        assert!(refused, "{verdict:?}");
    }
    let grown = gw.peak_resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for 20 heads of 62 MB");
    assert_eq!(up.seen().len(), 20);
    assert_eq!(gw.http2().await.get("a.test", "/").await.status, 200);
}

/// The name `cookie` in the static table of RFC 7541.
const COOKIE: u8 = 32;
/// The newest field of the dynamic table, indexed.
const NEWEST: u8 = 0x80 | 62;
