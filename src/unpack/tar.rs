//! Tar archives: POSIX ustar and pax (IEEE 1003.1-2001, "pax"), and GNU's long names (GNU tar
//! manual, "Basic Tar Format").

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use tar::{Archive, EntryType, Header};

use super::{Device, ENTRIES, Entry, Kind, Stat};
use crate::{
    error::{Error, Result},
    oci::Digest,
};

/// The longest extended header, or long name, that is read.
const EXTENDED: u64 = 1 << 20;

/// Whether what begins with `start`, 262 bytes at least, is a tar archive.
pub fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Gives `each` every entry, in the order of the archive, with its content.
///
/// # Errors
/// The archive is broken, an extended header too long, there are more entries than [`ENTRIES`], or
/// `each` failed.
pub fn read(
    stream: &mut dyn Read,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    walk(&mut Archive::new(stream), each)
}

/// As [`read`], of an archive whose end nothing else vouches for: one that is cut off between two
/// entries is broken, too.
///
/// # Errors
/// As [`read`], and the two blocks of zeros that end an archive are missing.
pub fn read_strictly(
    stream: &mut dyn Read,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut watched = Watched { inner: stream, ended: false };
    walk(&mut Archive::new(&mut watched), each)?;
    if watched.ended {
        return Err(Error::check("it is cut off: the zeros that end a tar archive are missing"));
    }
    io::copy(&mut watched, &mut io::sink()).map_err(broken)?;
    Ok(())
}

/// A stream, and whether somebody saw its end.
struct Watched<R> {
    inner: R,
    ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

fn broken(error: io::Error) -> Error {
    Error::check("the archive cannot be read").because(error)
}

/// What extended headers say of the entry that follows them.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: BTreeMap<String, Digest>,
    sparse: bool,
}

/// How the names of pax records begin that hold extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The attribute that gives whoever starts a program capabilities.
const CAPABILITIES: &str = "security.capability";

impl Extended {
    /// Adds pax records: `LENGTH KEY=VALUE\n`.
    fn add(&mut self, records: &[u8]) -> Option<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let len = std::str::from_utf8(rest.get(..digits)?).ok()?.parse::<usize>().ok()?;
            let record = rest.get(digits..len)?.strip_prefix(b" ")?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            match key {
                b"path" => self.path = Some(text(value)),
                b"linkpath" => self.link = Some(text(value)),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                b"uid" => self.uid = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                b"gid" => self.gid = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                b"mtime" => self.mtime = std::str::from_utf8(value).ok().and_then(seconds),
                _ if key.starts_with(XATTR) => {
                    let name = text(key.get(XATTR.len()..)?);
                    self.xattrs.insert(name, Digest::of(value));
                }
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            rest = rest.get(len..)?;
        }
        Some(())
    }
}

/// The whole seconds of a time such as `1700000000.123`, rounded down.
fn seconds(time: &str) -> Option<i64> {
    let (whole, part) = time.split_once('.').unwrap_or((time, ""));
    let below = whole.starts_with('-') && part.bytes().any(|digit| digit != b'0');
    whole.parse::<i64>().ok()?.checked_sub(i64::from(below))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn walk<R: Read>(
    archive: &mut Archive<R>,
    each: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut extended = Extended::default();
    // Raw: the crate itself would read extended headers of any length into memory.
    for (count, entry) in archive.entries().map_err(broken)?.raw(true).enumerate() {
        let mut entry = entry.map_err(broken)?;
        if count >= ENTRIES {
            return Err(Error::check(format!("it has more than {ENTRIES} entries")));
        }
        let kind = entry.header().entry_type();
        let size = entry.header().entry_size().map_err(broken)?;
        match kind {
            EntryType::GNULongName => extended.path = Some(text(&piece(&mut entry, size)?)),
            EntryType::GNULongLink => extended.link = Some(text(&piece(&mut entry, size)?)),
            EntryType::XHeader => {
                let added = extended.add(&piece(&mut entry, size)?);
                added.ok_or_else(|| Error::check("an extended header in it is broken"))?;
            }
            EntryType::XGlobalHeader => {}
            _ => {
                let extended = std::mem::take(&mut extended);
                // Readers disagree on which of the two holds, and would see other entries next.
                if extended.size.is_some_and(|other| other != size) {
                    return Err(Error::check("a file in it is given two sizes"));
                }
                if kind == EntryType::GNUSparse {
                    return Err(Error::check("a sparse file is in it, which is not understood")
                        .hint("archive without `--sparse`"));
                }
                let start = entry.raw_file_position();
                each(&described(entry.header(), extended, start), &mut entry)?;
            }
        }
    }
    Ok(())
}

/// An extended header's content.
fn piece(entry: &mut impl Read, size: u64) -> Result<Vec<u8>> {
    if size > EXTENDED {
        let message = format!("an extended header in it has more than {EXTENDED} bytes");
        return Err(Error::check(message));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

fn described(header: &Header, extended: Extended, start: u64) -> Entry {
    let path = extended.path.unwrap_or_else(|| text(&header.path_bytes()));
    let link = || {
        let own = || header.link_name_bytes().map(|name| text(&name)).unwrap_or_default();
        extended.link.clone().unwrap_or_else(own)
    };
    let kind = match header.entry_type() {
        _ if extended.sparse => Kind::Unknown("a sparse file".to_owned()),
        // Before there were types, a slash made a directory.
        EntryType::Regular if path.ends_with('/') => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Link(link()),
        EntryType::Link => Kind::HardLink(link()),
        EntryType::Char | EntryType::Block => Kind::Special("a device"),
        EntryType::Fifo => Kind::Special("a pipe"),
        other => Kind::Unknown(format!("an entry of type {}", other.as_byte().escape_ascii())),
    };
    // Some writers put the type's bits into the mode field.
    let mode = header.mode().ok().map(|mode| mode & 0o7777);
    let device = match header.entry_type() {
        kind @ (EntryType::Char | EntryType::Block) => {
            let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
            let (major, minor) = (number(header.device_major()), number(header.device_minor()));
            Some(Device { block: kind == EntryType::Block, major, minor })
        }
        _ => None,
    };
    let own_time = || header.mtime().ok().and_then(|time| i64::try_from(time).ok());
    let stat = Stat {
        uid: extended.uid.or_else(|| header.uid().ok()).unwrap_or(0),
        gid: extended.gid.or_else(|| header.gid().ok()).unwrap_or(0),
        size: header.entry_size().unwrap_or(0),
        mtime: extended.mtime.or_else(own_time).unwrap_or(0),
        device,
        xattrs: extended.xattrs,
    };
    let capabilities = stat.xattrs.contains_key(CAPABILITIES);
    Entry { path, kind, mode, capabilities, start: Some(start), stat }
}
