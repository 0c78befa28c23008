//! Bytes of an HTTP/1 client, through the whole gateway, to a backend.
//!
//! The oracle is the strict reader, on both sides. What it makes of the client's bytes is what may be forwarded:
//! the same messages with the same bodies, in the same order, from the first one on, until the gateway refuses one.
//! And nothing may depend on how the bytes are cut into packets.

use std::sync::{Arc, LazyLock};

use proxy::{Gateway, filter::Filters};

use crate::support::{
    backend::{Outcome, forward},
    gateway::gateway,
    rfc9112::{Message, requests},
};

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(|| gateway(&[], &Filters::default()));

/// Any bytes.
pub fn run(data: &[u8]) {
    // The preface begins HTTP/2, which is another target's.
    if data.starts_with(b"PRI") {
        return;
    }
    let (sent, _) = requests(data);
    let mut methods: Vec<&str> = sent.iter().map(|request| &*request.first[0]).collect();
    // What comes last is no message, but it is answered as if it were.
    let mut rest = &data[sent.last().map_or(0, |last| last.end)..];
    while let Some(line) = rest.strip_prefix(b"\r\n") {
        rest = line;
    }
    methods.extend(rest.starts_with(b"HEAD ").then_some("HEAD"));
    let whole = forward(&GATEWAY, &methods, std::iter::once(data));
    check(&sent, &whole);

    let step = 1 + data.len() / 64;
    let cut = forward(&GATEWAY, &methods, data.chunks(step));
    let plain = |outcome: Outcome| {
        let answers: Vec<_> = outcome
            .answers
            .into_iter()
            .map(|a| (told(&a), a.first))
            .collect();
        (bare(outcome.forwarded), answers)
    };
    assert_eq!(
        plain(whole),
        plain(cut),
        "packets of {step} bytes make a difference"
    );
}

/// What is forwarded is what was sent.
fn check(sent: &[Message], outcome: &Outcome) {
    let asterisk = |request: &&Message| !(request.first[0] == "OPTIONS" && request.first[1] == "*");
    let sent: Vec<&Message> = sent.iter().filter(asterisk).collect();
    for (index, forwarded) in outcome.forwarded.iter().enumerate() {
        let own = sent
            .get(index)
            .unwrap_or_else(|| panic!("nobody sent {forwarded:?}"));
        assert_eq!(forwarded.first[0], own.first[0]);
        assert_eq!(query(forwarded), query(own));
        assert_eq!(
            forwarded.body, own.body,
            "another body than that of {own:?}"
        );
        for (name, _) in &forwarded.fields {
            assert!(
                !own.lists("connection", name) || ADDED.contains(&&**name),
                "{name} was for one hop: {own:?}"
            );
        }
    }
}

fn query(request: &Message) -> Option<&str> {
    request.first[1].split_once('?').map(|(_, query)| query)
}

/// What an answer says. Which of two mistakes a refusal names depends on which one has come when it is made.
fn told(answer: &Message) -> Option<Vec<u8>> {
    (answer.status() != 400).then(|| answer.body.clone())
}

/// Where chunks begin, and with that how long a message is, depends on the packets.
fn bare(messages: Vec<Message>) -> Vec<Message> {
    let bare = |message| Message { end: 0, ..message };
    messages.into_iter().map(bare).collect()
}

/// Fields that the gateway adds after it has taken those of one hop away.
const ADDED: [&str; 9] = [
    "connection",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];
