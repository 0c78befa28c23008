//! Requests that two readers could read differently: each is refused with 400 (or its own status),
//! the connection is closed and no backend sees a thing. Their harmless neighbours work.

mod bodies;
mod bytes;
mod framing;
mod heads;
mod hosts;
mod mutations;
mod variants;
mod works;

use std::sync::Arc;

use harness::{Broken, Connection, Gateway, Upstream, get, upstream};
use tokio::task::JoinSet;

/// What is wrong, and the bytes.
type Case = (&'static str, &'static [u8]);

/// Sends each case on a connection of its own; what was not refused as it must be.
async fn accepted(gw: Arc<Gateway>, cases: impl IntoIterator<Item = Owned>) -> Vec<String> {
    let mut tasks = JoinSet::new();
    let mut wrong = Vec::new();
    for (what, bytes) in cases {
        let gw = gw.clone();
        tasks.spawn(async move {
            refused(&gw, &bytes)
                .await
                .err()
                .map(|how| format!("{what}: {how}"))
        });
        // A few at a time: each waits for its connection to close.
        if tasks.len() >= 16 {
            wrong.extend(tasks.join_next().await.and_then(Result::ok).flatten());
        }
    }
    wrong.extend(tasks.join_all().await.into_iter().flatten());
    wrong
}

/// A case made of parts.
type Owned = (String, Vec<u8>);

fn owned(cases: &[Case]) -> Vec<Owned> {
    let own = |(what, bytes): &Case| ((*what).to_owned(), bytes.to_vec());
    cases.iter().map(own).collect()
}

fn varied(tables: &[variants::Table]) -> Vec<Owned> {
    let mut cases = Vec::new();
    for (what, before, forms, after) in tables {
        for form in *forms {
            let shown = String::from_utf8_lossy(form);
            cases.push((format!("{what} {shown:?}"), [before, *form, after].concat()));
        }
    }
    cases
}

async fn refused(gw: &Gateway, bytes: &[u8]) -> Result<(), String> {
    let mut connection: Connection = gw.connect().await;
    connection.send(bytes).await;
    let answer = match connection.answer("GET").await {
        Ok(answer) => answer,
        Err(Broken::Closed | Broken::Truncated) => return Err("closed without an answer".into()),
        Err(error @ Broken::Malformed(_)) => return Err(format!("{error:?}")),
    };
    if answer.status != 400 {
        return Err(format!(
            "answered with {} {:?}",
            answer.status,
            answer.reason()
        ));
    }
    if answer.reason() != Some("bad-request") {
        return Err(format!("reason {:?}", answer.reason()));
    }
    match connection.rest().await {
        rest if rest.is_empty() => Ok(()),
        rest => Err(format!(
            "the connection went on with {:?}",
            String::from_utf8_lossy(&rest)
        )),
    }
}

async fn start() -> (Arc<Gateway>, Upstream) {
    let up = upstream().start().await;
    (Arc::new(crate::in_front_of(&up).start().await), up)
}

/// None of the cases reaches the backend, not even in part.
async fn refuse_unseen(cases: Vec<Owned>) {
    let (gw, up) = start().await;
    let count = cases.len();
    let wrong = accepted(gw.clone(), cases).await;
    assert!(wrong.is_empty(), "of {count}:\n{}", wrong.join("\n"));
    assert!(up.seen().is_empty(), "{:?}", up.seen());
    assert_eq!(gw.send(&get("/").host("a.test")).await.status, 200);
}

/// The head of a case may reach the backend, but never a whole request.
async fn refuse_incomplete(cases: Vec<Owned>) {
    let (gw, up) = start().await;
    let count = cases.len();
    let wrong = accepted(gw.clone(), cases).await;
    assert!(wrong.is_empty(), "of {count}:\n{}", wrong.join("\n"));
    assert_eq!(up.complete(), 0, "{:?}", up.seen());
    let malformed: Vec<_> = up
        .violations()
        .into_iter()
        .filter(|v| v.contains("Malformed"))
        .collect();
    assert!(malformed.is_empty(), "{malformed:?}");
    assert!(
        up.seen().iter().all(|seen| seen.target == "/"),
        "{:?}",
        up.seen()
    );
    assert_eq!(gw.send(&get("/").host("a.test")).await.status, 200);
}

