//! Floods of frames are cut, and others do not notice.

use harness::{Frame, Frames, Gateway, Kind, block, flag, upstream};

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
