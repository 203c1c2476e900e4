//! The loaded bytes of a file, and searches in them.

use std::ops::Range;

use goblin::elf::program_header::PT_LOAD;

use super::file::ElfFile;
use crate::model::{
    collect::SortStable as _,
    source::{ReadError, Source},
};

/// Returns the ranges of the file that are loaded: in order, and none twice, although segments may
/// overlap, so that a search takes time proportional to the size of the file.
pub(super) fn loaded_ranges(file: &ElfFile<'_>) -> Result<Vec<Range<u64>>, ReadError> {
    let mut ranges = Vec::new();
    for segment in file.segments.iter().filter(|s| s.p_type == PT_LOAD) {
        let range = file.segment_range(segment)?;
        if !range.is_empty() {
            ranges.push(range);
        }
    }
    ranges.sort_stable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

/// Returns whether `needle` is in one of `ranges`.
pub(super) fn contains(
    source: Source<'_>,
    ranges: &[Range<u64>],
    needle: &[u8],
) -> Result<bool, ReadError> {
    let finder = memchr::memmem::Finder::new(needle);
    for range in ranges {
        if !source.for_each_window(range.clone(), |window, _| finder.find(window).is_none())? {
            return Ok(true);
        }
    }
    Ok(false)
}
