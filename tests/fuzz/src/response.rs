//! Bytes of an HTTP/1 backend, through the whole gateway, to a client.
//!
//! The client gets strict HTTP/1.1, an answer to each request or an end that it can tell from one; what it gets for
//! the backend's answer is that, status and body, and never what else the backend sent; a POST is sent once.
//!
//! The first line are the client's requests, a letter each: `G`ET, `H`EAD, `P`OST. With `K` among them the backend
//! leaves its connections open, with `S` it sends in small pieces. The rest is its answer, to every request.

use std::{
    io,
    rc::Rc,
    sync::{Arc, LazyLock},
};

use proxy::{Gateway, filter::Filters, testing::Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    backend::Seen,
    gateway::{exchange, gateway, idle, serve},
    rfc9112::{End, Message, requests, responses},
};

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(|| gateway(&[], &Filters::default()));

/// A line of letters, and bytes.
pub fn run(data: &[u8]) {
    let Some(line) = data.iter().position(|b| *b == b'\n') else {
        return;
    };
    let (letters, answer) = (&data[..line], &data[line + 1..]);
    let requests: Vec<(&str, &[u8])> = letters.iter().take(6).filter_map(request).collect();
    if requests.is_empty() {
        return;
    }
    let script = Script {
        answer: answer.to_vec(),
        keep: letters.contains(&b'K'),
        step: if letters.contains(&b'S') {
            1 + answer.len() / 16
        } else {
            answer.len().max(1)
        },
    };
    check(&requests, script);
}

fn request(letter: &u8) -> Option<(&'static str, &'static [u8])> {
    match letter {
        b'G' => Some((
            "GET",
            b"GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\n\r\n",
        )),
        b'H' => Some(("HEAD", b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")),
        b'P' => Some((
            "POST",
            b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc",
        )),
        _ => None,
    }
}

/// What the backend does.
struct Script {
    answer: Vec<u8>,
    keep: bool,
    step: usize,
}

fn check(sent: &[(&str, &[u8])], script: Script) {
    let (answer, closed) = (script.answer.clone(), !script.keep);
    let seen = Seen::default();
    let backend = {
        let seen = Rc::clone(&seen);
        async move |number, wire| script.run(&seen, number, wire).await
    };
    let read = serve(&GATEWAY, backend, |wire| {
        exchange(wire, sent.iter().map(|(_, bytes)| *bytes))
    });

    let methods: Vec<&str> = sent.iter().map(|(method, _)| *method).collect();
    let (all, end) = responses(&read, &methods, true);
    let answers: Vec<&Message> = all
        .iter()
        .filter(|message| message.status() >= 200)
        .collect();
    assert_eq!(
        all.iter().filter(|message| message.status() == 101).count(),
        0,
        "nobody asked for an upgrade"
    );
    for (index, (got, method)) in answers.iter().zip(&methods).enumerate() {
        check_answer(got, method, &answer, closed)
            .unwrap_or_else(|why| panic!("answer {index}: {why}: {got:?}"));
    }
    match end {
        End::Malformed(why) => panic!("the client got {why}: {}", read.escape_ascii()),
        End::Partial(_) => {
            let method = methods.get(answers.len()).copied().unwrap_or("GET");
            assert!(
                first(&answer, method, closed).is_err(),
                "a whole answer broke off: {}",
                read.escape_ascii()
            );
        }
        End::Clean if answers.len() < methods.len() => {
            let last = answers.last().expect("some answer");
            assert!(
                last.lists("connection", "close"),
                "{} answers to {}",
                answers.len(),
                methods.len()
            );
        }
        End::Clean => assert_eq!(answers.len(), methods.len()),
    }

    let posts = seen
        .borrow()
        .iter()
        .map(|bytes| count_posts(bytes))
        .sum::<usize>();
    assert!(
        posts <= methods.iter().filter(|method| **method == "POST").count(),
        "a POST was sent again"
    );
}

/// Whether this may be what a client gets for the backend's bytes.
fn check_answer(got: &Message, method: &str, answer: &[u8], closed: bool) -> Result<(), String> {
    if got.values("portcullis-reason").next().is_some() {
        return Ok(());
    }
    match first(answer, method, closed) {
        Ok(own) if own.status() != got.status() => Err(format!("not the status of {own:?}")),
        Ok(own) if own.body != got.body => Err(format!("not the body of {own:?}")),
        Err(End::Malformed(why)) if why.contains("Transfer-Encoding") => Err(why.to_owned()),
        // Of other things the parser of responses takes more than the RFC has; it writes them anew.
        Ok(_) | Err(End::Malformed(_)) => Ok(()),
        Err(End::Partial(Some(begun))) if !begun.whole => {
            Err("the end of the answer was made up".to_owned())
        }
        Err(_) => Err("an answer to nothing".to_owned()),
    }
}

/// The backend's answer to one request.
fn first(answer: &[u8], method: &str, closed: bool) -> Result<Message, End> {
    let (found, end) = responses(answer, &[method], closed);
    let last = found.into_iter().find(|message| message.status() >= 200);
    last.ok_or(end)
}

fn count_posts(bytes: &[u8]) -> usize {
    let (whole, end) = requests(bytes);
    let begun = match end {
        End::Partial(begun) => begun,
        End::Clean => None,
        End::Malformed(why) => panic!("the backend got {why}: {}", bytes.escape_ascii()),
    };
    let all = whole.iter().chain(begun.as_deref());
    all.filter(|request| request.first[0] == "POST").count()
}

impl Script {
    /// Answers each request with the same bytes.
    async fn run(&self, seen: &Seen, number: usize, mut wire: Wire) {
        let mut answered = 0;
        seen.borrow_mut().resize(number + 1, Vec::new());
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = wire.read(&mut part).await {
            let found = {
                let own = &mut seen.borrow_mut()[number];
                own.extend_from_slice(&part[..count]);
                requests(own).0.len()
            };
            while answered < found {
                answered += 1;
                if self.send(&mut wire).await.is_err() {
                    return;
                }
                if !self.keep {
                    return;
                }
            }
        }
    }

    async fn send(&self, wire: &mut Wire) -> io::Result<()> {
        for piece in self.answer.chunks(self.step) {
            wire.write_all(piece).await?;
            idle().await;
        }
        Ok(())
    }
}
