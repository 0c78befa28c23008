//! Upgrades: what a client sends behind its request, and what a backend makes of it.
//!
//! Before the backend has agreed, it gets one request and no byte that follows it. After a 101 each side gets the
//! other's bytes as they are. After anything else what followed is the next request or nothing, and a connection
//! that an upgrade was asked for on serves no other request.
//!
//! The input is four parts between lines `===`: the client's bytes, the backend's answer, then what the client and
//! what the backend send once the answer is there.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, LazyLock},
};

use proxy::{Gateway, filter::Filters, testing::Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    backend::check_forwarded,
    gateway::{exchange, gateway, idle, serve},
    rfc9112::{End, requests, responses},
};

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(|| gateway(&[], &Filters::default()));

/// Four parts.
pub fn run(data: &[u8]) {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        parts.push(&rest[..at]);
        rest = &rest[at + MARK.len()..];
    }
    parts.push(rest);
    let [asked, answer, client, backend] = parts[..] else {
        return;
    };
    // The preface begins HTTP/2, which is another target's.
    if !asked.is_empty() && !asked.starts_with(b"PRI") {
        check(asked, answer, client, backend);
    }
}

/// What one connection to the backend saw.
#[derive(Default)]
struct Connection {
    /// Before it answered, once nothing more came.
    before: Vec<u8>,
    after: Vec<u8>,
}

fn check(asked: &[u8], answer: &[u8], client: &[u8], late: &[u8]) {
    let seen: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let backend = {
        let (seen, answer, late) = (Rc::clone(&seen), answer.to_vec(), late.to_vec());
        async move |number, wire| run_backend(&seen, number, wire, &answer, &late).await
    };
    let read = serve(&GATEWAY, backend, |wire| {
        exchange(wire, [asked, client].into_iter())
    });

    let sent = [asked, client].concat();
    let (methods, _) = requests(&sent);
    let methods: Vec<&str> = methods.iter().map(|request| &*request.first[0]).collect();
    let (answers, end) = responses(&read, &methods, true);
    assert!(
        !matches!(end, End::Malformed(_)),
        "the client got {end:?}: {}",
        read.escape_ascii()
    );
    let switched = answers.iter().find(|answer| answer.status() == 101);

    let seen = seen.borrow();
    for (index, Connection { before, after }) in seen.iter().enumerate() {
        let (first, end) = requests(before);
        assert!(
            !matches!(end, End::Malformed(_)),
            "the backend got {end:?}: {}",
            before.escape_ascii()
        );
        let Some(request) = first.first() else {
            continue;
        };
        check_forwarded(request);
        assert_eq!(
            request.end,
            before.len(),
            "bytes before the answer: {}",
            before.escape_ascii()
        );
        let asks = request.values("upgrade").next().is_some();
        match switched {
            // The tunnel is the last connection: nothing else comes from this client.
            Some(switched) if index + 1 == seen.len() => {
                assert!(asks, "a 101 to no upgrade");
                assert!(
                    sent.ends_with(after),
                    "not the client's bytes: {}",
                    after.escape_ascii()
                );
                // Of a head in which lines end otherwise the gateway makes one that is right.
                let (said, _) = responses(answer, &[], false);
                let Some(said) = said.iter().find(|message| message.status() == 101) else {
                    continue;
                };
                assert!(
                    said.lists("connection", "upgrade") && said.values("upgrade").next().is_some()
                );
                let expected = [&answer[said.end..], late].concat();
                let got = &read[switched.end..];
                assert!(
                    expected.starts_with(got),
                    "not the backend's bytes: {}",
                    got.escape_ascii()
                );
            }
            _ if asks => assert!(
                after.is_empty(),
                "bytes behind a refused upgrade: {}",
                after.escape_ascii()
            ),
            _ => {
                let (_, end) = requests(after);
                assert!(
                    !matches!(end, End::Malformed(_)),
                    "the backend got {end:?}: {}",
                    after.escape_ascii()
                );
            }
        }
    }
}

async fn run_backend(
    seen: &RefCell<Vec<Connection>>,
    number: usize,
    mut wire: Wire,
    answer: &[u8],
    late: &[u8],
) {
    seen.borrow_mut()
        .resize_with(number + 1, Connection::default);
    let mut part = [0; 4096];
    let mut answered = false;
    while let Ok(count @ 1..) = wire.read(&mut part).await {
        let asked = {
            let own = &mut seen.borrow_mut()[number];
            let bytes = if answered {
                &mut own.after
            } else {
                &mut own.before
            };
            bytes.extend_from_slice(&part[..count]);
            !answered && !requests(bytes).0.is_empty()
        };
        if !asked {
            continue;
        }
        // Whatever is on its way here has come once nobody has anything left to do.
        tokio::select! {
            biased;
            Ok(count @ 1..) = wire.read(&mut part) => seen.borrow_mut()[number].before.extend_from_slice(&part[..count]),
            () = idle() => {}
        }
        answered = true;
        for bytes in [answer, late] {
            if wire.write_all(bytes).await.is_err() {
                return;
            }
            idle().await;
        }
    }
}

const MARK: &[u8] = b"\n===\n";
