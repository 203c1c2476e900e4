//! A map of a file: the owner of each of its bytes.
//!
//! Claims are collected in layers, the surest first, and each layer gets only the bytes that those
//! before it left free. Unclaimed bytes are reported as padding, as a table of the linker's, or as not
//! attributed. The ranges are adjacent from the first byte to the last.

mod areas;
mod claim;
mod frame;
mod reference;
mod relocation;
mod symbols;

use std::ops::Range;

use goblin::elf::section_header::{SHT_INIT_ARRAY, SHT_PROGBITS, SHT_SYMTAB, SectionHeader};

pub use crate::model::schema::size::SymbolSource;
use crate::{
    binary::elf::file::{ElfFile, is_alloc, text},
    model::source::{CachedReader, ReadError, Source},
};
use areas::Area;
use claim::{Claim, Claims};
use symbols::SymbolTable;

/// The maximum length of padding between two functions or variables; compilers align functions to
/// at most 64 bytes.
const FILLER: u64 = 64;

/// A map of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// The file's size in bytes, and the sum of all ranges.
    pub size: u64,
    /// The names of its sections, by index; of its segments where it has no section headers.
    pub sections: Vec<String>,
    /// The functions and variables, by index.
    pub symbols: Vec<Symbol>,
    /// The source of the symbols.
    pub origin: SymbolSource,
    /// The ranges, from the beginning of the file to its end, without overlap or gap.
    pub ranges: Vec<OwnedRange>,
}

/// A function or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name as the linker knows it.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// Its size; 0 where the symbol table does not say.
    pub size: u64,
}

/// A range of bytes with one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRange {
    /// Its range in the file.
    pub range: Range<u64>,
    /// The section that it is in.
    pub section: Option<usize>,
    /// Its owner.
    pub owner: Owner,
}

/// The owner of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The symbol of that index, as the evidence says.
    Symbol(usize, Evidence),
    /// The headers that say what is in the file.
    Headers,
    /// The section as such: tables of the linker's, notes, debug information; all of a section
    /// where there are no symbols.
    Section,
    /// Filler between functions, variables and sections.
    Padding,
    /// Data without a name that the code of several crates uses.
    Shared,
    /// The owner is unknown.
    Unknown,
}

/// The evidence that a range belongs to a symbol, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// It is within the symbol's address and size.
    Symbol,
    /// It is the unwind entry, or the exception table, of that function.
    Unwind,
    /// It follows a symbol in code that has no size, before the next one.
    Extended,
    /// It is a relocation at the symbol's address, or a word that is relocated to point to the
    /// symbol.
    Relocation,
    /// It is data without a name that the code of this function, and of no other crate's, uses.
    Reference,
}

/// A file of which a map can be made, and its symbols.
pub struct MapBuilder<'a> {
    file: ElfFile<'a>,
    table: SymbolTable,
    origin: SymbolSource,
}

impl std::fmt::Debug for MapBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl<'a> MapBuilder<'a> {
    /// Reads a file. `separate` is the file that it was stripped from, or its debug file; the
    /// caller checks that with [`is_symbol_file`](crate::binary::elf::is_symbol_file).
    ///
    /// # Errors
    /// One of the files is not an ELF file that can be read.
    pub fn read(
        source: impl Into<Source<'a>>,
        separate: Option<Source<'_>>,
    ) -> Result<Self, ReadError> {
        let file = ElfFile::read(source)?;
        let separate = separate.map(ElfFile::read).transpose()?;
        let (table, origin) = SymbolTable::choose(&file, separate.as_ref())?;
        Ok(MapBuilder { file, table, origin })
    }

    /// Returns the functions and variables, by index.
    pub fn symbols(&self) -> &[Symbol] {
        &self.table.symbols
    }

    /// Creates the map. `groups` has a number for each symbol, the same for those of one crate:
    /// data without a name is attributed to the code that uses it if that is of one crate.
    ///
    /// # Errors
    /// A section cannot be read.
    pub fn map(self, groups: &[u32]) -> Result<Map, ReadError> {
        let MapBuilder { file, table, origin } = self;
        let areas = areas::find_areas(&file);
        let (claims, shared) = claims(&file, &table, &areas, groups)?;
        let (reader, code) = (CachedReader::new(file.source), areas::code_ranges(&file));
        let (file, claims, shared) = (&file, &claims, &shared);
        let mut builder =
            RangeBuilder { file, reader, code, origin, claims, shared, ranges: Vec::new() };
        for area in &areas {
            builder.push_area(area)?;
        }
        let ranges = builder.ranges;
        Ok(Map {
            size: file.source.size(),
            sections: areas::names(file),
            symbols: table.symbols,
            origin,
            ranges,
        })
    }
}

/// Returns every claim, in layers; and the ranges that several groups share.
fn claims(
    file: &ElfFile<'_>,
    table: &SymbolTable,
    areas: &[Area],
    groups: &[u32],
) -> Result<(Claims, Claims), ReadError> {
    let space = areas::AddressSpace::new(file, areas);
    let mut claims = Claims::default();
    claims.fill(table.sized_claims(&space));
    claims.fill(table.unsized_claims(&space, &claims));
    let unwind = frame::claims(file, &space, &claims)?;
    claims.fill(unwind);
    let pointers = relocation::claims(file, &space, &claims, true)?;
    claims.fill(pointers);
    let found = reference::claim(file, &space, groups, &mut claims)?;
    let mut shared = Claims::default();
    shared.fill(found);
    // The entries that change what has an owner only now.
    let entries = relocation::claims(file, &space, &claims, false)?;
    claims.fill(entries);
    Ok((claims, shared))
}

