//! From the JSON of a configuration to a filter, or to what is wrong with it and where.

use std::fmt;

use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::Filter;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The place in it, as a JSON Pointer (RFC 6901): `/backends/0/port`; empty for the whole.
    pub pointer: String,
    /// What is wrong there, and what to write.
    pub message: String,
}

impl ConfigError {
    /// An error at a place.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Makes a filter of its configuration.
pub(crate) fn filter<F: Filter>(json: &str) -> Result<F, ConfigError> {
    F::new(parse(json)?)
}

/// The JSON Schema of a filter's configuration.
pub(crate) fn schema<F: Filter>() -> String {
    let settings = SchemaSettings::draft2020_12();
    let schema = settings
        .into_generator()
        .into_root_schema_for::<F::Config>();
    schema.as_value().to_string()
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let parsed = serde_path_to_error::deserialize(&mut reader);
    let config = parsed.map_err(|error| {
        let pointer = pointer(error.path());
        ConfigError::new(pointer, message(error.inner()))
    })?;
    match reader.end() {
        Ok(()) => Ok(config),
        Err(error) => Err(ConfigError::new("", message(&error))),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                pointer.push('/');
                pointer.push_str(&escaped);
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

/// What is wrong, without the line and column that mean nothing to who wrote YAML in an annotation.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        #[serde(rename = "a/b~c")]
        odd: u32,
    }

    #[test]
    fn an_error_says_where_it_is_and_what_it_is() {
        let error = |json| parse::<Outer>(json).unwrap_err();
        let wrong = error(r#"{"inner": [{"a/b~c": 1}, {"a/b~c": "x"}]}"#);
        assert_eq!(wrong.pointer, "/inner/1/a~1b~0c");
        assert_eq!(wrong.message, "invalid type: string \"x\", expected u32");
        let missing = error(r#"{"inner": [{}]}"#);
        assert_eq!(missing.pointer, "/inner/0");
        assert_eq!(missing.message, "missing field `a/b~c`");
        let unknown = error(r#"{"inner": [], "outer": 1}"#);
        assert_eq!(unknown.pointer, "/outer");
        assert_eq!(unknown.message, "unknown field `outer`, expected `inner`");
        assert_eq!(error("{} x").pointer, "");
    }
}
