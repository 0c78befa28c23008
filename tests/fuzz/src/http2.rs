//! Frames of an HTTP/2 client, through the whole gateway, to an HTTP/1.1 backend.
//!
//! Each byte that the backend gets is strict HTTP/1.1; each whole request has a stream of its own, whose body it has:
//! all of one that ended, or as much as was declared. Answers come on streams that were opened, and end once.
//!
//! The input is text. A line `>STREAM KIND` begins a frame, and the lines up to the next one are what is in it. The
//! first letter of KIND is that of the frame, later ones are flags; `E` ends the stream.
//!
//! - `H` headers, a field a line, `name: value`; `C` cuts the head into two frames, `O` leaves its end out
//! - `D` data: the lines, with LF between them
//! - `R` reset, `W` window update, `S` settings, `P` ping, `Y` priority, `G` goaway: the payload in hexadecimal
//! - `X` any frame: the type in hexadecimal, then the payload

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use proxy::{Gateway, filter::Filters};

use crate::support::{
    backend::{Seen, answer_all, check_all},
    frames::{self, Frame, Kind},
    gateway::{exchange, gateway, serve},
};

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(|| gateway(&[], &Filters::default()));

/// Text as above.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let sent = frames::read(text);
    let bytes: Vec<Vec<u8>> = sent.iter().map(Frame::bytes).collect();
    let seen = Seen::default();
    let backend = {
        let seen = seen.clone();
        async move |number, wire| answer_all(&seen, number, wire).await
    };
    let begin = std::iter::once(frames::BEGIN);
    let pieces = begin.chain(bytes.iter().map(Vec::as_slice));
    let read = serve(&GATEWAY, backend, |wire| exchange(wire, pieces));

    let mut bodies = bodies(&sent);
    // What follows the request of a tunnel is no body.
    for request in check_all(&seen)
        .into_iter()
        .filter(|request| !request.lists("connection", "upgrade"))
    {
        let declared = request.values("content-length").next().is_some();
        // Of a declared length nothing more is sent on, and a stream that goes on is reset when it does.
        let fits = |(body, ended): &(Vec<u8>, bool)| {
            if declared {
                body.starts_with(&request.body)
            } else {
                *ended && *body == request.body
            }
        };
        let own = bodies.iter().position(fits);
        let own = own.unwrap_or_else(|| panic!("no stream has the body of {request:?}"));
        bodies.swap_remove(own);
        assert!(
            request.values("cookie").count() <= 1,
            "split cookies: {request:?}"
        );
    }
    check_answers(&sent, &read);
}

/// The bodies of the streams, and whether they ended.
fn bodies(sent: &[Frame]) -> Vec<(Vec<u8>, bool)> {
    let mut bodies: BTreeMap<u32, (Vec<u8>, bool)> = BTreeMap::new();
    for frame in sent {
        if let Kind::Other(..) = frame.kind {
            continue;
        }
        let (body, ended) = bodies.entry(frame.stream).or_default();
        if let (Kind::Data(data), false) = (&frame.kind, *ended) {
            body.extend_from_slice(data);
        }
        *ended |= frame.ends;
    }
    bodies.into_values().collect()
}

/// The gateway's frames are frames, answers come on streams that were opened, and end once.
fn check_answers(sent: &[Frame], read: &[u8]) {
    let mut ended: BTreeMap<u32, bool> = BTreeMap::new();
    for (kind, flags, stream, _) in frames::parse(read) {
        if !matches!(kind, frames::HEADERS | frames::DATA) {
            continue;
        }
        assert!(
            sent.iter().any(|frame| frame.stream == stream),
            "an answer on stream {stream}, which nobody opened"
        );
        let over = ended.entry(stream).or_default();
        assert!(!*over, "stream {stream} goes on after its end");
        *over = flags & frames::END_STREAM != 0;
    }
}
