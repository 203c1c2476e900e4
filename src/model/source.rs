//! The bytes of a file: in memory, or in an open file of which only ranges are read into memory.

use std::{borrow::Cow, fmt, io, ops::Range};

use super::digest::{Digest, Hasher};

/// The number of bytes that are read at once to search or hash a file: they stay in the processor's
/// cache, and allocators reuse memory of this size.
const WINDOW: usize = 96 << 10;

/// The overlap of consecutive windows: a searched text is shorter.
pub(crate) const OVERLAP: usize = 4 << 10;

/// The maximum length of one read.
const MAX_READ: u64 = 16 << 20;

/// The maximum length of a table that has to be in memory completely, such as that of symbols.
const MAX_TABLE: u64 = 512 << 20;

/// The number of bytes that [`CachedReader`] reads around the requested ones.
const CACHED: u64 = 16 << 10;

/// Something with bytes at offsets.
pub trait ReadAt: Sync {
    /// Returns the number of bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// There are fewer bytes, or they cannot be read.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// The bytes of a file: those in memory are borrowed; of an open file, only the requested ranges are
/// read, so that memory does not grow with the file.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// All of them.
    Bytes(&'a [u8]),
    /// A way to get at them.
    File(&'a dyn ReadAt),
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({} bytes)", self.size())
    }
}

impl<'a> From<&'a [u8]> for Source<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Source::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Source<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Source::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Source<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Source::Bytes(bytes)
    }
}

impl<'a> Source<'a> {
    /// Returns the number of bytes.
    pub fn size(self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(file) => file.size(),
        }
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// There are fewer bytes, or they cannot be read.
    pub(crate) fn read_exact_at(self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Source::Bytes(bytes) => {
                let found = slice(bytes, offset, buffer.len() as u64);
                buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Source::File(file) => file.read_exact_at(buffer, offset),
        }
    }

