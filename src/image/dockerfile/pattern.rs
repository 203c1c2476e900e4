//! Wildcards in paths, as Go's `filepath.Match` has them on Unix; `COPY` takes them in its sources.
//!
//! `*` is any number of characters and `?` is one, but not `/`; `[a-z]` is one of those, `[^a-z]`
//! none of them; `\` takes the meaning of the next character away. Nothing matches several
//! directories.

use std::{fmt, iter::Peekable, str::Chars};

/// The error for an invalid pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    pattern: String,
    reason: &'static str,
}

impl PatternError {
    pub(super) fn new(pattern: &str, reason: &'static str) -> Self {
        PatternError { pattern: pattern.to_owned(), reason }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a pattern: {}", self.pattern, self.reason)
    }
}

impl std::error::Error for PatternError {}

/// A set of characters: ranges, both ends in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    pub(super) fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }

    /// Reads what follows a `[`.
    pub(super) fn read(chars: &mut Peekable<Chars<'_>>) -> Result<Self, &'static str> {
        let negated = chars.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
            let low = end_of_range(chars)?;
            let dash = chars.next_if_eq(&'-').is_some();
            ranges.push((low, if dash { end_of_range(chars)? } else { low }));
        }
        Ok(Class { negated, ranges })
    }
}

fn end_of_range(chars: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    const UNCLOSED: &str = "its `[` is not closed";
    match chars.next().ok_or(UNCLOSED)? {
        '-' | ']' => Err("a `-` or `]` in its brackets needs a `\\` before it"),
        '\\' => chars.next().ok_or(UNCLOSED),
        c => Ok(c),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Character(char),
    Any,
    Class(Class),
}

impl Element {
    fn contains(&self, c: char) -> bool {
        match self {
            Element::Character(wanted) => *wanted == c,
            Element::Any => c != '/',
            // Even the `/`, as in Go.
            Element::Class(class) => class.contains(c),
        }
    }
}

/// Elements between two `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunk {
    /// Whether there is a `*` before it.
    star: bool,
    elements: Vec<Element>,
}

impl Chunk {
    /// Returns the rest of `text` after the chunk.
    fn match_start<'t>(&self, text: &'t [char]) -> Option<&'t [char]> {
        let (head, rest) = text.split_at_checked(self.elements.len())?;
        self.elements.iter().zip(head).all(|(element, c)| element.contains(*c)).then_some(rest)
    }
}

/// A pattern, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Chunk>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It has a bracket that is not closed or has nothing in it, or ends in `\`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let pattern_error = |reason| PatternError::new(text, reason);
        let mut chunks = vec![Chunk::default()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let element = match c {
                '*' => {
                    chunks.push(Chunk { star: true, elements: Vec::new() });
                    continue;
                }
                '?' => Element::Any,
                '[' => Element::Class(Class::read(&mut chars).map_err(pattern_error)?),
                '\\' => Element::Character(
                    chars.next().ok_or_else(|| pattern_error("it ends in a `\\`"))?,
                ),
                c => Element::Character(c),
            };
            if let Some(chunk) = chunks.last_mut() {
                chunk.elements.push(element);
            }
        }
        // Several stars are one.
        let last = chunks.len() - 1;
        let mut at = 0;
        chunks.retain(|chunk| {
            at += 1;
            !chunk.elements.is_empty() || chunk.star && at == last + 1
        });
        Ok(Pattern(chunks))
    }

    /// Returns whether all of `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        let chars: Vec<char> = path.chars().collect();
        let mut rest = chars.as_slice();
        for (at, chunk) in self.0.iter().enumerate() {
            let last = at + 1 == self.0.len();
            if last && chunk.star && chunk.elements.is_empty() {
                return !rest.contains(&'/');
            }
            // A star takes as little as it can, and is not retried.
            let reach = rest.iter().position(|c| *c == '/').unwrap_or(rest.len());
            let starts = if chunk.star { 0..=reach } else { 0..=0 };
            let found = starts.filter_map(|start| chunk.match_start(rest.get(start..)?));
            let Some(after) = { found }.find(|after| !last || after.is_empty()) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }
}

/// Returns whether all of `path` matches `pattern`.
///
/// # Errors
/// As [`Pattern::parse`].
pub fn matches(pattern: &str, path: &str) -> Result<bool, PatternError> {
    Ok(Pattern::parse(pattern)?.matches(path))
}

/// Returns whether `text` has a wildcard in it that is not escaped. BuildKit treats text without one as
/// a path.
pub fn is_wild(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let yes = [
            ("", ""),
            ("abc", "abc"),
            ("*", "abc"),
            ("*", ""),
            ("**", "abc"),
            ("*c", "abc"),
            ("a*", "a"),
            ("a*/b", "abc/b"),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f"),
            ("a*b?c*x", "abxbbxdbxebxczzx"),
            ("*x", "xxx"),
            ("ab[c]", "abc"),
            ("ab[b-d]", "abc"),
            ("ab[^e-g]", "abc"),
            ("a\\*b", "a*b"),
            ("a?b", "a☺b"),
            ("a[^a]b", "a☺b"),
            ("[a-ζ]*", "α"),
            ("[\\]a]", "]"),
            ("[x\\-]", "-"),
            ("[a^]", "^"),
            ("[*]", "*"),
            ("linux/*/bin/tool", "linux/amd64/bin/tool"),
            // A class is not kept from the slash.
            ("a[^b]c", "a/c"),
        ];
        for (pattern, path) in yes {
            assert_eq!(matches(pattern, path), Ok(true), "{pattern} {path}");
        }
        let no = [
            ("", "a"),
            ("abc", "ab"),
            ("a*", "ab/c"),
            ("*", "a/b"),
            ("a*/b", "a/c/b"),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f"),
            ("a*b?c*x", "abxbbxdbxebxczzy"),
            ("ab[^b-d]", "abc"),
            ("a\\*b", "ab"),
            ("a???b", "a☺b"),
            ("a?b", "a/b"),
            ("*[a-ζ]", "A"),
            ("[\\-x]", "a"),
            // The first star is not retried.
            ("*[^a]*b", "x/b"),
        ];
        for (pattern, path) in no {
            assert_eq!(matches(pattern, path), Ok(false), "{pattern} {path}");
        }
        for pattern in
            ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "*[]", "[a\\"]
        {
            assert!(matches(pattern, "a").is_err(), "{pattern}");
        }
        assert_eq!(
            matches("a[", "a").unwrap_err().to_string(),
            "`a[` is not a pattern: its `[` is not closed"
        );
    }

    #[test]
    fn wild() {
        for text in ["*", "a?", "\\\\*", "[a]"] {
            assert!(is_wild(text), "{text}");
        }
        for text in ["", "a", "\\*", "a]", "\\"] {
            assert!(!is_wild(text), "{text}");
        }
    }

    #[test]
    fn many_stars_match_in_bounded_time() {
        let pattern = "*a".repeat(2_000);
        assert_eq!(matches(&format!("{pattern}b"), &"a".repeat(4_000)), Ok(false));
    }
}
