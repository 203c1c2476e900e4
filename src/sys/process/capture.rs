//! The output of a child process, within bounds.

use std::collections::VecDeque;

/// The number of bytes of a stream that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepOutput {
    /// Everything; the limit on what a child may write is the bound.
    All,
    /// The first and the last bytes, so many of each.
    Ends(usize),
}

/// The part of one stream that is kept.
#[derive(Debug)]
pub(super) struct Capture {
    keep: KeepOutput,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Capture {
    pub(super) fn new(keep: KeepOutput) -> Self {
        Capture { keep, head: Vec::new(), tail: VecDeque::new(), dropped: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let KeepOutput::Ends(most) = self.keep else {
            self.head.extend_from_slice(bytes);
            return;
        };
        let room = most.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(most);
        drop(self.tail.drain(..excess));
        self.dropped += excess as u64;
    }

    /// Returns the stream; a line in the middle counts the bytes that are missing.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes omitted]\n", self.dropped).as_bytes());
        }
        bytes.extend(self.tail);
        bytes
    }
}

/// Longest line given to a callback at once: a child that never ends its line cannot fill the
/// memory.
const MAX_LINE: usize = 1 << 20;

/// Splits a stream into lines. A line ends with `\n` or, as progress bars end it, `\r`; the
/// terminator is kept.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) fn add(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let room = MAX_LINE.saturating_sub(self.0.len()).max(1);
            let used = end.map_or(bytes.len(), |end| end + 1).min(room);
            let (line, rest) = bytes.split_at(used);
            self.0.extend_from_slice(line);
            if self.0.ends_with(b"\n") || self.0.ends_with(b"\r") || self.0.len() >= MAX_LINE {
                take(&self.0);
                self.0.clear();
            }
            bytes = rest;
        }
    }

    /// Gives the last line if it has no terminator.
    pub(super) fn finish(self, mut take: impl FnMut(&[u8])) {
        if !self.0.is_empty() {
            take(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_kept() {
        let mut capture = Capture::new(KeepOutput::Ends(4));
        for chunk in ["ab", "cdef", "ghijkl", "m"] {
            capture.add(chunk.as_bytes());
        }
        assert_eq!(capture.finish(), b"abcd\n[5 bytes omitted]\njklm");
        let mut capture = Capture::new(KeepOutput::Ends(4));
        capture.add(b"abcdefgh");
        assert_eq!(capture.finish(), b"abcdefgh");
        let mut capture = Capture::new(KeepOutput::All);
        capture.add(b"abcdefghi");
        assert_eq!(capture.finish(), b"abcdefghi");
    }

    #[test]
    fn lines_are_split_and_bounded() {
        let mut lines = Lines::default();
        let mut found: Vec<Vec<u8>> = Vec::new();
        lines.add(b"one\ntw", |line| found.push(line.to_vec()));
        lines.add(b"o\rlast", |line| found.push(line.to_vec()));
        lines.finish(|line| found.push(line.to_vec()));
        assert_eq!(found, [&b"one\n"[..], b"two\r", b"last"]);
        let mut lines = Lines::default();
        let mut lengths = Vec::new();
        lines.add(&vec![b'x'; 2 * MAX_LINE + 3], |line| lengths.push(line.len()));
        lines.finish(|line| lengths.push(line.len()));
        assert_eq!(lengths, [MAX_LINE, MAX_LINE, 3]);
    }
}
