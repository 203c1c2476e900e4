//! Unwind tables, each entry of which belongs to the function that it is about.
//!
//! `.eh_frame` and `.eh_frame_hdr` are those of the Linux Standard Base Core Specification 5.0,
//! chapter "Exception Frames"; `.ARM.exidx` that of "Exception Handling ABI for the Arm
//! Architecture", "Index table entries".

use std::{collections::HashMap, ops::Range};

use goblin::elf::header::ET_REL;

use super::{Claim, Claims, Evidence, areas::Space};
use crate::{
    binary::elf::file::{File, Words},
    model::source::ReadError,
};

/// No pointer (`DW_EH_PE_omit`).
const OMIT: u8 = 0xff;

/// Claims of functions on their entries.
pub(super) fn claims(
    file: &File<'_>,
    space: &Space<'_>,
    claims: &Claims,
) -> Result<Vec<Claim>, ReadError> {
    let mut found = Found { space, claims, entries: Vec::new(), tables: Vec::new() };
    // In an object file the addresses are still to be filled in.
    if file.header.e_type == ET_REL {
        return Ok(found.entries);
    }
    for (index, section) in file.sections.iter().enumerate() {
        let read = match file.name(section) {
            b".eh_frame" => Found::frames,
            b".eh_frame_hdr" => Found::search_table,
            b".ARM.exidx" => Found::arm_index,
            _ => continue,
        };
        let place = space.section(index);
        if place.is_empty() || place.start != section.sh_offset {
            continue;
        }
        let content = file.table(section)?;
        // Bytes that another section covers belong to that one.
        let own = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
        let content = content.get(..own).unwrap_or(&content);
        let table = Part { bytes: content, words: file.words(), address: section.sh_addr, place };
        // A broken entry ends its table: the rest is then the section's.
        let _ = read(&mut found, &table);
    }
    Ok(found.finish())
}

/// A section as addresses and offsets.
struct Part<'a> {
    bytes: &'a [u8],
    words: Words,
    address: u64,
    place: Range<u64>,
}

struct Found<'a> {
    space: &'a Space<'a>,
    claims: &'a Claims,
    entries: Vec<Claim>,
    /// The addresses of exception tables, and their owners.
    tables: Vec<(u64, usize)>,
}

/// The fields that entries have in common.
#[derive(Clone, Copy)]
struct Common {
    code: u8,
    table: u8,
    /// Whether entries say how long their additions are.
    sized: bool,
}

impl Found<'_> {
    fn function(&self, address: u64) -> Option<usize> {
        self.claims.at(self.space.offset(address)?).map(|claim| claim.symbol)
    }

    fn claim(&mut self, part: &Part<'_>, range: Range<usize>, symbol: usize) {
        let at = |offset: usize| part.place.start.saturating_add(offset as u64);
        self.entries.push(Claim {
            start: at(range.start),
            end: at(range.end).min(part.place.end),
            evidence: Evidence::Unwind,
            symbol,
        });
    }

    fn frames(&mut self, part: &Part<'_>) -> Option<()> {
        let mut known: HashMap<usize, Option<Common>> = HashMap::new();
        let mut at = 0;
        loop {
            let len = usize::try_from(part.words.u32(part.bytes, at)?).ok()?;
            // A length of 0 ends the table; all ones mean 64-bit lengths, which nothing uses here.
            if len == 0 || len == u32::MAX as usize {
                return None;
            }
            let (id_at, end) = (at + 4, (at + 4).checked_add(len)?);
            let record = part.bytes.get(..end)?;
            let id = usize::try_from(part.words.u32(record, id_at)?).ok()?;
            if id != 0 {
                let common_at = id_at.checked_sub(id)?;
                let common = *known.entry(common_at).or_insert_with(|| common(part, common_at));
                if let Some(common) = common {
                    self.entry(part, record, at, common);
                }
            }
            at = end;
        }
    }

    fn entry(
        &mut self,
        part: &Part<'_>,
        record: &[u8],
        start: usize,
        common: Common,
    ) -> Option<()> {
        let mut reader = Reader { bytes: record, at: start + 8, part };
        let address = reader.pointer(common.code, 0)?;
        let symbol = self.function(address)?;
        self.claim(part, start..record.len(), symbol);
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
    fn search_table(&mut self, part: &Part<'_>) -> Option<()> {
        let [1, frames, count, table, ..] = *part.bytes else {
            return None;
        };
        let mut reader = Reader { bytes: part.bytes, at: 4, part };
        reader.pointer(frames, part.address)?;
        let count = reader.pointer(count, part.address)?;
        // Four bytes each, signed, relative to this table: what all linkers write.
        if table != 0x3b {
            return None;
        }
        for _ in 0..count {
            let at = reader.at;
            let address = reader.pointer(table, part.address)?;
            reader.pointer(table, part.address)?;
            if let Some(symbol) = self.function(address) {
                self.claim(part, at..reader.at, symbol);
            }
        }
        Some(())
    }

    fn arm_index(&mut self, part: &Part<'_>) -> Option<()> {
        // 31 bits, signed, relative to where they are.
        let relative = |at: usize, word: u64| {
            let into = (((word as u32) << 1) as i32) >> 1;
            part.address.wrapping_add(at as u64).wrapping_add_signed(into.into()) & 0xffff_ffff
        };
        for at in (0..part.bytes.len()).step_by(8) {
            let function = relative(at, part.words.u32(part.bytes, at)?);
            let table = part.words.u32(part.bytes, at + 4)?;
            let Some(symbol) = self.function(function) else {
                continue;
            };
            self.claim(part, at..at + 8, symbol);
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
        let places: Vec<Range<u64>> = sections
            .filter(|(_, section)| holds_tables(file.name(section)))
            .map(|(index, _)| self.space.section(index))
            .collect();
        let next = self.tables.iter().skip(1).map(|table| table.0).chain([u64::MAX]);
        for (&(start, symbol), next) in self.tables.iter().zip(next) {
            if let Some(place) = places.iter().find(|place| place.contains(&start)) {
                let end = next.min(place.end);
                self.entries.push(Claim { start, end, evidence: Evidence::Unwind, symbol });
            }
        }
        self.entries
    }
}

/// Reads a "common information entry".
fn common(part: &Part<'_>, at: usize) -> Option<Common> {
    let len = usize::try_from(part.words.u32(part.bytes, at)?).ok()?;
    let record = part.bytes.get(..(at + 4).checked_add(len)?)?;
    let mut reader = Reader { bytes: record, at: at + 8, part };
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
    let mut common = Common { code: 0, table: OMIT, sized: letters.first() == Some(&b'z') };
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
    part: &'a Part<'a>,
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
        let here = self.part.address.wrapping_add(self.at as u64);
        let words = self.part.words;
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
            0x10 => value.wrapping_add(here),
            0x30 => value.wrapping_add(data),
            _ => return None,
        };
        Some(if words.wide { value } else { value & 0xffff_ffff })
    }
}
