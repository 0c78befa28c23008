//! The HTTP/2 client that keeps to the protocol.

use std::{future::poll_fn, net::SocketAddr};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest, ext::Protocol};
use http::{Method, Request};
use tokio::{net::TcpStream, task::JoinHandle};

use crate::{
    Seen, Stream,
    wire::{text, values},
    within,
};

/// A connection.
pub struct Http2 {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole response, or how the stream ended without one.
#[derive(Clone, Debug, Default)]
pub struct Http2Answer {
    /// The status; 0 where the stream was reset first.
    pub status: u16,
    /// The fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Vec<(String, String)>,
    /// The error that ended the stream.
    pub error: Option<String>,
}

impl Http2Answer {
    /// The value of a field that occurs at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = values(&self.fields, name);
        assert!(all.len() < 2, "{name} occurs twice: {all:?}");
        all.first().copied()
    }

    /// The value of a trailer.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        values(&self.trailers, name).first().copied()
    }

    /// The gateway's word for an answer of its own.
    pub fn reason(&self) -> Option<&str> {
        self.header("portcullis-reason")
    }

    /// What the echoing backend says it saw.
    pub fn saw(&self) -> Seen {
        assert_eq!(
            (self.status, &self.error),
            (200, &None),
            "{:?}",
            text(&self.body)
        );
        Seen::from_json(&serde_json::from_slice(&self.body).expect("JSON"))
    }
}

impl Http2 {
    /// Opens a TCP connection, with prior knowledge.
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(
            within("a connection", TcpStream::connect(address))
                .await
                .expect("the listener accepts"),
        )
        .await
    }

    /// Speaks over an open stream.
    pub async fn over(stream: impl Stream + 'static) -> Self {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 24);
        let handshake = within("an HTTP/2 handshake", builder.handshake(stream)).await;
        let (send, connection) = handshake.expect("an HTTP/2 handshake");
        Self {
            send,
            connection: tokio::spawn(connection),
        }
    }

    /// Gets a path of a host.
    pub async fn get(&mut self, host: &str, path: &str) -> Http2Answer {
        self.ask(&[], "GET", &format!("http://{host}{path}"), None)
            .await
    }

    /// Sends a request and reads its answer. Fields are name and value.
    pub async fn ask(
        &mut self,
        fields: &[(&str, &str)],
        method: &str,
        uri: &str,
        body: Option<&[u8]>,
    ) -> Http2Answer {
        let request = build(method, uri, fields);
        let (mut tunnel, response) = self.begin(request, body.is_none()).await;
        if let Some(body) = body {
            tunnel.send(body).await;
            tunnel.finish();
        }
        finish(response).await
    }

    /// Sends a request with a body and trailers and reads its answer.
    pub async fn ask_with_trailers(
        &mut self,
        request: Request<()>,
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> Http2Answer {
        let (mut tunnel, response) = self.begin(request, false).await;
        tunnel.send(body).await;
        tunnel.finish_with(trailers);
        finish(response).await
    }

    /// Opens a tunnel for WebSocket frames, RFC 8441; its status.
    pub async fn websocket(&mut self, host: &str, path: &str) -> (u16, Tunnel) {
        let mut request = build(
            "CONNECT",
            &format!("http://{host}{path}"),
            &[("sec-websocket-version", "13")],
        );
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        let (mut tunnel, response) = self.begin(request, false).await;
        let response = within("the answer to CONNECT", response)
            .await
            .expect("an answer to CONNECT");
        let (head, body) = response.into_parts();
        tunnel.receive = Some(body);
        (head.status.as_u16(), tunnel)
    }

    /// Begins a request: what sends its body, and its answer to come.
    pub async fn begin(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> (Tunnel, h2::client::ResponseFuture) {
        let ready = within("room for a stream", poll_fn(|cx| self.send.poll_ready(cx))).await;
        ready.expect("an open HTTP/2 connection");
        let (response, send) = self
            .send
            .send_request(request, end)
            .expect("a request that may be sent");
        (
            Tunnel {
                send,
                receive: None,
            },
            response,
        )
    }

    /// Whether requests may still begin: the server has not said that it goes.
    pub async fn is_open(&mut self) -> bool {
        poll_fn(|cx| self.send.poll_ready(cx)).await.is_ok()
    }

    /// Whether the server lets clients open RFC 8441 tunnels.
    pub fn allows_tunnels(&self) -> bool {
        self.send.is_extended_connect_protocol_enabled()
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(self) {
        drop(self.send);
        let _result = within("the HTTP/2 connection to close", self.connection).await;
    }
}

/// A request's head.
pub(crate) fn build(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).expect("a method"))
        .uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request")
}

