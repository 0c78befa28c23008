//! Finding and replacing in a text that comes in pieces.

use portcullis_sdk::prelude::*;

/// What is replaced by what.
#[config]
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// What is found, byte for byte.
    #[schemars(length(min = 1, max = 1024))]
    find: String,
    /// What is sent instead.
    #[schemars(length(max = 4096))]
    with: String,
}

/// Finds and replaces.
#[derive(Debug)]
pub(crate) struct Rewriter {
    pairs: Vec<Pair>,
    /// For each byte, whether something begins with it: most places are passed over by this alone.
    begins: [bool; 256],
}

/// What became of a piece.
#[derive(Debug)]
pub(crate) struct Done {
    /// What can be sent.
    pub(crate) text: Vec<u8>,
    /// What must wait for the next piece: shorter than the longest that is looked for.
    pub(crate) tail: Vec<u8>,
}

impl Rewriter {
    /// A rewriter, or where it is wrong and how.
    pub(crate) fn new(pairs: Vec<Pair>) -> Result<Self, (String, String)> {
        if pairs.is_empty() || pairs.len() > 32 {
            return Err((
                "/replace".to_owned(),
                "write 1 to 32 replacements".to_owned(),
            ));
        }
        let mut begins = [false; 256];
        for (index, pair) in pairs.iter().enumerate() {
            let place = |key| format!("/replace/{index}/{key}");
            if pair.find.len() > FIND {
                return Err((place("find"), format!("write at most {FIND} bytes")));
            }
            if pair.with.len() > WITH {
                return Err((place("with"), format!("write at most {WITH} bytes")));
            }
            let first = pair.find.bytes().next();
            let slot = first.and_then(|byte| begins.get_mut(usize::from(byte)));
            match slot {
                Some(slot) => *slot = true,
                None => return Err((place("find"), "nothing is everywhere".to_owned())),
            }
        }
        Ok(Self { pairs, begins })
    }

    /// Replaces in a piece that begins with the tail of the one before.
    pub(crate) fn run(&self, piece: &[u8], last: bool) -> Done {
        let mut text = Vec::with_capacity(piece.len());
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|byte| self.begins(*byte)) {
            let (before, here) = rest.split_at(at);
            text.extend_from_slice(before);
            rest = here;
            match self.at(here, last) {
                At::Found(pair) => {
                    text.extend_from_slice(pair.with.as_bytes());
                    rest = here.get(pair.find.len()..).unwrap_or_default();
                }
                At::Unknown => {
                    let tail = here.to_vec();
                    return Done { text, tail };
                }
                At::Nothing => {
                    if let [first, others @ ..] = here {
                        text.push(*first);
                        rest = others;
                    }
                }
            }
        }
        text.extend_from_slice(rest);
        Done {
            text,
            tail: Vec::new(),
        }
    }

    fn begins(&self, byte: u8) -> bool {
        self.begins.get(usize::from(byte)).copied().unwrap_or(false)
    }

    fn at(&self, here: &[u8], last: bool) -> At<'_> {
        for pair in &self.pairs {
            let find = pair.find.as_bytes();
            if here.starts_with(find) {
                return At::Found(pair);
            }
            // An earlier pair that may still be found here goes before a later one that is.
            if !last && find.starts_with(here) {
                return At::Unknown;
            }
        }
        At::Nothing
    }
}

/// What is at a place of a piece.
enum At<'p> {
    Found(&'p Pair),
    Nothing,
    /// The piece ends too early to tell.
    Unknown,
}

/// The longest that is looked for: what waits for the next piece fits into the state of a request.
const FIND: usize = 1 << 10;
/// The longest that is sent instead.
const WITH: usize = 4 << 10;
