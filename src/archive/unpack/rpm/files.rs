//! The files that the header of an RPM package lists.

use std::collections::BTreeMap;

use super::super::{ArchiveEntry, DEPTH, EntryKind, MAX_ENTRIES, MAX_PATH, Stat};
use crate::{
    archive::rpm::{Header, tag},
    model::error::{Error, Result},
};

/// A file that the header lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedFile {
    pub(super) mode: u32,
    pub(super) size: u64,
    /// The SHA-256 in hex digits, of regular files.
    pub(super) sha256: Option<String>,
    mtime: i64,
    link: String,
    ghost: bool,
    capabilities: bool,
}

/// The files by their paths, without a slash before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(BTreeMap<String, ListedFile>);

impl Files {
    /// Reads the properties of all files.
    pub(super) fn read(header: &Header) -> Result<Self> {
        let (directories, names) =
            (header.texts(tag::DIRECTORY_NAMES), header.texts(tag::BASE_NAMES));
        let count = names.len();
        if count > MAX_ENTRIES {
            return Err(Error::check(format!(
                "the `.rpm` has {count} files, expected at most {MAX_ENTRIES}"
            )));
        }
        let indexes = header.numbers(tag::DIRECTORY_INDEXES);
        let modes = header.numbers(tag::FILE_MODES);
        let long = header.numbers(tag::LONG_FILE_SIZES);
        let sizes = if long.is_empty() { header.numbers(tag::FILE_SIZES) } else { long };
        let flags = header.numbers(tag::FILE_FLAGS);
        let mtimes = header.numbers(tag::FILE_MTIMES);
        let links = header.texts(tag::FILE_LINK_TARGETS);
        let digests = header.texts(tag::FILE_DIGESTS);
        let capabilities = header.texts(tag::FILE_CAPABILITIES);
        for (what, len) in [
            ("directories", indexes.len()),
            ("modes", modes.len()),
            ("sizes", sizes.len()),
            ("flags", flags.len()),
        ] {
            if len != count {
                return Err(Error::check(format!(
                    "the header of the `.rpm` has {count} files and {len} {what} of files"
                )));
            }
        }
        let is_sha256 = header.number(tag::FILE_DIGEST_ALGORITHM) == Some(tag::SHA256.into());
        let mut files = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            let number = |numbers: &[u64]| numbers.get(at).copied().unwrap_or_default();
            let text = |texts: &[String]| texts.get(at).cloned().unwrap_or_default();
            let directory = usize::try_from(number(&indexes)).ok();
            let directory =
                directory.and_then(|index| directories.get(index)).ok_or_else(|| {
                    Error::check(format!(
                        "`{}` of the `.rpm` has no directory",
                        name.escape_debug()
                    ))
                })?;
            let path = format!("{directory}{name}");
            let path = plain(&path);
            if path.len() > MAX_PATH || path.split('/').count() > DEPTH {
                return Err(Error::check("a path in the `.rpm` is too long"));
            }
            let file = ListedFile {
                mode: number(&modes) as u32,
                size: number(&sizes),
                sha256: Some(text(digests)).filter(|digest| is_sha256 && !digest.is_empty()),
                mtime: number(&mtimes) as i64,
                link: text(links),
                ghost: number(&flags) as u32 & tag::FILE_GHOST != 0,
                capabilities: !text(capabilities).trim_start_matches('=').trim().is_empty(),
            };
            if files.insert(path.to_owned(), file).is_some() {
                let path = path.escape_debug();
                return Err(Error::check(format!("the header of the `.rpm` has `{path}` twice")));
            }
        }
        Ok(Files(files))
    }

    /// Returns whether there is nothing in the payload.
    pub(super) fn is_empty(&self) -> bool {
        self.packed().next().is_none()
    }

    /// Returns the paths of the files that have to be in the payload.
    pub(super) fn packed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, file)| !file.ghost).map(|(path, _)| path.as_str())
    }

    pub(super) fn get(&self, path: &str) -> Option<&ListedFile> {
        self.0.get(path)
    }
}

impl ListedFile {
    /// Returns the entry of a file, as rpm installs it.
    pub(super) fn entry(&self, path: &str) -> ArchiveEntry {
        let kind = match self.mode & 0o170_000 {
            0o100_000 => EntryKind::File,
            0o040_000 => EntryKind::Directory,
            0o120_000 => EntryKind::Link(self.link.clone()),
            0o020_000 | 0o060_000 => EntryKind::Special("a device"),
            0o010_000 => EntryKind::Special("a pipe"),
            0o140_000 => EntryKind::Special("a socket"),
            _ => EntryKind::Unknown(format!("mode {:o}", self.mode)),
        };
        ArchiveEntry {
            path: path.to_owned(),
            kind,
            mode: Some(self.mode & 0o7777),
            capabilities: self.capabilities,
            start: None,
            stat: Stat { size: self.size, mtime: self.mtime, ..Stat::default() },
        }
    }
}

/// Returns a path without what stands for the root.
pub(super) fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path).trim_start_matches('/')
}