#[tokio::test]
async fn broken_heads_are_refused_and_reach_no_backend() {
    refuse_unseen(owned(heads::CASES)).await;
}

#[tokio::test]
async fn broken_hosts_are_refused_and_reach_no_backend() {
    refuse_unseen(owned(hosts::CASES)).await;
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_reaches_no_backend() {
    refuse_unseen(owned(framing::CASES)).await;
}

#[tokio::test]
async fn broken_bodies_are_refused_and_never_complete_at_a_backend() {
    refuse_incomplete(owned(bodies::CASES)).await;
}

#[tokio::test]
async fn no_form_of_an_element_passes_that_the_grammar_lacks() {
    refuse_unseen(varied(variants::HEADS)).await;
    refuse_incomplete(varied(variants::BODIES)).await;
}

#[tokio::test]
async fn harmless_requests_work() {
    let (gw, up) = start().await;
    let mut wrong = Vec::new();
    for (what, bytes, length) in works::CASES {
        let mut connection = gw.connect().await;
        connection.send(bytes).await;
        let method = if bytes.starts_with(b"HEAD") {
            "HEAD"
        } else {
            "GET"
        };
        let before = up.seen().len();
        match connection.answer(method).await {
            Ok(answer) if answer.status == 200 => {
                let seen = up.seen();
                let own: Vec<_> = seen
                    .iter()
                    .skip(before.min(seen.len() - 1))
                    .map(|s| s.length)
                    .collect();
                if own.last() != Some(length) {
                    wrong.push(format!("{what}: bodies {own:?}"));
                }
            }
            Ok(answer) => wrong.push(format!("{what}: {} {:?}", answer.status, answer.text())),
            Err(error) => wrong.push(format!("{what}: {error:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "of {}:\n{}",
        works::CASES.len(),
        wrong.join("\n")
    );
    assert!(up.violations().is_empty(), "{:?}", up.violations());
}

/// Where recipients may choose, RFC 9112, refusing is fine and so is one clean request.
#[tokio::test]
async fn what_may_be_read_either_way_is_read_in_one_way() {
    let (gw, up) = start().await;
    for (what, bytes) in framing::EITHER {
        up.forget();
        let mut connection = gw.connect().await;
        connection.send(bytes).await;
        match connection.answer("GET").await {
            Ok(answer) if answer.status == 200 => {
                // The gateway may answer by itself.
                assert!(up.seen().len() <= 1, "{what}: {:?}", up.seen());
                assert!(up.violations().is_empty(), "{what}: {:?}", up.violations());
            }
            Ok(answer) => {
                assert!(
                    matches!(answer.status, 400 | 404 | 405 | 417 | 501 | 505),
                    "{what}: {}",
                    answer.status
                );
                assert!(up.seen().is_empty(), "{what}: {:?}", up.seen());
            }
            Err(Broken::Closed) => assert!(up.seen().is_empty(), "{what}: {:?}", up.seen()),
            Err(error) => panic!("{what}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn what_follows_a_refused_request_is_never_served() {
    let (gw, up) = start().await;
    let mut connection = gw.connect().await;
    let bad = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    connection
        .send([&bad[..], &get("/smuggled").host("a.test").bytes()].concat())
        .await;
    assert_eq!(
        connection.answer("POST").await.expect("an answer").status,
        400
    );
    assert!(connection.rest().await.is_empty());
    assert!(up.seen().is_empty());
}

#[tokio::test]
async fn a_good_request_before_a_bad_one_is_answered() {
    let (gw, up) = start().await;
    let mut connection = gw.connect().await;
    connection
        .send(
            [
                get("/good").host("a.test").bytes(),
                b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            ]
            .concat(),
        )
        .await;
    assert_eq!(
        connection.answer("GET").await.expect("an answer").status,
        200
    );
    let refused = connection.answer("GET").await.expect("an answer");
    assert_eq!(
        (refused.status, refused.reason()),
        (400, Some("bad-request"))
    );
    assert!(connection.rest().await.is_empty());
    assert_eq!(up.only().target, "/good");
}
