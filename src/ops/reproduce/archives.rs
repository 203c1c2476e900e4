//! The first difference of two archives or packages.

use std::io::Read;

use camino::Utf8Path;

use super::explain::file_difference;
use crate::{
    archive::unpack::{self, ArchiveEntry, EntryKind, HashingReader},
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::reproduce::Difference,
        source::{ReadAt as _, Source},
    },
    ops::package::list,
    sys::file::{self, OpenFile, Spool},
};

/// The largest file in an archive that is unpacked to find where it differs.
const MAX_FILE: u64 = 1 << 30;

/// An entry, with the digest of its content.
struct ListedEntry {
    entry: ArchiveEntry,
    sha256: Digest,
    size: u64,
}

/// Returns the first difference of two archives, and the recorded digest of the file that differs.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn find(
    recorded: &Utf8Path,
    rebuilt: &Utf8Path,
) -> Result<(Difference, Option<Digest>)> {
    let (old, new) = (file::open(recorded)?, file::open(rebuilt)?);
    let list = |file: &OpenFile, path: &Utf8Path| {
        list(file).map_err(|error| error.context(format!("`{path}`")))
    };
    let (olds, news) = (list(&old, recorded)?, list(&new, rebuilt)?);
    let named = |file: &str, difference: Difference| Difference {
        file: Some(file.to_owned()),
        ..difference
    };
    let note = |file: &str, note: &str| {
        let note = Some(note.to_owned());
        (named(file, Difference { note, ..Difference::default() }), None)
    };
    for listed in &olds {
        let path = &listed.entry.path;
        let Some(other) = news.iter().find(|other| other.entry.path == *path) else {
            return Ok(note(path, "only the recorded archive has it"));
        };
        if let Some(found) = entry_difference(listed, other) {
            return Ok((named(path, found), None));
        }
        if listed.sha256 != other.sha256 {
            let found = content(&old, &new, path)?;
            return Ok((named(path, found), Some(listed.sha256)));
        }
    }
    if let Some(added) =
        news.iter().find(|other| !olds.iter().any(|it| it.entry.path == other.entry.path))
    {
        return Ok(note(&added.entry.path, "only the rebuilt archive has it"));
    }
    let mut pairs = olds.iter().zip(&news);
    if let Some((listed, _)) = pairs.find(|(a, b)| a.entry.path != b.entry.path) {
        return Ok(note(&listed.entry.path, "the order of the files differs"));
    }
    let offset = Source::File(&old)
        .first_difference(0..old.size(), Source::File(&new), 0..new.size())
        .map_err(|error| Error::check(error.to_string()))?;
    let difference = Difference {
        field: Some("compression".to_owned()),
        offset,
        note: Some("the files in it are equal, and compressed or stored differently".to_owned()),
        ..Difference::default()
    };
    Ok((difference, None))
}

/// Returns the first difference of the properties of two entries.
fn entry_difference(old: &ListedEntry, new: &ListedEntry) -> Option<Difference> {
    let kind = |entry: &ArchiveEntry| match &entry.kind {
        EntryKind::File => "file".to_owned(),
        EntryKind::Directory => "directory".to_owned(),
        EntryKind::Link(to) => format!("link to {to}"),
        EntryKind::HardLink(to) => format!("hard link to {to}"),
        EntryKind::Special(what) => (*what).to_owned(),
        EntryKind::Unknown(what) => what.clone(),
    };
    let mode =
        |entry: &ArchiveEntry| entry.mode.map_or_else(String::new, |mode| format!("{mode:04o}"));
    let (a, b) = (&old.entry, &new.entry);
    let owner = |entry: &ArchiveEntry| format!("{}:{}", entry.stat.uid, entry.stat.gid);
    let fields = [
        ("kind", kind(a), kind(b)),
        ("mode", mode(a), mode(b)),
        ("owner", owner(a), owner(b)),
        ("mtime", a.stat.mtime.to_string(), b.stat.mtime.to_string()),
    ];
    let field = fields.into_iter().find(|(_, old, new)| old != new);
    let (field, recorded, rebuilt) = field?;
    Some(Difference {
        field: Some(field.to_owned()),
        recorded: Some(recorded),
        rebuilt: Some(rebuilt),
        ..Difference::default()
    })
}

fn broken(error: std::io::Error) -> Error {
    Error::check("it cannot be unpacked").because(error)
}

fn list(file: &OpenFile) -> Result<Vec<ListedEntry>> {
    let mut all = Vec::new();
    list::read(file, true, &mut |entry, content| {
        let (sha256, size) = HashingReader::new(content).finish().map_err(broken)?;
        all.push(ListedEntry { entry: entry.clone(), sha256, size });
        Ok(())
    })?;
    Ok(all)
}

/// Returns where the content of the file `path` differs.
fn content(old: &OpenFile, new: &OpenFile, path: &str) -> Result<Difference> {
    let (Some(one), Some(two)) = (extract(old, path)?, extract(new, path)?) else {
        return Ok(Difference::default());
    };
    Ok(file_difference(one.file(), two.file())?.unwrap_or_default())
}

/// Unpacks the first file with that path.
fn extract(archive: &OpenFile, path: &str) -> Result<Option<Spool>> {
    let mut found = None;
    list::read(archive, true, &mut |entry: &unpack::ArchiveEntry, content: &mut dyn Read| {
        if found.is_none() && entry.path == path && entry.kind == EntryKind::File {
            found = Some(Spool::new(&mut content.take(MAX_FILE))?);
        }
        Ok(())
    })?;
    Ok(found)
}

impl std::fmt::Debug for ListedEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes, {})", self.entry.path, self.size, self.sha256)
    }
}
