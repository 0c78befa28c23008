//! Nodes into the Kubernetes types, with the field and line of what does not fit.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Visitor, value::StrDeserializer,
};

use super::node::{Entry, Node, Value, push_key};

/// Decodes an object.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node<'_>) -> Result<T, Mismatch> {
    T::deserialize(Decoder(node)).map_err(Error::finish)
}

/// What does not fit the type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) field: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// A mismatch whose path is still being gathered, innermost part first.
#[derive(Debug)]
struct Error {
    path: Vec<Part>,
    message: String,
    hint: String,
}

#[derive(Debug)]
enum Part {
    Key(String),
    Index(usize),
}

impl Error {
    fn finish(self) -> Mismatch {
        let mut field = String::new();
        for part in self.path.iter().rev() {
            match part {
                Part::Key(key) => push_key(&mut field, key),
                Part::Index(index) => field.push_str(&format!("[{index}]")),
            }
        }
        Mismatch {
            field,
            message: self.message,
            hint: self.hint,
        }
    }

    fn within(mut self, part: Part) -> Self {
        self.path.push(part);
        self
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: Vec::new(),
            message: message.to_string(),
            hint: "write it as the API has it".to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

struct Decoder<'n, 'a>(&'n Node<'a>);

impl Decoder<'_, '_> {
    fn mismatch(&self, expected: &str) -> Error {
        let found = self.0.describe();
        let hint = match (&self.0.value, expected) {
            (Value::Bool(_, text) | Value::Float(_, text), "a string") => {
                format!("write it in quotes: \"{text}\"")
            }
            (Value::Int(number), "a string") => format!("write it in quotes: \"{number}\""),
            (Value::Text(text), "a number") if text.parse::<i64>().is_ok() => {
                format!("write it without quotes: {text}")
            }
            (Value::Text(text), "a boolean") if matches!(text.as_ref(), "true" | "false") => {
                format!("write it without quotes: {text}")
            }
            (
                Value::Null
                | Value::Bool(..)
                | Value::Int(_)
                | Value::Float(..)
                | Value::Text(_)
                | Value::List(_)
                | Value::Map(_),
                _,
            ) => format!("write {expected}"),
        };
        Error {
            path: Vec::new(),
            message: format!("is {found}, not {expected}"),
            hint,
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Null => visitor.visit_str(""),
            Value::Bool(..) | Value::Int(_) | Value::Float(..) | Value::List(_) | Value::Map(_) => {
                Err(self.mismatch("a string"))
            }
        }
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Null => visitor.visit_i64(0),
            Value::Bool(..)
            | Value::Float(..)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => Err(self.mismatch("a number")),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Map(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                value: None,
            }),
            Value::Null => visitor.visit_map(Entries {
                rest: [].iter(),
                value: None,
            }),
            Value::Bool(..)
            | Value::Int(_)
            | Value::Float(..)
            | Value::Text(_)
            | Value::List(_) => Err(self.mismatch("a map")),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Null => visitor.visit_seq(Items([].iter().enumerate())),
            Value::Bool(..) | Value::Int(_) | Value::Float(..) | Value::Text(_) | Value::Map(_) => {
                Err(self.mismatch("a list"))
            }
        }
    }
}

macro_rules! decode_as {
    ($way:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$way(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value, _) => visitor.visit_bool(*value),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number, _) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => self.list(visitor),
            Value::Map(_) => self.map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Bool(value, _) => visitor.visit_bool(*value),
            Value::Null => visitor.visit_bool(false),
            Value::Int(_) | Value::Float(..) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                Err(self.mismatch("a boolean"))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.value == Value::Null {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    decode_as!(text: deserialize_str deserialize_string deserialize_char deserialize_identifier);
    decode_as!(number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64);
    decode_as!(map: deserialize_map);
    decode_as!(list: deserialize_seq);

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 bytes byte_buf unit unit_struct tuple tuple_struct enum
    }
}

struct Entries<'n, 'a> {
    rest: std::slice::Iter<'n, Entry<'a>>,
    value: Option<&'n Entry<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Error> = entry.key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self
            .value
            .take()
            .ok_or_else(|| Error::custom("has no value"))?;
        let part = |e: Error| e.within(Part::Key(entry.key.to_string()));
        seed.deserialize(Decoder(&entry.value)).map_err(part)
    }
}

struct Items<'n, 'a>(std::iter::Enumerate<std::slice::Iter<'n, Node<'a>>>);

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Decoder(item))
            .map(Some)
            .map_err(|e| e.within(Part::Index(index)))
    }
}
