//! Extended headers of an entry: pax records and GNU long names.

use std::collections::{BTreeMap, HashSet};

use super::{
    header::{Dialect, Header},
    quote_bytes,
};
use crate::{
    archive::unpack::entry::escaped,
    model::{
        digest::Digest,
        error::{Error, Result},
    },
};

/// The prefix of pax records that hold extended attributes.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// The smallest size that does not fit into the octal field of a header.
const MIN_LARGE: u64 = 1 << 33;

/// The description of a sparse file: readers without support unpack its ranges as its content.
pub const SPARSE: &str = "a sparse file: readers of tar differ on it, and its content is not read";

/// The hint for archives that only some tools read, or that they read differently.
pub(super) const HINT: &str = "create the archive again with GNU tar, bsdtar or Go";

/// A sparse file: the path and the size of the file that its archive makes smaller.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
}

/// The extended headers of one entry.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: BTreeMap<String, Digest>,
    /// The fields of a sparse file in pax records.
    pub(super) sparse: Option<Sparse>,
    pax: bool,
    gnu: bool,
}

impl Extended {
    /// Returns whether no extended header was read.
    pub(super) fn is_empty(&self) -> bool {
        !self.pax && !self.gnu
    }

    /// Adds the content of a GNU long name (`L`) or long link target (`K`).
    pub(super) fn add_gnu(&mut self, kind: u8, content: &[u8]) -> Result<()> {
        let end = content.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        let value = content.get(..end).unwrap_or_default();
        if value.is_empty() || value.contains(&0) {
            let message =
                format!("a GNU long name is empty or has a NUL: `{}`", quote_bytes(value));
            return Err(Error::check(message));
        }
        let slot = if kind == b'L' { &mut self.path } else { &mut self.link };
        if self.pax || slot.is_some() {
            let message = format!("`{}` is one of two names of one entry", quote_bytes(value));
            return Err(Error::check(message).hint(HINT));
        }
        *slot = Some(value.to_vec());
        self.gnu = true;
        Ok(())
    }

