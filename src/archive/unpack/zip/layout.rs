//! The two lists of files in a zip archive: the local header before each file, and the directory at
//! the end. Streaming readers go by the former, others by the latter; they must be the same.

use std::ops::Range;

use crate::model::{
    error::{Error, Result},
    source::Source,
};

/// The size of a local header without its name and extra fields, and the signatures of a local
/// header and of the end of the directory (APPNOTE.TXT 4.3.7, 4.3.16).
const LOCAL: u64 = 30;
const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const END_SIGNATURE: &[u8] = b"PK\x05\x06";

/// The bits of the flags for encryption, and for sizes that follow the content.
const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;

/// A record of the directory.
pub(super) struct DirectoryRecord {
    pub(super) name: Vec<u8>,
    pub(super) method: u16,
    pub(super) encrypted: bool,
    /// The offset of its local header.
    pub(super) local_offset: u64,
    /// The range of its compressed content.
    pub(super) content: Range<u64>,
}

/// Checks that local headers and directory list the same files.
///
/// # Errors
/// They do not, or the archive cannot be read.
pub(super) fn check(source: Source<'_>, directory: u64, files: &[DirectoryRecord]) -> Result<()> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for file in files {
        check_local(source, file)?;
        ranges.push(file.local_offset..file.content.end);
    }
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut end = 0;
    for range in ranges.into_iter().chain(std::iter::once(directory..directory)) {
        if range.start < end {
            return Err(Error::check(
                "two files in it have bytes in common, like those of a \
                                     decompression bomb",
            ));
        }
        if contains(source, end..range.start, LOCAL_SIGNATURE)? {
            let message = format!("it has a file at byte {end} that its directory does not list");
            return Err(Error::check(message).hint("make the archive again"));
        }
        end = range.end;
    }
    // The signature of the end itself is behind the directory; there must be no second one.
    let first = find(source, directory..source.size(), END_SIGNATURE)?;
    let second = first.map(|at| find(source, at + 1..source.size(), END_SIGNATURE)).transpose()?;
    if second.flatten().is_some() {
        return Err(Error::check("it has two directories").hint("make the archive again"));
    }
    Ok(())
}

fn check_local(source: Source<'_>, file: &DirectoryRecord) -> Result<()> {
    let unread = |error| Error::check("the zip archive cannot be read").because(error);
    let header = source.read_up_to(file.local_offset, LOCAL).map_err(unread)?;
    let number = |at: usize| {
        let bytes = header.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
        u16::from_le_bytes(bytes.unwrap_or_default())
    };
    let (flags, method, name_len) = (number(6), number(8), number(26));
    let size = u32::from(number(18)) | u32::from(number(20)) << 16;
    let name = source.read_up_to(file.local_offset + LOCAL, name_len.into()).map_err(unread)?;
    let expected = file.content.end.saturating_sub(file.content.start);
    let follows = flags & SIZES_FOLLOW != 0 && size == 0;
    let same_size = u64::from(size) == expected || size == u32::MAX || follows;
    let differs = if !header.starts_with(LOCAL_SIGNATURE) {
        "signature"
    } else if *name != *file.name {
        "name"
    } else if method != file.method {
        "method"
    } else if (flags & ENCRYPTED != 0) != file.encrypted {
        "encryption"
    } else if !same_size {
        "size"
    } else {
        return Ok(());
    };
    let (local_offset, listed) = (name.escape_ascii(), file.name.escape_ascii());
    let message = format!(
        "`{local_offset}` is `{listed}` in the directory of the archive: the {differs} is not the same"
    );
    Err(Error::check(message).hint("make the archive again"))
}

fn contains(source: Source<'_>, range: Range<u64>, needle: &[u8]) -> Result<bool> {
    Ok(find(source, range, needle)?.is_some())
}

/// Returns the offset of the first `needle` in a range.
fn find(source: Source<'_>, range: Range<u64>, needle: &[u8]) -> Result<Option<u64>> {
    const WINDOW: u64 = 64 << 10;
    let unread = |error| Error::check("the zip archive cannot be read").because(error);
    let overlap = needle.len() as u64 - 1;
    let mut at = range.start;
    while at < range.end {
        let window = source.read_up_to(at, WINDOW.min(range.end - at)).map_err(unread)?;
        if let Some(found) = memchr::memmem::find(&window, needle) {
            return Ok(Some(at + found as u64));
        }
        if (window.len() as u64) < WINDOW {
            break;
        }
        at += WINDOW - overlap;
    }
    Ok(None)
}
