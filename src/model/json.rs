//! JSON in the exact bytes that Go's `encoding/json` writes, on which BuildKit's digests depend.

use serde::Serialize;

use crate::model::error::{Error, Result};

/// The layout of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without white space.
    Compact,
    /// Indented by two spaces.
    Indented,
}

/// Returns `value` as JSON without a trailing newline. In addition to the characters that JSON requires, `<`,
/// `>`, `&` and the line separators U+2028 and U+2029 are escaped in strings, as Go's `json.Marshal` does.
///
/// # Errors
/// `value` cannot be JSON: a map with keys that are not strings, for example.
pub fn to_bytes(value: &impl Serialize, style: Style) -> Result<Vec<u8>> {
    let text = match style {
        Style::Compact => serde_json::to_string(value),
        Style::Indented => serde_json::to_string_pretty(value),
    };
    let text = text.map_err(|e| Error::build("a document cannot be written as JSON").because(e))?;
    let mut bytes = Vec::with_capacity(text.len());
    // None of these has a meaning in JSON outside of strings.
    for part in text.split_inclusive(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let escape = match part.chars().next_back() {
            Some(last @ ('<' | '>' | '&' | '\u{2028}' | '\u{2029}')) => last,
            _ => {
                bytes.extend_from_slice(part.as_bytes());
                continue;
            }
        };
        bytes.extend_from_slice(&part.as_bytes()[..part.len() - escape.len_utf8()]);
        bytes.extend_from_slice(format!("\\u{:04x}", u32::from(escape)).as_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go_does() {
        let bytes = to_bytes(&"a<b>&\u{2028}é\"\\\u{1}", Style::Compact).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), r#""a\u003cb\u003e\u0026\u2028é\"\\\u0001""#);
    }

    #[test]
    fn layouts() {
        let value = serde_json::json!({"a": [1, {}], "b": []});
        assert_eq!(to_bytes(&value, Style::Compact).unwrap(), br#"{"a":[1,{}],"b":[]}"#);
        assert_eq!(
            to_bytes(&value, Style::Indented).unwrap(),
            b"{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"
        );
    }
}
