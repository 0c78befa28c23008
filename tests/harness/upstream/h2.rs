//! The HTTP/2 side of backends.

use std::{future::poll_fn, sync::atomic::Ordering};

use ::h2::{RecvStream, SendStream, server::SendResponse};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::task::JoinSet;

use super::{Payload, Reply, Seen, Server};
use crate::{Stream, wire};

/// Serves requests until the connection ends.
pub(super) async fn serve(server: &Server, stream: Box<dyn Stream>, number: usize) {
    let mut builder = ::h2::server::Builder::new();
    builder
        .enable_connect_protocol()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return server.record.violation("HTTP/2 handshake".into());
    };
    let mut streams = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let Ok((request, respond)) = accepted else {
            break;
        };
        let (head, body) = request.into_parts();
        let seen = Seen {
            backend: server.name.clone(),
            connection: number,
            method: head.method.to_string(),
            target: head
                .uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            version: "HTTP/2".into(),
            fields: fields(&head.headers, head.uri.authority().map(|a| a.as_str())),
            ..Seen::default()
        };
        let (answer, record) = (server.answer.clone(), server.record.clone());
        streams.spawn(async move {
            let place = record.begin(seen.clone());
            let reply = answer(&seen);
            let mut seen = seen;
            let count = |piece: usize| {
                record
                    .body_bytes
                    .fetch_add(u64::try_from(piece).unwrap_or_default(), Ordering::SeqCst);
            };
            let _reset = exchange(&mut seen, reply, body, respond, count).await;
            record.end(place, &seen);
        });
    }
    streams.join_all().await;
}

async fn exchange(
    seen: &mut Seen,
    reply: Reply,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    count: impl Fn(usize),
) -> Result<(), ::h2::Error> {
    if matches!(reply.payload, Payload::Mirror | Payload::Upgrade) {
        let mut out = respond.send_response(response(&reply), false)?;
        while let Some(piece) = body.data().await {
            let piece = piece?;
            seen.take(&piece);
            count(piece.len());
            body.flow_control().release_capacity(piece.len())?;
            send(&mut out, piece).await?;
        }
        seen.complete = true;
        return out.send_trailers(map(&[("grpc-status".into(), "0".into())]));
    }
    if !reply.early {
        while let Some(piece) = body.data().await {
            let piece = piece?;
            seen.take(&piece);
            count(piece.len());
            body.flow_control().release_capacity(piece.len())?;
        }
        seen.trailers = body
            .trailers()
            .await?
            .map(|map| fields(&map, None))
            .unwrap_or_default();
        seen.complete = true;
    }
    if let Some(gate) = &reply.gate {
        gate.passed().await;
    }
    let head = response(&reply);
    match reply.payload {
        Payload::Seen => {
            let mut out = respond.send_response(head, false)?;
            send(&mut out, Bytes::from(seen.to_json().to_string())).await?;
            out.send_data(Bytes::new(), true)
        }
        Payload::Sized(bytes) => {
            let mut out = respond.send_response(head, false)?;
            send(&mut out, Bytes::from(bytes)).await?;
            out.send_data(Bytes::new(), true)
        }
        Payload::Chunked(chunks, trailers) => {
            let mut out = respond.send_response(head, false)?;
            for chunk in chunks {
                send(&mut out, Bytes::from(chunk)).await?;
            }
            out.send_trailers(map(&trailers))
        }
        Payload::Stream(_, mut pieces) => {
            let mut out = respond.send_response(head, false)?;
            while let Some(piece) = pieces.recv().await {
                send(&mut out, Bytes::from(piece)).await?;
            }
            out.send_data(Bytes::new(), true)
        }
        // Trailers-only, in gRPC's words.
        Payload::Nothing => respond.send_response(head, true).map(drop),
        Payload::Many(length) => {
            let mut out = respond.send_response(head, false)?;
            let mut left = usize::try_from(length).expect("a body that fits");
            let piece = Bytes::from(vec![b'm'; 16 * 1024]);
            while left > 0 {
                let piece = piece.slice(..left.min(piece.len()));
                left -= piece.len();
                send(&mut out, piece).await?;
            }
            out.send_data(Bytes::new(), true)
        }
        Payload::Mirror | Payload::Upgrade | Payload::Raw(_) => {
            respond.send_reset(::h2::Reason::INTERNAL_ERROR);
            Ok(())
        }
    }
}

/// Sends a piece as the peer's window allows.
async fn send(out: &mut SendStream<Bytes>, mut piece: Bytes) -> Result<(), ::h2::Error> {
    while !piece.is_empty() {
        out.reserve_capacity(piece.len());
        let Some(capacity) = poll_fn(|cx| out.poll_capacity(cx)).await else {
            return Ok(());
        };
        let capacity = capacity?.min(piece.len());
        out.send_data(piece.split_to(capacity), false)?;
    }
    Ok(())
}

fn response(reply: &Reply) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = if reply.status == 101 {
        200
    } else {
        reply.status
    }
    .try_into()
    .expect("a status");
    *response.headers_mut() = map(&reply.fields);
    for hop in ["connection", "upgrade", "transfer-encoding"] {
        response.headers_mut().remove(hop);
    }
    response
}

fn map(fields: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a field name");
        map.append(
            name,
            HeaderValue::from_bytes(&wire::bytes(value)).expect("a field value"),
        );
    }
    map
}

fn fields(map: &HeaderMap, authority: Option<&str>) -> Vec<(String, String)> {
    let authority = authority.map(|a| (":authority".to_owned(), a.to_owned()));
    let fields = map
        .iter()
        .map(|(name, value)| (name.to_string(), wire::text(value.as_bytes())));
    authority.into_iter().chain(fields).collect()
}