    /// Returns `len` bytes from `offset`; `None` if there are fewer.
    ///
    /// # Errors
    /// They cannot be read, or are more than the maximum length of one read.
    pub(crate) fn read(self, offset: u64, len: u64) -> Result<Option<Cow<'a, [u8]>>, ReadError> {
        self.read_limited(offset, len, MAX_READ)
    }

    /// Reads like [`Source::read`], for a table that has to be in memory completely.
    ///
    /// # Errors
    /// It cannot be read, or is larger than that of any program.
    pub(crate) fn read_table(
        self,
        offset: u64,
        len: u64,
    ) -> Result<Option<Cow<'a, [u8]>>, ReadError> {
        self.read_limited(offset, len, MAX_TABLE)
    }

    fn read_limited(
        self,
        offset: u64,
        len: u64,
        most: u64,
    ) -> Result<Option<Cow<'a, [u8]>>, ReadError> {
        match self {
            Source::Bytes(bytes) => Ok(slice(bytes, offset, len).map(Cow::Borrowed)),
            Source::File(file) => {
                if offset.checked_add(len).is_none_or(|end| end > file.size()) {
                    return Ok(None);
                }
                if len > most {
                    let message = format!("one table of it has {len} bytes, more than {most}");
                    return Err(ReadError::new(message));
                }
                let mut buffer = vec![0; usize::try_from(len).unwrap_or_default()];
                file.read_exact_at(&mut buffer, offset).map_err(read_error)?;
                Ok(Some(Cow::Owned(buffer)))
            }
        }
    }

    /// Returns at most `len` bytes from `offset`: fewer at the end.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn read_up_to(self, offset: u64, len: u64) -> Result<Cow<'a, [u8]>, ReadError> {
        let len = len.min(self.size().saturating_sub(offset));
        Ok(self.read(offset, len)?.unwrap_or_default())
    }

    /// Calls `take` with all of `range`, chunk by chunk.
    ///
    /// # Errors
    /// The range is not in the file, or cannot be read.
    pub(crate) fn for_each_chunk(
        self,
        range: Range<u64>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let mut end = 0;
        self.for_each_window(range, |window, limit| {
            // What the window before had, too, was taken with it.
            take(window.get(end..).unwrap_or_default());
            end = window.len() - limit;
            true
        })?;
        Ok(())
    }

    /// Computes the digest of all bytes.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn digest(self) -> Result<Digest, ReadError> {
        let mut hasher = Hasher::default();
        self.for_each_chunk(0..self.size(), |chunk| hasher.update(chunk))?;
        Ok(hasher.finish().0)
    }

    /// Compares `range` with `other_range` of `other`. Returns the index of the first byte that
    /// differs; the length of the shorter range if the other begins with it; `None` if they are
    /// equal.
    ///
    /// # Errors
    /// A range is not in its file, or cannot be read.
    pub(crate) fn first_difference(
        self,
        range: Range<u64>,
        other: Source<'_>,
        other_range: Range<u64>,
    ) -> Result<Option<u64>, ReadError> {
        let lens = (range.end - range.start, other_range.end - other_range.start);
        let shorter = lens.0.min(lens.1);
        let mut at = 0;
        while at < shorter {
            let len = (shorter - at).min(WINDOW as u64);
            let (one, two) = (
                self.read_chunk(range.start + at, len)?,
                other.read_chunk(other_range.start + at, len)?,
            );
            if one != two {
                let same = one.iter().zip(two.iter()).take_while(|(one, two)| one == two);
                return Ok(Some(at + same.count() as u64));
            }
            at += len;
        }
        Ok((lens.0 != lens.1).then_some(shorter))
    }

    fn read_chunk(self, offset: u64, len: u64) -> Result<Cow<'a, [u8]>, ReadError> {
        let outside = || ReadError::new("it became shorter while it was read");
        self.read(offset, len)?.ok_or_else(outside)
    }

    /// Calls `search` with all of `range` in windows, each of which begins [`OVERLAP`] bytes before
    /// the end of the previous one. `search` handles the matches that begin before its second
    /// argument; later ones are in the next window, too, with more of the text after them. Ends
    /// early if `search` returns false.
    ///
    /// # Errors
    /// The range is not in the file, or cannot be read.
    pub(crate) fn for_each_window(
        self,
        range: Range<u64>,
        mut search: impl FnMut(&[u8], usize) -> bool,
    ) -> Result<bool, ReadError> {
        let outside = || ReadError::new("it became shorter while it was read");
        let file = match self {
            Source::Bytes(_) => {
                let len = range.end.saturating_sub(range.start);
                let bytes = self.read(range.start, len)?.ok_or_else(outside)?;
                return Ok(search(&bytes, bytes.len()));
            }
            Source::File(file) => file,
        };
        let mut buffer = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            buffer.resize(left.min(WINDOW), 0);
            file.read_exact_at(&mut buffer, at).map_err(read_error)?;
            let last = buffer.len() == left;
            let limit = if last { left } else { buffer.len() - OVERLAP };
            if !search(&buffer, limit) {
                return Ok(false);
            }
            at += limit as u64;
        }
        Ok(true)
    }
}

/// A reader of offsets that are close together, which caches the bytes around the last one.
pub(crate) struct CachedReader<'a> {
    source: Source<'a>,
    start: u64,
    bytes: Cow<'a, [u8]>,
}

impl<'a> CachedReader<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        CachedReader { source, start: 0, bytes: Cow::Borrowed(&[]) }
    }

    /// Returns at most `len` bytes from `offset`: fewer at the end.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn read_up_to(&mut self, offset: u64, len: u64) -> Result<&[u8], ReadError> {
        if let Source::Bytes(bytes) = self.source {
            let len = len.min(self.source.size().saturating_sub(offset));
            return Ok(slice(bytes, offset, len).unwrap_or_default());
        }
        let end = offset.saturating_add(len).min(self.source.size());
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            self.start = offset.saturating_sub(CACHED / 2);
            let more = (offset - self.start).saturating_add(len).saturating_add(CACHED / 2);
            self.bytes = self.source.read_up_to(self.start, more)?;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..usize::try_from(len).unwrap_or(usize::MAX)).unwrap_or(rest))
    }
}

fn read_error(error: io::Error) -> ReadError {
    ReadError::new(format!("it cannot be read: {error}"))
}

