//! The headers, the sections and the gaps of a file, in adjacent ranges.

use std::ops::Range;

use goblin::elf::{
    header::ET_REL,
    program_header::{PT_LOAD, PT_TLS},
    section_header::{SHF_EXECINSTR, SHT_NOBITS, SHT_NULL, SectionHeader},
};

use crate::{
    binary::elf::file::{ElfFile, is_alloc},
    model::collect::SortStable as _,
};

/// A run of bytes that is one header or section, or between two of them.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) range: Range<u64>,
    pub(super) headers: bool,
    /// An index of [`names`].
    pub(super) section: Option<usize>,
}

/// Returns whether a section holds code.
pub(super) fn is_code(section: &SectionHeader) -> bool {
    section.sh_flags & u64::from(SHF_EXECINSTR) != 0 && section.sh_type != SHT_NOBITS
}

/// Returns the ranges of sections with code in the file.
pub(super) fn code_ranges(file: &ElfFile<'_>) -> Vec<Range<u64>> {
    let code = file.sections.iter().filter(|section| is_code(section));
    code.map(|it| it.sh_offset..it.sh_offset.saturating_add(it.sh_size)).collect()
}

/// Returns the names of sections, or of segments if there are none.
pub(super) fn names(file: &ElfFile<'_>) -> Vec<String> {
    if file.sections.is_empty() {
        let names = file.segments.iter().enumerate().map(|(index, segment)| {
            format!("segment {index} ({})", crate::binary::elf::segment_type_name(segment.p_type))
        });
        return names.collect();
    }
    file.sections.iter().map(|section| super::printable_name(file.name(section))).collect()
}

/// Returns all areas of the file. One that overlaps an earlier one has only the rest.
pub(super) fn find_areas(file: &ElfFile<'_>) -> Vec<Area> {
    let size = file.source.size();
    let header = &file.header;
    let table = |start: u64, entry: u16, count: usize| {
        start..start.saturating_add(u64::from(entry).saturating_mul(count as u64))
    };
    let of_headers = |range| Area { range, headers: true, section: None };
    let mut all = vec![
        of_headers(0..u64::from(header.e_ehsize).max(if file.ctx.is_big() { 64 } else { 52 })),
        of_headers(table(header.e_phoff, header.e_phentsize, file.segments.len())),
        of_headers(table(header.e_shoff, header.e_shentsize, file.sections.len())),
    ];
    for (index, section) in file.sections.iter().enumerate() {
        if !matches!(section.sh_type, SHT_NOBITS | SHT_NULL) {
            let end = section.sh_offset.saturating_add(section.sh_size);
            all.push(Area { range: section.sh_offset..end, headers: false, section: Some(index) });
        }
    }
    if file.sections.is_empty() {
        for (index, segment) in file.segments.iter().enumerate() {
            if segment.p_type == PT_LOAD {
                let end = segment.p_offset.saturating_add(segment.p_filesz);
                let range = segment.p_offset..end;
                all.push(Area { range, headers: false, section: Some(index) });
            }
        }
    }
    all.retain(|area| area.range.start < area.range.end);
    all.sort_stable_by_key(|area| (area.range.start, !area.headers, area.range.end, area.section));
    let mut side_by_side = Vec::with_capacity(2 * all.len() + 1);
    let mut at = 0;
    let gap = |range| Area { range, headers: false, section: None };
    for mut area in all {
        area.range.end = area.range.end.min(size);
        area.range.start = area.range.start.max(at);
        if area.range.start >= area.range.end {
            continue;
        }
        if at < area.range.start {
            side_by_side.push(gap(at..area.range.start));
        }
        at = area.range.end;
        side_by_side.push(area);
    }
    if at < size {
        side_by_side.push(gap(at..size));
    }
    side_by_side
}