struct RangeBuilder<'a> {
    file: &'a ElfFile<'a>,
    reader: CachedReader<'a>,
    /// The ranges of sections with code.
    code: Vec<Range<u64>>,
    origin: SymbolSource,
    claims: &'a Claims,
    shared: &'a Claims,
    ranges: Vec<OwnedRange>,
}

impl RangeBuilder<'_> {
    fn push_area(&mut self, area: &Area) -> Result<(), ReadError> {
        let (start, end) = (area.range.start, area.range.end);
        let section = area.section;
        if area.headers {
            self.push(start, end, section, Owner::Headers);
            return Ok(());
        }
        let Some(index) = section else {
            let filler = self.is_filler(start, end)?;
            self.push(start, end, section, if filler { Owner::Padding } else { Owner::Unknown });
            return Ok(());
        };
        let mut at = start;
        for claim in self.claims.within(start, end) {
            let (from, to) = (claim.start.max(start), claim.end.min(end));
            self.push_without_symbol(at, from, index)?;
            self.push(from, to, section, Owner::Symbol(claim.symbol, claim.evidence));
            at = to;
        }
        self.push_without_symbol(at, end, index)
    }

    fn push(&mut self, start: u64, end: u64, section: Option<usize>, owner: Owner) {
        if start < end {
            self.ranges.push(OwnedRange { range: start..end, section, owner });
        }
    }

    /// Returns the owner of bytes that no symbol claims in the section of index `index`.
    fn push_without_symbol(&mut self, start: u64, end: u64, index: usize) -> Result<(), ReadError> {
        let mut at = start;
        for shared in self.shared.within(start, end) {
            let (from, to) = (shared.start.max(start), shared.end.min(end));
            self.push_unclaimed(at, from, index)?;
            self.push(from, to, Some(index), Owner::Shared);
            at = to;
        }
        self.push_unclaimed(at, end, index)
    }

    /// Returns the owner of bytes that nothing uses in the section of index `index`.
    fn push_unclaimed(&mut self, start: u64, end: u64, index: usize) -> Result<(), ReadError> {
        if start >= end {
            return Ok(());
        }
        let owner = match self.file.sections.get(index) {
            _ if self.origin == SymbolSource::None => Owner::Section,
            Some(header) if self.is_table(header) => Owner::Section,
            _ if end - start <= FILLER && self.is_filler(start, end)? => Owner::Padding,
            _ => Owner::Unknown,
        };
        self.push(start, end, Some(index), owner);
        Ok(())
    }

    /// Returns whether a section is not made of functions and variables.
    fn is_table(&self, header: &SectionHeader) -> bool {
        let name = self.file.name(header);
        let starts = [&b".got"[..], b".plt", b".interp", b".eh_frame", b".ARM.attributes"];
        !is_alloc(header)
            || !matches!(header.sh_type, SHT_PROGBITS | SHT_INIT_ARRAY)
            || header.sh_type == SHT_SYMTAB
            || starts.iter().any(|start| name.starts_with(start))
    }

    /// Returns whether these bytes do nothing: zeros, traps, and the fill of assemblers between
    /// functions.
    fn is_filler(&mut self, start: u64, end: u64) -> Result<bool, ReadError> {
        if end - start > FILLER {
            let mut zeros = true;
            self.file.source.for_each_window(start..end, |window, _| {
                zeros &= window.iter().all(|&byte| byte == 0);
                zeros
            })?;
            return Ok(zeros);
        }
        let bytes = self.reader.read_up_to(start, end - start)?;
        let code = self.code.iter().any(|code| code.contains(&start));
        Ok(bytes.iter().all(|&byte| byte == 0) || code && is_nop_or_trap(bytes))
    }
}

/// Returns whether these are instructions that do nothing, or stop.
fn is_nop_or_trap(code: &[u8]) -> bool {
    // x86: int3 and the forms of nop (0x90, 0x66… and 0x0f 0x1f …). Others have one word each.
    const NOPS: [[u8; 4]; 3] =
        [[0x1f, 0x20, 0x03, 0xd5], [0x00, 0x00, 0x00, 0x00], [0x13, 0x00, 0x00, 0x00]];
    let words = || code.chunks(4).all(|word| NOPS.iter().any(|nop| nop == word));
    matches!(code.first(), Some(0x90 | 0xcc | 0x66 | 0x0f | 0x2e)) || words()
}

impl Map {
    /// Returns the name of the section that contains a range.
    pub fn section(&self, range: &OwnedRange) -> Option<&str> {
        self.sections.get(range.section?).map(String::as_str)
    }
}

/// Returns the text of a name in the file, without control sequences of terminals.
fn printable_name(bytes: &[u8]) -> String {
    let text = text(bytes);
    match text.chars().any(char::is_control) {
        true => text.escape_debug().to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests;
