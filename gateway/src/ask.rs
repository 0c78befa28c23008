//! The request that `explain` is asked about, read from text.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proxy::Ask;

/// Why there is nothing to explain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadAsk(String);

impl std::fmt::Display for BadAsk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadAsk {}

/// Reads a method, an absolute URL and fields as `Name: value`.
pub(crate) fn read(method: &str, url: &str, fields: &[String]) -> Result<Ask, BadAsk> {
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| {
        BadAsk(format!(
            "method '{method}': is no HTTP method; write one as in GET or POST"
        ))
    })?;
    let wrong = |what: &str| {
        BadAsk(format!(
            "URL '{url}': {what}; write one as in https://example.com/path?query"
        ))
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| wrong("has no http:// or https:// in front"))?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(wrong("is neither http:// nor https://"));
    }
    // A client keeps what follows `#` for itself.
    let sent = url.split_once('#').map_or(url, |(sent, _)| sent);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        return Err(wrong("names no host"));
    }
    if host.contains('@') {
        return Err(wrong("names a user, which a client sends as a field"));
    }
    let url = sent
        .parse::<Uri>()
        .map_err(|error| wrong(&error.to_string()))?;
    Ok(Ask {
        method,
        url,
        headers: headers(fields)?,
    })
}

fn headers(fields: &[String]) -> Result<HeaderMap, BadAsk> {
    let mut headers = HeaderMap::new();
    for field in fields {
        let wrong = |what: &str| {
            BadAsk(format!(
                "header '{field}': {what}; write one as in 'Name: value'"
            ))
        };
        let (name, value) = field.split_once(':').ok_or_else(|| wrong("has no colon"))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| wrong("has a name that no field can have"))?;
        let value = HeaderValue::from_str(value.trim())
            .map_err(|_| wrong("has a value that no field can have"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let fields = ["X-A: 1".to_owned(), "x-a:2".to_owned()];
        let ask = read("POST", "https://example.com:8443/a//b?c#d", &fields).unwrap();
        assert_eq!(ask.method, Method::POST);
        assert_eq!(ask.url.to_string(), "https://example.com:8443/a//b?c");
        assert_eq!(ask.headers.get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let urls = [
            "example.com/a",
            "ftp://example.com/",
            "http://",
            "http:///a",
            "http://u:p@example.com/",
            "http://a b/",
        ];
        for url in urls {
            let error = read("GET", url, &[])
                .err()
                .unwrap_or_else(|| panic!("{url} was read"));
            assert!(error.to_string().contains("write one as in"), "{error}");
        }
        assert!(read("G T", "http://example.com/", &[]).is_err());
        for field in ["no colon", "a b: 1", ": 1", "a: \u{7}"] {
            assert!(
                read("GET", "http://example.com/", &[field.to_owned()]).is_err(),
                "{field}"
            );
        }
    }
}
