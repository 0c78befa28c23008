//! JSON in, nodes out, with lines.

use std::borrow::Cow;

use super::{
    Failure,
    node::{Entry, Node, Value},
};

/// Parses the JSON value at the start of `text`, which begins at line `line` of its file; gives the
/// value, or nothing if only blanks are left, and the rest with its line.
pub(crate) fn parse(text: &str, line: u32) -> Result<(Option<Node<'_>>, &str, u32), Failure> {
    let mut reader = Reader { text, at: 0, line };
    reader.blanks();
    if reader.at == text.len() {
        return Ok((None, "", reader.line));
    }
    let node = reader.value(0)?;
    Ok((Some(node), reader.rest(), reader.line))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(byte) = self
            .peek()
            .filter(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
        {
            self.line += u32::from(byte == b'\n');
            self.at += 1;
        }
    }

    fn fail<T>(&self, message: &str) -> Result<T, Failure> {
        Err(Failure {
            line: self.line,
            message: format!("the document is not JSON: {message}"),
        })
    }

    fn expect(&mut self, byte: u8) -> Result<(), Failure> {
        self.blanks();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        let found = self.rest().chars().next();
        let found = found.map_or_else(
            || "the end".to_owned(),
            |c| format!("'{}'", c.escape_debug()),
        );
        self.fail(&format!(
            "'{}' is expected where there is {found}",
            char::from(byte)
        ))
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Failure> {
        self.blanks();
        if depth > super::MAX_DEPTH {
            return self.fail("it is nested too deeply");
        }
        let line = self.line;
        let value = match self.peek() {
            Some(b'{') => Value::Map(self.map(depth)?),
            Some(b'[') => Value::List(self.list(depth)?),
            Some(b'"') => Value::Text(self.string()?),
            Some(_) => self.word()?,
            None => return self.fail("it ends too early"),
        };
        Ok(Node { line, value })
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry<'a>>, Failure> {
        self.at += 1;
        let mut entries: Vec<Entry<'a>> = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(entries);
        }
        loop {
            self.blanks();
            let line = self.line;
            if self.peek() != Some(b'"') {
                return self.fail("a key in double quotes is expected");
            }
            let key = self.string()?;
            self.expect(b':')?;
            let entry = Entry {
                key,
                line,
                value: self.value(depth + 1)?,
            };
            // Of a key that is there twice the last counts.
            let known = entries.len() < 4096;
            match entries.iter_mut().find(|e| known && e.key == entry.key) {
                Some(old) => *old = entry,
                None => entries.push(entry),
            }
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                self.expect(b'}')?;
                return Ok(entries);
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node<'a>>, Failure> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                self.expect(b']')?;
                return Ok(items);
            }
        }
    }

    /// A string; borrowed where it has no escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, Failure> {
        let start = self.at;
        let mut escaped = false;
        let mut skip = false;
        for (offset, byte) in self.rest().bytes().enumerate().skip(1) {
            match byte {
                _ if skip => skip = false,
                b'\\' => {
                    escaped = true;
                    skip = true;
                }
                b'"' => {
                    self.at = start + offset + 1;
                    let whole = self.text.get(start..self.at).unwrap_or_default();
                    if !escaped {
                        return Ok(Cow::Borrowed(whole.trim_matches('"')));
                    }
                    return match serde_json::from_str::<String>(whole) {
                        Ok(text) => Ok(Cow::Owned(text)),
                        Err(_) => self.fail("a string has a wrong escape"),
                    };
                }
                0..0x20 => return self.fail("a string is not closed on its line"),
                _ => {}
            }
        }
        self.fail("a string is not closed")
    }

    fn word(&mut self) -> Result<Value<'a>, Failure> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true, Cow::Borrowed(word)),
            "false" => Value::Bool(false, Cow::Borrowed(word)),
            number => match serde_json::from_str::<serde_json::Number>(number) {
                Ok(n) => match n.as_i64() {
                    Some(n) => Value::Int(n),
                    None => Value::Float(n.as_f64().unwrap_or(f64::NAN), Cow::Borrowed(word)),
                },
                Err(_) => return self.fail("a value is expected"),
            },
        };
        self.at += word.len();
        Ok(value)
    }
}