/// The reason why a file cannot be read, in one sentence without a capital or a full stop. A check
/// that gets this error rejects the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(pub(crate) String);

impl ReadError {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        ReadError(sentence.into())
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

/// Returns `len` bytes from `offset`; `None` if there are fewer.
pub(crate) fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow(Vec<u8>);

    impl ReadAt for Slow {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            let start = usize::try_from(offset).unwrap();
            buffer.copy_from_slice(&self.0[start..start + buffer.len()]);
            Ok(())
        }
    }

    #[test]
    fn matches_across_windows_are_found_once() {
        for at in [0, 7, WINDOW - OVERLAP - 3, WINDOW - OVERLAP, WINDOW - 3, WINDOW, 2 * WINDOW] {
            let mut bytes = vec![0; 3 * WINDOW + 17];
            bytes[at..at + 6].copy_from_slice(b"needle");
            let file = Slow(bytes);
            let mut seen = 0;
            let size = file.size();
            let full_range = Source::File(&file).for_each_window(0..size, |window, limit| {
                seen +=
                    memchr::memmem::find_iter(window, b"needle").filter(|at| *at < limit).count();
                true
            });
            assert_eq!((full_range, seen), (Ok(true), 1), "{at}");
        }
    }

    #[test]
    fn chunks_cover_the_file() {
        for size in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 17] {
            let file = Slow((0..size).map(|at| (at % 251) as u8).collect());
            let mut all = Vec::new();
            let range = (size as u64 / 3)..size as u64;
            Source::File(&file)
                .for_each_chunk(range, |chunk| all.extend_from_slice(chunk))
                .unwrap();
            assert!(all == file.0[size / 3..], "{size}");
            assert_eq!(Source::File(&file).digest(), Ok(Digest::sha256(&file.0)));
        }
    }

    #[test]
    fn the_first_difference_is_found() {
        let size = 2 * WINDOW + 5;
        let one = Slow((0..size).map(|at| (at % 251) as u8).collect());
        let full_range = 0..size as u64;
        let bytes = Source::Bytes(&one.0);
        assert_eq!(
            bytes.first_difference(full_range.clone(), Source::File(&one), full_range.clone()),
            Ok(None)
        );
        assert_eq!(
            bytes.first_difference(full_range.clone(), Source::File(&one), 0..7),
            Ok(Some(7))
        );
        for at in [0, 1, WINDOW, size - 1] {
            let mut other = Slow(one.0.clone());
            other.0[at] ^= 1;
            for (first, second) in [
                (Source::File(&one), Source::File(&other)),
                (Source::File(&one), Source::Bytes(&other.0)),
                (Source::Bytes(&one.0), Source::File(&other)),
            ] {
                let found = first.first_difference(full_range.clone(), second, full_range.clone());
                assert_eq!(found, Ok(Some(at as u64)));
            }
        }
    }

    #[test]
    fn cached_reads_equal_direct_reads() {
        let file = Slow((0..100_000_u32).map(|at| (at % 251) as u8).collect());
        let mut nearby = CachedReader::new(Source::File(&file));
        for (at, len) in [(0, 10), (8_000, 10), (99_990, 30), (50_000, 40_000), (200_000, 1)] {
            let end = (at + len).min(100_000);
            let expected = file.0.get(at..end).unwrap_or_default();
            assert_eq!(nearby.read_up_to(at as u64, len as u64).unwrap(), expected, "{at}");
        }
    }

    #[test]
    fn reads_beyond_the_end_return_nothing() {
        let file = Slow(vec![1; 10]);
        for source in [Source::File(&file), Source::Bytes(&[1; 10])] {
            assert_eq!(source.read(5, 6).unwrap(), None);
            assert_eq!(source.read(u64::MAX, 2).unwrap(), None);
            assert_eq!(source.read(5, 5).unwrap().unwrap().len(), 5);
            assert_eq!(source.read_up_to(8, 100).unwrap().len(), 2);
            assert_eq!(source.read_up_to(80, 100).unwrap().len(), 0);
        }
    }
}
