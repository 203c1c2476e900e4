//! Unpacking the archive of a cache. Nothing is written before the digest of the complete archive was
//! compared with the header, every entry is checked before it is written, and all files stay below one
//! new directory.

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, Read, Seek},
    os::unix::fs::OpenOptionsExt,
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;
use tar::{Archive, Entry, EntryType};

use super::{MANIFEST, MANIFEST_LIMIT};
use crate::{
    archive::zstandard,
    build::cache::{CacheHeader, CacheManifest, Contents, NAME_LIMIT, is_cached, is_plausible},
    model::{
        digest::Hasher,
        error::{Error, Result},
        feature::Feature,
    },
    sys::{beneath::Tree, fs},
};

/// A reader, and the digest of what was read from it.
struct HashingReader<R>(R, Hasher);

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buf)?;
        self.1.update(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Unpacks the archive at `path` into the new directory `to`, with the times of the manifest.
///
/// # Errors
/// It is not the archive that `header` describes, and nothing was written then; or an entry is
/// invalid or cannot be written, and what is in `to` has to be removed. The error says what is wrong
/// with the archive.
pub fn unpack(path: &Utf8Path, header: &CacheHeader, to: &Utf8Path) -> Result<CacheManifest> {
    Feature::Zstd.require()?;
    let failed = |error| fs::file_error("read", path, error);
    // Without waiting for a writer, if it is a FIFO.
    let nonblocking = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let mut file = nonblocking.map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::build(format!("its archive `{path}` is not a regular file")));
    }
    if meta.len() != header.size {
        let (found, expected) = (meta.len(), header.size);
        return Err(Error::build(format!("its archive has {found} bytes instead of {expected}")));
    }
    if !is_plausible(header.size, header.files, header.bytes) {
        return Err(Error::build(format!(
            "its header declares {} entries with {} bytes for an archive of {} bytes",
            header.files, header.bytes, header.size
        )));
    }
    let differs = || Error::build("its archive is not the one that was saved: the digest differs");
    if fs::hash((&mut file).take(header.size), |_| {}).map_err(failed)?.0 != header.sha256 {
        return Err(differs());
    }
    file.rewind().map_err(failed)?;
    let reader = BufReader::with_capacity(1 << 16, file.take(header.size));
    let mut hashed = HashingReader(reader, Hasher::default());
    let manifest = entries(&mut hashed, header, to)?;
    // Again, since it could have been written to meanwhile.
    std::io::copy(&mut hashed, &mut std::io::sink()).map_err(failed)?;
    if hashed.1.finish().0 != header.sha256 {
        return Err(differs());
    }
    Ok(manifest)
}

