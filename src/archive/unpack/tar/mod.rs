//! Tar archives: POSIX ustar and pax (IEEE 1003.1-2001, "pax"), and GNU long names (GNU tar manual,
//! "Basic Tar Format").
//!
//! Entries are those that Go's `archive/tar` finds, which container engines unpack layers with.
//! Where GNU tar, libarchive or Python's `tarfile` would find other ones, the archive is rejected:
//! what is verified must be what is unpacked, whatever unpacks it.

mod extended;
mod header;

use std::io::{self, Read};

pub use self::extended::SPARSE;
use self::{
    extended::{Extended, HINT},
    header::{BLOCK, Dialect, Header},
};
use super::{
    ArchiveEntry, Device, EntryKind, MAX_ENTRIES, Stat,
    entry::{DEPTH, MAX_PATH, escaped},
};
use crate::model::error::{Error, Result, Status};

/// The longest extended header, or long name, that is read; Go's `archive/tar` has the same limit.
const MAX_EXTENDED: u64 = 1 << 20;

/// The extended attribute that holds file capabilities.
const CAPABILITIES_XATTR: &str = "security.capability";

/// Returns whether a file that begins with `start` is a tar archive: it has the magic, or, as
/// archives of Unix version 7 have none, a header with its checksum.
pub fn is_tar(start: &[u8]) -> bool {
    let magic = start.get(257..262) == Some(b"ustar");
    let block = start.first_chunk::<BLOCK>();
    magic || block.is_some_and(|block| block[0] != 0 && header::has_checksum(block))
}

/// Calls `each` with every entry, in the order of the archive, and its content.
///
/// # Errors
/// The archive is damaged or ambiguous, an extended header is too long, there are more entries than
/// [`MAX_ENTRIES`], or `each` failed.
pub fn read(
    stream: &mut dyn Read,
    each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    Reader::new(stream).walk(each).map(drop)
}

/// Reads like [`read`], for an archive without a digest: one that is truncated between two entries
/// is damaged, too.
///
/// # Errors
/// As [`read`], or the blocks of zeros at the end are missing.
pub fn read_strictly(
    stream: &mut dyn Read,
    each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    check_end(Reader::new(stream).walk(each)?)
}

/// Reads like [`read_strictly`], but a sparse file is an entry of an unknown kind, with the size of
/// the file and without its content.
///
/// # Errors
/// As [`read_strictly`].
pub fn read_listing(
    stream: &mut dyn Read,
    each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    check_end(Reader { sparse: true, ..Reader::new(stream) }.walk(each)?)
}

fn check_end(end: ArchiveEnd) -> Result<()> {
    match end {
        ArchiveEnd::Marked => Ok(()),
        ArchiveEnd::Missing => {
            Err(Error::check("it is truncated: the zeros at the end of a tar archive are missing"))
        }
    }
}

/// The end of an archive.
enum ArchiveEnd {
    /// With a block of zeros, and nothing but zeros behind it.
    Marked,
    /// With its last entry.
    Missing,
}

/// Formats bytes of an archive for a message.
fn quote_bytes(bytes: &[u8]) -> String {
    const MAX_SHOWN: usize = 120;
    let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes).escape_ascii().to_string();
    if bytes.len() > MAX_SHOWN { format!("{shown}…") } else { shown }
}

fn damaged(error: io::Error) -> Error {
    Error::check("the archive cannot be read").because(error)
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it is truncated")
}

struct Reader<'a> {
    stream: &'a mut dyn Read,
    /// The offset of the next byte of the stream.
    offset: u64,
    /// Whether there was a pax header.
    pax: bool,
    /// Whether there was a header with a magic.
    magic: bool,
    /// Whether the last header was a global one.
    global: bool,
    /// Whether sparse files are entries.
    sparse: bool,
}

impl<'a> Reader<'a> {
    fn new(stream: &'a mut dyn Read) -> Self {
        Reader { stream, offset: 0, pax: false, magic: false, global: false, sparse: false }
    }

