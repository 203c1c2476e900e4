//! `.dockerignore`: which files of the build context an image may see.
//!
//! The rules are those of github.com/moby/patternmatcher, and how they are put to a directory tree
//! is that of github.com/tonistiigi/fsutil, which BuildKit reads the context with: the last pattern
//! that matches a path or a directory above it decides, and `!` makes an exception.

use super::{
    path::clean,
    pattern::{Class, Pattern as Wildcards, PatternError},
    source::{Problem, SourceText, Span},
};
use crate::model::error::Result;

/// Patterns of paths that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Begins with `!`: what matches is taken after all.
    exception: bool,
    text: String,
    form: Form,
}

/// The method of matching a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// No wildcards.
    Exact,
    /// `a**`: whatever begins so.
    Prefix(String),
    /// `**a`: whatever ends so, and for `**/a` also `a`.
    Suffix(String),
    Elements(Vec<Element>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Character(char),
    /// `?`: not a slash.
    Any,
    /// `*`: no slash.
    Star,
    /// `**`: nothing, or anything that ends in a slash.
    Directories,
    /// `**` at the end.
    Everything,
    Class(Class),
}

impl Ignore {
    /// Reads `text`, the content of a `.dockerignore` file, which errors call `name`.
    ///
    /// # Errors
    /// A line is not a pattern. The message begins `NAME:LINE:COLUMN: `, and the detail shows the line.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let source = SourceText::new(name, text);
        let mut patterns = Vec::new();
        let mut problems = Vec::new();
        for (number, line) in source.lines() {
            let text = line.trim();
            // Only at the very start of its line does it begin a comment.
            if line.starts_with('#') || text.is_empty() {
                continue;
            }
            let (mark, path) = match text.strip_prefix('!') {
                Some(path) => ("!", path.trim()),
                None => ("", text),
            };
            let path = if path.is_empty() { String::new() } else { clean(path) };
            // Paths are relative to the context, however they are written.
            let path = path.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&path);
            match Pattern::parse(&format!("{mark}{path}")) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let start = line.len() - line.trim_start().len();
                    let span = Span { line: number, start, length: text.len() };
                    problems.push(Problem::new(span, error.to_string()));
                }
            }
        }
        if problems.is_empty() { Ok(Ignore(patterns)) } else { Err(source.error(problems)) }
    }

    /// Returns the patterns of `COPY --exclude`, which are matched against paths below the copied
    /// directory.
    ///
    /// # Errors
    /// One of them is not a pattern.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let patterns = patterns.into_iter().map(str::trim).filter(|text| !text.is_empty());
        Ok(Ignore(patterns.map(Pattern::parse).collect::<Result<_, _>>()?))
    }

    /// Returns whether `path`, relative to the context and with `/`, is excluded. An excluded directory
    /// can still hold exceptions: see [`Ignore::skips`].
    pub fn excludes(&self, path: &str) -> bool {
        let path = clean(path);
        let path = path.trim_start_matches('/');
        if path.is_empty() || path == "." {
            return false;
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut above = vec![false; self.0.len()];
        let mut excluded = false;
        // The directories above come first, since their matches hold below them. A pattern that was not
        // applied there, because it could change nothing, is not applied again: BuildKit's file walks
        // do so, too.
        for end in ends {
            let path = path.get(..end).unwrap_or(path);
            excluded = false;
            for (pattern, matched) in self.0.iter().zip(&mut above) {
                *matched = *matched || pattern.exception == excluded && pattern.matches(path);
                if *matched {
                    excluded = !pattern.exception;
                }
            }
        }
        excluded
    }

    /// Returns whether the directory `path` need not be read: it is excluded, and no exception can be
    /// below it.
    pub fn skips(&self, path: &str) -> bool {
        let below = format!("{}/", clean(path).trim_start_matches('/'));
        let could_be_below = |pattern: &Pattern| {
            let text = &pattern.text;
            let text = text.strip_suffix("/**").unwrap_or(text);
            let text = text.strip_suffix("/*").unwrap_or(text);
            text.contains(['*', '[', ']', '?', '^', '\\']) || format!("{text}/").starts_with(&below)
        };
        let mut exceptions = self.0.iter().filter(|pattern| pattern.exception);
        !exceptions.any(could_be_below) && self.excludes(path)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let cleaned = clean(text);
        let (exception, path) = match cleaned.strip_prefix('!') {
            Some("") => return Err(PatternError::new(text, "there is nothing after the `!`")),
            Some(path) => (true, path),
            None => (false, cleaned.as_str()),
        };
        // The pattern has to be valid in Go, too.
        Wildcards::parse(path)?;
        let form = Form::parse(path).map_err(|reason| PatternError::new(path, reason))?;
        Ok(Pattern { exception, text: path.to_owned(), form })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.form {
            Form::Exact => path == self.text,
            Form::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Form::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path)
            }
            Form::Elements(elements) => matches(elements, path),
        }
    }
}