/// The mapping from addresses to offsets in the file.
pub(super) struct AddressSpace<'a> {
    pub(super) file: &'a ElfFile<'a>,
    /// Addresses and the offset of the first of them, in their order.
    loaded: Vec<LoadedRange>,
    /// The ranges of the sections in the file, by index.
    sections: Vec<Range<u64>>,
    thread_local: u64,
}

#[derive(Debug)]
struct LoadedRange {
    addresses: Range<u64>,
    offset: u64,
}

impl<'a> AddressSpace<'a> {
    pub(super) fn new(file: &'a ElfFile<'a>, areas: &[Area]) -> Self {
        let mut sections = vec![0..0; file.sections.len()];
        for area in areas {
            if let Some(range) = area.section.and_then(|index| sections.get_mut(index)) {
                *range = area.range.clone();
            }
        }
        let mut loaded: Vec<LoadedRange> = Vec::new();
        if file.sections.is_empty() {
            for segment in file.segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
                let start = segment.p_vaddr;
                loaded.push(LoadedRange {
                    addresses: start..start.saturating_add(segment.p_filesz),
                    offset: segment.p_offset,
                });
            }
        }
        for (section, range) in file.sections.iter().zip(&sections) {
            // In an object file every section begins at 0.
            if is_alloc(section) && file.header.e_type != ET_REL && range.start < range.end {
                let into = range.start.saturating_sub(section.sh_offset);
                let start = section.sh_addr.saturating_add(into);
                loaded.push(LoadedRange {
                    addresses: start..start.saturating_add(range.end - range.start),
                    offset: range.start,
                });
            }
        }
        loaded.sort_stable_by_key(|run| (run.addresses.start, run.addresses.end, run.offset));
        let tls = file.segments.iter().find(|segment| segment.p_type == PT_TLS);
        AddressSpace {
            file,
            loaded,
            sections,
            thread_local: tls.map_or(0, |segment| segment.p_vaddr),
        }
    }

    fn loaded_range(&self, address: u64) -> Option<&LoadedRange> {
        let after = self.loaded.partition_point(|run| run.addresses.start <= address);
        let run = self.loaded.get(after.checked_sub(1)?)?;
        (address < run.addresses.end).then_some(run)
    }

    /// Returns the offset of the byte that is loaded at an address.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        let run = self.loaded_range(address)?;
        run.offset.checked_add(address - run.addresses.start)
    }

    /// Returns the ranges in the file of a symbol's section, and of the symbol in it. In an object file
    /// its value is an offset in the section of index `section`.
    pub(super) fn symbol_range(&self, section: usize, value: u64, size: u64) -> Option<Range<u64>> {
        if self.file.header.e_type == ET_REL {
            let range = self.sections.get(section)?;
            let start = range.start.checked_add(value).filter(|start| *start < range.end)?;
            return Some(start..start.saturating_add(size).min(range.end));
        }
        let run = self.loaded_range(value)?;
        let start = run.offset.checked_add(value - run.addresses.start)?;
        let end = run.offset.checked_add(run.addresses.end - run.addresses.start)?;
        Some(start..start.saturating_add(size).min(end))
    }

    /// Returns the end of the section that contains the byte at `offset`, if it holds code.
    pub(super) fn code_end(&self, offset: u64) -> Option<u64> {
        let code = self.file.sections.iter().zip(&self.sections);
        let mut found = code.filter(|(section, range)| is_code(section) && range.contains(&offset));
        found.next().map(|(_, range)| range.end)
    }

    /// Returns the address of a thread-local symbol with that value (gABI, "Symbol Table", `STT_TLS`).
    pub(super) fn thread_local(&self, value: u64) -> u64 {
        match self.file.header.e_type {
            ET_REL => value,
            _ => self.thread_local.saturating_add(value),
        }
    }

    /// Returns the range of the section of index `index`.
    pub(super) fn section(&self, index: usize) -> Range<u64> {
        self.sections.get(index).cloned().unwrap_or(0..0)
    }
}
