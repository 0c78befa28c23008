//! Patterns, in linear time and bounded memory.

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression, unanchored, over the bytes of a header's value.
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// A pattern, or why it is none.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(COMPILED).dfa_size_limit(COMPILED);
        builder.build().map(Self).map_err(|error| match error {
            regex::Error::Syntax(text) => {
                // The last line says what is wrong; those before it draw where.
                let last = text.lines().last().unwrap_or_default();
                let what = last.trim_start_matches("error: ");
                format!("this pattern is not understood: {what}")
            }
            regex::Error::CompiledTooBig(_) => {
                "this pattern is too large; write a shorter one, or smaller repetitions".to_owned()
            }
            _ => "this pattern is not understood".to_owned(),
        })
    }

    /// Whether it is found in a value. It is in none that is longer than nginx would take: a client must not
    /// be able to use up the time of the hook, which would close the route for others.
    pub(crate) fn is_found_in(&self, value: &[u8]) -> bool {
        value.len() <= LONGEST && self.0.is_match(value)
    }
}

/// How many bytes a pattern may take, compiled, and how many to run it.
const COMPILED: usize = 2 << 20;
/// The longest value that is looked at.
const LONGEST: usize = 8 << 10;