async fn finish(response: h2::client::ResponseFuture) -> Http2Answer {
    let response = match within("an HTTP/2 answer", response).await {
        Ok(response) => response,
        Err(error) => {
            return Http2Answer {
                error: Some(error.to_string()),
                ..Http2Answer::default()
            };
        }
    };
    let (head, mut body) = response.into_parts();
    let mut answer = Http2Answer {
        status: head.status.as_u16(),
        ..Http2Answer::default()
    };
    answer.fields = pairs(&head.headers);
    while let Some(piece) = within("an HTTP/2 body", body.data()).await {
        match piece {
            Ok(piece) => {
                answer.body.extend_from_slice(&piece);
                let _closed = body.flow_control().release_capacity(piece.len());
            }
            Err(error) => {
                answer.error = Some(error.to_string());
                return answer;
            }
        }
    }
    match within("HTTP/2 trailers", body.trailers()).await {
        Ok(trailers) => answer.trailers = trailers.as_ref().map(pairs).unwrap_or_default(),
        Err(error) => answer.error = Some(error.to_string()),
    }
    answer
}

fn pairs(map: &http::HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

/// Both directions of a stream.
pub struct Tunnel {
    send: SendStream<Bytes>,
    receive: Option<RecvStream>,
}

impl Tunnel {
    /// Sends bytes as the window allows.
    pub async fn send(&mut self, bytes: &[u8]) {
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            self.send.reserve_capacity(rest.len());
            let capacity = within(
                "room in the window",
                poll_fn(|cx| self.send.poll_capacity(cx)),
            )
            .await;
            let Some(Ok(capacity)) = capacity else { return };
            let piece = rest.split_to(capacity.min(rest.len()));
            let _reset = self.send.send_data(piece, false);
        }
    }

    /// How many bytes may be sent now, once some may.
    pub async fn room(&mut self, wanted: usize) -> usize {
        self.send.reserve_capacity(wanted);
        let capacity = within(
            "room in the window",
            poll_fn(|cx| self.send.poll_capacity(cx)),
        )
        .await;
        capacity.and_then(Result::ok).unwrap_or_default()
    }

    /// Ends our direction.
    pub fn finish(&mut self) {
        let _reset = self.send.send_data(Bytes::new(), true);
    }

    /// Ends our direction with trailers.
    pub fn finish_with(&mut self, trailers: &[(&str, &str)]) {
        let mut map = http::HeaderMap::new();
        for (name, value) in trailers {
            let name: http::HeaderName = name.parse().expect("a field name");
            map.append(name, value.parse().expect("a field value"));
        }
        let _reset = self.send.send_trailers(map);
    }

    /// What comes next; nothing at the end.
    pub async fn some(&mut self) -> Vec<u8> {
        let Some(receive) = self.receive.as_mut() else {
            return Vec::new();
        };
        let Some(Ok(piece)) = within("bytes of a tunnel", receive.data()).await else {
            return Vec::new();
        };
        let _closed = receive.flow_control().release_capacity(piece.len());
        piece.to_vec()
    }

    /// Exactly so many bytes.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            let piece = self.some().await;
            assert!(
                !piece.is_empty(),
                "the tunnel ended after {} bytes",
                all.len()
            );
            all.extend_from_slice(&piece);
        }
        all
    }
}
