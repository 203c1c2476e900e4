//! Results on stdout, written in chunks: they can be larger than memory.

use std::{
    fmt,
    io::{self, BufWriter, Write},
};

use crate::{
    ci::log::provider::escape_commands,
    model::{
        error::{Error, Result},
        markup,
    },
    sys::env,
};

/// The size of the text for people that is collected before it is written, in bytes.
const CHUNK: usize = 1 << 16;

/// Writes JSON for machines.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<()> {
    let mut out = EscapingWriter(BufWriter::new(io::stdout().lock()));
    let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
    finish_write(written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// Writes text for people, parts of which can be untrusted, without anything that a terminal would obey.
pub(super) fn print(text: &str) -> Result<()> {
    raw(&escape(text))
}

/// Writes text unchanged.
pub(super) fn raw(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    finish_write(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes text for people like [`print`]; `write` produces it.
pub(super) fn print_all(write: &dyn Fn(&mut dyn fmt::Write)) -> Result<()> {
    let mut lines = ChunkedLines { text: String::new(), written: Ok(()) };
    write(&mut lines);
    lines.print(lines.text.len());
    finish_write(lines.written.and_then(|()| io::stdout().flush()))
}

fn escape(text: &str) -> String {
    let text = markup::escape_text(text);
    if env::github_actions() { escape_commands(&text) } else { text }
}

fn finish_write(written: io::Result<()>) -> Result<()> {
    match written {
        // `… | head` has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::build("cannot write to stdout").because(error)),
        Ok(()) => Ok(()),
    }
}

/// A writer of JSON that escapes characters that JSON writers leave unchanged and that terminals obey.
struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
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
struct ChunkedLines {
    text: String,
    written: io::Result<()>,
}

impl ChunkedLines {
    /// Writes the first `len` bytes.
    fn print(&mut self, len: usize) {
        let chunk: String = self.text.drain(..len).collect();
        if self.written.is_ok() {
            self.written = io::stdout().lock().write_all(escape(&chunk).as_bytes());
        }
    }
}

impl fmt::Write for ChunkedLines {
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
        let mut out = EscapingWriter(Vec::new());
        serde_json::to_writer(&mut out, &["a\u{9b}2K\u{7f}", "\u{e9}\u{9f}"]).unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert_eq!(text, "[\"a\\u009b2K\\u007f\",\"\u{e9}\\u009f\"]");
    }
}
