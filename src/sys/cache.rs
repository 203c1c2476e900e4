//! The archive of a cache: a tar compressed with zstd, whose first entry says what the rest is.
#![allow(
    clippy::disallowed_methods,
    reason = "with `sys::fs`, this is the place that touches files"
)]

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
};

use camino::{Utf8Path, Utf8PathBuf};
use tar::{Archive, Builder, EntryType, Header as TarHeader};

use crate::{
    cache::{Header, Manifest, is_inside},
    error::{Error, Result},
    oci::{Digest, digest::Hasher},
    sys::{fs, tree},
};

/// The first entry's name.
const MANIFEST: &str = "manifest.json";

/// More than any manifest is: a million inputs.
const MANIFEST_LIMIT: u64 = 1 << 28;

/// zstd's default level: three times smaller than what cargo wrote, at the disk's speed.
const LEVEL: i32 = 3;

/// One entry to pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name: a directory of the archive, and a path below it.
    pub name: String,
    /// What it is.
    pub content: Content,
}

/// What an entry is.
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
pub fn pack(path: &Utf8Path, manifest: &Manifest, items: &[Item]) -> Result<(Digest, u64, u64)> {
    let failed = |error| fs::failed("write", path, error);
    let file = File::create_new(path).map_err(failed)?;
    let mut encoder = zstd::Encoder::new(Both::new(file), LEVEL).map_err(failed)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    encoder.multithread(u32::try_from(threads).unwrap_or(1)).map_err(failed)?;
    let mut tar = Builder::new(encoder);
    let text = serde_json::to_vec(manifest)
        .map_err(|error| Error::build("cannot write JSON").because(error))?;
    let head = header(EntryType::Regular, text.len() as u64, 0o644);
    tar.append_data(&mut head.clone(), MANIFEST, text.as_slice()).map_err(failed)?;
    let mut bytes = 0;
    for Item { name, content } in items {
        match content {
            Content::File(from, mode) => {
                let read = |error| fs::failed("read", from, error);
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
    let (digest, size) = encoder.finish().and_then(Both::finish).map_err(failed)?;
    Ok((digest, size, bytes))
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
struct Both(BufWriter<File>, Hasher);

impl Both {
    fn new(file: File) -> Self {
        Both(BufWriter::new(file), Hasher::default())
    }

    fn finish(mut self) -> std::io::Result<(Digest, u64)> {
        self.0.flush()?;
        Ok(self.1.finish())
    }
}

impl Write for Both {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = self.0.write(buf)?;
        self.1.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A reader, and the digest of what was read from it.
struct Hashed<R>(R, Hasher);

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buf)?;
        self.1.update(&buf[..n]);
        Ok(n)
    }
}

/// Unpacks the archive at `path`: the entries below `places`' names into their directories, which
/// must not hold anything yet, with the times that the manifest gives.
///
/// # Errors
/// It is not the archive that `header` describes, it is cut, or an entry leads outside; what was
/// unpacked so far is then of no use. The error says what is wrong with the archive.
pub fn unpack(
    path: &Utf8Path,
    header: &Header,
    places: &BTreeMap<&str, Utf8PathBuf>,
) -> Result<Manifest> {
    let file = File::open(path).map_err(|error| fs::failed("read", path, error))?;
    let size = file.metadata().map_err(|error| fs::failed("read", path, error))?.len();
    if size != header.size {
        return Err(Error::build(format!(
            "its archive has {size} bytes instead of {}",
            header.size
        )));
    }
    let mut hashed = Hashed(BufReader::with_capacity(1 << 16, file), Hasher::default());
    let unpacked = entries(&mut hashed, places);
    // The digest tells more than what a damaged archive leads to.
    let rest = std::io::copy(&mut hashed, &mut std::io::sink());
    rest.map_err(|error| fs::failed("read", path, error))?;
    if hashed.1.finish().0 != header.sha256 {
        return Err(Error::build("its archive is not the one that was saved: the digest differs"));
    }
    unpacked
}

fn entries(reader: impl Read, places: &BTreeMap<&str, Utf8PathBuf>) -> Result<Manifest> {
    let bad = |error: std::io::Error| Error::build("its archive cannot be read").because(error);
    let decoder = zstd::Decoder::new(reader).map_err(bad)?;
    let mut archive = Archive::new(decoder);
    let mut manifest: Option<Manifest> = None;
    for entry in archive.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(manifest) = &mut manifest else {
            let mut text = Vec::new();
            (&mut entry).take(MANIFEST_LIMIT).read_to_end(&mut text).map_err(bad)?;
            manifest = Some(serde_json::from_slice(&text).map_err(|error| {
                Error::build(format!("its archive does not begin with `{MANIFEST}`")).because(error)
            })?);
            continue;
        };
        let name = name.strip_suffix('/').unwrap_or(&name);
        let to = resolve(name, places)?;
        let root = place(name, places)?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            make_dir(root, &to)?;
            continue;
        }
        if let Some(parent) = to.parent() {
            make_dir(root, parent)?;
        }
        match kind {
            EntryType::Regular => write(&mut entry, &to)?,
            EntryType::Link | EntryType::Symlink => {
                let said = entry.link_name_bytes().unwrap_or_default();
                let said = String::from_utf8_lossy(&said).into_owned();
                if kind == EntryType::Link {
                    let first = resolve(&said, places)?;
                    if let Some(parent) = first.parent() {
                        make_dir(place(&said, places)?, parent)?;
                    }
                    fs::link(&first, &to)?;
                } else {
                    fs::symlink(Utf8Path::new(&said), &to)?;
                }
            }
            other => {
                let what = format!("its archive holds `{name}`, of a kind it cannot have");
                return Err(Error::build(format!("{what}: {other:?}")));
            }
        }
        if let Some(time) = manifest.times.get(name) {
            tree::set_time(&to, *time, false)?;
        }
    }
    manifest.ok_or_else(|| Error::build("its archive is empty"))
}

