//! A file's text by lines, and errors that show the line that they refer to.

use std::fmt::Write as _;

use crate::model::{collect::SortStable as _, error::Error, suggest::nearest};

/// The maximum number of errors of one file that are shown.
const MAX_ERRORS: usize = 20;

/// The maximum length of a message or a hint, which contain words of the file.
const MAX_MESSAGE: usize = 600;

/// The length of the context on either side of an error in a line.
const CONTEXT: usize = 80;

/// A place in a file. [`super::Dockerfile::located`] makes an error that shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Counted from 1.
    pub(super) line: usize,
    /// In bytes: columns are counted when an error is shown, which is once, and not for each word.
    pub(super) start: usize,
    pub(super) length: usize,
}

impl Span {
    /// Returns the number of the line, counted from 1.
    pub fn line(self) -> usize {
        self.line
    }
}

/// A problem at a location, and its hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) span: Span,
    message: String,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Problem { span, message: truncate(message.into()), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(truncate(hint.into()));
        self
    }

    /// Returns the message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Offers `name` where there is one.
    pub(super) fn did_you_mean(self, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// Returns the name most similar to `given`. Only short names, and not too many, are compared,
/// since that takes time.
pub(super) fn nearest_short<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let short = |name: &str| !name.is_empty() && name.len() <= 64;
    if !short(given) {
        return None;
    }
    nearest(given, known.into_iter().filter(|name| short(name)).take(200))
}

/// A file's name and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceText {
    name: String,
    lines: Vec<String>,
}

impl SourceText {
    /// Splits `text` into lines as BuildKit does (frontend/dockerfile/parser/parser.go): at a
    /// newline, with every carriage return before it. A byte order mark at the start is ignored.
    pub(super) fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines: Vec<String> =
            text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect();
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        SourceText { name: name.to_owned(), lines }
    }

    /// Returns the lines with their numbers.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(n, line)| (n + 1, line.as_str()))
    }

    /// Returns the entire line.
    pub(super) fn line_span(&self, line: usize) -> Span {
        Span { line, start: 0, length: self.line(line).len() }
    }

    fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|n| self.lines.get(n)).map_or("", String::as_str)
    }

    /// Returns the text before `span` in its line, in it, and after it.
    fn split_at(&self, span: Span) -> (&str, &str, &str) {
        let line = self.line(span.line);
        let start = floor_char_boundary(line, span.start);
        let end = floor_char_boundary(line, span.start.saturating_add(span.length)).max(start);
        let part = |range: std::ops::Range<usize>| line.get(range).unwrap_or("");
        (part(0..start), part(start..end), part(end..line.len()))
    }

    /// Formats `NAME:LINE:COLUMN: message`.
    pub(super) fn title(&self, problem: &Problem) -> String {
        let column = self.split_at(problem.span).0.chars().count() + 1;
        format!("{}:{}:{column}: {}", self.name, problem.span.line, problem.message)
    }

    /// Returns the line with its number, and the location underlined.
    fn snippet(&self, span: Span) -> String {
        let (before, marked, after) = self.split_at(span);
        let skipped = before.chars().count().saturating_sub(CONTEXT);
        let before: String = before.chars().skip(skipped).collect();
        let before = if skipped > 0 { format!("...{before}") } else { before };
        let marked: String = marked.trim_end().chars().take(2 * CONTEXT).collect();
        let after: String = after.chars().take(CONTEXT).collect();
        let (before, marked) = (without_controls(&before), without_controls(&marked));
        let number = span.line.to_string();
        let gutter = " ".repeat(number.len());
        let line = format!("{before}{marked}{}", without_controls(&after));
        let lead = " ".repeat(before.chars().count());
        let carets = "^".repeat(marked.chars().count().max(1));
        let line = format!("{number} | {line}");
        format!("{gutter} |\n{}\n{gutter} | {lead}{carets}", line.trim_end())
    }

    /// Returns one error for all of `problems`: the first is its message, and the others are in its
    /// detail.
    pub(super) fn error(&self, mut problems: Vec<Problem>) -> Error {
        problems.sort_stable_by_key(|problem| problem.span);
        let Some(first) = problems.first() else {
            return Error::usage(format!("{}: it is invalid", self.name));
        };
        let mut detail = self.snippet(first.span);
        for problem in problems.iter().skip(1).take(MAX_ERRORS) {
            let _ = write!(detail, "\n{}\n{}", self.title(problem), self.snippet(problem.span));
            if let Some(hint) = &problem.hint {
                let gutter = " ".repeat(problem.span.line.to_string().len());
                let _ = write!(detail, "\n{gutter} = hint: {hint}");
            }
        }
        if let Some(more) = problems.len().checked_sub(MAX_ERRORS + 1).filter(|more| *more > 0) {
            let _ = write!(detail, "\nand {more} more");
        }
        let error = Error::usage(self.title(first)).detail(detail);
        match &first.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        }
    }
}

/// Returns the text, truncated if it is too long to read.
fn truncate(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        text.truncate(floor_char_boundary(&text, MAX_MESSAGE));
        text.push_str("...");
    }
    text
}

/// Returns the nearest offset at or before `at` that is between two characters.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Removes from `text` the characters that would move the cursor, so that the underline stays below the
/// location.
fn without_controls(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => result.push_str("    "),
            c if c.is_control() => result.push(char::REPLACEMENT_CHARACTER),
            c => result.push(c),
        }
    }
    result
}
