//! The HTTP/1.1 client: raw bytes out, strictly read answers in.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;

use crate::{
    Broken, Framing, Seen, Stream, Wire,
    wire::{bytes, values},
    within,
};

/// A request as bytes in the making.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A GET.
pub fn get(target: &str) -> Request {
    request("GET", target)
}

/// A POST with a body of known length.
pub fn post(target: &str, body: impl AsRef<[u8]>) -> Request {
    let request = request("POST", target);
    let length = body.as_ref().len().to_string();
    Request {
        body: body.as_ref().to_vec(),
        ..request.header("Content-Length", &length)
    }
}

/// A request without fields or a body.
pub fn request(method: &str, target: &str) -> Request {
    Request {
        method: method.into(),
        target: target.into(),
        fields: Vec::new(),
        body: Vec::new(),
    }
}

impl Request {
    /// Adds `Host` in front.
    pub fn host(mut self, host: &str) -> Self {
        self.fields.insert(0, ("Host".into(), host.into()));
        self
    }

    /// Adds a field at the end.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sends these bytes after the head, as they are.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        Self { body, ..self }
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut out = bytes(&(out + "\r\n"));
        out.extend_from_slice(&self.body);
        out
    }
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status of the final response.
    pub status: u16,
    /// The statuses of the 1xx responses before it.
    pub interim: Vec<u16>,
    /// The fields, in order and as sent.
    pub fields: Vec<(String, String)>,
    /// How the body ended.
    pub framing: Framing,
    /// The body.
    pub body: Vec<u8>,
    /// The trailer section.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The value of a field that occurs at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} occurs twice: {all:?}");
        all.first().copied()
    }

    /// The gateway's word for an answer of its own.
    pub fn reason(&self) -> Option<&str> {
        self.header("portcullis-reason")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e} in {} {:?}", self.status, self.text()))
    }

    /// What the echoing backend says it saw.
    pub fn saw(&self) -> Seen {
        assert_eq!(self.status, 200, "{:?} {:?}", self.fields, self.text());
        Seen::from_json(&self.json())
    }

    /// The name of the backend that answered.
    pub fn backend(&self) -> String {
        self.saw().backend
    }
}

/// A connection to a server.
pub struct Connection {
    wire: Wire,
}

impl Connection {
    /// Opens a TCP connection.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the listener accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        Self::over(stream)
    }

    /// Speaks over an open stream.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self {
            wire: Wire::over(stream),
        }
    }

    /// Sends bytes as they are. That the other side has closed shows when reading.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed = within("the peer to read", self.wire.write(bytes.as_ref())).await;
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &Request) -> Answer {
        self.try_ask(request)
            .await
            .unwrap_or_else(|e| panic!("{e:?} instead of an answer to {request:?}"))
    }

    /// As [`Self::ask`], where the connection may end instead.
    pub async fn try_ask(&mut self, request: &Request) -> Result<Answer, Broken> {
        let _closed = within("the peer to read", self.wire.write(&request.bytes())).await;
        self.answer(&request.method).await
    }

    /// Reads the whole answer to a request of that method.
    pub async fn answer(&mut self, method: &str) -> Result<Answer, Broken> {
        let mut answer = self.head(method).await?;
        let mut body = Vec::new();
        let sink = |piece: &[u8]| body.extend_from_slice(piece);
        answer.trailers = within(
            "the body of an answer",
            self.wire.body(answer.framing, sink),
        )
        .await?;
        answer.body = body;
        Ok(answer)
    }

    /// Reads the head of the answer only.
    pub async fn head(&mut self, method: &str) -> Result<Answer, Broken> {
        let mut interim = Vec::new();
        loop {
            let head = within("the head of an answer", self.wire.head()).await?;
            let malformed = || Broken::Malformed(format!("status line {:?}", head.start));
            let (version, rest) = head.start.split_once(' ').ok_or_else(malformed)?;
            let digits = rest
                .get(..3)
                .filter(|_| rest.len() == 3 || rest.as_bytes().get(3) == Some(&b' '));
            let status = digits
                .and_then(|digits| digits.parse::<u16>().ok())
                .ok_or_else(malformed)?;
            if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
                return Err(malformed());
            }
            if status / 100 == 1 && status != 101 {
                interim.push(status);
                continue;
            }
            let framing = match status {
                101 | 204 | 304 => Framing::Empty,
                _ if method == "HEAD" => Framing::Empty,
                _ => head.framing(Framing::Close)?,
            };
            let version = version.to_owned();
            let (fields, body, trailers) = (head.fields, Vec::new(), Vec::new());
            return Ok(Answer {
                version,
                status,
                interim,
                fields,
                framing,
                body,
                trailers,
            });
        }
    }

    /// The next chunk of a chunked answer; `None` is the last.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        within("a chunk", self.wire.chunk()).await
    }

    /// Exactly so many bytes.
    pub async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        within("bytes", self.wire.exactly(length)).await
    }

    /// Whatever comes next; nothing at the end of the connection, however it ends.
    pub async fn some(&mut self) -> Vec<u8> {
        within("bytes or the end of the connection", self.wire.some())
            .await
            .unwrap_or_default()
    }

    /// What is left until the connection ends, which it must.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        loop {
            let piece = self.some().await;
            if piece.is_empty() {
                return rest;
            }
            rest.extend_from_slice(&piece);
        }
    }

    /// Ends our direction.
    pub async fn finish(&mut self) {
        let _closed = self.wire.finish().await;
    }

    /// The stream below, for what follows an upgrade.
    pub fn into_stream(self) -> Box<dyn Stream> {
        self.wire.into_stream()
    }
}
