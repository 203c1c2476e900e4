//! Where the bytes of a file come from: memory, or a file of which only parts are ever in memory.

use std::{borrow::Cow, fmt, io, ops::Range};

use super::digest::{Digest, Hasher};

/// How much is read at once when all of something is looked through: what stays in a processor's
/// cache, and what allocators take from memory that they have.
const WINDOW: usize = 96 << 10;

/// How far a window goes back into the one before it: what is looked for is shorter.
pub(crate) const OVERLAP: usize = 4 << 10;

/// The maximum length of one read.
const MOST: u64 = 16 << 20;

/// The maximum length of a table that has to be in memory completely, such as that of symbols.
const TABLE: u64 = 512 << 20;

/// The number of bytes that [`Nearby`] reads around the requested ones.
const AROUND: u64 = 16 << 10;

/// Something with bytes at offsets.
pub trait ReadAt: Sync {
    /// How many bytes there are.
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
    /// How many bytes there are.
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
    pub(crate) fn piece(self, offset: u64, len: u64) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        self.at_most(offset, len, MOST)
    }

    /// Reads like [`Source::piece`], for a table that has to be in memory completely.
    ///
    /// # Errors
    /// It cannot be read, or is larger than that of any program.
    pub(crate) fn table(self, offset: u64, len: u64) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        self.at_most(offset, len, TABLE)
    }

    fn at_most(
        self,
        offset: u64,
        len: u64,
        most: u64,
    ) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        match self {
            Source::Bytes(bytes) => Ok(slice(bytes, offset, len).map(Cow::Borrowed)),
            Source::File(file) => {
                if offset.checked_add(len).is_none_or(|end| end > file.size()) {
                    return Ok(None);
                }
                if len > most {
                    let why =
                        format!("{len} bytes of it belong together, which is more than {most}");
                    return Err(Unreadable::new(why));
                }
                let mut buffer = vec![0; usize::try_from(len).unwrap_or_default()];
                file.read_exact_at(&mut buffer, offset).map_err(failed)?;
                Ok(Some(Cow::Owned(buffer)))
            }
        }
    }

    /// At most `len` bytes from `offset`: fewer at the end.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn start(self, offset: u64, len: u64) -> Result<Cow<'a, [u8]>, Unreadable> {
        let len = len.min(self.size().saturating_sub(offset));
        Ok(self.piece(offset, len)?.unwrap_or_default())
    }

    /// Gives `take` all of `range`, chunk by chunk.
    ///
    /// # Errors
    /// The range is not in the file, or cannot be read.
    pub(crate) fn chunks(
        self,
        range: Range<u64>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), Unreadable> {
        let mut end = 0;
        self.windows(range, |window, limit| {
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
    pub fn digest(self) -> Result<Digest, Unreadable> {
        let mut hasher = Hasher::default();
        self.chunks(0..self.size(), |chunk| hasher.update(chunk))?;
        Ok(hasher.finish().0)
    }

    /// Compares `range` with the range `there` of `other`. Returns the index of the first byte that
    /// differs; the length of the shorter range if the other begins with it; `None` if they are equal.
    ///
    /// # Errors
    /// A range is not in its file, or cannot be read.
    pub(crate) fn unequal(
        self,
        range: Range<u64>,
        other: Source<'_>,
        there: Range<u64>,
    ) -> Result<Option<u64>, Unreadable> {
        let lens = (range.end - range.start, there.end - there.start);
        let shorter = lens.0.min(lens.1);
        let mut at = 0;
        while at < shorter {
            let len = (shorter - at).min(WINDOW as u64);
            let (one, two) =
                (self.part(range.start + at, len)?, other.part(there.start + at, len)?);
            if one != two {
                let same = one.iter().zip(two.iter()).take_while(|(one, two)| one == two);
                return Ok(Some(at + same.count() as u64));
            }
            at += len;
        }
        Ok((lens.0 != lens.1).then_some(shorter))
    }

    fn part(self, offset: u64, len: u64) -> Result<Cow<'a, [u8]>, Unreadable> {
        let outside = || Unreadable::new("it became shorter while it was read");
        self.piece(offset, len)?.ok_or_else(outside)
    }

    /// Gives `look` all of `range` in windows, each of which begins [`OVERLAP`] bytes before the
    /// end of the one before. What `look` finds it is to take where it begins before its second
    /// argument; what begins later is in the next window, too, and there is more behind it. Ends
    /// early where `look` gives false.
    ///
    /// # Errors
    /// The range is not in the file, or cannot be read.
    pub(crate) fn windows(
        self,
        range: Range<u64>,
        mut look: impl FnMut(&[u8], usize) -> bool,
    ) -> Result<bool, Unreadable> {
        let outside = || Unreadable::new("it became shorter while it was read");
        let file = match self {
            Source::Bytes(_) => {
                let len = range.end.saturating_sub(range.start);
                let bytes = self.piece(range.start, len)?.ok_or_else(outside)?;
                return Ok(look(&bytes, bytes.len()));
            }
            Source::File(file) => file,
        };
        let mut buffer = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            buffer.resize(left.min(WINDOW), 0);
            file.read_exact_at(&mut buffer, at).map_err(failed)?;
            let last = buffer.len() == left;
            let limit = if last { left } else { buffer.len() - OVERLAP };
            if !look(&buffer, limit) {
                return Ok(false);
            }
            at += limit as u64;
        }
        Ok(true)
    }
}

