//! The HTTP/1.1 side of backends.

use std::sync::atomic::Ordering;

use tokio::net::TcpStream;

use super::{Payload, Reply, Seen, Server};
use crate::{Broken, Framing, Head, Stream, Wire, wire::bytes};

/// Serves requests until the connection ends.
pub(super) async fn serve(server: &Server, stream: Box<dyn Stream>, number: usize) {
    let mut wire = Wire::over(stream);
    loop {
        match exchange(server, &mut wire, number).await {
            Ok(true) => {}
            Ok(false) | Err(Broken::Closed) => break,
            Err(error @ (Broken::Malformed(_) | Broken::Truncated)) => {
                server.record.violation(format!("{error:?}"));
                break;
            }
        }
    }
    let _closed = wire.finish().await;
}

/// Reads a head on the connection, sends these bytes and closes.
pub(super) async fn play(stream: TcpStream, bytes: Vec<u8>) {
    let mut wire = Wire::over(stream);
    let head = wire.head().await;
    let framing = head.and_then(|head| head.framing(Framing::Empty));
    if let Ok(framing) = framing {
        let _body = wire.body(framing, |_| {}).await;
    }
    let _closed = wire.write(&bytes).await;
    let _closed = wire.finish().await;
}

/// One request and its answer; whether another may follow.
async fn exchange(server: &Server, wire: &mut Wire, number: usize) -> Result<bool, Broken> {
    let head = wire.head().await?;
    let framing = head.framing(Framing::Empty)?;
    let mut seen = describe(server, &head, number)?;
    let place = server.record.begin(seen.clone());
    let early = (server.answer)(&seen);
    let (reply, read) = if early.early {
        (early, framing == Framing::Empty)
    } else {
        if head
            .all("expect")
            .iter()
            .any(|e| e.eq_ignore_ascii_case("100-continue"))
        {
            wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let count = |piece: &[u8]| {
            seen.take(piece);
            server.record.body_bytes.fetch_add(
                u64::try_from(piece.len()).unwrap_or_default(),
                Ordering::SeqCst,
            );
        };
        seen.trailers = wire.body(framing, count).await?;
        seen.complete = true;
        server.record.end(place, &seen);
        (early, true)
    };
    if let Some(gate) = &reply.gate {
        gate.passed().await;
    }
    let last = !read
        || reply.close
        || head
            .all("connection")
            .iter()
            .any(|c| c.eq_ignore_ascii_case("close"));
    let open = write(wire, reply, &seen).await?;
    Ok(open && !last)
}

fn describe(server: &Server, head: &Head, connection: usize) -> Result<Seen, Broken> {
    let parts: Vec<&str> = head.start.split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = parts.as_slice() else {
        return Err(Broken::Malformed(format!("request line {:?}", head.start)));
    };
    if method.is_empty() || target.is_empty() {
        return Err(Broken::Malformed(format!("request line {:?}", head.start)));
    }
    Ok(Seen {
        backend: server.name.clone(),
        connection,
        method: (*method).to_owned(),
        target: (*target).to_owned(),
        version: (*version).to_owned(),
        fields: head.fields.clone(),
        ..Seen::default()
    })
}

/// Writes a reply; whether the connection can go on.
async fn write(wire: &mut Wire, reply: Reply, seen: &Seen) -> Result<bool, Broken> {
    let Reply {
        status,
        mut fields,
        payload,
        before,
        ..
    } = reply;
    let has_body = seen.method != "HEAD" && !matches!(status, 101 | 204 | 304);
    let mut field = |name: &str, value: String| fields.push((name.into(), value));
    match &payload {
        Payload::Seen => field(
            "Content-Length",
            seen.to_json().to_string().len().to_string(),
        ),
        Payload::Sized(body) => field("Content-Length", body.len().to_string()),
        Payload::Stream(Some(length), _) | Payload::Many(length) => {
            field("Content-Length", length.to_string());
        }
        Payload::Chunked(..) | Payload::Stream(None, _) => {
            field("Transfer-Encoding", "chunked".into());
        }
        Payload::Nothing | Payload::Mirror | Payload::Upgrade | Payload::Raw(_) => {}
    }
    wire.write(&before).await?;
    if let Payload::Raw(raw) = payload {
        wire.write(&raw).await?;
        return Ok(false);
    }
    let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in &fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    wire.write(&bytes(&(head + "\r\n"))).await?;
    if matches!(payload, Payload::Upgrade) {
        return parrot(wire).await.map(|()| false);
    }
    if has_body {
        body(wire, payload, seen).await
    } else {
        Ok(true)
    }
}

async fn body(wire: &mut Wire, payload: Payload, seen: &Seen) -> Result<bool, Broken> {
    match payload {
        Payload::Seen => wire.write(seen.to_json().to_string().as_bytes()).await?,
        Payload::Sized(body) => wire.write(&body).await?,
        Payload::Chunked(chunks, trailers) => {
            for chunk in chunks {
                write_chunk(wire, &chunk).await?;
            }
            let mut end = String::from("0\r\n");
            for (name, value) in trailers {
                end.push_str(&format!("{name}: {value}\r\n"));
            }
            wire.write(&bytes(&(end + "\r\n"))).await?;
        }
        Payload::Stream(Some(length), mut pieces) => {
            let mut left = usize::try_from(length).unwrap_or_default();
            while left > 0 {
                // A sender that is gone early leaves the answer cut.
                let Some(piece) = pieces.recv().await else {
                    return Ok(false);
                };
                wire.write(&piece).await?;
                left = left.saturating_sub(piece.len());
            }
        }
        Payload::Stream(None, mut pieces) => {
            while let Some(piece) = pieces.recv().await {
                write_chunk(wire, &piece).await?;
            }
            wire.write(b"0\r\n\r\n").await?;
        }
        Payload::Many(length) => {
            let piece = vec![b'x'; 64 * 1024];
            let mut left = usize::try_from(length).unwrap_or_default();
            while left > 0 {
                let size = left.min(piece.len());
                wire.write(&piece[..size]).await?;
                left -= size;
            }
        }
        Payload::Nothing => return Ok(false),
        Payload::Mirror | Payload::Upgrade | Payload::Raw(_) => {}
    }
    Ok(true)
}

async fn write_chunk(wire: &mut Wire, chunk: &[u8]) -> Result<(), Broken> {
    let mut out = format!("{:x}\r\n", chunk.len()).into_bytes();
    out.extend_from_slice(chunk);
    out.extend_from_slice(b"\r\n");
    Ok(wire.write(&out).await?)
}

/// Sends back whatever comes.
async fn parrot(wire: &mut Wire) -> Result<(), Broken> {
    loop {
        let piece = wire.some().await?;
        if piece.is_empty() {
            return Ok(());
        }
        wire.write(&piece).await?;
    }
}
