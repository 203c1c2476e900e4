//! `package list`: the contents of archives, read from the files themselves.

use std::io::{Cursor, Read as _};

use camino::Utf8Path;

use crate::{
    archive::unpack::{self, ArchiveFormat, Budget, Compression, EntryKind, HashingReader, SPARSE},
    model::{
        error::{Error, Result, Status},
        schema::{
            dist::ChannelKind,
            package::{ArchiveListing, Entry, SCHEMA},
        },
        source::{ReadAt as _, Source},
    },
    ops::output::manifest,
    sys::{
        file::{self, OpenFile},
        fs,
    },
};

/// The number of bytes of a file that determine its kind.
const START_SIZE: u64 = 512;

/// Returns the contents of the archives of a `target/dist`, as its `dist.json` names them. A script or a formula
/// contains nothing.
///
/// # Errors
/// There is no `dist.json`, or it is not one that is understood; or as for [`list`].
pub fn list_release(dir: &Utf8Path) -> Result<Vec<ArchiveListing>> {
    let dist = manifest::read_in(dir)?;
    if dist.archives.is_empty() {
        return Err(Error::usage(format!("`{dir}` has no archives"))
            .hint("`cargo longshore package` makes them from the built binaries"));
    }
    let archives = dist.archives.iter().map(|archive| list(&dir.join(&archive.path)));
    let channels = dist.channels.iter().map(|channel| {
        let path = dir.join(&channel.path);
        match channel.kind {
            ChannelKind::Npm => list(&path),
            ChannelKind::Installer | ChannelKind::Homebrew => {
                let (sha256, size) = fs::digest(&path)?;
                let (path, contents) = (path.into_string(), Vec::new());
                Ok(ArchiveListing { schema: SCHEMA, path, size, sha256, contents })
            }
        }
    });
    archives.chain(channels).collect()
}

/// Returns the contents of the archive.
///
/// # Errors
/// It is none, or broken.
pub fn list(path: &Utf8Path) -> Result<ArchiveListing> {
    let file = file::open(path)?;
    let (sha256, size) = fs::digest(path)?;
    let mut contents = Vec::new();
    let mut each = |entry: &unpack::ArchiveEntry, content: &mut dyn std::io::Read| {
        let mut tee = HashingReader::new(content);
        let (link, is_file) = match &entry.kind {
            EntryKind::Directory => return Ok(()),
            EntryKind::Link(to) | EntryKind::HardLink(to) => (Some(to.clone()), false),
            _ => (None, true),
        };
        let broken =
            |error| Error::check(format!("`{}` cannot be read", entry.path)).because(error);
        std::io::copy(&mut tee, &mut std::io::sink()).map_err(broken)?;
        let (digest, size) = tee.finish().map_err(broken)?;
        let sparse = matches!(&entry.kind, EntryKind::Unknown(what) if what == SPARSE);
        contents.push(Entry {
            path: entry.path.trim_start_matches("./").to_owned(),
            mode: entry.mode,
            size: if sparse { entry.stat.size } else { size },
            sha256: (is_file && !sparse).then_some(digest),
            link,
            note: sparse.then(|| SPARSE.to_owned()),
        });
        Ok(())
    };
    read(&file, false, &mut each).map_err(|error| {
        error.context(format!("`{path}` cannot be listed")).with_status(Status::CheckFailed)
    })?;
    Ok(ArchiveListing { schema: SCHEMA, path: path.to_string(), size, sha256, contents })
}

/// A function that gets each entry of an archive, and its content.
pub(in crate::ops) type EntryVisitor<'a> =
    &'a mut dyn FnMut(&unpack::ArchiveEntry, &mut dyn std::io::Read) -> Result<()>;

/// The directory of the entries of a Debian package's control archive.
pub(in crate::ops) const CONTROL: &str = "control.tar/";

/// Reads an archive; with `control` also the control archive of a Debian package, with its entries below
/// [`CONTROL`].
///
/// # Errors
/// It is none, or broken, or `each` failed.
pub(in crate::ops) fn read(file: &OpenFile, control: bool, each: EntryVisitor<'_>) -> Result<()> {
    let broken = |error| Error::check("it cannot be unpacked").because(error);
    let whole = || file.reader(0..file.size());
    let mut start = Vec::new();
    file.reader(0..file.size().min(START_SIZE)).read_to_end(&mut start).map_err(broken)?;
    let compression = match ArchiveFormat::detect(&start) {
        Some(ArchiveFormat::Zip) => return unpack::read_zip(Source::File(file), each),
        Some(ArchiveFormat::Deb) => {
            return unpack::read_deb(whole(), &mut |member, entry, content| match member {
                unpack::Member::Control if control => {
                    let path = format!("{CONTROL}{}", entry.path.trim_start_matches("./"));
                    each(&unpack::ArchiveEntry { path, ..entry.clone() }, content)
                }
                unpack::Member::Control => Ok(()),
                unpack::Member::Data => each(entry, content),
            });
        }
        Some(ArchiveFormat::Rpm) => {
            return unpack::read_rpm(whole(), &mut |member, entry, content| match member {
                unpack::Member::Control => Ok(()),
                unpack::Member::Data => each(entry, content),
            });
        }
        Some(ArchiveFormat::Stream(compression)) => compression,
        None => Compression::None,
    };
    let mut stream = unpack::unpack(whole(), compression, &Budget::default())?;
    start.clear();
    (&mut stream).take(START_SIZE).read_to_end(&mut start).map_err(broken)?;
    if !unpack::is_tar(&start) {
        return Err(Error::check("it is not an archive")
            .hint("a tar, also in gzip, zstd or xz; a zip; a `.deb`; an `.rpm`"));
    }
    unpack::read_tar_listing(&mut Cursor::new(start).chain(stream), each)
}
