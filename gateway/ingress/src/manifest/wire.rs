//! Objects as the API server sends them: the same nodes, and from there the same way, without a file.

use std::{borrow::Cow, fmt};

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess,
    SeqAccess, Visitor,
};

use crate::objects::{Build, Kind, Object};

use super::{
    Found,
    document::found,
    node::{Entry, Node, Value},
    validate::Validate,
};

/// Decodes and validates an object of this kind.
pub(crate) fn read<T>(node: &Node<'_>, kind: Kind) -> Found
where
    T: DeserializeOwned + Validate,
    Object: Build<T>,
{
    found::<T>(None, node, kind)
}

impl<'de> Deserialize<'de> for Node<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, depth) = (At::Root, 0);
        Place { at, depth }.deserialize(deserializer)
    }
}

/// Where in an object a value stands, as far as it matters for what is left out.
#[derive(Clone, Copy)]
enum At {
    Root,
    Metadata,
    Managed,
    Elsewhere,
}

impl At {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "metadata") => Self::Metadata,
            (Self::Metadata, "managedFields") => Self::Managed,
            _ => Self::Elsewhere,
        }
    }

    /// Which fields whose manager wrote is most of many an object, and of no use here.
    fn leaves_out(self, key: &str) -> bool {
        matches!(self, Self::Managed) && key == "fieldsV1"
    }
}

/// Where in an object a value stands, and how deep.
#[derive(Clone, Copy)]
struct Place {
    at: At,
    depth: usize,
}

impl Place {
    fn below(self, at: At) -> Self {
        let depth = self.depth + 1;
        Self { at, depth }
    }
}

impl<'de> DeserializeSeed<'de> for Place {
    type Value = Node<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'static>, D::Error> {
        // Passing over is the one thing that is done without recursion, so that no depth is too much:
        // else the object would fail the list that it is in.
        let value = if self.depth > MAX_DEPTH {
            IgnoredAny::deserialize(deserializer)?;
            Value::Null
        } else {
            deserializer.deserialize_any(self)?
        };
        Ok(Node { line: 0, value })
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        let text = if value { "true" } else { "false" };
        Ok(Value::Bool(value, Cow::Borrowed(text)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(match i64::try_from(number) {
            Ok(number) => Value::Int(number),
            Err(_) => {
                let text = number.to_string();
                Value::Float(text.parse().unwrap_or(f64::INFINITY), Cow::Owned(text))
            }
        })
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(number, Cow::Owned(number.to_string())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.below(self.at))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            if self.at.leaves_out(&key) {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = entries.next_value_seed(self.below(self.at.below(&key)))?;
            let (key, line) = (Cow::Owned(key), 0);
            map.push(Entry { key, line, value });
        }
        Ok(Value::Map(map))
    }
}

/// How deep an object is read. What lies deeper is passed over, and refused for its depth all the same:
/// only the configuration of a Plugin may be nested as its author likes, and 64 levels is all it may
/// have. The parser itself gives up at 128, of which a list takes two.
const MAX_DEPTH: usize = 100;
