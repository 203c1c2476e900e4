//! The zip archive of a wheel. Sizes and checksums are in the local headers, as in the archives of Python's own
//! tools: PyPI has rejected archives with data descriptors (test data `reject/data_descriptor.zip` of
//! <https://github.com/pypi/warehouse>), and some installers that unpack while they download cannot read them
//! (<https://github.com/astral-sh/uv/issues/2216>). There are no entries for directories.

use std::io::{self, Seek, SeekFrom, Write};

use crate::{
    archive::{
        compress::{ChunkCache, Framing, Gzip},
        tree::{ContentSource, FileStore, Node, Parts, TreeEntry},
    },
    model::error::{Error, Result},
};

/// "Local file header" and the other signatures (PKWARE's APPNOTE.TXT 6.3.10, section 4.3).
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;

/// Version 2.0: directories and deflate (section 4.4.3.2).
const VERSION: u16 = 20;
/// Attributes are those of Unix (section 4.4.2).
const MADE_BY: u16 = 3 << 8 | VERSION;
/// Names are in UTF-8 (section 4.4.4, bit 11).
const UTF8: u16 = 1 << 11;
/// Section 4.4.5.
const DEFLATE: u16 = 8;
/// The type bits of a regular file (inode(7)); pip sets executable bits only of files with these.
const REGULAR_FILE: u32 = 0o100_000;
/// The offset of checksum and sizes in a local header (section 4.3.7).
const SUMS_OFFSET: u64 = 14;

/// The fields that both headers of an entry have.
struct Record {
    name: String,
    mode: u32,
    crc: u32,
    packed: u32,
    plain: u32,
    offset: u32,
}

impl Record {
    /// Returns the fields from the required version to the length of extra fields.
    fn common(&self, time: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let flags = if self.name.is_ascii() { 0 } else { UTF8 };
        for field in [VERSION, flags, DEFLATE] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [time, self.crc, self.packed, self.plain] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes
    }
}

/// Writes the entries of a tree to `out`, in that order, and returns `out`.
///
/// # Errors
/// A file cannot be read or changed meanwhile, the archive would need the 64-bit format, or `out` failed.
pub(super) fn write<'t, W: Write + Seek>(
    entries: impl IntoIterator<Item = (&'t Parts, &'t TreeEntry)>,
    epoch: u64,
    files: &dyn FileStore,
    chunks: &dyn ChunkCache,
    mut out: W,
) -> Result<W> {
    let time = dos_time(epoch);
    let mut records = Vec::new();
    for (parts, entry) in entries {
        let Node::File(content) = &entry.node else { continue };
        let name = parts.join("/");
        let start = out.stream_position().map_err(write_error)?;
        let mode = entry.meta.mode;
        let offset = short(start, &name)?;
        let mut record = Record { name, mode, crc: 0, packed: 0, plain: 0, offset };
        if record.name.len() > usize::from(u16::MAX) {
            return Err(Error::build(format!("`{}` is too long for a wheel", record.name)));
        }
        out.write_all(&LOCAL.to_le_bytes()).map_err(write_error)?;
        out.write_all(&record.common(time)).map_err(write_error)?;
        out.write_all(record.name.as_bytes()).map_err(write_error)?;
        let begin = out.stream_position().map_err(write_error)?;
        let mut packed = Gzip::new(&mut out, Framing::Deflate, chunks);
        match &content.source {
            ContentSource::Bytes(bytes) => packed.write_all(bytes).map_err(write_error)?,
            ContentSource::Named(name) => {
                io::copy(&mut files.open(name)?, &mut packed).map_err(write_error)?;
            }
        }
        let (_, totals) = packed.finish().map_err(write_error)?;
        if totals.plain != content.size {
            return Err(Error::build(format!(
                "`{}` changed while it was packed: it should have {} bytes",
                record.name, content.size
            )));
        }
        let end = out.stream_position().map_err(write_error)?;
        record.crc = totals.crc;
        record.packed = short(end - begin, &record.name)?;
        record.plain = short(totals.plain, &record.name)?;
        let sums = [record.crc, record.packed, record.plain].map(u32::to_le_bytes).concat();
        out.seek(SeekFrom::Start(start + SUMS_OFFSET))
            .and_then(|_| out.write_all(&sums))
            .and_then(|()| out.seek(SeekFrom::Start(end)))
            .map_err(write_error)?;
        records.push(record);
    }
    write_directory(&records, time, out)
}

