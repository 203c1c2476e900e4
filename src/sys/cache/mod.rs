//! The archive of a cache: a tar compressed with zstd, with a first entry that describes the rest.
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module accesses files")]

mod unpack;

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
};

use camino::{Utf8Path, Utf8PathBuf};
use tar::{Builder, EntryType, Header as TarHeader};

pub use self::unpack::{unpack, unpack_plain};
use crate::{
    archive::zstandard,
    build::cache::CacheManifest,
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
        feature::Feature,
    },
    sys::fs,
};

/// The first entry's name.
const MANIFEST: &str = "manifest.json";

/// More than the manifest of any cache has: some 100,000 inputs.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// zstd's default level: three times smaller than what cargo wrote, at the disk's speed.
const LEVEL: i32 = 3;

/// One entry to pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveItem {
    /// Its name: a directory of the archive, and a path below it.
    pub name: String,
    /// Its kind.
    pub content: Content,
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file, and its mode.
    File(Utf8PathBuf, u32),
    /// Another name of the entry with this name.
    Same(String),
    /// A symbolic link that says this.
    Link(String),
    /// A directory, which may be empty.
    Directory,
}

/// Writes the archive to `path`, which must not be there; gives its digest, its size, and how many
/// bytes the files in it have.
///
/// # Errors
/// A file cannot be read or written.
pub fn pack(
    path: &Utf8Path,
    manifest: &CacheManifest,
    items: &[ArchiveItem],
) -> Result<(Digest, u64, u64)> {
    Feature::Zstd.require()?;
    let failed = |error| fs::file_error("write", path, error);
    let file = File::create_new(path).map_err(failed)?;
    let mut tar = Builder::new(encoder(file).map_err(failed)?);
    let text = serde_json::to_vec(manifest)
        .map_err(|error| Error::build("cannot write JSON").because(error))?;
    let head = header(EntryType::Regular, text.len() as u64, 0o644);
    tar.append_data(&mut head.clone(), MANIFEST, text.as_slice()).map_err(failed)?;
    let mut bytes = 0;
    for ArchiveItem { name, content } in items {
        match content {
            Content::File(from, mode) => {
                let read = |error| fs::file_error("read", from, error);
                let file = File::open(from).map_err(read)?;
                let size = file.metadata().map_err(read)?.len();
                bytes += size;
                let mut head = header(EntryType::Regular, size, *mode);
                // One that becomes shorter while it is read would put what follows out of place.
                let exact = BufReader::new(file).chain(std::io::repeat(0)).take(size);
                tar.append_data(&mut head, name, exact).map_err(failed)?;
            }
            Content::Same(other) => {
                let mut head = header(EntryType::Link, 0, 0o644);
                tar.append_link(&mut head, name, other).map_err(failed)?;
            }
            Content::Link(to) => {
                let mut head = header(EntryType::Symlink, 0, 0o777);
                tar.append_link(&mut head, name, to).map_err(failed)?;
            }
            Content::Directory => {
                let mut head = header(EntryType::Directory, 0, 0o755);
                tar.append_data(&mut head, format!("{name}/"), std::io::empty()).map_err(failed)?;
            }
        }
    }
    let encoder = tar.into_inner().map_err(failed)?;
    let (digest, size) = encoder.finish().and_then(HashingWriter::finish).map_err(failed)?;
    Ok((digest, size, bytes))
}

/// Returns a compressor with a thread for each processor, or with none if they cannot be started:
/// limits on processes and memory do not prevent saving.
fn encoder(file: File) -> std::io::Result<zstandard::Encoder<'static, HashingWriter>> {
    let start = |file, threads| {
        let mut encoder = zstandard::Encoder::new(HashingWriter::new(file), LEVEL)?;
        encoder.multithread(threads)?;
        // Nothing is written, but the threads are started.
        encoder.write(&[]).map(|_| encoder)
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let same = file.try_clone()?;
    start(file, u32::try_from(threads).unwrap_or(1)).or_else(|_| start(same, 0))
}

fn header(kind: EntryType, size: u64, mode: u32) -> TarHeader {
    let mut header = TarHeader::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header
}

/// A file, and the digest of what is written to it.
struct HashingWriter(BufWriter<File>, Hasher);

impl HashingWriter {
    fn new(file: File) -> Self {
        HashingWriter(BufWriter::new(file), Hasher::default())
    }

    fn finish(mut self) -> std::io::Result<(Digest, u64)> {
        self.0.flush()?;
        Ok(self.1.finish())
    }
}

impl Write for HashingWriter {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = self.0.write(buf)?;
        self.1.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
