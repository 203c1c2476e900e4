//! The bytes of a file that are loaded, and what is found among them.

use std::ops::Range;

use goblin::elf::program_header::PT_LOAD;

use super::file::{File, Unreadable};

/// The ranges of the file that are loaded: in order, and none twice, though segments may lie over
/// each other, so that a search takes time in proportion to the file.
pub(super) fn loaded(file: &File<'_>) -> Result<Vec<Range<usize>>, Unreadable> {
    let mut ranges = Vec::new();
    for segment in file.segments.iter().filter(|s| s.p_type == PT_LOAD) {
        let len = file.segment(segment)?.len();
        if let (true, Ok(start)) = (len > 0, usize::try_from(segment.p_offset)) {
            ranges.push(start..start.saturating_add(len));
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

/// Whether `needle` is in one of `ranges`.
pub(super) fn contains(bytes: &[u8], ranges: &[Range<usize>], needle: &[u8]) -> bool {
    ranges
        .iter()
        .filter_map(|range| bytes.get(range.clone()))
        .any(|part| memchr::memmem::find(part, needle).is_some())
}