/// Unpacks a tar without compression into the new directory `to`: regular files and directories that
/// `rule` allows.
///
/// # Errors
/// An entry is invalid or cannot be written; what is in `to` has to be removed then.
pub fn unpack_plain(path: &Utf8Path, to: &Utf8Path, rule: fn(&str) -> bool) -> Result<()> {
    let failed = |error| fs::file_error("read", path, error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    // Each entry has a header of 512 bytes.
    let mut contents = Contents::new(size / 512, size, rule);
    let mut tree = Tree::create(to)?;
    let mut archive = Archive::new(BufReader::with_capacity(1 << 16, file));
    let mut entries = ArchiveEntries::new(&mut archive)?;
    while let Some(mut entry) = entries.next()? {
        match entry.kind {
            EntryType::Directory => {
                contents.directory(&entry.name).map_err(Error::build)?;
                tree.directory(Utf8Path::new(&entry.name))?;
            }
            EntryType::Regular => write(&mut entry, &mut contents, &mut tree, None)?,
            _ => return Err(unexpected(&entry)),
        }
    }
    Ok(())
}

fn entries(reader: impl Read, header: &CacheHeader, to: &Utf8Path) -> Result<CacheManifest> {
    let decoder = zstandard::Decoder::new(reader).map_err(unreadable)?;
    let mut archive = Archive::new(decoder);
    let mut entries = ArchiveEntries::new(&mut archive)?;
    let manifest = entries.next()?.map(|entry| manifest(entry)).transpose()?;
    let manifest = manifest.ok_or_else(|| Error::build("its archive is empty"))?;
    let mut contents = Contents::new(header.files, header.bytes, is_cached);
    let mut tree = Tree::create(to)?;
    while let Some(mut entry) = entries.next()? {
        let path = Utf8PathBuf::from(entry.name.clone());
        // A time later than the archive would hide changes.
        let time = manifest.times.get(&entry.name).copied();
        let time = time.map(|time| time.min(header.saved));
        match entry.kind {
            EntryType::Directory => {
                contents.directory(&entry.name).map_err(Error::build)?;
                tree.directory(&path)?;
            }
            EntryType::Regular => write(&mut entry, &mut contents, &mut tree, time)?,
            EntryType::Link => {
                contents.hard_link(&entry.name, &entry.link).map_err(Error::build)?;
                tree.hard_link(Utf8Path::new(&entry.link), &path)?;
            }
            EntryType::Symlink => {
                contents.symlink(&entry.name, &entry.link).map_err(Error::build)?;
                tree.symlink(&entry.link, &path, time)?;
            }
            _ => return Err(unexpected(&entry)),
        }
    }
    contents.finish().map_err(Error::build)?;
    Ok(manifest)
}

fn manifest<R: Read>(mut entry: ArchiveEntry<'_, R>) -> Result<CacheManifest> {
    let begins = || Error::build(format!("its archive does not begin with `{MANIFEST}`"));
    if entry.kind != EntryType::Regular || entry.name != MANIFEST {
        return Err(begins());
    }
    if entry.size > MANIFEST_LIMIT {
        return Err(Error::build(format!("its `{MANIFEST}` has {} bytes", entry.size)));
    }
    let mut text = Vec::new();
    entry.content.read_to_end(&mut text).map_err(unreadable)?;
    serde_json::from_slice(&text).map_err(|error| begins().because(error))
}

fn write<R: Read>(
    entry: &mut ArchiveEntry<'_, R>,
    contents: &mut Contents,
    tree: &mut Tree,
    time: Option<crate::build::cache::Time>,
) -> Result<()> {
    contents.file(&entry.name, entry.size, entry.mode).map_err(Error::build)?;
    let path = Utf8PathBuf::from(entry.name.clone());
    tree.file(&path, &mut entry.content, entry.mode & 0o111 != 0, time)
}

fn unreadable(error: std::io::Error) -> Error {
    Error::build("its archive cannot be read").because(error)
}

fn unexpected<R: Read>(entry: &ArchiveEntry<'_, R>) -> Error {
    Error::build(format!(
        "its archive holds `{}`, of a kind it cannot have: {:?}",
        entry.name, entry.kind
    ))
}

/// An entry with its names.
struct ArchiveEntry<'a, R: Read> {
    name: String,
    link: String,
    kind: EntryType,
    size: u64,
    mode: u32,
    content: Entry<'a, R>,
}

/// The entries of a tar in the GNU format. The crate's own reader keeps long names and extended
/// headers of any size in memory; this one accepts long names up to a limit, and no extended headers.
struct ArchiveEntries<'a, R: Read>(tar::Entries<'a, R>);

impl<'a, R: Read> ArchiveEntries<'a, R> {
    fn new(archive: &'a mut Archive<R>) -> Result<Self> {
        Ok(ArchiveEntries(archive.entries().map_err(unreadable)?.raw(true)))
    }

    fn next(&mut self) -> Result<Option<ArchiveEntry<'a, R>>> {
        let (mut name, mut link) = (None, None);
        loop {
            let Some(entry) = self.0.next() else {
                return match (name, link) {
                    (None::<String>, None::<String>) => Ok(None),
                    _ => Err(Error::build("its archive ends after the name of an entry")),
                };
            };
            let mut content = entry.map_err(unreadable)?;
            let header = content.header();
            let kind = header.entry_type();
            let size = header.entry_size().map_err(unreadable)?;
            let long = match kind {
                EntryType::GNULongName => &mut name,
                EntryType::GNULongLink => &mut link,
                _ => {
                    // Some writers put the type of the file into the mode as well.
                    let mode = header.mode().map_err(unreadable)? & 0o7777;
                    let name = match name {
                        Some(name) => name,
                        None => utf8_text(&header.path_bytes())?,
                    };
                    let link = match link {
                        Some(link) => link,
                        None => utf8_text(&header.link_name_bytes().unwrap_or_default())?,
                    };
                    if kind != EntryType::Regular && size != 0 {
                        let what = format!("its archive holds `{name}` with a size: {kind:?}");
                        return Err(Error::build(what));
                    }
                    let name = match name.strip_suffix('/') {
                        Some(stripped) if kind == EntryType::Directory => stripped.to_owned(),
                        _ => name,
                    };
                    return Ok(Some(ArchiveEntry { name, link, kind, size, mode, content }));
                }
            };
            if size > NAME_LIMIT as u64 + 1 || long.is_some() {
                return Err(Error::build("its archive holds a name that is too long"));
            }
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(unreadable)?;
            *long = Some(utf8_text(bytes.strip_suffix(b"\0").unwrap_or(&bytes))?);
        }
    }
}

fn utf8_text(bytes: &[u8]) -> Result<String> {
    let invalid = |_| {
        let shown = String::from_utf8_lossy(bytes);
        Error::build(format!("its archive holds `{shown}`, which is not UTF-8"))
    };
    String::from_utf8(bytes.to_vec()).map_err(invalid)
}