/// Where the entry `name` goes.
fn resolve(name: &str, places: &BTreeMap<&str, Utf8PathBuf>) -> Result<Utf8PathBuf> {
    let root = place(name, places)?;
    let rest = name.split_once('/').map_or("", |(_, rest)| rest);
    Ok(if rest.is_empty() { root.to_owned() } else { root.join(rest) })
}

/// The directory that the first part of the entry's name stands for.
fn place<'a>(name: &str, places: &'a BTreeMap<&str, Utf8PathBuf>) -> Result<&'a Utf8Path> {
    let outside = || Error::build(format!("its archive holds `{name}`, which leads outside"));
    if !is_inside(name) {
        return Err(outside());
    }
    let first = name.split('/').next().unwrap_or_default();
    places.get(first).map(Utf8PathBuf::as_path).ok_or_else(outside)
}

/// Makes the directory, of real directories from `root` on: a link among them leads outside.
fn make_dir(root: &Utf8Path, dir: &Utf8Path) -> Result<()> {
    let below = dir.strip_prefix(root).unwrap_or(Utf8Path::new(""));
    let mut at = root.to_owned();
    fs::create_dir_all(&at)?;
    for part in below {
        at.push(part);
        match at.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                let what =
                    format!("its archive holds a path through `{at}`, which is no directory");
                return Err(Error::build(what));
            }
            Err(_) => fs::create_dir_all(&at)?,
        }
    }
    Ok(())
}

fn write<R: Read>(entry: &mut tar::Entry<'_, R>, to: &Utf8Path) -> Result<()> {
    let mode = entry.header().mode().unwrap_or(0o644) & 0o777;
    let failed = |error| fs::failed("write", to, error);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(to).map_err(failed)?;
    std::io::copy(entry, &mut file).map(|_| ()).map_err(failed)
}