impl Form {
    /// Returns the form of a pattern for Go's `filepath.Match`.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut elements = Vec::new();
        // Whether there is a wildcard, but for `**` at the very start.
        let mut wild = false;
        let mut leading = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let first = elements.is_empty();
            let element = match c {
                '*' if chars.next_if_eq(&'*').is_some() => {
                    chars.next_if_eq(&'/');
                    let end = chars.peek().is_none();
                    if end && !wild && !leading && !first {
                        let prefix = text.strip_suffix("**").unwrap_or(text);
                        return Ok(Form::Prefix(prefix.to_owned()));
                    }
                    leading |= first;
                    wild |= !first;
                    if end { Element::Everything } else { Element::Directories }
                }
                '*' => Element::Star,
                '?' => Element::Any,
                '[' => {
                    let before = chars.clone();
                    let class = Class::read(&mut chars)?;
                    let length = before.clone().count() - chars.clone().count();
                    let inside: Vec<char> = before.take(length).collect();
                    if inside.iter().any(|c| ['*', '?', '['].contains(c)) {
                        return Err("BuildKit reads a `*`, `?` or `[` in brackets as no character");
                    }
                    if inside.windows(2).any(is_special_escape) {
                        return Err(ESCAPE_MESSAGE);
                    }
                    Element::Class(class)
                }
                '\\' => match chars.next() {
                    Some(c) if is_special_escape(&['\\', c]) => return Err(ESCAPE_MESSAGE),
                    Some(c) => {
                        wild = true;
                        elements.push(Element::Character(c));
                        continue;
                    }
                    None => return Err("it ends in a `\\`"),
                },
                ']' => {
                    wild = true;
                    Element::Character(']')
                }
                c => Element::Character(c),
            };
            let plain = matches!(
                element,
                Element::Character(_) | Element::Directories | Element::Everything
            );
            wild |= !plain;
            elements.push(element);
        }
        if wild && elements.contains(&Element::Character('^')) {
            return Err("BuildKit reads a `^` next to wildcards as the start of the path");
        }
        Ok(match text.strip_prefix("**") {
            _ if wild => Form::Elements(elements),
            Some(suffix) if leading => Form::Suffix(suffix.to_owned()),
            _ => Form::Exact,
        })
    }
}

const ESCAPE_MESSAGE: &str =
    "BuildKit reads a `\\` before a letter or digit as more than that character";

/// Returns whether a `\` and a character have a special meaning in a regular expression, which BuildKit
/// makes of a pattern.
fn is_special_escape(pair: &[char]) -> bool {
    matches!(pair, ['\\', c] if c.is_ascii_alphanumeric() || !c.is_ascii())
}