    /// Adds the records of a pax header (`x`).
    pub(super) fn add_pax(&mut self, content: &[u8]) -> Result<()> {
        if self.pax || self.gnu {
            return Err(Error::check("an entry has two extended headers").hint(HINT));
        }
        self.pax = true;
        let mut keys = HashSet::new();
        for record in Records(content) {
            let (key, value) = record?;
            // The oldest form has one record for each range of a file.
            if !keys.insert(key) && !is_sparse(key) {
                let message = format!("the pax record `{}` is there twice", quote_bytes(key));
                return Err(Error::check(message).hint(HINT));
            }
            self.record(key, value)?;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let record_error = || {
            let message = format!(
                "the pax record `{}` has the value `{}`",
                quote_bytes(key),
                quote_bytes(value)
            );
            Error::check(message)
        };
        let text = std::str::from_utf8(value).ok();
        let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = || digits.and_then(|text| text.parse::<u64>().ok()).ok_or_else(record_error);
        let name = || {
            let valid = !value.is_empty() && !value.contains(&0);
            valid.then(|| value.to_vec()).ok_or_else(record_error)
        };
        match key {
            b"path" => self.path = Some(name()?),
            b"linkpath" => self.link = Some(name()?),
            b"size" => self.size = Some(number().and_then(check_signed)?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => self.mtime = Some(text.and_then(seconds).ok_or_else(record_error)?),
            b"hdrcharset" if !matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {
                return Err(record_error());
            }
            _ if is_sparse(key) => {
                let sparse = self.sparse.get_or_insert_default();
                match key {
                    b"GNU.sparse.name" => sparse.path = Some(name()?),
                    b"GNU.sparse.realsize" | b"GNU.sparse.size" | b"SCHILY.realsize" => {
                        sparse.size = Some(number().and_then(check_signed)?);
                    }
                    _ => {}
                }
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    self.xattrs.insert(escaped(name), Digest::sha256(value));
                }
            }
        }
        Ok(())
    }

    /// Returns the size of the content after `header`.
    pub(super) fn size(&self, header: &Header) -> Result<u64> {
        let size = match self.size {
            None => header.size,
            Some(size) if size == header.size => size,
            // A header cannot hold a larger one.
            Some(size) if size >= MIN_LARGE && header.size == 0 => size,
            Some(size) => {
                let message = format!("a file in it has two sizes, {} and {size}", header.size);
                return Err(Error::check(message).hint(HINT));
            }
        };
        check_signed(size)
    }

    /// Checks that every reader ignores the size in the header of what has no content.
    ///
    /// Go's `archive/tar` always does, GNU tar for hard links and directories only, and libarchive
    /// not for hard links in pax archives, nor where a pax record has the size.
    pub(super) fn check_no_content(&self, header: &Header, pax_before: bool) -> Result<()> {
        let link = header.kind == b'1' && (!pax_before || header.dialect == Dialect::Gnu);
        let directory = header.kind == b'5';
        let ignored = (link || directory) && self.size.is_none();
        if (header.size != 0 && !ignored) || self.size.is_some_and(|size| size != 0) {
            let name = quote_bytes(self.path.as_deref().unwrap_or(&header.name));
            let size = header.size.max(self.size.unwrap_or(0));
            let message = format!(
                "`{name}` has no content and a size of {size}: readers disagree on what follows"
            );
            return Err(Error::check(message).hint(HINT));
        }
        Ok(())
    }
}

/// Checks that a size fits 63 bits: readers use signed numbers of 64 bits.
fn check_signed(size: u64) -> Result<u64> {
    match i64::try_from(size) {
        Ok(_) => Ok(size),
        Err(_) => Err(Error::check(format!("a file in it has a size of {size}"))),
    }
}

/// Returns the error for all forms of sparse files.
pub(super) fn sparse_error(path: &[u8]) -> Error {
    Error::check(format!("`{}` is {SPARSE}", quote_bytes(path))).hint("archive without `--sparse`")
}

fn is_sparse(key: &[u8]) -> bool {
    key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize"
}

/// Checks that a global header (`g`) has no record that changes an entry: Go's `archive/tar` does
/// not apply them, others do.
pub(super) fn check_global(content: &[u8]) -> Result<()> {
    const CHANGING_KEYS: [&[u8]; 9] = [
        b"path",
        b"linkpath",
        b"size",
        b"uid",
        b"gid",
        b"mode",
        b"mtime",
        b"hdrcharset",
        b"SCHILY.realsize",
    ];
    for record in Records(content) {
        let (key, _) = record?;
        if CHANGING_KEYS.contains(&key) || key.starts_with(XATTR_PREFIX) || key.starts_with(b"GNU.")
        {
            let message = format!(
                "a global pax header sets `{}`, which readers disagree on",
                quote_bytes(key)
            );
            return Err(Error::check(message).hint(HINT));
        }
    }
    Ok(())
}

/// Pax records: `LENGTH KEY=VALUE\n`.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.split();
        if record.is_none() {
            self.0 = &[];
        }
        Some(record.ok_or_else(|| Error::check("a pax record is damaged")))
    }
}

impl<'a> Records<'a> {
    fn split(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if self.0.first() == Some(&b'0') {
            return None;
        }
        let len = std::str::from_utf8(self.0.get(..digits)?).ok()?.parse::<usize>().ok()?;
        let record = self.0.get(digits..len)?.strip_prefix(b" ")?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
        if key.is_empty() || key.iter().any(|&byte| byte == 0 || byte.is_ascii_whitespace()) {
            return None;
        }
        self.0 = self.0.get(len..)?;
        Some((key, value))
    }
}

/// Returns the integer seconds of a time such as `1700000000.123`, rounded down.
fn seconds(time: &str) -> Option<i64> {
    let (integer, part) = time.split_once('.').unwrap_or((time, ""));
    let digits = integer.strip_prefix('-').unwrap_or(integer);
    if digits.is_empty() || !digits.bytes().chain(part.bytes()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let below = integer.starts_with('-') && part.bytes().any(|digit| digit != b'0');
    integer.parse::<i64>().ok()?.checked_sub(i64::from(below))
}