    fn walk(
        &mut self,
        each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
    ) -> Result<ArchiveEnd> {
        let mut extended = Extended::default();
        let mut count = 0;
        loop {
            let start = self.offset;
            let at = |error: Error| {
                let error = error.context(format!("the tar header at byte {start}"));
                error.with_status(Status::CheckFailed).or_hint(HINT)
            };
            let Some(block) = self.block()? else {
                return self.end(ArchiveEnd::Missing, &extended);
            };
            if block.iter().all(|&byte| byte == 0) {
                self.zeros()?;
                return self.end(ArchiveEnd::Marked, &extended);
            }
            let header = Header::parse(&block).map_err(at)?;
            if self.magic && header.dialect == Dialect::V7 {
                return Err(at(Error::check("it has no magic, unlike earlier headers")));
            }
            self.magic |= header.dialect != Dialect::V7;
            self.global = header.kind == b'g';
            if matches!(header.kind, b'x' | b'g' | b'L' | b'K') {
                let content = self.extension(header.size).map_err(at)?;
                self.extend(&mut extended, &header, &content).map_err(at)?;
                if !self.global {
                    continue;
                }
            }
            count += 1;
            if count > MAX_ENTRIES {
                return Err(Error::check(format!("it has more than {MAX_ENTRIES} entries")));
            }
            if self.global {
                continue;
            }
            let extended = std::mem::take(&mut extended);
            let (entry, size) = self.entry(&header, extended).map_err(at)?;
            self.sparse_map(&header)?;
            let mut content = EntryContent { reader: self, remaining: size };
            each(&entry, &mut content)?;
            content.skip()?;
            self.padding(size)?;
        }
    }

    /// Reads the next block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.stream.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                // The zeros of an archive need not fill a block.
                Ok(0) if block.iter().all(|&byte| byte == 0) => break,
                Ok(0) => return Err(damaged(truncated())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
        self.offset = self.offset.saturating_add(filled as u64);
        Ok(Some(block))
    }

    /// Reads to the end of the stream. Some readers continue after the first block of zeros, some after
    /// the second, and some find a second archive.
    fn zeros(&mut self) -> Result<()> {
        let mut buffer = [0; 16 * BLOCK];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) if buffer.iter().take(count).any(|&byte| byte != 0) => {
                    let message = "it has data after the zeros that end a tar archive";
                    return Err(Error::check(message).hint(HINT));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
    }

    fn end(&self, end: ArchiveEnd, extended: &Extended) -> Result<ArchiveEnd> {
        if extended.is_empty() && !self.global {
            return Ok(end);
        }
        Err(Error::check("it is truncated: an extended header is its last entry"))
    }

    /// Reads the content of an extended header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENDED {
            return Err(Error::check(format!("it is an extended header of {size} bytes"))
                .hint(format!("the longest that is read has {MAX_EXTENDED} bytes")));
        }
        let mut bytes = Vec::new();
        let mut content = EntryContent { reader: self, remaining: size };
        content.read_to_end(&mut bytes).map_err(damaged)?;
        self.padding(size)?;
        Ok(bytes)
    }

    fn extend(&mut self, extended: &mut Extended, header: &Header, content: &[u8]) -> Result<()> {
        match header.kind {
            b'x' => {
                self.pax = true;
                extended.add_pax(content)
            }
            b'g' if !extended.is_empty() => {
                let message = "it is between an extended header and its entry";
                Err(Error::check(message).hint(HINT))
            }
            b'g' => {
                self.pax = true;
                extended::check_global(content)
            }
            kind => extended.add_gnu(kind, content),
        }
    }

    /// Skips the rest of the map of a sparse file, which GNU tar writes between header and content.
    fn sparse_map(&mut self, header: &Header) -> Result<()> {
        let mut more = header.sparse.is_some_and(|(_, more)| more);
        while more {
            let block = self.block()?.ok_or_else(|| damaged(truncated()))?;
            more = block[504] != 0;
        }
        Ok(())
    }

    /// Skips what fills the last block of `size` bytes. The archive may end before that, as those of
    /// `umoci insert` 0.4 do: readers find the same entries, and Go's `archive/tar` reports no error.
    fn padding(&mut self, size: u64) -> Result<()> {
        let block = BLOCK as u64;
        let remaining = (block - size % block) % block;
        let mut padding = (&mut *self.stream).take(remaining);
        let count = io::copy(&mut padding, &mut io::sink()).map_err(damaged)?;
        self.offset = self.offset.saturating_add(count);
        Ok(())
    }

    /// Returns the entry of a header, and the size of its content.
    fn entry(&self, header: &Header, extended: Extended) -> Result<(ArchiveEntry, u64)> {
        let is_sparse = header.kind == b'S' || extended.sparse.is_some();
        let sparse = extended.sparse.as_ref();
        let path = sparse.and_then(|sparse| sparse.path.as_deref()).or(extended.path.as_deref());
        let path = path.unwrap_or(&header.name);
        if is_sparse && !(self.sparse && matches!(header.kind, 0 | b'0' | b'S')) {
            return Err(extended::sparse_error(path));
        }
        let target = extended.link.as_deref().unwrap_or(&header.link);
        check_path(path)?;
        let kind = match is_sparse {
            true => EntryKind::Unknown(SPARSE.to_owned()),
            false => kind(header, path, target)?,
        };
        if extended.link.is_some() && !matches!(kind, EntryKind::Link(_) | EntryKind::HardLink(_)) {
            let message = format!("`{}` is not a link, and has a target", quote_bytes(path));
            return Err(Error::check(message).hint(HINT));
        }
        let size = match kind {
            EntryKind::File | EntryKind::Unknown(_) => extended.size(header)?,
            _ => {
                extended.check_no_content(header, self.pax)?;
                0
            }
        };
        let device = match kind {
            EntryKind::Special(_) if header.kind != b'6' => {
                let (major, minor) = header.device;
                Some(Device { block: header.kind == b'4', major, minor })
            }
            _ => None,
        };
        let entry = ArchiveEntry {
            path: escaped(path),
            kind,
            // Some writers put the type into the mode.
            mode: Some(header.mode & 0o7777),
            capabilities: extended.xattrs.contains_key(CAPABILITIES_XATTR),
            start: Some(self.offset),
            stat: Stat {
                uid: extended.uid.unwrap_or(header.uid),
                gid: extended.gid.unwrap_or(header.gid),
                size: sparse
                    .and_then(|sparse| sparse.size)
                    .or(header.sparse.map(|(size, _)| size))
                    .unwrap_or(size),
                mtime: extended.mtime.unwrap_or(header.mtime),
                device,
                xattrs: extended.xattrs,
            },
        };
        Ok((entry, size))
    }
}

