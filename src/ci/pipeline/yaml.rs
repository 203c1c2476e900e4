//! The subset of YAML that CI files need, written so that YAML 1.1 and 1.2 agree on its meaning: mappings and
//! lists in blocks, scripts as literal block scalars, and quotes around strings that could be read as something
//! else.

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Yaml {
    /// Nothing: a key that only has to be there.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(u32),
    /// A string that is written unquoted.
    Plain(&'static str),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Yaml>),
    /// A mapping, in this order.
    Map(Vec<(String, Yaml)>),
    /// A value with a comment behind it.
    Noted(Box<Yaml>, String),
}

/// Returns a string.
pub(super) fn text(text: impl Into<String>) -> Yaml {
    Yaml::Text(text.into())
}

/// Returns a list of strings.
pub(super) fn strings<T: Into<String>>(all: impl IntoIterator<Item = T>) -> Yaml {
    Yaml::List(all.into_iter().map(text).collect())
}

/// Returns a mapping.
pub(super) fn map<const N: usize>(pairs: [(&str, Yaml); N]) -> Yaml {
    Yaml::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Yaml {
    /// Adds a pair to a mapping; anything else is unchanged.
    #[must_use]
    pub(super) fn with(mut self, key: &str, value: Yaml) -> Self {
        if let Yaml::Map(pairs) = &mut self {
            pairs.push((key.to_owned(), value));
        }
        self
    }

    /// Does the same as [`Yaml::with`] if there is a value.
    #[must_use]
    pub(super) fn with_some(self, key: &str, value: Option<Yaml>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds a comment after the value.
    #[must_use]
    pub(super) fn with_comment(self, comment: &str) -> Self {
        Yaml::Noted(Box::new(self), comment.to_owned())
    }
}

/// Returns a document, which is a mapping, with an empty line between its parts and between those of the keys
/// in `spaced`.
pub(super) fn document(header: &str, pairs: &[(String, Yaml)], spaced: &[&str]) -> String {
    let mut out = String::new();
    for line in header.lines() {
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
    for (key, value) in pairs {
        out.push('\n');
        match value {
            Yaml::Map(inner) if spaced.contains(&key.as_str()) => {
                out.push_str(&format!("{}:\n", format_key(key)));
                for (at, (key, value)) in inner.iter().enumerate() {
                    if at > 0 {
                        out.push('\n');
                    }
                    pair(&mut out, key, value, 1);
                }
            }
            _ => pair(&mut out, key, value, 0),
        }
    }
    out
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

fn pair(out: &mut String, key: &str, value: &Yaml, depth: usize) {
    out.push_str(&format!("{}{}:", indent(depth), format_key(key)));
    after_key(out, value, depth);
}

/// Writes the value of a key at `depth`, after the colon.
fn after_key(out: &mut String, value: &Yaml, depth: usize) {
    match value {
        Yaml::Map(pairs) if !pairs.is_empty() => {
            out.push('\n');
            for (key, value) in pairs {
                pair(out, key, value, depth + 1);
            }
        }
        Yaml::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                list_item(out, item, depth + 1);
            }
        }
        _ => inline(out, value, depth),
    }
}

/// Writes an item of a list with its dash at `depth`.
fn list_item(out: &mut String, item: &Yaml, depth: usize) {
    out.push_str(&format!("{}-", indent(depth)));
    match item {
        Yaml::Map(pairs) if !pairs.is_empty() => {
            for (at, (key, value)) in pairs.iter().enumerate() {
                match at {
                    0 => out.push_str(&format!(" {}:", format_key(key))),
                    _ => out.push_str(&format!("{}{}:", indent(depth + 1), format_key(key))),
                }
                after_key(out, value, depth + 1);
            }
        }
        _ => inline(out, item, depth),
    }
}

/// Writes a value after a key or a dash at `depth`, with the end of its line.
fn inline(out: &mut String, value: &Yaml, depth: usize) {
    match value {
        Yaml::Null => {}
        Yaml::Bool(value) => out.push_str(&format!(" {value}")),
        Yaml::Plain(value) => out.push_str(&format!(" {value}")),
        Yaml::Number(value) => out.push_str(&format!(" {value}")),
        Yaml::Text(text) if text.contains('\n') => return block(out, text, depth),
        Yaml::Text(text) => out.push_str(&format!(" {}", scalar(text))),
        Yaml::List(items) if items.is_empty() => out.push_str(" []"),
        Yaml::List(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            out.push_str(&format!(" [{}]", items.join(", ")));
        }
        Yaml::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(key, pair)| format!("{}: {}", format_key(key), flow(pair)))
                .collect();
            match pairs.is_empty() {
                true => out.push_str(" {}"),
                false => out.push_str(&format!(" {{ {} }}", pairs.join(", "))),
            }
        }
        Yaml::Noted(value, comment) => {
            inline(out, value, depth);
            if out.ends_with('\n') {
                out.pop();
            }
            out.push_str(&format!(" # {comment}"));
        }
    }
    out.push('\n');
}

/// Writes a value within brackets.
fn flow(value: &Yaml) -> String {
    match value {
        Yaml::Text(text) => quote(text),
        _ => {
            let mut out = String::new();
            inline(&mut out, value, 0);
            out.trim().to_owned()
        }
    }
}

/// Writes a literal block scalar (YAML 1.2.2, 8.1.2). It ends with one line feed, or none.
fn block(out: &mut String, text: &str, depth: usize) {
    // A first line that begins with a space would set the indentation of all others.
    let explicit = if text.starts_with([' ', '\n']) { "2" } else { "" };
    let keep = if text.ends_with('\n') { "" } else { "-" };
    out.push_str(&format!(" |{explicit}{keep}\n"));
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        match line.is_empty() {
            true => out.push('\n'),
            false => out.push_str(&format!("{}{line}\n", indent(depth + 1))),
        }
    }
}

