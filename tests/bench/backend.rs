//! A backend that does as little as it can, on the thread of the load.
//!
//! It answers a kibibyte, or a mebibyte under `/big`; takes any body; and echoes what comes after an upgrade.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task,
};

use crate::client::{head_end, length};

/// Starts it.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            task::spawn_local(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let small = answer(1024);
    let big = answer(MEBIBYTE);
    let mut read = Vec::with_capacity(65536);
    loop {
        let Some(end) = head_end(&read) else {
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        let head: Vec<u8> = read.drain(..end).collect();
        if contains(&head, b"pgrade: websocket") {
            let _ = echo(stream).await;
            return;
        }
        let mut body = length(&head);
        body -= read.drain(..body.min(read.len())).len();
        while body > 0 {
            read.clear();
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(some) => body -= some.min(body),
            }
            // Nobody sends the next request before the answer.
            if body == 0 {
                read.clear();
            }
        }
        let answer = if head.starts_with(b"GET /big") {
            &big
        } else {
            &small
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Answers the upgrade of [`crate::load`], whose key is always the same, and gives back what comes.
async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut buffer = [0; 4096];
    loop {
        let some = stream.read(&mut buffer).await?;
        if some == 0 {
            return Ok(());
        }
        stream
            .write_all(buffer.get(..some).unwrap_or_default())
            .await?;
    }
}

fn answer(length: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; length]].concat()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// 1 MiB.
pub(crate) const MEBIBYTE: usize = 1 << 20;
