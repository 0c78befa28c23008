//! What a backend saw of a request.

use serde_json::{Value, json};

use crate::wire::values;

/// A request as it reached a backend.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The name of the backend.
    pub backend: String,
    /// The connection it came on.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The target: path and query as they came.
    pub target: String,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    pub version: String,
    /// The fields, in order and as they came.
    pub fields: Vec<(String, String)>,
    /// How long the body was.
    pub length: u64,
    /// The body, its first mebibyte.
    pub body: Vec<u8>,
    /// The trailer section.
    pub trailers: Vec<(String, String)>,
    /// Whether it came to its end.
    pub complete: bool,
}

impl Seen {
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

    /// Takes in a piece of the body.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        self.length += u64::try_from(piece.len()).unwrap_or_default();
        let room = (1_usize << 20).saturating_sub(self.body.len());
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// What the echo answers with.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "backend": self.backend,
            "connection": self.connection,
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "fields": self.fields,
            "length": self.length,
            "trailers": self.trailers,
        })
    }

    /// Reads such an answer.
    pub(crate) fn from_json(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let pairs = |key: &str| {
            let all = value[key].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            all.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        };
        Self {
            backend: text("backend"),
            connection: value["connection"]
                .as_u64()
                .and_then(|n| n.try_into().ok())
                .unwrap_or_default(),
            method: text("method"),
            target: text("target"),
            version: text("version"),
            fields: pairs("fields"),
            length: value["length"].as_u64().unwrap_or_default(),
            body: Vec::new(),
            trailers: pairs("trailers"),
            complete: true,
        }
    }
}
