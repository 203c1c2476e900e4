//! The versions of glibc's symbols that a file needs (Linux Standard Base Core 5.0, generic part,
//! "Symbol Versioning", "Version Requirements").

use super::file::ElfFile;

use crate::model::source::ReadError;

/// A version of glibc.
pub(super) type Version = (u32, u32, u32);

/// The maximum size of the table that is read: some five hundred versions, of which programs have tens.
const MAX_TABLE: u64 = 8 << 10;

/// The most entries that are followed, since they may lead back.
const MAX_ENTRIES: usize = 4096;

/// Returns the newest version of glibc that the table at `address` names; `string` reads a name.
///
/// # Errors
/// An entry is not in the file: what it would need is not known.
pub(super) fn newest_glibc(
    file: &ElfFile<'_>,
    address: u64,
    string: impl Fn(u64) -> Result<String, ReadError>,
) -> Result<Option<Version>, ReadError> {
    let broken = || ReadError::new("the versions that it needs (DT_VERNEED) cannot be read");
    let offset = file.offset_of(address).ok_or_else(broken)?;
    let table = file.source.read_up_to(offset, MAX_TABLE)?;
    let words = file.words();
    let field = |at: usize, size: usize| words.number(&table, at, size).ok_or_else(broken);
    let add = |at: usize, more: u64| {
        usize::try_from(more).ok().and_then(|more| at.checked_add(more)).ok_or_else(broken)
    };
    let mut newest = None;
    let (mut library, mut remaining) = (0, MAX_ENTRIES);
    loop {
        // Elfxx_Verneed: version, count, file, offset of the first version, offset of the next.
        let mut entry = add(library, field(library + 8, 4)?)?;
        for _ in 0..field(library + 2, 2)? {
            remaining = remaining.checked_sub(1).ok_or_else(broken)?;
            // Elfxx_Vernaux: hash, flags, other, name, offset of the next.
            let name = string(field(entry + 8, 4)?)?;
            newest = newest.max(parse_glibc(&name));
            match field(entry + 12, 4)? {
                0 => break,
                next => entry = add(entry, next)?,
            }
        }
        remaining = remaining.checked_sub(1).ok_or_else(broken)?;
        match field(library + 12, 4)? {
            0 => return Ok(newest),
            next => library = add(library, next)?,
        }
    }
}

/// Parses `GLIBC_2.34` or `GLIBC_2.2.5`. glibc 2.36 is the first to know relative relocations, for
/// which linkers require a separate name (its NEWS).
fn parse_glibc(name: &str) -> Option<Version> {
    let version = name.strip_prefix("GLIBC_")?;
    if version == "ABI_DT_RELR" {
        return Some((2, 36, 0));
    }
    let mut parts = version.split('.').map(|part| part.parse::<u32>());
    let mut next = || parts.next().transpose().ok();
    let version = (next()??, next()?.unwrap_or(0), next()?.unwrap_or(0));
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions() {
        assert_eq!(parse_glibc("GLIBC_2.34"), Some((2, 34, 0)));
        assert_eq!(parse_glibc("GLIBC_2.2.5"), Some((2, 2, 5)));
        assert_eq!(parse_glibc("GLIBC_ABI_DT_RELR"), Some((2, 36, 0)));
        for name in ["GLIBC_PRIVATE", "GLIBC_", "GLIBC_2.2.5.1", "GLIBCXX_3.4", "GCC_3.0"] {
            assert_eq!(parse_glibc(name), None, "{name}");
        }
    }
}
