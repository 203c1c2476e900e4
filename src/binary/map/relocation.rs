//! Relocations that are left for start-up: each entry belongs to the owner of the address that it
//! changes, or else, like that address, to the target of the pointer there.

use goblin::elf::{
    header::ET_REL,
    section_header::{SHT_REL, SHT_RELA},
    sym::Sym,
};

use super::{Claim, Claims, Evidence, areas::AddressSpace};
use crate::{
    binary::elf::file::ElfFile,
    model::source::{CachedReader, ReadError},
};

/// Returns claims on entries and, if `with_addresses` is set, on addresses without a name. Pointers
/// of vtables, for example, are data without symbols, which point to functions with symbols.
pub(super) fn claims(
    file: &ElfFile<'_>,
    space: &AddressSpace<'_>,
    claims: &Claims,
    with_addresses: bool,
) -> Result<Vec<Claim>, ReadError> {
    let mut found = Vec::new();
    if file.header.e_type == ET_REL {
        return Ok(found);
    }
    for_each_relocation(file, space, |entry| {
        let range = space.offset(entry.address);
        let word = file.words().size() as u64;
        let mut claim = |start: u64, len: u64, owner: &Claim| {
            if len == 0 {
                return;
            }
            let evidence = owner.evidence.max(Evidence::Relocation);
            found.push(Claim {
                start,
                end: start.saturating_add(len),
                evidence,
                symbol: owner.symbol,
            });
        };
        match range.and_then(|range| claims.claim_at(range)) {
            Some(owner) => claim(entry.offset, entry.size, owner),
            None => {
                let target = entry.target.and_then(|target| space.offset(target));
                if let Some(owner) = target.and_then(|target| claims.claim_at(target)) {
                    claim(entry.offset, entry.size, owner);
                    if let (Some(range), true) = (range, with_addresses) {
                        claim(range, word, owner);
                    }
                }
            }
        }
    })?;
    Ok(found)
}

/// One entry.
pub(super) struct Relocation {
    /// Its offset in the file, and its size; 0 if it shares its bytes with others.
    offset: u64,
    size: u64,
    /// The address that it changes.
    pub(super) address: u64,
    /// The address that will be there.
    pub(super) target: Option<u64>,
}

/// Calls `visit` with every relocation.
pub(super) fn for_each_relocation(
    file: &ElfFile<'_>,
    space: &AddressSpace<'_>,
    mut visit: impl FnMut(&Relocation),
) -> Result<(), ReadError> {
    let words = file.words();
    let word = words.size();
    let (mut reader, mut symbols) =
        (CachedReader::new(file.source), CachedReader::new(file.source));
    for (index, section) in file.sections.iter().enumerate() {
        let with_addend = match section.sh_type {
            SHT_RELA => true,
            SHT_REL | SHT_RELR => false,
            _ => continue,
        };
        let range = space.section(index);
        if range.start != section.sh_offset || range.is_empty() {
            continue;
        }
        let content = file.table(section)?;
        // Bytes that another section covers belong to that one.
        let own = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let content = content.get(..own).unwrap_or(&content);
        if section.sh_type == SHT_RELR {
            let entries = content.chunks_exact(word).filter_map(|entry| words.word(entry, 0));
            for address in packed_addresses(entries, word as u64) {
                let at = space.offset(address);
                let target =
                    at.and_then(|at| words.word(reader.read_up_to(at, word as u64).ok()?, 0));
                visit(&Relocation { offset: range.start, size: 0, address, target });
            }
            continue;
        }
        let size = if with_addend { 3 * word } else { 2 * word };
        for (at, entry) in content.chunks_exact(size).enumerate() {
            let number = |index: usize| words.word(entry, index * word).unwrap_or_default();
            let info = number(1);
            let symbol = if words.wide { info >> 32 } else { info >> 8 };
            let address = number(0);
            let addend = match with_addend {
                true => Some(number(2)),
                // It is what is at the place now.
                false => space
                    .offset(address)
                    .and_then(|at| words.word(reader.read_up_to(at, word as u64).ok()?, 0)),
            };
            let target = match symbol {
                0 => addend,
                symbol => symbol_value(file, &mut symbols, section.sh_link, symbol)
                    .map(|value| value.wrapping_add(addend.unwrap_or_default())),
            };
            visit(&Relocation {
                offset: range.start.saturating_add((at * size) as u64),
                size: size as u64,
                address,
                target,
            });
        }
    }
    Ok(())
}

/// The type of sections with packed relative relocations
/// (<https://gabi.xinuos.com/elf/06-reloc.html>, "Relative Relocation Table").
const SHT_RELR: u32 = 19;

/// Returns the addresses in the entries of such a section. An even entry is an address, and the bits of an odd one
/// are for the words after the last address.
fn packed_addresses(entries: impl Iterator<Item = u64>, word: u64) -> impl Iterator<Item = u64> {
    let bits = word * 8 - 1;
    let mut next = 0_u64;
    entries.flat_map(move |entry| {
        let (base, bitmap) = match entry & 1 {
            0 => (entry, 1),
            _ => (next, entry >> 1),
        };
        let covered = if entry & 1 == 0 { 1 } else { bits };
        next = base.wrapping_add(covered * word);
        let set = (0..bits).filter(move |bit| bitmap >> bit & 1 == 1);
        set.map(move |bit| base.wrapping_add(bit * word))
    })
}

/// Returns the address of the symbol of that index, if the file defines it.
fn symbol_value(
    file: &ElfFile<'_>,
    reader: &mut CachedReader<'_>,
    table: u32,
    index: u64,
) -> Option<u64> {
    let section = file.sections.get(usize::try_from(table).ok()?)?;
    let size: u64 = if file.ctx.is_big() { 24 } else { 16 };
    let range = file.section_range(section).ok()?;
    let at = range.start.checked_add(index.checked_mul(size)?)?;
    (at.checked_add(size)? <= range.end).then_some(())?;
    let symbol: Sym = scroll_symbol(reader.read_up_to(at, size).ok()?, file)?;
    (symbol.st_shndx != 0).then_some(symbol.st_value)
}

fn scroll_symbol(bytes: &[u8], file: &ElfFile<'_>) -> Option<Sym> {
    goblin::elf::Symtab::parse(bytes, 0, 1, file.ctx).ok()?.iter().next()
}

#[cfg(test)]
mod tests {
    use super::packed_addresses;

    #[test]
    fn packed_relocations_are_addresses_and_bitmaps() {
        let addresses: Vec<u64> =
            packed_addresses([0x1000, 0b1011, 0b101, 0x4000].into_iter(), 8).collect();
        assert_eq!(addresses, [0x1000, 0x1008, 0x1018, 0x1200 + 8, 0x4000]);
        let narrow: Vec<u64> = packed_addresses([0x10, 0b11, 0b11].into_iter(), 4).collect();
        assert_eq!(narrow, [0x10, 0x14, 0x90]);
    }
}
