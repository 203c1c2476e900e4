//! Unwind tables, each entry of which belongs to the function that it is about.
//!
//! `.eh_frame` and `.eh_frame_hdr` are those of the Linux Standard Base Core Specification 5.0,
//! chapter "Exception Frames"; `.ARM.exidx` that of "Exception Handling ABI for the Arm
//! Architecture", "Index table entries".

use std::{collections::HashMap, ops::Range};

use goblin::elf::header::ET_REL;

use super::{Claim, Claims, Evidence, areas::AddressSpace};
use crate::{
    binary::elf::file::{ElfFile, NumberFormat},
    model::source::ReadError,
};

/// No pointer (`DW_EH_PE_omit`).
const OMIT: u8 = 0xff;

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

/// The fields that entries have in common.
#[derive(Clone, Copy)]
struct CommonInformation {
    code: u8,
    table: u8,
    /// Whether entries have the length of their additions.
    sized: bool,
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
        let mut known: HashMap<usize, Option<CommonInformation>> = HashMap::new();
        let mut at = 0;
        loop {
            let len = usize::try_from(section.words.u32(section.bytes, at)?).ok()?;
            // A length of 0 ends the table; all ones mean 64-bit lengths, which nothing uses here.
            if len == 0 || len == u32::MAX as usize {
                return None;
            }
            let (id_at, end) = (at + 4, (at + 4).checked_add(len)?);
            let record = section.bytes.get(..end)?;
            let id = usize::try_from(section.words.u32(record, id_at)?).ok()?;
            if id != 0 {
                let common_at = id_at.checked_sub(id)?;
                let common =
                    *known.entry(common_at).or_insert_with(|| read_common(section, common_at));
                if let Some(common) = common {
                    self.entry(section, record, at, common);
                }
            }
            at = end;
        }
    }

    fn entry(
        &mut self,
        section: &UnwindSection<'_>,
        record: &[u8],
        start: usize,
        common: CommonInformation,
    ) -> Option<()> {
        let mut reader = Reader { bytes: record, at: start + 8, section };
        let address = reader.pointer(common.code, 0)?;
        let symbol = self.function(address)?;
        self.claim(section, start..record.len(), symbol);
        reader.pointer(common.code & 0x0f, 0)?;
        if common.sized && common.table != OMIT {
            reader.uleb()?;
            // 0 stands for none, whatever it would be relative to.
            let none = Reader { ..reader }.pointer(common.table & 0x0f, 0)? == 0;
            let table = reader.pointer(common.table, 0)?;
            if !none {
                self.tables.push((self.space.offset(table)?, symbol));
            }
        }
        Some(())
    }

    /// Reads `.eh_frame_hdr`: the address of each function and of its entry, for a binary search.
    fn search_table(&mut self, section: &UnwindSection<'_>) -> Option<()> {
        let [1, frames, count, table, ..] = *section.bytes else {
            return None;
        };
        let mut reader = Reader { bytes: section.bytes, at: 4, section };
        reader.pointer(frames, section.address)?;
        let count = reader.pointer(count, section.address)?;
        // Four bytes each, signed, relative to this table: what all linkers write.
        if table != 0x3b {
            return None;
        }
        for _ in 0..count {
            let at = reader.at;
            let address = reader.pointer(table, section.address)?;
            reader.pointer(table, section.address)?;
            if let Some(symbol) = self.function(address) {
                self.claim(section, at..reader.at, symbol);
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

/// Reads a "common information entry".
fn read_common(section: &UnwindSection<'_>, at: usize) -> Option<CommonInformation> {
    let len = usize::try_from(section.words.u32(section.bytes, at)?).ok()?;
    let record = section.bytes.get(..(at + 4).checked_add(len)?)?;
    let mut reader = Reader { bytes: record, at: at + 8, section };
    let version = reader.byte()?;
    let mut letters = Vec::new();
    loop {
        match reader.byte()? {
            0 => break,
            letter => letters.push(letter),
        }
    }
    reader.uleb()?;
    reader.uleb()?;
    if version == 1 {
        reader.byte()?;
    } else {
        reader.uleb()?;
    }
    let mut common =
        CommonInformation { code: 0, table: OMIT, sized: letters.first() == Some(&b'z') };
    for letter in letters {
        match letter {
            b'z' => {
                reader.uleb()?;
            }
            b'R' => common.code = reader.byte()?,
            b'L' => common.table = reader.byte()?,
            b'P' => {
                let encoding = reader.byte()?;
                reader.pointer(encoding, 0)?;
            }
            b'S' | b'B' | b'G' => {}
            _ => return None,
        }
    }
    Some(common)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    section: &'a UnwindSection<'a>,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Returns a number of seven bits a byte, of any sign: only its length matters, or it is small.
    fn uleb(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    /// Returns an address in one of the encodings `DW_EH_PE_…`; `data` is what `datarel` is relative
    /// to.
    fn pointer(&mut self, encoding: u8, data: u64) -> Option<u64> {
        if encoding == OMIT {
            return Some(0);
        }
        let address = self.section.address.wrapping_add(self.at as u64);
        let words = self.section.words;
        let (size, signed) = match encoding & 0x0f {
            0x00 => (words.size(), false),
            0x02 => (2, false),
            0x03 => (4, false),
            0x04 => (8, false),
            0x0a => (2, true),
            0x0b => (4, true),
            0x0c => (8, true),
            _ => return None,
        };
        let mut value = words.number(self.bytes, self.at, size)?;
        self.at += size;
        let bits = 8 * size as u32;
        if signed && bits < 64 && value >> (bits - 1) == 1 {
            value |= u64::MAX << bits;
        }
        let value = match encoding & 0x70 {
            0x00 => value,
            0x10 => value.wrapping_add(address),
            0x30 => value.wrapping_add(data),
            _ => return None,
        };
        Some(if words.wide { value } else { value & 0xffff_ffff })
    }
}
