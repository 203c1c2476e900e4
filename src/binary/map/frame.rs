//! Unwind tables, each entry of which belongs to the function that it is about.
//!
//! `.eh_frame` and `.eh_frame_hdr` are those of the Linux Standard Base Core Specification 5.0,
//! chapter "Exception Frames"; `.ARM.exidx` that of "Exception Handling ABI for the Arm
//! Architecture", "Index table entries".

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, EhFrame, EndianSlice, Pointer, RunTimeEndian,
    UnwindSection as _,
};
use goblin::elf::header::ET_REL;

use super::{Claim, Claims, Evidence, areas::AddressSpace};
use crate::{
    binary::elf::file::{ElfFile, NumberFormat},
    model::source::ReadError,
};

/// Returns the claims of functions on their entries.
pub(super) fn claims(
    file: &ElfFile<'_>,
    space: &AddressSpace<'_>,
    claims: &Claims,
) -> Result<Vec<Claim>, ReadError> {
    let mut collector = EntryCollector { space, claims, entries: Vec::new(), tables: Vec::new() };
    // In an object file the addresses are still to be filled in.
    if file.header.e_type == ET_REL {
        return Ok(collector.entries);
    }
    for (index, section) in file.sections.iter().enumerate() {
        let read = match file.name(section) {
            b".eh_frame" => EntryCollector::frames,
            b".eh_frame_hdr" => EntryCollector::search_table,
            b".ARM.exidx" => EntryCollector::arm_index,
            _ => continue,
        };
        let range = space.section(index);
        if range.is_empty() || range.start != section.sh_offset {
            continue;
        }
        let content = file.table(section)?;
        // Bytes that another section covers belong to that one.
        let own = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let content = content.get(..own).unwrap_or(&content);
        let table =
            UnwindSection { bytes: content, words: file.words(), address: section.sh_addr, range };
        // A broken entry ends its table: the rest is then the section's.
        let _ = read(&mut collector, &table);
    }
    Ok(collector.finish())
}

/// A section as addresses and offsets.
struct UnwindSection<'a> {
    bytes: &'a [u8],
    words: NumberFormat,
    address: u64,
    range: Range<u64>,
}

struct EntryCollector<'a> {
    space: &'a AddressSpace<'a>,
    claims: &'a Claims,
    entries: Vec<Claim>,
    /// The addresses of exception tables, and their owners.
    tables: Vec<(u64, usize)>,
}

impl EntryCollector<'_> {
    fn function(&self, address: u64) -> Option<usize> {
        self.claims.claim_at(self.space.offset(address)?).map(|claim| claim.symbol)
    }

    fn claim(&mut self, section: &UnwindSection<'_>, range: Range<usize>, symbol: usize) {
        let at = |offset: usize| section.range.start.saturating_add(offset as u64);
        self.entries.push(Claim {
            start: at(range.start),
            end: at(range.end).min(section.range.end),
            evidence: Evidence::Unwind,
            symbol,
        });
    }

    fn frames(&mut self, section: &UnwindSection<'_>) -> Option<()> {
        let endian = if section.words.little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let mut table = EhFrame::new(section.bytes, endian);
        table.set_address_size(u8::try_from(section.words.size()).ok()?);
        let bases = BaseAddresses::default().set_eh_frame(section.address);
        let mut common: HashMap<usize, CommonInformationEntry<EndianSlice<'_, RunTimeEndian>>> =
            HashMap::new();
        let mut entries = table.entries(&bases);
        while let Some(entry) = entries.next().ok()? {
            let CieOrFde::Fde(entry) = entry else { continue };
            let parsed = entry.parse(|table, bases, offset| match common.entry(offset.0) {
                Entry::Occupied(known) => Ok(known.get().clone()),
                Entry::Vacant(new) => Ok(new.insert(table.cie_from_offset(bases, offset)?).clone()),
            });
            // One with an augmentation that is not known.
            let Ok(entry) = parsed else { continue };
            let Some(symbol) = self.function(entry.initial_address()) else { continue };
            // Without the length itself.
            let length = entry.cie().encoding().format.initial_length_size();
            let end = entry.offset().checked_add(entry.entry_len())?.checked_add(length.into())?;
            self.claim(section, entry.offset()..end, symbol);
            if let Some(Pointer::Direct(table)) = entry.lsda()
                && let Some(offset) = self.space.offset(table)
            {
                self.tables.push((offset, symbol));
            }
        }
        None
    }

    /// Reads `.eh_frame_hdr`: the address of each function and of its entry, for a binary search.
    fn search_table(&mut self, section: &UnwindSection<'_>) -> Option<()> {
        // The encodings that all linkers write: a pointer to `.eh_frame`, the number of rows, and in each row two
        // numbers of four bytes, signed, relative to this table.
        let [1, 0x1b, 0x03, 0x3b, ..] = *section.bytes else {
            return None;
        };
        let count = section.words.u32(section.bytes, 8)?;
        let rows = usize::try_from(count).ok()?.min(section.bytes.len() / 8);
        for at in (12..).step_by(8).take(rows) {
            let relative = section.words.u32(section.bytes, at)? as u32 as i32;
            let address = section.address.wrapping_add_signed(relative.into());
            let address = if section.words.wide { address } else { address & 0xffff_ffff };
            if let Some(symbol) = self.function(address) {
                self.claim(section, at..at + 8, symbol);
            }
        }
        Some(())
    }

    fn arm_index(&mut self, section: &UnwindSection<'_>) -> Option<()> {
        // 31 bits, signed, relative to where they are.
        let relative = |at: usize, word: u64| {
            let into = (((word as u32) << 1) as i32) >> 1;
            section.address.wrapping_add(at as u64).wrapping_add_signed(into.into()) & 0xffff_ffff
        };
        for at in (0..section.bytes.len()).step_by(8) {
            let function = relative(at, section.words.u32(section.bytes, at)?);
            let table = section.words.u32(section.bytes, at + 4)?;
            let Some(symbol) = self.function(function) else {
                continue;
            };
            self.claim(section, at..at + 8, symbol);
            // 1 stands for "cannot unwind", the highest bit for a short table instead of its address.
            if table != 1
                && table >> 31 == 0
                && let Some(offset) = self.space.offset(relative(at + 4, table))
            {
                self.tables.push((offset, symbol));
            }
        }
        Some(())
    }

    /// Claims exception tables. They have no lengths: each ends at the beginning of the next one, or at
    /// the end of its section.
    fn finish(mut self) -> Vec<Claim> {
        self.tables.sort_unstable();
        self.tables.dedup_by_key(|table| table.0);
        let file = self.space.file;
        let holds_tables =
            |name: &[u8]| name.starts_with(b".gcc_except_table") || name.starts_with(b".ARM.extab");
        let sections = file.sections.iter().enumerate();
        let ranges: Vec<Range<u64>> = sections
            .filter(|(_, section)| holds_tables(file.name(section)))
            .map(|(index, _)| self.space.section(index))
            .collect();
        let next = self.tables.iter().skip(1).map(|table| table.0).chain([u64::MAX]);
        for (&(start, symbol), next) in self.tables.iter().zip(next) {
            if let Some(range) = ranges.iter().find(|range| range.contains(&start)) {
                let end = next.min(range.end);
                self.entries.push(Claim { start, end, evidence: Evidence::Unwind, symbol });
            }
        }
        self.entries
    }
}
