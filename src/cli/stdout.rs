//! Results on stdout, written in chunks: they can be larger than memory.

use std::{
    fmt,
    io::{self, BufWriter, Write},
};

use crate::{
    ci::log::provider::defused,
    model::{
        error::{Error, Result},
        markup,
    },
    sys::env,
};

/// How much text for people is collected before it is written.
const CHUNK: usize = 1 << 16;

/// Writes JSON for machines.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<()> {
    let mut out = Escaped(BufWriter::new(io::stdout().lock()));
    let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    end(written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// Writes text for people, parts of which can be from anywhere, without anything that a terminal would
/// obey.
pub(super) fn print(text: &str) -> Result<()> {
    raw(&shown(text))
}

/// Writes text as it is.
pub(super) fn raw(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    end(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// As [`print`], for text that is written by `write`.
pub(super) fn print_all(write: &dyn Fn(&mut dyn fmt::Write)) -> Result<()> {
    let mut lines = Lines { text: String::new(), written: Ok(()) };
    write(&mut lines);
    lines.print(lines.text.len());
    end(lines.written.and_then(|()| io::stdout().flush()))
}

fn shown(text: &str) -> String {
    let text = markup::escape_text(text);
    if env::github_actions() { defused(&text) } else { text }
}

fn end(written: io::Result<()>) -> Result<()> {
    match written {
        // `… | head` has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::build("cannot write to stdout").because(error)),
        Ok(()) => Ok(()),
    }
}

/// JSON without characters that its writers leave as they are, and that terminals obey.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let hidden = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
        // The serialiser writes complete characters.
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        for part in text.split_inclusive(hidden) {
            match part.chars().next_back().filter(|last| hidden(*last)) {
                Some(last) => {
                    let plain = part.strip_suffix(last).unwrap_or_default();
                    write!(self.0, "{plain}\\u{:04x}", u32::from(last))?;
                }
                None => self.0.write_all(part.as_bytes())?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Text that is written in chunks of complete lines.
struct Lines {
    text: String,
    written: io::Result<()>,
}

impl Lines {
    /// Writes the first `len` bytes.
    fn print(&mut self, len: usize) {
        let chunk: String = self.text.drain(..len).collect();
        if self.written.is_ok() {
            self.written = io::stdout().lock().write_all(shown(&chunk).as_bytes());
        }
    }
}

impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() >= CHUNK
            && let Some(end) = self.text.rfind('\n')
        {
            self.print(end + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_control_characters() {
        let mut out = Escaped(Vec::new());
        serde_json::to_writer(&mut out, &["a\u{9b}2K\u{7f}", "\u{e9}\u{9f}"]).unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text, "[\"a\\u009b2K\\u007f\",\"\u{e9}\\u009f\"]");
    }
}
