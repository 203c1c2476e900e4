//! An instruction taken apart into its name, flags and words, as split_command.go and
//! line_parsers.go in frontend/dockerfile/parser of BuildKit do it.

use std::ops::Range;

use super::{line::Line, source::Span};

/// A word that still has its quotes, escapes and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Span,
    /// Whether the file has the very text, and not one that was unquoted.
    verbatim: bool,
}

impl Word {
    /// Returns the word at `at`, with `text` as its value.
    pub(super) fn new(line: &Line, text: impl Into<String>, at: Range<usize>) -> Self {
        let text = text.into();
        let verbatim = line.part(at.clone()) == text;
        Word { text, span: line.span(at), verbatim }
    }

    /// Returns the location of a part of the word.
    pub(super) fn part(&self, at: Range<usize>) -> Span {
        if !self.verbatim || at.start >= self.span.length {
            return self.span;
        }
        Span {
            start: self.span.start + at.start,
            length: at.len().min(self.span.length - at.start),
            ..self.span
        }
    }
}

/// Returns whether the character separates words; a narrower set than white space, which ends an
/// instruction.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

/// Returns `range` without white space at its ends.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or("");
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

/// Returns the location of an instruction's name, and of the text that follows it.
pub(super) fn command(text: &str) -> (Range<usize>, Range<usize>) {
    let all = trim(text, 0..text.len());
    let part = text.get(all.clone()).unwrap_or("");
    let name = all.start..all.start + part.find(is_blank).unwrap_or(part.len());
    let rest = trim(text, name.end..all.end);
    (name, rest)
}

/// Returns the flags at the start of `range`, unquoted, and the range that follows them.
pub(super) fn flags(
    text: &str,
    range: Range<usize>,
    escape: char,
) -> (Vec<(String, Range<usize>)>, Range<usize>) {
    let mut flags = Vec::new();
    let mut rest = trim(text, range);
    loop {
        let part = text.get(rest.clone()).unwrap_or("");
        if !part.starts_with("--") {
            return (flags, rest);
        }
        let mut flag = String::new();
        let mut quote = None;
        let mut length = part.len();
        let mut chars = part.char_indices();
        while let Some((at, c)) = chars.next() {
            if quote.is_none() && c.is_whitespace() {
                length = at;
                break;
            }
            match quote {
                None if c == '"' || c == '\'' => quote = Some(c),
                Some(open) if open == c => quote = None,
                _ if c == escape => flag.extend(chars.next().map(|(_, c)| c)),
                _ => flag.push(c),
            }
        }
        let at = rest.start..rest.start + length;
        rest = trim(text, at.end..rest.end);
        // It ends the flags, and is none.
        if flag == "--" {
            return (flags, rest);
        }
        flags.push((flag, at));
    }
}

/// Returns the words of `range` between blanks, whatever quotes they contain.
pub(super) fn plain(text: &str, range: Range<usize>) -> Vec<(String, Range<usize>)> {
    let part = text.get(range.clone()).unwrap_or("");
    let mut words = Vec::new();
    let mut at = range.start;
    for word in part.split(is_blank) {
        if !word.is_empty() {
            words.push((word.to_owned(), at..at + word.len()));
        }
        // Every separator is one byte.
        at += word.len() + 1;
    }
    words
}

/// Returns the words of `range`, in which quotes and escapes keep white space together; they stay in
/// the words, for expansion to remove.
pub(super) fn quoted(text: &str, range: Range<usize>, escape: char) -> Vec<(String, Range<usize>)> {
    let part = text.get(range.clone()).unwrap_or("");
    let mut words = Vec::new();
    let mut word = String::new();
    let mut start = range.start;
    let mut quote = None;
    let mut chars = part.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if !word.is_empty() {
                words.push((std::mem::take(&mut word), start..range.start + at));
            }
            continue;
        }
        if word.is_empty() {
            start = range.start + at;
        }
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        // Nothing is escaped in single quotes.
        if c == escape && quote != Some('\'') {
            // At the end it escapes nothing, and is removed.
            let Some((_, next)) = chars.next() else { break };
            word.push(c);
            word.push(next);
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push((word, start..range.end));
    }
    words
}

/// Returns `range` split at its first blanks, as `ENV name value` is.
pub(super) fn split_name_value(
    text: &str,
    range: Range<usize>,
) -> Option<(Range<usize>, Range<usize>)> {
    let part = text.get(range.clone()).unwrap_or("");
    let end = part.find(is_blank)?;
    let rest = part.get(end..)?;
    let blanks = rest.len() - rest.trim_start_matches(is_blank).len();
    Some((range.start..range.start + end, range.start + end + blanks..range.end))
}

/// Returns a JSON array's strings; an error if it contains anything else, and `None` if the text is not
/// a JSON array.
pub(super) fn json(text: &str) -> Option<Result<Vec<String>, ()>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let values: Vec<serde_json::Value> = serde_json::from_str(text.trim()).ok()?;
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(()),
    });
    Some(strings.collect())
}
