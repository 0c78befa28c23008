//! Sets, adds and removes fields of requests and responses.
//!
//! ```yaml
//! portcullis.dev/filters: headers
//! portcullis.dev/filter.headers: |
//!   request:  {set: {x-team: cheese}, remove: [x-debug]}
//!   response: {set: {x-frame-options: DENY}, add: {link: "</a.css>; rel=preload"}}
//! ```
//!
//! First fields are removed, then set, then added. Needs no grant.

use std::collections::BTreeMap;

use portcullis_sdk::prelude::*;

/// What becomes of the fields of requests and of responses.
#[config]
struct Config {
    /// Before a request goes to the backend.
    #[serde(default)]
    request: Changes,
    /// Before a response goes to the client.
    #[serde(default)]
    response: Changes,
}

/// What becomes of the fields of a message.
#[config]
#[derive(Default)]
struct Changes {
    /// Fields that are removed, with all their values.
    #[serde(default)]
    remove: Vec<String>,
    /// Fields that have this value, and no other.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Values that fields have besides those that they have already.
    #[serde(default)]
    add: BTreeMap<String, String>,
}

struct Headers(Config);

#[filter]
impl Filter for Headers {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        config.request.check("/request")?;
        config.response.check("/response")?;
        Ok(Self(config))
    }

    fn on_request(&self, request: &mut Request) -> Result<RequestVerdict> {
        let changes = &self.0.request;
        for name in &changes.remove {
            request.remove_header(name)?;
        }
        for (name, value) in &changes.set {
            request.set_header(name, value)?;
        }
        for (name, value) in &changes.add {
            request.add_header(name, value)?;
        }
        Ok(RequestVerdict::Next)
    }

    fn on_response(&self, _: &Request, response: &mut Response) -> Result<ResponseVerdict> {
        let changes = &self.0.response;
        for name in &changes.remove {
            response.remove_header(name)?;
        }
        for (name, value) in &changes.set {
            response.set_header(name, value)?;
        }
        for (name, value) in &changes.add {
            response.add_header(name, value)?;
        }
        Ok(ResponseVerdict::Next)
    }
}

impl Changes {
    /// What can be told before the first request: whether names and values are such at all. Which fields are the
    /// gateway's own, the gateway says, and then the hook fails.
    fn check(&self, place: &str) -> Result<(), ConfigError> {
        for (index, name) in self.remove.iter().enumerate() {
            if !is_name(name) {
                let pointer = format!("{place}/remove/{index}");
                return Err(ConfigError::new(
                    pointer,
                    format!("`{name}` is no name of a field"),
                ));
            }
        }
        for (kind, fields) in [("set", &self.set), ("add", &self.add)] {
            for (name, value) in fields {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let pointer = format!("{place}/{kind}/{escaped}");
                if !is_name(name) {
                    return Err(ConfigError::new(
                        pointer,
                        format!("`{name}` is no name of a field"),
                    ));
                }
                if value
                    .bytes()
                    .any(|byte| byte.is_ascii_control() && byte != b'\t')
                {
                    let message = "a value holds no line breaks and no other controls";
                    return Err(ConfigError::new(pointer, message));
                }
            }
        }
        Ok(())
    }
}

/// Whether it is a token of RFC 9110.
fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::testing::{filter, get, json, response, try_filter};

    #[test]
    fn fields_are_removed_then_set_then_added() {
        let headers = filter::<Headers>(json!({
            "request": {"remove": ["x-a", "x-none"], "set": {"x-b": "1"}, "add": {"x-b": "2"}},
            "response": {"set": {"x-c": "3"}, "remove": ["x-c", "server"], "add": {"set-cookie": "a=b"}},
        }));
        let request = get("/").header("x-a", "0").header("x-b", "0");
        let outcome = headers.request(request);
        let fields: Vec<_> = outcome.headers();
        let expected = [Header::new("x-b", "1"), Header::new("x-b", "2")];
        assert_eq!(fields, expected);
        let answer = response(200)
            .header("server", "x")
            .header("set-cookie", "c=d");
        let outcome = outcome.response(answer);
        let expected = [
            Header::new("set-cookie", "c=d"),
            Header::new("set-cookie", "a=b"),
            Header::new("x-c", "3"),
        ];
        assert_eq!(outcome.headers(), expected);
    }

    #[test]
    fn a_field_of_the_gateway_fails_the_hook_and_changes_nothing() {
        let headers = filter::<Headers>(json!({
            "request": {"set": {"a": "1", "host": "x"}},
        }));
        let outcome = headers.request(get("/"));
        assert_eq!(outcome.failure(), Some("the field is the gateway's own"));
        assert_eq!(outcome.header("a"), None);
    }

    #[test]
    fn what_is_no_field_is_an_error_of_the_configuration() {
        let pointer = |config| {
            let error = try_filter::<Headers>(config).err();
            error.expect("an error").pointer
        };
        assert_eq!(
            pointer(json!({"request": {"remove": ["a", "b c"]}})),
            "/request/remove/1"
        );
        assert_eq!(
            pointer(json!({"request": {"set": {"a/b": "1"}}})),
            "/request/set/a~1b"
        );
        assert_eq!(
            pointer(json!({"response": {"add": {"a": "1\r\n"}}})),
            "/response/add/a"
        );
        assert_eq!(
            pointer(json!({"response": {"set": {"a": 1}}})),
            "/response/set/a"
        );
    }
}
