//! A parsed document: values with the lines where they stand.

use std::borrow::Cow;

/// A value and its line, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) line: u32,
    pub(crate) value: Value<'a>,
}

/// A value. Scalars that are no strings keep their spelling, for messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool, Cow<'a, str>),
    Int(i64),
    Float(f64, Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
}

/// A key of a map, the line of the key, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) line: u32,
    pub(crate) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value under a key, if this is a map that has it.
    pub(crate) fn find(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|e| e.key == key)
            .map(|e| &e.value)
    }

    /// The same, to change it.
    pub(crate) fn find_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => entries
                .iter_mut()
                .find(|e| e.key == key)
                .map(|e| &mut e.value),
            Value::Null
            | Value::Bool(..)
            | Value::Int(_)
            | Value::Float(..)
            | Value::Text(_)
            | Value::List(_) => None,
        }
    }

    /// Takes an entry out of a map.
    pub(crate) fn take(&mut self, key: &str) -> Option<Entry<'a>> {
        let entries = self.entries_mut()?;
        let index = entries.iter().position(|e| e.key == key)?;
        Some(entries.remove(index))
    }

    /// The entries of a map; of anything else none.
    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        if let Value::Map(entries) = &self.value {
            entries
        } else {
            &[]
        }
    }

    /// The entries of a map, to change them.
    pub(crate) fn entries_mut(&mut self) -> Option<&mut Vec<Entry<'a>>> {
        if let Value::Map(entries) = &mut self.value {
            Some(entries)
        } else {
            None
        }
    }

    /// The items of a list; of anything else none.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value {
            items
        } else {
            &[]
        }
    }

    /// The items of a list, to change them.
    pub(crate) fn items_mut(&mut self) -> &mut [Self] {
        if let Value::List(items) = &mut self.value {
            items
        } else {
            &mut []
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value {
            Some(text)
        } else {
            None
        }
    }

    /// What this is, for messages: `the number 8`.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "empty".to_owned(),
            Value::Bool(_, text) => format!("the boolean {text}"),
            Value::Int(number) => format!("the number {number}"),
            Value::Float(_, text) => format!("the number {text}"),
            Value::Text(text) => format!("the string \"{}\"", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// How many nodes this is, where a long text is as many as short ones of its length.
    pub(crate) fn count(&self) -> usize {
        let long = |text: &str| text.len() / 64;
        match &self.value {
            Value::Null | Value::Bool(..) | Value::Int(_) | Value::Float(..) => 1,
            Value::Text(text) => 1 + long(text),
            Value::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => {
                let own = entries.iter().map(|e| long(&e.key) + e.value.count());
                1 + own.sum::<usize>()
            }
        }
    }

    /// How many bytes its JSON has at least.
    pub(crate) fn bytes(&self) -> usize {
        match &self.value {
            Value::Null | Value::Bool(..) | Value::Int(_) | Value::Float(..) => 1,
            Value::Text(text) => 2 + text.len(),
            Value::List(items) => 2 + items.iter().map(|n| 1 + n.bytes()).sum::<usize>(),
            Value::Map(entries) => {
                let own = entries.iter().map(|e| 4 + e.key.len() + e.value.bytes());
                2 + own.sum::<usize>()
            }
        }
    }

    /// The value as JSON, which is YAML of one line.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value, _) => (*value).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number, _) => (*number).into(),
            Value::Text(text) => text.as_ref().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|e| (e.key.to_string(), e.value.to_json()));
                serde_json::Value::Object(pairs.collect())
            }
        }
    }
}

/// Text for a message: at most 60 characters of it.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// The lines of an object's fields, by a hash of the field's path: small, and good enough for
/// messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    first: u32,
    fields: Box<[(u32, u32)]>,
}

impl Lines {
    /// The lines of a document down to a depth.
    pub(crate) fn build(root: &Node<'_>, depth: usize) -> Self {
        let mut fields = Vec::new();
        let first = root.entries().first().map_or(root.line, |e| e.line);
        collect(root, Hash::default(), depth, &mut fields);
        fields.sort_unstable();
        Self {
            first,
            fields: fields.into(),
        }
    }

    /// The line of the text within a field, if the text begins on a line of its own.
    pub(crate) fn find_text(&self, field: &str) -> Option<usize> {
        let line = self.exactly(Hash::default().text(field).text(TEXT))?;
        usize::try_from(line).ok()
    }

    fn exactly(&self, path: Hash) -> Option<u32> {
        let index = self.fields.partition_point(|(h, _)| *h < path.0);
        let found = self.fields.get(index).filter(|(h, _)| *h == path.0);
        found.map(|(_, line)| *line)
    }

    /// The line of a field, or of the nearest part of its path that is there.
    pub(crate) fn find(&self, field: &str) -> Option<usize> {
        let mut rest = field;
        while !rest.is_empty() {
            if let Some(line) = self.exactly(Hash::default().text(rest)) {
                return usize::try_from(line).ok();
            }
            let cut = if rest.ends_with(']') {
                rest.rfind('[')
            } else {
                rest.rfind('.')
            };
            rest = cut.and_then(|at| rest.get(..at)).unwrap_or_default();
        }
        usize::try_from(self.first).ok().filter(|line| *line > 0)
    }
}

/// Marks the line of a text that does not begin beside its key. No path ends so.
const TEXT: &str = "|";

fn collect(node: &Node<'_>, path: Hash, depth: usize, out: &mut Vec<(u32, u32)>) {
    if depth == 0 {
        return;
    }
    for entry in node.entries() {
        let own = path.key(&entry.key);
        out.push((own.0, entry.line));
        if entry.value.line != entry.line && entry.value.text().is_some() {
            out.push((own.text(TEXT).0, entry.value.line));
        }
        collect(&entry.value, own, depth - 1, out);
    }
    for (index, item) in node.items().iter().enumerate() {
        let own = path.text(&format!("[{index}]"));
        let line = item.entries().first().map_or(item.line, |e| e.line);
        out.push((own.0, line));
        collect(item, own, depth - 1, out);
    }
}

/// Appends a key to a field path: `.key`, or `[key]` where the key is no plain word.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if is_word(key) {
        path.push_str(if path.is_empty() { "" } else { "." });
        path.push_str(key);
    } else {
        path.push('[');
        path.push_str(key);
        path.push(']');
    }
}

fn is_word(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// FNV-1a over the text of a path.
#[derive(Clone, Copy)]
struct Hash(u32);

impl Default for Hash {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Hash {
    fn text(self, text: &str) -> Self {
        Self(
            text.bytes()
                .fold(self.0, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193)),
        )
    }

    fn key(self, key: &str) -> Self {
        if !is_word(key) {
            self.text("[").text(key).text("]")
        } else if self.0 == Self::default().0 {
            self.text(key)
        } else {
            self.text(".").text(key)
        }
    }
}
