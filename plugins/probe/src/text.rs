//! Bytes in JSON.

use portcullis_sdk::prelude::*;

/// Text in which each character is one byte, written out or as so many times the same.
#[config]
#[serde(untagged)]
pub(crate) enum Text {
    /// As it is.
    Plain(String),
    /// So many times the same.
    #[serde(rename_all = "camelCase")]
    Repeated {
        /// What, and how often.
        repeat: (String, usize),
    },
}

impl Text {
    /// As text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Repeated {
                repeat: (text, times),
            } => text.repeat(*times),
        }
    }

    /// As bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.text()
            .chars()
            .map(|c| u8::try_from(c).unwrap_or(b'?'))
            .collect()
    }
}

/// Bytes as such text.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