/// Returns a string in one line: unquoted if it is unambiguous.
fn scalar(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./@+=(){}$!|&'\"<>*: ,?~^".contains(c);
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || "_/$".contains(c));
    let last = text.ends_with([' ', ':']);
    let plain = first && !last && text.chars().all(word) && !text.contains(": ");
    if plain && !is_keyword(text) { text.to_owned() } else { quote(text) }
}

/// Returns a key. GitHub reads `on` as a string, and it is always written unquoted.
fn format_key(key: &str) -> String {
    if key == "on" { key.to_owned() } else { scalar(key) }
}

/// Returns whether some version of YAML reads the word as something else than a string (1.1, "Boolean
/// Language-Independent Type").
fn is_keyword(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    words.contains(&text.to_ascii_lowercase().as_str())
}

fn quote(text: &str) -> String {
    if text.chars().any(char::is_control) {
        // JSON's strings are YAML's (1.2.2, 5.7).
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Yaml) -> String {
        document("of a test", &[("key".to_owned(), value)], &[])
    }

    #[test]
    fn ambiguous_strings_are_quoted() {
        for odd in [
            "",
            "true",
            "No",
            "1.0",
            "0x1",
            "~",
            "*a",
            "&a",
            "!a",
            "a: b",
            "a #b",
            "- a",
            " a",
            "a:",
            "%a",
            "@a",
            "a\tb",
            "[a]",
            "> a",
            "| a",
            "'a",
            "\"a",
            "null",
            "2024-01-01",
            "{a",
        ] {
            let out = written(text(odd));
            let rest = out.split("key: ").nth(1).unwrap();
            assert!(rest.starts_with(['\'', '"']), "{odd}: {out}");
        }
        for plain in ["a b", "ubuntu-24.04-arm", "$CI_COMMIT_TAG =~ /^v/", "${{ github.sha }}"] {
            assert!(written(text(plain)).ends_with(&format!("key: {plain}\n")), "{plain}");
        }
    }

    #[test]
    fn blocks_keep_every_line() {
        assert!(written(text("a\n  b\n\nc\n")).ends_with("key: |\n  a\n    b\n\n  c\n"));
        assert!(written(text(" a\nb")).ends_with("key: |2-\n   a\n  b\n"));
    }

    #[test]
    fn lists_and_maps_nest() {
        let value =
            map([("a", Yaml::List(vec![map([("b", strings(["c", "d"])), ("e", Yaml::Null)])]))]);
        let out =
            written(value.with("f", Yaml::Map(Vec::new())).with("g", text("h").with_comment("i")));
        let expected =
            "key:\n  a:\n    - b:\n        - c\n        - d\n      e:\n  f: {}\n  g: h # i\n";
        assert!(out.ends_with(expected), "{out}");
    }
}