/// A reader of offsets that are close together, which keeps the bytes around the last one.
pub(crate) struct Nearby<'a> {
    source: Source<'a>,
    start: u64,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Nearby<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Nearby { source, start: 0, bytes: Cow::Borrowed(&[]) }
    }

    /// Returns at most `len` bytes from `offset`: fewer at the end.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn get(&mut self, offset: u64, len: u64) -> Result<&[u8], Unreadable> {
        if let Source::Bytes(bytes) = self.source {
            let len = len.min(self.source.size().saturating_sub(offset));
            return Ok(slice(bytes, offset, len).unwrap_or_default());
        }
        let wanted = offset.saturating_add(len).min(self.source.size());
        if offset < self.start || wanted > self.start + self.bytes.len() as u64 {
            self.start = offset.saturating_sub(AROUND / 2);
            let more = (offset - self.start).saturating_add(len).saturating_add(AROUND / 2);
            self.bytes = self.source.start(self.start, more)?;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..usize::try_from(len).unwrap_or(usize::MAX)).unwrap_or(rest))
    }
}

fn failed(error: io::Error) -> Unreadable {
    Unreadable::new(format!("it cannot be read: {error}"))
}

/// The reason why a file cannot be read, in one sentence without a capital or a full stop. A check
/// that gets this error rejects the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub(crate) String);

impl Unreadable {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Unreadable(sentence.into())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// `len` bytes from `offset`, where that many are.
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
    fn what_lies_across_windows_is_seen_once() {
        for at in [0, 7, WINDOW - OVERLAP - 3, WINDOW - OVERLAP, WINDOW - 3, WINDOW, 2 * WINDOW] {
            let mut bytes = vec![0; 3 * WINDOW + 17];
            bytes[at..at + 6].copy_from_slice(b"needle");
            let file = Slow(bytes);
            let mut seen = 0;
            let size = file.size();
            let whole = Source::File(&file).windows(0..size, |window, limit| {
                seen +=
                    memchr::memmem::find_iter(window, b"needle").filter(|at| *at < limit).count();
                true
            });
            assert_eq!((whole, seen), (Ok(true), 1), "{at}");
        }
    }

    #[test]
    fn chunks_are_the_file() {
        for size in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 17] {
            let file = Slow((0..size).map(|at| (at % 251) as u8).collect());
            let mut all = Vec::new();
            let range = (size as u64 / 3)..size as u64;
            Source::File(&file).chunks(range, |chunk| all.extend_from_slice(chunk)).unwrap();
            assert!(all == file.0[size / 3..], "{size}");
            assert_eq!(Source::File(&file).digest(), Ok(Digest::of(&file.0)));
        }
    }

    #[test]
    fn the_first_difference_is_found() {
        let size = 2 * WINDOW + 5;
        let one = Slow((0..size).map(|at| (at % 251) as u8).collect());
        let whole = 0..size as u64;
        let bytes = Source::Bytes(&one.0);
        assert_eq!(bytes.unequal(whole.clone(), Source::File(&one), whole.clone()), Ok(None));
        assert_eq!(bytes.unequal(whole.clone(), Source::File(&one), 0..7), Ok(Some(7)));
        for at in [0, 1, WINDOW, size - 1] {
            let mut other = Slow(one.0.clone());
            other.0[at] ^= 1;
            for (first, second) in [
                (Source::File(&one), Source::File(&other)),
                (Source::File(&one), Source::Bytes(&other.0)),
                (Source::Bytes(&one.0), Source::File(&other)),
            ] {
                let found = first.unequal(whole.clone(), second, whole.clone());
                assert_eq!(found, Ok(Some(at as u64)));
            }
        }
    }

    #[test]
    fn what_is_near_is_what_is_there() {
        let file = Slow((0..100_000_u32).map(|at| (at % 251) as u8).collect());
        let mut nearby = Nearby::new(Source::File(&file));
        for (at, len) in [(0, 10), (8_000, 10), (99_990, 30), (50_000, 40_000), (200_000, 1)] {
            let end = (at + len).min(100_000);
            let expected = file.0.get(at..end).unwrap_or_default();
            assert_eq!(nearby.get(at as u64, len as u64).unwrap(), expected, "{at}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_given() {
        let file = Slow(vec![1; 10]);
        for source in [Source::File(&file), Source::Bytes(&[1; 10])] {
            assert_eq!(source.piece(5, 6).unwrap(), None);
            assert_eq!(source.piece(u64::MAX, 2).unwrap(), None);
            assert_eq!(source.piece(5, 5).unwrap().unwrap().len(), 5);
            assert_eq!(source.start(8, 100).unwrap().len(), 2);
            assert_eq!(source.start(80, 100).unwrap().len(), 0);
        }
    }
}
