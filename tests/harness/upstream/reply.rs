//! What a backend answers.

use tokio::sync::{mpsc, watch};

/// An answer in the making.
#[derive(Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) payload: Payload,
    pub(super) gate: Option<Gate>,
    pub(super) early: bool,
    pub(super) close: bool,
    pub(super) before: Vec<u8>,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Payload {
    /// What was seen, as JSON.
    Seen,
    /// None, and no framing either.
    Nothing,
    /// Bytes with `Content-Length`.
    Sized(Vec<u8>),
    /// Chunks and trailers.
    Chunked(Vec<Vec<u8>>, Vec<(String, String)>),
    /// Pieces as the test sends them: with `Content-Length`, or chunked until the sender is dropped.
    Stream(Option<u64>, mpsc::UnboundedReceiver<Vec<u8>>),
    /// So many equal bytes, with `Content-Length`.
    Many(u64),
    /// The request's body as it comes, with the trailer `grpc-status: 0`; HTTP/2 only.
    Mirror,
    /// 101, then whatever comes is sent back.
    Upgrade,
    /// Exactly these bytes for the whole response, then the connection closes; HTTP/1 only.
    Raw(Vec<u8>),
}

impl Reply {
    /// 200 with what was seen.
    pub fn echo() -> Self {
        Self::of(200, Payload::Seen)
            .header("Content-Type", "application/json")
            .header("Date", DATE)
    }

    /// This status with this body.
    pub fn of(status: u16, payload: Payload) -> Self {
        let (fields, before) = (Vec::new(), Vec::new());
        Self {
            status,
            fields,
            payload,
            gate: None,
            early: false,
            close: false,
            before,
        }
    }

    /// 200 with this body.
    pub fn text(body: &str) -> Self {
        Self::of(200, Payload::Sized(body.as_bytes().to_vec()))
    }

    /// Switches to this protocol and echoes bytes.
    pub fn upgrade(protocol: &str) -> Self {
        Self::of(101, Payload::Upgrade)
            .header("Connection", "Upgrade")
            .header("Upgrade", protocol)
    }

    /// A body of pieces that the returned sender gives.
    pub fn stream(length: Option<u64>) -> (Self, mpsc::UnboundedSender<Vec<u8>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self::of(200, Payload::Stream(length, receiver)), sender)
    }

    /// Adds a field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Waits until the gate is open.
    pub fn after(self, gate: &Gate) -> Self {
        Self {
            gate: Some(gate.clone()),
            ..self
        }
    }

    /// Answers before the request's body was read, and reads it no more.
    pub fn early(self) -> Self {
        Self {
            early: true,
            ..self
        }
    }

    /// Closes the connection afterwards, without saying so.
    pub fn close(self) -> Self {
        Self {
            close: true,
            ..self
        }
    }

    /// Sends these bytes before the response: 1xx responses.
    pub fn before(self, bytes: &[u8]) -> Self {
        Self {
            before: bytes.to_vec(),
            ..self
        }
    }
}

/// Holds answers back until a test opens it.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn passed(&self) {
        let mut open = self.0.subscribe();
        let _open = open.wait_for(|open| *open).await;
    }
}

const DATE: &str = "Tue, 15 Nov 1994 08:12:31 GMT";