/// Checks that a path is one that Linux can have.
fn check_path(path: &[u8]) -> Result<()> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    if path.is_empty() {
        return Err(Error::check("an entry has no path"));
    }
    if path.len() > MAX_PATH || parts.count() > DEPTH {
        let message = format!("`{}` is too long or too deep", quote_bytes(path));
        let hint = format!("a path has at most {MAX_PATH} bytes and {DEPTH} directories");
        return Err(Error::check(message).hint(hint));
    }
    Ok(())
}

fn kind(header: &Header, path: &[u8], target: &[u8]) -> Result<EntryKind> {
    let name = || quote_bytes(path);
    let slash = path.ends_with(b"/");
    let is_link = matches!(header.kind, b'1' | b'2');
    if is_link && (target.is_empty() || target.len() > MAX_PATH) {
        let message = format!("`{}` is a link to a path of {} bytes", name(), target.len());
        return Err(Error::check(message).hint(format!("a path has at most {MAX_PATH} bytes")));
    }
    let kind = match header.kind {
        // Before there were types, a slash made a directory. Python decides by the name in the
        // header, others by that of an extended header.
        0 if slash && header.size == 0 && path == header.name => EntryKind::Directory,
        0 if slash || header.name.ends_with(b"/") => {
            let message = format!("`{}` is a file or a directory, as readers differ", name());
            return Err(Error::check(message).hint(HINT));
        }
        // Go makes a file of it, GNU tar a directory.
        b'0' if slash => {
            let message = format!("`{}` is a file with a slash at its end", name());
            return Err(Error::check(message).hint(HINT));
        }
        b'0' | 0 => EntryKind::File,
        b'1' => EntryKind::HardLink(escaped(target)),
        b'2' => EntryKind::Link(escaped(target)),
        b'3' | b'4' => EntryKind::Special("a device"),
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Special("a pipe"),
        other => {
            let other = [other];
            let message = format!("`{}` is an entry of type {}", name(), other.escape_ascii());
            return Err(Error::check(message).hint("types 0 to 6 are supported"));
        }
    };
    if kind != EntryKind::Directory
        && matches!(path.rsplit(|&byte| byte == b'/').next(), Some(b"." | b".."))
    {
        return Err(Error::check(format!("`{}` is not a directory, by its type", name())));
    }
    Ok(kind)
}

/// The content of an entry. Reading fails if the archive ends before it.
struct EntryContent<'a, 'b> {
    reader: &'a mut Reader<'b>,
    remaining: u64,
}

impl EntryContent<'_, '_> {
    fn skip(&mut self) -> Result<()> {
        io::copy(self, &mut io::sink()).map(drop).map_err(damaged)
    }
}

impl Read for EntryContent<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let count = self.reader.stream.read(buffer)?;
        if count == 0 {
            return Err(truncated());
        }
        self.remaining -= count as u64;
        self.reader.offset = self.reader.offset.saturating_add(count as u64);
        Ok(count)
    }
}
