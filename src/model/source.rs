//! Where the bytes of a file come from: memory, or a file of which only parts are ever in memory.

use std::{borrow::Cow, fmt, io, ops::Range};

/// How much is read at once when all of something is looked through: what stays in a processor's
/// cache, and what allocators take from memory that they have.
const WINDOW: usize = 96 << 10;

/// How far a window goes back into the one before it: what is looked for is shorter.
pub(crate) const OVERLAP: usize = 4 << 10;

/// The maximum length of one read.
const MOST: u64 = 16 << 20;

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

    /// Returns `len` bytes from `offset`; `None` if there are fewer.
    ///
    /// # Errors
    /// They cannot be read, or are more than the maximum length of one read.
    pub(crate) fn piece(self, offset: u64, len: u64) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        match self {
            Source::Bytes(bytes) => Ok(slice(bytes, offset, len).map(Cow::Borrowed)),
            Source::File(file) => {
                if offset.checked_add(len).is_none_or(|end| end > file.size()) {
                    return Ok(None);
                }
                if len > MOST {
                    let why =
                        format!("{len} bytes of it belong together, which is more than {MOST}");
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
