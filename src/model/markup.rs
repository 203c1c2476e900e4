//! Names from files and servers as text that cannot change what is around it: in a terminal, in
//! Markdown, in a job's log.

use std::fmt::Write as _;

/// Returns whether `c` cannot be seen, or changes how the text around it is shown: controls, and
/// the marks of the Unicode Bidirectional Algorithm (UAX #9), with which a name could pass for a
/// different one.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Formats `text` as one line, with every hidden character escaped as `\u{1b}`.
pub fn escape_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Formats `text` for a terminal: as [`escape_line`], but with its tabs and line breaks.
pub fn escape_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix("\r\n") {
            Some(line) => (line, "\r\n"),
            None => line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n")),
        };
        for (at, cell) in line.split('\t').enumerate() {
            if at > 0 {
                out.push('\t');
            }
            out += &escape_line(cell);
        }
        out += end;
    }
    out
}

/// Formats `text` as code in Markdown or HTML, also in a cell of a table. Nothing in it is a link
/// or a mention.
pub fn code_span(text: &str) -> String {
    let text = escape_line(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || " ./_+=,:@~-".contains(c);
    let edges = text.trim() == text && !text.is_empty();
    if edges && text.chars().all(plain) {
        return format!("`{text}`");
    }
    let mut out = String::from("<code>");
    for c in text.chars() {
        if c.is_ascii_punctuation() && !"./-+=,".contains(c) {
            let _ = write!(out, "&#{};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out + "</code>"
}

/// Formats `text` as one line of Markdown or HTML, also in a cell of a table: text in backticks is
/// code, and nothing else in it is markup, a link or a mention.
pub fn markdown_line(text: &str) -> String {
    let text = escape_line(text);
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = String::with_capacity(text.len());
    for (at, part) in parts.iter().enumerate() {
        let closed = at + 1 < parts.len();
        if at % 2 == 1 && closed && !part.is_empty() {
            out += &code_span(part);
            continue;
        }
        if at % 2 == 1 {
            // An opening backtick without text or without an end.
            out += "&#96;";
            if closed {
                out += "&#96;";
            }
        }
        push_words(&mut out, part);
    }
    out
}

/// An invisible break: servers search for mentions and references in the text that is shown.
const BREAK: &str = "&#8203;";

fn push_words(out: &mut String, text: &str) {
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let next = rest.chars().next();
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // In the middle of a word it is not markup.
            '_' if word(before) && word(next) => out.push(c),
            '|' | '*' | '_' | '[' | ']' | '\\' | '~' | '!' | '$' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '@' => *out += &format!("@{BREAK}"),
            '#' if word(next) => *out += &format!("#{BREAK}"),
            ':' if rest.starts_with("//") => *out += &format!(":{BREAK}"),
            '.' | '-' if ends_with_any(&text[..at], &["www", "gh"]) => {
                *out += &format!("{BREAK}{c}");
            }
            _ => out.push(c),
        }
        before = Some(c);
    }
}

fn ends_with_any(text: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| {
        let start = text.len().checked_sub(ending.len());
        start
            .and_then(|start| text.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_no_controls() {
        assert_eq!(escape_text("a\tb\nc"), "a\tb\nc");
        assert_eq!(escape_text("a\r\nb\r"), "a\r\nb\\u{d}");
        assert_eq!(
            escape_text("\u{1b}[2K\u{9b}x\u{7f}\u{202e}é\u{0}"),
            "\\u{1b}[2K\\u{9b}x\\u{7f}\\u{202e}é\\u{0}"
        );
        assert_eq!(escape_line("a\nb\tc\r"), "a\\u{a}b\\u{9}c\\u{d}");
        assert_eq!(escape_text(""), "");
    }

    /// Names with which a line of a table would end, or become something else.
    #[test]
    fn markdown_of_hostile_names() {
        for (name, expected) in [
            ("bin/tool-1.2_x", "`bin/tool-1.2_x`"),
            ("a`b", "<code>a&#96;b</code>"),
            (
                "``` | x |\n# y",
                "<code>&#96;&#96;&#96; &#124; x &#124;&#92;u&#123;a&#125;&#35; y</code>",
            ),
            ("<img src=x>", "<code>&#60;img src=x&#62;</code>"),
            ("", "<code></code>"),
            (" ", "<code> </code>"),
        ] {
            assert_eq!(code_span(name), expected);
        }
        for (text, expected) in [
            ("needs `libc.so.6` and snake_case", "needs `libc.so.6` and snake_case"),
            ("a | b", "a &#124; b"),
            (
                "*b* _i_ ~~s~~ ![x](y) $m$",
                "&#42;b&#42; &#95;i&#95; &#126;&#126;s&#126;&#126; &#33;&#91;x&#93;(y) &#36;m&#36;",
            ),
            ("@everyone @org/team", "@&#8203;everyone @&#8203;org/team"),
            ("see #12 and C# and GH-3", "see #&#8203;12 and C# and GH&#8203;-3"),
            (
                "https://evil.example www.evil.example",
                "https:&#8203;//evil.example www&#8203;.evil.example",
            ),
            ("<!-- x --> &lt;", "&lt;&#33;-- x --&gt; &amp;lt;"),
            ("odd ` tick", "odd &#96; tick"),
            ("`a` `b|c` `", "`a` <code>b&#124;c</code> &#96;"),
            ("`` x", "&#96;&#96; x"),
            ("line\nbreak", "line&#92;u{a}break"),
        ] {
            assert_eq!(markdown_line(text), expected, "{text}");
        }
    }
}
