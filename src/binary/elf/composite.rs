//! A file that consists of ranges of another file and of new bytes. The ranges are read on demand, so
//! that a large file is rewritten in little memory.

use std::{io, ops::Range};

use crate::model::source::{ReadAt, ReadError, Source};

/// A file that consists of ranges of another file and of new bytes.
#[derive(Debug)]
pub struct Composite<'a> {
    source: Source<'a>,
    /// The adjacent extents, from the beginning of the file to its end.
    extents: Vec<Extent>,
    size: u64,
}

/// An extent, and its offset.
#[derive(Debug)]
struct Extent {
    start: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// A range of the other file.
    Old(Range<u64>),
    New(Vec<u8>),
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Content::Old(range) => range.end - range.start,
            Content::New(bytes) => bytes.len() as u64,
        }
    }

    /// Removes and returns what follows `at`.
    fn split_off(&mut self, at: u64) -> Self {
        match self {
            Content::Old(range) => {
                let middle = range.start.saturating_add(at).min(range.end);
                Content::Old(middle..std::mem::replace(&mut range.end, middle))
            }
            Content::New(bytes) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Content::New(bytes.split_off(at))
            }
        }
    }
}

impl<'a> Composite<'a> {
    /// Creates an empty file, for ranges of `source`.
    pub(super) fn new(source: Source<'a>) -> Self {
        Composite { source, extents: Vec::new(), size: 0 }
    }

    /// Adds a range of the other file to the end.
    pub(super) fn copy(&mut self, range: Range<u64>) {
        if range.start < range.end {
            let (start, len) = (self.size, range.end - range.start);
            self.extents.push(Extent { start, content: Content::Old(range) });
            self.size = start.saturating_add(len);
        }
    }

    /// Adds new bytes to the end.
    pub(super) fn push(&mut self, new: &[u8]) {
        match self.extents.last_mut() {
            Some(Extent { content: Content::New(bytes), .. }) => bytes.extend_from_slice(new),
            _ if new.is_empty() => {}
            _ => {
                self.extents.push(Extent { start: self.size, content: Content::New(new.to_vec()) })
            }
        }
        self.size = self.size.saturating_add(new.len() as u64);
    }

    /// Overwrites the bytes at `offset`; returns `None` if the file has fewer.
    pub(super) fn overwrite(&mut self, offset: u64, new: &[u8]) -> Option<()> {
        let end = offset.checked_add(new.len() as u64).filter(|end| *end <= self.size)?;
        if new.is_empty() {
            return Some(());
        }
        let (from, to) = (self.split(offset), self.split(end));
        let extent = Extent { start: offset, content: Content::New(new.to_vec()) };
        self.extents.splice(from..to, [extent]);
        Some(())
    }

    /// Splits the parts at `offset`, and returns the index of the part that begins there.
    fn split(&mut self, offset: u64) -> usize {
        let index = self.extents.partition_point(|extent| extent.start < offset);
        let before = index.checked_sub(1).and_then(|before| self.extents.get_mut(before));
        let rest = before.map(|extent| extent.content.split_off(offset - extent.start));
        if let Some(content) = rest.filter(|content| content.len() > 0) {
            self.extents.insert(index, Extent { start: offset, content });
        }
        index
    }

    /// Returns the ranges below `end` that are not copies of the same offsets of the other file.
    pub(super) fn changed_ranges(&self, end: u64) -> impl Iterator<Item = Range<u64>> {
        let within = self.extents.iter().take_while(move |extent| extent.start < end);
        let changed = within.filter(|extent| match &extent.content {
            Content::Old(range) => range.start != extent.start,
            Content::New(_) => true,
        });
        changed.map(move |extent| {
            extent.start..extent.start.saturating_add(extent.content.len()).min(end)
        })
    }

    /// Reads all bytes into memory.
    ///
    /// # Errors
    /// The other file cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        Source::File(self).for_each_chunk(0..self.size, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(bytes)
    }
}

impl<'a> From<&'a Composite<'_>> for Source<'a> {
    fn from(file: &'a Composite<'_>) -> Self {
        Source::File(file)
    }
}

impl ReadAt for Composite<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        let mut index =
            self.extents.partition_point(|extent| extent.start <= offset).saturating_sub(1);
        while !buffer.is_empty() {
            let extent = self.extents.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
            let into = offset.checked_sub(extent.start).ok_or(io::ErrorKind::UnexpectedEof)?;
            let len = extent.content.len().saturating_sub(into).min(buffer.len() as u64);
            let (now, rest) = buffer.split_at_mut(usize::try_from(len).unwrap_or_default());
            match &extent.content {
                Content::Old(range) => self.source.read_exact_at(now, range.start + into)?,
                Content::New(bytes) => Source::Bytes(bytes).read_exact_at(now, into)?,
            }
            (buffer, offset, index) = (rest, offset + len, index + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_equal_the_concatenated_ranges() {
        let old: Vec<u8> = (0..200).collect();
        let mut file = Composite::new(Source::Bytes(&old));
        let mut expected = old[..100].to_vec();
        file.copy(0..100);
        file.push(b"new");
        file.push(b"er");
        file.push(b"");
        file.copy(50..60);
        file.copy(7..7);
        expected.extend_from_slice(b"newer");
        expected.extend_from_slice(&old[50..60]);
        assert_eq!(file.bytes().unwrap(), expected);
        for (at, bytes) in [(0, "ab"), (98, "over both"), (10, "x"), (11, "y"), (114, "z"), (9, "")]
        {
            file.overwrite(at, bytes.as_bytes()).unwrap();
            let at = at as usize;
            expected[at..at + bytes.len()].copy_from_slice(bytes.as_bytes());
            assert_eq!(file.bytes().unwrap(), expected, "{at}");
        }
        assert_eq!(file.overwrite(110, b"longer than that"), None);
        let changed: Vec<_> = file.changed_ranges(100).collect();
        assert_eq!(changed, [0..2, 10..11, 11..12, 98..100]);
        for at in 0..expected.len() {
            let mut extent = vec![0; (expected.len() - at).min(13)];
            file.read_exact_at(&mut extent, at as u64).unwrap();
            assert_eq!(extent, expected[at..at + extent.len()]);
        }
        assert!(file.read_exact_at(&mut [0; 2], 114).is_err());
    }
}
