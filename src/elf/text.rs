//! The bytes of a file that are loaded, and what is found among them.

use std::ops::Range;

use goblin::elf::{
    program_header::PT_LOAD,
    section_header::{
        SHF_ALLOC, SHF_EXECINSTR, SHT_DYNSYM, SHT_GNU_HASH, SHT_HASH, SHT_NOBITS, SHT_REL,
        SHT_RELA, SectionHeader,
    },
};

use super::{
    Source,
    file::{File, Unreadable},
};

/// The ranges of the file that are loaded: in order, and none twice, though segments may lie over
/// each other, so that a search takes time in proportion to the file.
pub(super) fn loaded(file: &File<'_>) -> Result<Vec<Range<u64>>, Unreadable> {
    let mut ranges = Vec::new();
    for segment in file.segments.iter().filter(|s| s.p_type == PT_LOAD) {
        let range = file.segment(segment)?;
        if !range.is_empty() {
            ranges.push(range);
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

/// A section smaller than this is read with what is around it: two reads cost as much.
const SMALL: u64 = 32 << 10;

/// What of the `loaded` ranges can hold texts, as far as section headers tell: all but code, which is
/// half of a program, and tables.
pub(super) fn data(file: &File<'_>, loaded: &[Range<u64>]) -> Vec<Range<u64>> {
    let place = |s: &SectionHeader| s.sh_offset..s.sh_offset.saturating_add(s.sh_size);
    let sections = file.sections.iter().filter(|section| has_no_texts(file, section));
    let mut code: Vec<_> =
        sections.map(place).filter(|range| range.end - range.start >= SMALL).collect();
    code.sort_by_key(|range| range.start);
    let mut data = Vec::new();
    let mut code = code.into_iter().peekable();
    for range in loaded {
        let mut at = range.start;
        while let Some(next) = code.next_if(|next| next.start < range.end) {
            if at < next.start {
                data.push(at..next.start);
            }
            at = at.max(next.end);
        }
        if at < range.end {
            data.push(at..range.end);
        }
    }
    data
}

/// Code; and the tables of relocations, symbols and unwinding.
fn has_no_texts(file: &File<'_>, section: &SectionHeader) -> bool {
    const CODE: u64 = (SHF_ALLOC | SHF_EXECINSTR) as u64;
    match section.sh_type {
        SHT_RELA | SHT_REL | SHT_DYNSYM | SHT_HASH | SHT_GNU_HASH => true,
        SHT_NOBITS => false,
        _ if section.sh_flags & CODE == CODE => true,
        _ => {
            let name = file.name(section);
            matches!(name, b".eh_frame" | b".eh_frame_hdr" | b".gcc_except_table")
        }
    }
}

/// Whether `needle` is in one of `ranges`.
pub(super) fn contains(
    source: Source<'_>,
    ranges: &[Range<u64>],
    needle: &[u8],
) -> Result<bool, Unreadable> {
    let finder = memchr::memmem::Finder::new(needle);
    for range in ranges {
        if !source.windows(range.clone(), |window, _| finder.find(window).is_none())? {
            return Ok(true);
        }
    }
    Ok(false)
}
