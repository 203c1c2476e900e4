//! The payload of RPM packages: an archive of cpio in its form `newc` (cpio(5), "New ASCII Format").

use std::io::{self, Read, Write};

use crate::{
    archive::tree::{ContentSource, FileStore, Node, TreeEntry},
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
    },
};

/// The name of the last entry.
pub const TRAILER: &str = "TRAILER!!!";
/// The minimum size of a file that becomes a separate chunk, as in tar archives, so that it is compressed
/// once for all of them.
const MIN_CHUNK: u64 = 256 << 10;
/// The size of a header.
pub const HEADER: usize = 110;

/// Returns the header of an entry: its number, mode, time and size, and its path.
fn header(inode: u32, mode: u32, mtime: u32, size: u32, path: &str) -> Vec<u8> {
    let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    let name = path.len() as u32 + 1;
    let fields = [inode, mode, 0, 0, links, mtime, size, 0, 0, 0, 0, name, 0];
    let mut bytes = b"070701".to_vec();
    bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
    bytes.extend(path.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A file or a directory of the payload.
#[derive(Debug)]
pub(super) struct PackedEntry<'t> {
    /// The path, which begins with a slash.
    pub(super) path: String,
    /// The mode with type bits.
    pub(super) mode: u32,
    pub(super) entry: &'t TreeEntry,
}

/// Writes the entries, and returns the digests of the files among them: `None` for a directory.
///
/// # Errors
/// A file cannot be read or is not of its size any more, or `out` failed.
pub(super) fn write(
    entries: &[PackedEntry<'_>],
    files: &dyn FileStore,
    out: &mut dyn Write,
) -> Result<Vec<Option<Digest>>> {
    let mut digests = Vec::new();
    for (number, PackedEntry { path, mode, entry }) in entries.iter().enumerate() {
        let failed =
            |error: io::Error| Error::build(format!("failed to pack `{path}`")).because(error);
        let mtime = to_u32(path, entry.meta.mtime)?;
        let inode = to_u32(path, number as u64 + 1)?;
        let Node::File(content) = &entry.node else {
            out.write_all(&header(inode, *mode, mtime, 0, &format!(".{path}"))).map_err(failed)?;
            digests.push(None);
            continue;
        };
        let size = to_u32(path, content.size)?;
        out.write_all(&header(inode, *mode, mtime, size, &format!(".{path}"))).map_err(failed)?;
        let is_chunk = content.size >= MIN_CHUNK;
        if is_chunk {
            out.flush().map_err(failed)?;
        }
        let mut source: Box<dyn Read + '_> = match &content.source {
            ContentSource::Bytes(bytes) => Box::new(&bytes[..]),
            ContentSource::Named(name) => files.open(name)?,
        };
        let mut hasher = Hasher::default();
        // One byte more than there should be, to notice a file that grew.
        let mut limited = (&mut source).take(content.size + 1);
        let mut copied = 0;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = match limited.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(failed)?,
            };
            copied += count as u64;
            if count == 0 || copied > content.size {
                break;
            }
            let part = buffer.get(..count).unwrap_or_default();
            hasher.update(part);
            out.write_all(part).map_err(failed)?;
        }
        if copied != content.size {
            return Err(Error::build(format!(
                "`{path}` changed while it was packed: it should have {size} bytes"
            )));
        }
        if is_chunk {
            out.flush().map_err(failed)?;
        }
        let padding = (content.size.next_multiple_of(4) - content.size) as usize;
        out.write_all([0; 3].get(..padding).unwrap_or_default()).map_err(failed)?;
        digests.push(Some(hasher.finish().0));
    }
    let failed = |error: io::Error| Error::build("failed to pack an `.rpm`").because(error);
    out.write_all(&header(0, 0, 0, 0, TRAILER)).map_err(failed)?;
    Ok(digests)
}

fn to_u32(path: &str, number: u64) -> Result<u32> {
    u32::try_from(number).map_err(|_| {
        Error::build(format!("`{path}` does not fit into an `.rpm`"))
            .hint("its files have at most 4294967295 bytes, and times before the year 2106")
    })
}