/// Returns whether `elements` match all of `path`. Every reachable position is tracked, so that no
/// pattern takes long.
fn matches(elements: &[Element], path: &str) -> bool {
    let chars: Vec<char> = path.chars().collect();
    // Whether what came so far can end before the character.
    let mut reached = vec![false; chars.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for element in elements {
        let mut next = vec![false; reached.len()];
        // Whether a `*` or `**` has begun before.
        let mut open = false;
        for (at, state) in next.iter_mut().enumerate() {
            let is_reached = reached.get(at).copied().unwrap_or(false);
            let before = at.checked_sub(1);
            let c = before.and_then(|at| chars.get(at)).copied();
            let was_reached = before.and_then(|at| reached.get(at)).copied().unwrap_or(false);
            open = match element {
                Element::Star => is_reached || open && c != Some('/'),
                _ => is_reached || open,
            };
            *state = match element {
                Element::Star | Element::Everything => open,
                Element::Directories => is_reached || open && c == Some('/'),
                Element::Any => was_reached && c.is_some_and(|c| c != '/'),
                Element::Character(wanted) => was_reached && c == Some(*wanted),
                Element::Class(class) => was_reached && c.is_some_and(|c| class.contains(c)),
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern, a path, and whether it is left out.
    const TABLE: [(&str, &str, bool); 66] = [
        ("**", "file", true),
        ("**/", "file", true),
        ("**", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir", "a/dir", true),
        ("**/dir", "adir", false),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "dir/dir/file", true),
        ("**file", "dir/afile", true),
        ("**/file*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a**", "abc/d", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt**", "a/file.txt", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[^b-d]e", "aze", true),
        ("a[^b-d]e", "ace", false),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abc/def", false),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("dist/*.whl", "dist/p-2.4+g0-py3.whl", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("a*b\\?", "axb?", true),
        ("a]*", "a]b", true),
        ("a^b", "a^b", true),
        ("*", "a", true),
        ("*", "a/b", true),
        ("a", "a/b/c", true),
        ("a", "ab", false),
        ("/a", "a", true),
        ("./a", "a", true),
        ("/a/", "a/b", true),
        ("a/../b", "b", true),
        ("a//b", "a/b", true),
        ("  a  ", "a", true),
        ("# a", "a", false),
        (" #a", "#a", true),
        ("", "a", false),
        ("/", "a", false),
        (".", "a", false),
        ("*", ".", false),
        ("\u{feff}a", "a", true),
        ("a\r", "a", true),
        ("**/*.c", "x/y.c", true),
    ];

    #[test]
    fn table() {
        for (pattern, path, expected) in TABLE {
            let ignore = Ignore::parse(".dockerignore", pattern).unwrap();
            assert_eq!(ignore.excludes(path), expected, "{pattern:?} {path:?}");
        }
    }

    #[test]
    fn the_last_match_wins() {
        let table = [
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs\n!docs/README.md", "docs/other", true),
            ("docs/*\n!docs/README.md\ndocs/README.md", "docs/README.md", true),
            ("!a\na", "a", true),
            ("a\n! a", "a", false),
            ("**\n!util/web", "util/web/foo", false),
            ("**\n!util/web", "util", true),
            ("**\n!util/web\nutil/web/foo", "util/web/foo", true),
            ("*\n!linux/*/bin", "linux/arm64/bin/tool", false),
            ("*\n!linux/*/bin", "linux/arm64/debug/tool", true),
            // The exception was not applied when the walk reached its directory, where nothing was
            // excluded yet.
            ("**/*.c\n!x", "x/y.c", true),
            ("**/*.c\n!x/*", "x/y.c", false),
        ];
        for (text, path, expected) in table {
            let ignore = Ignore::parse(".dockerignore", text).unwrap();
            assert_eq!(ignore.excludes(path), expected, "{text:?} {path:?}");
        }
    }

    #[test]
    fn directories_without_exceptions_are_skipped() {
        let table = [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "a/b", true),
            ("a\n!b", "a", true),
            ("a\n!a/b/c", "a", false),
            ("a\n!a/b/c", "a/b", false),
            ("a\n!a/b/c", "a/b/c", false),
            ("a\n!a/b/c", "a/x", true),
            ("a\n!ab", "a", true),
            ("a\n!a/b/**", "a/x", true),
            ("a\n!a/b/*", "a/b", false),
            ("a\n!**/c", "a", false),
        ];
        for (text, path, expected) in table {
            let ignore = Ignore::parse(".dockerignore", text).unwrap();
            assert_eq!(ignore.skips(path), expected, "{text:?} {path:?}");
        }
    }

    #[test]
    fn errors_show_the_line() {
        let error = Ignore::parse(".dockerignore", "a\n  b[\n!\n").unwrap_err();
        assert_eq!(
            format!("{error:?}"),
            "\
.dockerignore:2:3: `b[` is not a pattern: its `[` is not closed
  |
2 |   b[
  |   ^^
.dockerignore:3:1: `!` is not a pattern: there is nothing after the `!`
  |
3 | !
  | ^"
        );
        for pattern in ["[*]x", "a\\d", "[\\d]", "[[a]", "a^*", "!/", "a\\é"] {
            assert!(Ignore::parse(".dockerignore", pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_of_an_instruction() {
        let ignore = Ignore::new(["*.md", " ", "!README.md"]).unwrap();
        assert!(ignore.excludes("a.md"));
        assert!(!ignore.excludes("README.md"));
        assert!(Ignore::new(["["]).is_err());
        assert!(!Ignore::default().excludes("a"));
    }

    #[test]
    fn patterns_match_in_bounded_time() {
        let pattern = format!("{}b", "**/*a".repeat(50));
        let ignore = Ignore::parse(".dockerignore", &pattern).unwrap();
        assert!(!ignore.excludes(&"aa/aaaa".repeat(50)));
    }
}
