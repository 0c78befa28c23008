//! Load: keep-alive connections that each have one request under way.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

/// Asks for as long as `time`, and says how many answers came; each must be a 200 of a kibibyte.
pub(crate) async fn run(address: SocketAddr, request: &[u8], time: Duration) -> u64 {
    let answers = Rc::new(Cell::new(0));
    let end = Instant::now() + time;
    let set = LocalSet::new();
    for _ in 0..CONNECTIONS {
        let (answers, request) = (Rc::clone(&answers), request.to_vec());
        set.spawn_local(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a TCP socket");
            let mut read = Vec::with_capacity(8192);
            while Instant::now() < end {
                stream.write_all(&request).await.expect("the proxy listens");
                answer(&mut stream, &mut read).await;
                answers.set(answers.get() + 1);
            }
        });
    }
    set.await;
    answers.get()
}

/// Reads one answer.
pub(crate) async fn answer(stream: &mut TcpStream, read: &mut Vec<u8>) -> String {
    let mut whole = None;
    loop {
        if whole.is_none()
            && let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n")
        {
            whole = Some(end + 4 + 1024);
        }
        if let Some(length) = whole.filter(|length| *length <= read.len()) {
            let head = read.drain(..length).take(length - 1024).collect();
            let head = String::from_utf8(head).expect("a head in ASCII");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            return head;
        }
        let more = stream.read_buf(read).await.expect("the proxy answers");
        assert_ne!(
            more,
            0,
            "the proxy closed: {}",
            String::from_utf8_lossy(read)
        );
    }
}

const CONNECTIONS: usize = 64;
