//! Zip archives (PKWARE's APPNOTE.TXT 6.3.10).

mod layout;

use std::io::{self, Read};

use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
};

use self::layout::DirectoryRecord;
use super::{
    ArchiveEntry, EntryKind, MAX_ENTRIES, MAX_PATH, Stat, escaped,
    limit::Budget,
    stream::{Compression, unpack},
};
use crate::model::{
    error::{Error, Result},
    source::Source,
};

/// Returns whether a file that begins with `start` is a zip archive.
pub fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// A file in the form that the reader of zip archives needs.
struct SourceReader<'a>(Source<'a>);

impl ReaderAt for SourceReader<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.read_up_to(offset, buffer.len() as u64).map_err(io::Error::other)?;
        if let Some(target) = buffer.get_mut(..bytes.len()) {
            target.copy_from_slice(&bytes);
        }
        Ok(bytes.len())
    }
}

/// An entry, and its location.
struct ZipFile {
    entry: ArchiveEntry,
    wayfinder: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    encrypted: bool,
    /// The offset of its local header.
    local_offset: u64,
    name: Vec<u8>,
}

/// Calls `each` with every entry and its content, in the order of the directory at the archive's
/// end.
///
/// # Errors
/// The archive is damaged, its local headers list other files than its directory, two entries have
/// bytes in common, there are more entries than [`MAX_ENTRIES`], or `each` failed.
pub fn read(
    source: Source<'_>,
    each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let located = ZipArchive::with_max_search_space(1 << 20);
    let archive = located
        .locate_in_reader(SourceReader(source), &mut buffer, source.size())
        .map_err(|(_, e)| zip_error(e))?;
    let expected = archive.entries_hint();
    if expected > MAX_ENTRIES as u64 {
        return Err(Error::check(format!("it has more than {MAX_ENTRIES} entries")));
    }
    let mut found = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(record) = entries.next_entry().map_err(zip_error)? {
        if found.len() >= MAX_ENTRIES {
            return Err(Error::check(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let name = record.file_path().as_bytes();
        if name.len() > MAX_PATH {
            let message = format!("it has a path of {} bytes", name.len());
            return Err(Error::check(message).hint(format!("a path has at most {MAX_PATH} bytes")));
        }
        let path = escaped(name);
        let size = record.uncompressed_size_hint();
        // Only Unix' programs store modes; others store what MS-DOS knew.
        let unix = record.version_made_by().creator_system() == rawzip::CreatorSystem::UNIX;
        let bits = record.external_attributes() >> 16;
        let kind = match bits & 0o170_000 {
            _ if record.is_dir() && size > 0 => {
                EntryKind::Unknown("a directory with content".to_owned())
            }
            _ if record.is_dir() => EntryKind::Directory,
            0o120_000 if unix => EntryKind::Link(String::new()),
            // Most tools go by content, and make files of those that have some.
            0o010_000 | 0o020_000 | 0o060_000 if unix && size == 0 => {
                EntryKind::Special("a device or a pipe")
            }
            _ => EntryKind::File,
        };
        found.push(ZipFile {
            entry: ArchiveEntry {
                path,
                kind,
                mode: (unix && bits != 0).then_some(bits & 0o7777),
                capabilities: false,
                start: None,
                stat: Stat::default(),
            },
            wayfinder: record.wayfinder(),
            method: record.compression_method(),
            encrypted: record.flags().is_encrypted(),
            local_offset: record.local_header_offset(),
            name: name.to_vec(),
        });
    }
    if found.len() as u64 != expected {
        let message = format!("expected {expected} entries, found {}", found.len());
        return Err(Error::check(message));
    }
    let budget = Budget::default();
    let mut listed = Vec::new();
    for found in &mut found {
        let entry = archive.get_entry(found.wayfinder).map_err(zip_error)?;
        let (start, end) = entry.compressed_data_range();
        listed.push(DirectoryRecord {
            name: std::mem::take(&mut found.name),
            method: found.method.as_u16(),
            encrypted: found.encrypted,
            local_offset: found.local_offset,
            content: start..end,
        });
    }
    layout::check(source, archive.directory_offset(), &listed)?;
    found.into_iter().try_for_each(|found| read_file(&archive, found, &budget, each))
}

fn read_file(
    archive: &ZipArchive<SourceReader<'_>>,
    found: ZipFile,
    budget: &Budget,
    each: &mut dyn FnMut(&ArchiveEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let ZipFile { mut entry, wayfinder, method, encrypted, .. } = found;
    let packed = archive.get_entry(wayfinder).map_err(zip_error)?;
    let content: Option<Box<dyn Read + '_>> = match method {
        _ if encrypted => None,
        CompressionMethod::STORE => Some(unpack(packed.reader(), Compression::None, budget)?),
        CompressionMethod::DEFLATE => Some(inflate(packed.reader(), budget)),
        CompressionMethod::ZSTD => Some(unpack(packed.reader(), Compression::Zstd, budget)?),
        _ => None,
    };
    let Some(content) = content else {
        if entry.kind != EntryKind::Directory {
            entry.kind = EntryKind::Unknown(match encrypted {
                true => "encrypted".to_owned(),
                false => format!("compressed with an unsupported method ({method:?})"),
            });
        }
        return each(&entry, &mut io::empty());
    };
    let mut content = packed.verifying_reader(content);
    if entry.kind == EntryKind::Link(String::new()) {
        let mut bytes = Vec::new();
        (&mut content)
            .take(MAX_PATH as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::check("a link in the archive cannot be read").because(error))?;
        // Tools that make no links write the target into a file.
        entry.kind = match bytes.len() > MAX_PATH || bytes.contains(&0) {
            true => {
                EntryKind::Unknown("a symbolic link with a target that is not a path".to_owned())
            }
            false => EntryKind::Link(escaped(&bytes)),
        };
    }
    each(&entry, &mut content)
}

fn inflate<'a>(packed: impl Read + 'a, budget: &Budget) -> Box<dyn Read + 'a> {
    super::stream::limit_decoded(packed, flate2::read::DeflateDecoder::new, budget)
}

fn zip_error(error: rawzip::Error) -> Error {
    Error::check("the zip archive cannot be read").because(error)
}
