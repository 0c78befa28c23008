//! Values nested deeper than a parser goes: a real server takes 10,000 levels.

use serde_json::Value;

/// Stands for a value of so many levels: it is only made in the text that goes out, as whatever walks
/// through a `Value` of that depth needs as much stack.
pub fn nested(levels: usize) -> Value {
    Value::String(format!("{MARK}{levels}"))
}

/// The text of a value, with what stands for nested ones made.
pub(super) fn text(value: &Value) -> String {
    let text = value.to_string();
    let (opening, mut made) = (format!("\"{MARK}"), String::new());
    let mut parts = text.split(&opening);
    made.extend(parts.next());
    for part in parts {
        let (levels, rest) = part.split_once('"').expect("the end of a string");
        let levels = levels.parse().expect("a number of levels");
        made.push_str(&"{\"a\":".repeat(levels));
        made.push('1');
        made.push_str(&"}".repeat(levels));
        made.push_str(rest);
    }
    made
}

const MARK: &str = "levels of nesting: ";
