//! Chains of filters that pass, wait, answer, fail or never come back, under a client that sends, resets or leaves,
//! and a backend that answers, breaks off or says nothing.
//!
//! Each hook is called at most once, those of heads in order and back; nothing is called after the client has reset
//! the stream, after a failure that closes the route, or twice at once; a body's last piece is the last one.
//!
//! The input is read as choices, a byte or two each; what is missing is 0.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use arbitrary::Unstructured;
use proxy::{
    Gateway,
    filter::{Filters, OfIngress},
    testing::Wire,
};
use route::FilterRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::support::{
    frames::{self, Frame},
    gateway::{gateway, idle, ingress, publish, serve},
    scripted::{Log, Scripted},
};

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(|| gateway(&[], &Filters::default()));

/// Any bytes.
pub fn run(data: &[u8]) {
    let mut choices = Unstructured::new(data);
    let log = Log::default();
    let links = 1 + choices.int_in_range(0..=2).unwrap_or(0);
    let mut of_ingress = OfIngress::new();
    let mut chain = Vec::new();
    for place in 0..links {
        let filter = Scripted::choose(place, &mut choices, &log);
        let item = FilterRef {
            alias: format!("f{place}"),
            plugin: None,
            config: None,
            field: String::new(),
            origin: String::new(),
        };
        of_ingress.insert(item.clone(), Arc::new(filter));
        chain.push(item);
    }
    publish(&GATEWAY, &chain, HashMap::from([(ingress(), of_ingress)]));

    let client: Vec<Step> = (0..8).map(|_| Step::choose(&mut choices)).collect();
    let backend: Vec<u8> = (0..5).map(|_| choices.arbitrary().unwrap_or(0)).collect();
    let backend = async move |_, wire| answer(wire, &backend).await;
    let client_log = log.clone();
    serve(&GATEWAY, backend, |wire| converse(wire, client, client_log));
    log.check();
}

/// What the client does next.
enum Step {
    Send(&'static str),
    Reset,
    Wait(u64),
    Leave,
}

impl Step {
    fn choose(choices: &mut Unstructured<'_>) -> Self {
        match choices.int_in_range(0..=9).unwrap_or(0) {
            0..=2 => Self::Send(">1 D\npiece\n"),
            3 => Self::Send(">1 DE\nlast\n"),
            4 => Self::Send(">1 DE\n"),
            5 => Self::Send(">1 HE\nx-trailer: 1\n"),
            6 => Self::Reset,
            7 | 8 => Self::Wait(choices.int_in_range(1..=40).unwrap_or(1)),
            _ => Self::Leave,
        }
    }
}

async fn converse(wire: Wire, steps: Vec<Step>, log: Log) {
    let (mut reader, mut writer) = tokio::io::split(wire);
    let reading = tokio::task::spawn_local(async move {
        let mut sink = Vec::new();
        // Whatever comes: it is other targets' affair.
        drop(reader.read_to_end(&mut sink).await);
    });
    let begin = ">1 H\n:method: POST\n:scheme: http\n:path: /\n:authority: a.test\n";
    let text = |text: &str| {
        frames::read(text)
            .iter()
            .flat_map(Frame::bytes)
            .collect::<Vec<u8>>()
    };
    let mut sent = writer
        .write_all(&[frames::BEGIN, &text(begin)].concat())
        .await;
    idle().await;
    for step in steps {
        match step {
            Step::Send(frame) => sent = writer.write_all(&text(frame)).await,
            Step::Wait(ms) => sleep(Duration::from_millis(ms)).await,
            Step::Leave => break,
            Step::Reset => {
                sent = writer.write_all(&text(">1 R\n00000008\n")).await;
                idle().await;
                log.over();
            }
        }
        idle().await;
        if sent.is_err() {
            break;
        }
    }
    // Gone at once, with both directions.
    reading.abort();
    drop(reading.await);
    drop(writer);
    idle().await;
    log.over();
}

/// A backend that goes on or not, a step a byte.
async fn answer(mut wire: Wire, steps: &[u8]) {
    let mut part = [0; 4096];
    if !matches!(wire.read(&mut part).await, Ok(1..)) {
        return;
    }
    let (mut reader, mut writer) = tokio::io::split(wire);
    let reading = async {
        let mut sink = Vec::new();
        drop(reader.read_to_end(&mut sink).await);
    };
    let writing = async {
        let head: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n";
        let mut pieces = [head]
            .into_iter()
            .chain(std::iter::repeat(&b"5\r\npiece\r\n"[..]));
        for step in steps {
            let piece: &[u8] = match step % 8 {
                0..=3 => pieces.next().unwrap_or_default(),
                4 => b"0\r\nx: 1\r\n\r\n",
                5 => return,
                6 => {
                    sleep(Duration::from_millis(5)).await;
                    continue;
                }
                _ => std::future::pending().await,
            };
            if writer.write_all(piece).await.is_err() {
                return;
            }
            idle().await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}
