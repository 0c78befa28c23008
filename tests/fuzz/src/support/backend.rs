//! Backends, and what a gateway may send to one.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use proxy::{Gateway, testing::Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    gateway,
    rfc9112::{End, Message, requests, responses},
};

/// What backends saw: each connection's bytes.
pub type Seen = Rc<RefCell<Vec<Vec<u8>>>>;

/// What came of a client's bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The requests that reached a backend whole.
    pub forwarded: Vec<Message>,
    /// The last answers to each request.
    pub answers: Vec<Message>,
}

/// Has a client send these pieces to a backend that answers everything with [`ANSWER`], and checks what holds
/// whatever the pieces are: each byte that the backend gets is strict HTTP/1.1, and so is each that the client gets.
pub fn forward<'p>(
    gateway: &Arc<Gateway>,
    methods: &[&str],
    pieces: impl Iterator<Item = &'p [u8]>,
) -> Outcome {
    let seen = Seen::default();
    let backend = {
        let seen = Rc::clone(&seen);
        async move |number, wire| answer_all(&seen, number, wire).await
    };
    let read = gateway::serve(gateway, backend, |wire| gateway::exchange(wire, pieces));

    let forwarded = check_all(&seen);
    let (all, end) = responses(&read, methods, true);
    assert_eq!(end, End::Clean, "the client got {}", read.escape_ascii());
    let answers: Vec<_> = all
        .into_iter()
        .filter(|answer| answer.status() >= 200)
        .collect();
    for answer in &answers {
        let ours = answer.values("portcullis-reason").next().is_some()
            || answer.values("allow").next().is_some();
        let theirs = answer.values("x-backend").next().is_some();
        assert!(ours != theirs, "nobody's answer: {answer:?}");
        assert!(ours || answer.status() == 200 && answer.body.is_empty() != (answer.body == b"ok"));
    }
    assert!(
        forwarded.len() <= answers.len(),
        "{} requests out, {} answers in",
        forwarded.len(),
        answers.len()
    );
    Outcome { forwarded, answers }
}

/// The requests that came whole, after all have been checked.
pub fn check_all(seen: &Seen) -> Vec<Message> {
    let mut whole = Vec::new();
    for bytes in seen.borrow().iter() {
        let (found, end) = requests(bytes);
        if let End::Malformed(why) = end {
            panic!("the backend got {why}: {}", bytes.escape_ascii());
        }
        if let End::Partial(Some(begun)) = end {
            check_forwarded(&begun);
        }
        found.iter().for_each(check_forwarded);
        whole.extend(found);
    }
    whole
}

/// Answers each request as it comes, and stops at what is none.
pub async fn answer_all(seen: &Seen, number: usize, mut wire: Wire) {
    let mut answered = 0;
    seen.borrow_mut().resize(number + 1, Vec::new());
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = wire.read(&mut part).await {
        let found = {
            let own = &mut seen.borrow_mut()[number];
            own.extend_from_slice(&part[..count]);
            requests(own).0
        };
        for request in found.iter().skip(answered) {
            answered += 1;
            let answer = if request.first[0] == "HEAD" {
                ANSWER_TO_HEAD
            } else {
                ANSWER
            };
            if wire.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// What holds for every request that reaches a backend.
pub fn check_forwarded(request: &Message) {
    let count = |name: &str| request.values(name).count();
    assert_eq!(request.first[2], "HTTP/1.1", "{request:?}");
    assert!(
        request.first[1].starts_with('/'),
        "a target that is no path: {request:?}"
    );
    for once in [
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
    ] {
        assert_eq!(count(once), 1, "{once} in {request:?}");
    }
    for none in [
        "te",
        "keep-alive",
        "proxy-connection",
        "http2-settings",
        "expect",
        "forwarded",
    ] {
        assert_eq!(count(none), 0, "{none} in {request:?}");
    }
    let upgrade = count("upgrade");
    let connection: Vec<_> = request.values("connection").collect();
    assert!(
        upgrade <= 1 && connection.len() == upgrade,
        "Upgrade and Connection differ: {request:?}"
    );
    assert!(
        connection.iter().all(|value| *value == b"upgrade"),
        "{request:?}"
    );
    let path = request.first[1].split('?').next().unwrap_or_default();
    let normal = route::normalise(path).expect("a path that passed");
    assert_eq!(normal, path, "a path that is not normal");
}

/// What backends answer.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nx-backend: 1\r\ncontent-length: 2\r\n\r\nok";
const ANSWER_TO_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nx-backend: 1\r\ncontent-length: 2\r\n\r\n";