/// Writes the directory at the end (sections 4.3.12 and 4.3.16).
fn write_directory<W: Write + Seek>(records: &[Record], time: u32, mut out: W) -> Result<W> {
    let start = out.stream_position().map_err(write_error)?;
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend(CENTRAL.to_le_bytes());
        bytes.extend(MADE_BY.to_le_bytes());
        bytes.extend(record.common(time));
        // The length of the comment, the number of the disk, and internal attributes.
        bytes.extend([0; 6]);
        bytes.extend(((REGULAR_FILE | record.mode) << 16).to_le_bytes());
        bytes.extend(record.offset.to_le_bytes());
        bytes.extend(record.name.as_bytes());
    }
    let count = u16::try_from(records.len())
        .map_err(|_| Error::build(format!("a wheel cannot have {} files", records.len())))?;
    let (start, size) = (short(start, "the directory")?, bytes.len() as u64);
    bytes.extend(END.to_le_bytes());
    // The numbers of this disk, and of that with the directory.
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(short(size, "the directory")?.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    out.write_all(&bytes).map_err(write_error)?;
    Ok(out)
}

/// Returns a size or an offset in the 32 bits of the basic format.
fn short(number: u64, name: &str) -> Result<u32> {
    // The largest number marks an extended field (section 4.4.8).
    match u32::try_from(number) {
        Ok(number) if number != u32::MAX => Ok(number),
        _ => Err(Error::build(format!("`{name}` does not fit into a wheel: {number} bytes"))
            .hint("a wheel has less than 4 GiB; https://docs.pypi.org/project-management/storage-limits/ has the limits of PyPI")),
    }
}

/// Returns the time in the format of MS-DOS (section 4.4.6): two seconds are the unit, 1980 is the first year and
/// 2107 the last.
fn dos_time(epoch: u64) -> u32 {
    const FIRST: u64 = 315_532_800;
    const LAST: u64 = 4_354_819_198;
    let epoch = epoch.clamp(FIRST, LAST);
    let (days, seconds) = (epoch / 86_400, epoch % 86_400);
    // Days since the first of March of the year 0, by which the day of a leap year is the last of its year
    // (<https://howardhinnant.github.io/date_algorithms.html>, "civil_from_days").
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let date = (year - 1980) << 9 | month << 5 | day;
    let time = (seconds / 3_600) << 11 | (seconds / 60 % 60) << 5 | (seconds % 60 / 2);
    (date << 16 | time) as u32
}

fn write_error(error: io::Error) -> Error {
    Error::build("cannot write a wheel").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_ms_dos() {
        let parts = |epoch: u64| {
            let time = dos_time(epoch);
            let date = [(time >> 25) + 1980, time >> 21 & 15, time >> 16 & 31];
            (date, [time >> 11 & 31, time >> 5 & 63, (time & 31) * 2])
        };
        assert_eq!(parts(1_700_000_000), ([2023, 11, 14], [22, 13, 20]));
        assert_eq!(parts(951_827_696), ([2000, 2, 29], [12, 34, 56]));
        assert_eq!(parts(0), ([1980, 1, 1], [0, 0, 0]));
        assert_eq!(parts(u64::MAX), ([2107, 12, 31], [23, 59, 58]));
    }

    #[test]
    fn large_sizes_are_rejected() {
        assert_eq!(short(0xffff_fffe, "x").unwrap(), 0xffff_fffe);
        assert!(short(0xffff_ffff, "x").is_err());
    }
}
