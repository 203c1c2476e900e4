//! A file's instructions as one line each: directives, comments and continuations, as
//! frontend/dockerfile/parser/parser.go and directives.go of BuildKit read them.

use std::{iter::Peekable, ops::Range};

use super::{
    source::{Problem, SourceText, Span, nearest_short},
    word,
};

/// One instruction, its continuation lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    segments: Vec<LineSegment>,
    /// The first word that starts a heredoc; its lines are left out.
    pub(super) heredoc: Option<Range<usize>>,
}

/// The part of an instruction that one line of the file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LineSegment {
    /// Its offset in the instruction.
    at: usize,
    /// The line of the file.
    line: usize,
    /// Its offset in that line.
    start: usize,
}

impl Line {
    fn new() -> Self {
        Line { text: String::new(), segments: Vec::new(), heredoc: None }
    }

    fn push(&mut self, text: &str, line: usize, start: usize) {
        self.segments.push(LineSegment { at: self.text.len(), line, start });
        self.text.push_str(text);
    }

    /// Returns the location of `range` of the text in the file; of several lines, the first.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let after = self.segments.partition_point(|segment| segment.at <= range.start);
        let Some(segment) = after.checked_sub(1).and_then(|n| self.segments.get(n)) else {
            return Span::default();
        };
        let end = self.segments.get(after).map_or(self.text.len(), |next| next.at);
        Span {
            line: segment.line,
            start: segment.start + (range.start - segment.at),
            length: range.end.min(end).saturating_sub(range.start),
        }
    }

    /// Returns the part of the text.
    pub(super) fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or("")
    }
}

/// The instructions of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The character that escapes others and continues a line: a backslash, or a backtick.
    pub(super) escape: char,
    pub(super) lines: Vec<Line>,
}

/// Parser directives: comments before anything else, each name once.
#[derive(Debug)]
struct Directives {
    open: bool,
    seen: Vec<String>,
    escape: char,
}

impl Directives {
    /// The three that BuildKit knows. Anything else is a comment, and ends them.
    const NAMES: [&str; 3] = ["syntax", "escape", "check"];

    fn read(&mut self, line: &str, span: Span) -> Result<(), Problem> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        let Some((key, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once('='))
        else {
            return Ok(());
        };
        let key = key.trim().to_ascii_lowercase();
        let value = value.trim();
        if value.is_empty() || !Self::NAMES.contains(&key.as_str()) {
            return Ok(());
        }
        self.open = true;
        if self.seen.contains(&key) {
            return Err(Problem::new(span, format!("the directive `{key}` is given twice")));
        }
        if key == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    let message = format!("`{value}` cannot be the escape character");
                    return Err(Problem::new(span, message).hint("use `\\` or a backtick"));
                }
            };
        }
        self.seen.push(key);
        Ok(())
    }
}

/// Reads the instructions of `source`.
pub(super) fn read(source: &SourceText, problems: &mut Vec<Problem>) -> Lines {
    let mut directives = Directives { open: true, seen: Vec::new(), escape: '\\' };
    let mut instructions = Vec::new();
    let mut lines = source.lines().peekable();
    while let Some((number, raw)) = lines.next() {
        let text = raw.trim_start();
        if let Err(problem) = directives.read(text, source.line_span(number)) {
            problems.push(problem);
        }
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let escape = directives.escape;
        let mut line = Line::new();
        let (text, mut continued) = continuation(text, escape);
        line.push(text, number, raw.len() - raw.trim_start().len());
        while continued {
            let Some((number, raw)) = lines.next() else { break };
            let text = raw.trim_start();
            // An empty line between two continued ones is skipped; BuildKit warns of it.
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (text, more) = continuation(raw, escape);
            continued = more;
            line.push(text, number, 0);
        }
        skip_heredocs(&mut line, &mut lines, escape);
        instructions.push(line);
    }
    Lines { escape: directives.escape, lines: instructions }
}

/// Returns `line` without the escape character at its end that joins the next line to it, and whether
/// there is one. Two of them at the end are an escaped one, which does not.
fn continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

/// Skips the lines of the heredocs that `line` starts, so that they are not read as instructions.
fn skip_heredocs<'a>(
    line: &mut Line,
    lines: &mut Peekable<impl Iterator<Item = (usize, &'a str)>>,
    escape: char,
) {
    if !line.text.contains("<<") {
        return;
    }
    let (name, rest) = word::command(&line.text);
    let name = line.part(name);
    let takes = ["RUN", "COPY", "ADD", "ONBUILD"].iter().any(|n| name.eq_ignore_ascii_case(n));
    if !takes || word::json(line.part(rest.clone())).is_some() {
        return;
    }
    for (text, at) in word::quoted(&line.text, rest, escape) {
        let Some((_, name)) = text.split_once("<<").filter(|(number, name)| {
            number.bytes().all(|b| b.is_ascii_digit()) && !name.contains('<')
        }) else {
            continue;
        };
        let (tabs, name) = match name.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let name: String = name.chars().filter(|c| !['"', '\'', '\\'].contains(c)).collect();
        if name.is_empty() {
            continue;
        }
        line.heredoc.get_or_insert(at);
        for (_, text) in lines.by_ref() {
            if name == if tabs { text.trim_start_matches('\t') } else { text } {
                break;
            }
        }
    }
}

/// Returns the nearest name of an instruction.
pub(super) fn nearest_instruction(given: &str) -> Option<&'static str> {
    let names = [
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    nearest_short(&given.to_ascii_uppercase(), names)
}
