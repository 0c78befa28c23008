//! The path of a rule as a pattern.

use std::borrow::Cow;

use route::PathPattern;

use crate::objects::model::Path;

/// The pattern of a rule's path in the form in which requests are matched; the error has the field,
/// what is wrong and what to write.
pub(super) fn pattern(path: &Path) -> Result<PathPattern, (&'static str, String, &'static str)> {
    let make = match path.path_type.as_str() {
        "Exact" => PathPattern::Exact,
        "Prefix" => PathPattern::Prefix,
        "ImplementationSpecific" => PathPattern::ImplementationSpecific,
        other => {
            let message = format!("\"{}\" is no path type", crate::manifest::shorten(other));
            return Err((
                "pathType",
                message,
                "write Prefix, Exact or ImplementationSpecific",
            ));
        }
    };
    let written = if path.path.is_empty() && path.path_type == "ImplementationSpecific" {
        "/"
    } else {
        &path.path
    };
    let encoded = encode(written);
    let normal = route::normalise(&encoded).map_err(|error| {
        let shown = crate::manifest::shorten(written);
        (
            "path",
            format!("no request has the path \"{shown}\": {error}"),
            "write it as it stands in URLs",
        )
    })?;
    Ok(make(route::collapse(&normal).into_owned()))
}

/// Percent-encodes what a URL cannot have, as clients do; what is encoded stays.
fn encode(path: &str) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'#' | b'?');
    if path.bytes().all(plain) {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(out)
}

/// Paths are no patterns, though other controllers take some for one.
pub(super) fn looks_like_a_pattern(path: &Path) -> Option<String> {
    let specific = path.path_type == "ImplementationSpecific";
    let star = path.path_type != "Exact" && path.path.ends_with('*');
    let regex = specific && path.path.contains(['(', '[', '^', '$', '*', '|']);
    let shown = crate::manifest::shorten(&path.path);
    (star || regex).then(|| format!("the path \"{shown}\" is taken as it stands, not as a pattern"))
}
