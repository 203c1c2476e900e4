//! A build id that is computed from the loaded content.

use std::ops::Range;

use super::{composite::Composite, file::ElfFile, note, table};
use crate::model::{
    digest::Digest,
    source::{ReadError, Source},
};

/// The identity of a program's loaded bytes.
pub(super) struct BuildId(Digest);

impl BuildId {
    /// Returns the id of the program with the first `end` bytes as its loaded part: their sha256, with
    /// the id itself and the header's fields about sections set to zeros. `None` without a note to
    /// write it to.
    ///
    /// A linker computes its id over debug information, too, which differs between machines where
    /// the code does not: zig's own objects of musl and compiler-rt name paths that depend on the
    /// state of its cache. Of two programs that are the same once stripped, this id is the same.
    pub(super) fn compute(file: &ElfFile<'_>, end: u64) -> Result<Option<Self>, ReadError> {
        let ranges = find_ranges(file, end)?;
        if ranges.is_empty() {
            return Ok(None);
        }
        let mut image = Composite::new(file.source);
        image.copy(0..end);
        for range in ranges.into_iter().chain(table::header_fields(file.ctx.is_big())) {
            image.overwrite(
                range.start,
                &vec![0; usize::try_from(range.end - range.start).unwrap_or(0)],
            );
        }
        Ok(Some(BuildId(Source::File(&image).digest()?)))
    }

    /// Writes the id to `ranges` of `out`. A note keeps its length: 20 bytes of the digest where it
    /// was a sha1.
    pub(super) fn write(&self, ranges: Vec<Range<u64>>, out: &mut Composite<'_>) {
        for Range { start, end } in ranges {
            let id = self.0.bytes().iter().copied().cycle();
            let len = usize::try_from(end - start).unwrap_or_default();
            out.overwrite(start, &id.take(len).collect::<Vec<_>>());
        }
    }
}

/// Returns the ranges of build ids in the first `len` bytes, without those that overlap a header.
pub(super) fn find_ranges(file: &ElfFile<'_>, len: u64) -> Result<Vec<Range<u64>>, ReadError> {
    let table = file.header.e_phoff;
    let size = u64::from(file.header.e_phentsize).saturating_mul(file.segments.len() as u64);
    let headers = [0..u64::from(file.header.e_ehsize).max(64), table..table.saturating_add(size)];
    let overlaps_no_header = |range: &Range<u64>| {
        headers.iter().all(|header| range.end <= header.start || header.end <= range.start)
    };
    let mut ranges = note::build_ids(file)?;
    ranges.retain(|range| range.end <= len && overlaps_no_header(range));
    Ok(ranges)
}
