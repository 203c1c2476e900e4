//! The first difference of two documents.

use serde_json::Value;

use crate::model::schema::reproduce::Difference;

/// The number of characters of a value that are shown.
const MAX_SHOWN: usize = 160;

/// The deepest value that is compared part by part.
const MAX_DEPTH: usize = 64;

/// Returns the first value that differs between two JSON documents; `None` if they are equal.
pub fn json_difference(recorded: &Value, rebuilt: &Value) -> Option<Difference> {
    let mut field = String::new();
    let (old, new) = descend(recorded, rebuilt, &mut field, 0)?;
    Some(Difference {
        field: Some(if field.is_empty() { "its value".to_owned() } else { field }),
        recorded: old.map(show),
        rebuilt: new.map(show),
        ..Difference::default()
    })
}

type Pair<'a> = (Option<&'a Value>, Option<&'a Value>);

fn descend<'a>(
    old: &'a Value,
    new: &'a Value,
    field: &mut String,
    depth: usize,
) -> Option<Pair<'a>> {
    if old == new {
        return None;
    }
    let whole = Some((Some(old), Some(new)));
    if depth == MAX_DEPTH {
        return whole;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            let name = names.into_iter().find(|name| a.get(*name) != b.get(*name))?;
            let dot = if field.is_empty() { "" } else { "." };
            *field += &format!("{dot}{name}");
            match (a.get(name), b.get(name)) {
                (Some(old), Some(new)) => descend(old, new, field, depth + 1),
                other => Some(other),
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let at = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at))?;
            *field += &format!("[{at}]");
            match (a.get(at), b.get(at)) {
                (Some(old), Some(new)) => descend(old, new, field, depth + 1),
                other => Some(other),
            }
        }
        _ => whole,
    }
}

/// Returns a value for people, shortened.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => shorten(text),
        other => shorten(&other.to_string()),
    }
}

/// Returns the beginning of `text`.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the first difference between two documents, as JSON, as lines of text, or as bytes; `None` if they
/// are equal.
pub fn content_difference(recorded: &[u8], rebuilt: &[u8]) -> Option<Difference> {
    if recorded == rebuilt {
        return None;
    }
    let json = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    if let (Some(old), Some(new)) = (json(recorded), json(rebuilt))
        && let Some(found) = json_difference(&old, &new)
    {
        return Some(found);
    }
    if let (Ok(old), Ok(new)) = (std::str::from_utf8(recorded), std::str::from_utf8(rebuilt)) {
        let (mut old, mut new) = (old.lines(), new.lines());
        for number in 1.. {
            let pair = (old.next(), new.next());
            match pair {
                (None, None) => break,
                (old, new) if old == new => {}
                (old, new) => {
                    return Some(Difference {
                        field: Some(format!("line {number}")),
                        recorded: old.map(shorten),
                        rebuilt: new.map(shorten),
                        ..Difference::default()
                    });
                }
            }
        }
    }
    let at = recorded.iter().zip(rebuilt).take_while(|(old, new)| old == new).count();
    let excerpt = |bytes: &[u8]| match bytes.get(at..) {
        Some([]) | None => "(its end)".to_owned(),
        Some(rest) => {
            rest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        }
    };
    Some(Difference {
        offset: Some(at as u64),
        recorded: Some(excerpt(recorded)),
        rebuilt: Some(excerpt(rebuilt)),
        ..Difference::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_value_is_named() {
        let old = json!({ "a": 1, "b": { "c": [1, { "d": "x" }] } });
        assert_eq!(json_difference(&old, &old), None);
        let found = json_difference(&old, &json!({ "a": 1, "b": { "c": [1, { "d": "y" }] } }));
        let found = found.unwrap();
        assert_eq!(found.field.as_deref(), Some("b.c[1].d"));
        assert_eq!((found.recorded.as_deref(), found.rebuilt.as_deref()), (Some("x"), Some("y")));
        let found = json_difference(&old, &json!({ "a": 1, "b": { "c": [1] } })).unwrap();
        assert_eq!(found.field.as_deref(), Some("b.c[1]"));
        assert_eq!(found.rebuilt, None);
        let found = json_difference(&json!({}), &json!({ "z": null })).unwrap();
        assert_eq!((found.field.as_deref(), found.rebuilt.as_deref()), (Some("z"), Some("null")));
    }

    #[test]
    fn values_that_are_deep_or_long_are_bounded() {
        let deep = |end: u32| (0..120).fold(json!(end), |inner, _| json!([inner]));
        let found = json_difference(&deep(1), &deep(2)).unwrap();
        assert!(found.field.unwrap().len() < 300);
        let long = json_difference(&json!("é".repeat(9999)), &json!("")).unwrap();
        assert!(long.recorded.unwrap().chars().count() <= MAX_SHOWN + 1);
    }

    #[test]
    fn text_differs_by_line_and_bytes_by_offset() {
        let found = content_difference(b"a\nb\nc\n", b"a\nx\nc\n").unwrap();
        assert_eq!(found.field.as_deref(), Some("line 2"));
        let found = content_difference(b"a\n", b"a").unwrap();
        assert_eq!((found.offset, found.rebuilt.as_deref()), (Some(1), Some("(its end)")));
        let found = content_difference(b"\xff\x00\x01", b"\xff\x00\x02").unwrap();
        assert_eq!((found.offset, found.recorded.as_deref()), (Some(2), Some("01")));
        // The same JSON with other white space.
        assert_eq!(content_difference(b"{}\n", b"{ }\n").unwrap().field.as_deref(), Some("line 1"));
        assert_eq!(content_difference(b"a", b"a"), None);
    }
}
