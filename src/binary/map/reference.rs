//! Data without names (strings, tables, panic messages), which belongs to the code that uses it.
//!
//! Only x86-64 and arm64 are read here, and not as a disassembler does: bytes that look like an
//! instruction with an address count as one if unnamed data is at that address. An item reaches from
//! one such address to the next, which is a guess; so is its owner.

use std::collections::BTreeMap;

use goblin::elf::{
    header::{EM_AARCH64, EM_X86_64, ET_REL},
    section_header::SHT_PROGBITS,
};

use super::{
    Claim, Claims, Evidence,
    areas::{self, AddressSpace},
    relocation,
};
use crate::{
    binary::elf::file::{ElfFile, is_alloc},
    model::source::ReadError,
};

/// The number of passes over data that only other data refers to: strings of tables of tables.
const ROUNDS: usize = 5;

/// The number of instructions after `adrp` that are searched for the rest of the address.
const AHEAD: usize = 12;

/// The code or data that refers to an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    None,
    /// Symbols of one group; the first of them.
    One(usize),
    Several,
}

/// Claims data that code of one group refers to, and returns the data that code of several groups
/// does. `groups` has a number for each symbol.
pub(super) fn claim(
    file: &ElfFile<'_>,
    space: &AddressSpace<'_>,
    groups: &[u32],
    claims: &mut Claims,
) -> Result<Vec<Claim>, ReadError> {
    if file.header.e_type == ET_REL {
        return Ok(Vec::new());
    }
    let unnamed = UnnamedData::new(file, space);
    // The addresses at which they are used, and the item.
    let mut pointers: Vec<(u64, u64)> = Vec::new();
    for (index, section) in file.sections.iter().enumerate() {
        if areas::is_code(section) {
            let mut visit = |at: u64, address: u64| {
                pointers.extend(unnamed.item(space, claims, address).map(|item| (at, item)));
            };
            let (range, mut into) = (file.section_range(section)?, 0);
            let offset = space.section(index).start;
            file.source.for_each_window(range, |bytes, limit| {
                let (address, offset) = (section.sh_addr.wrapping_add(into), offset + into);
                let code = Code { bytes, limit, address, offset };
                match file.header.e_machine {
                    EM_X86_64 => code.x86_64(&mut visit),
                    EM_AARCH64 => code.arm64(&mut visit),
                    _ => return false,
                }
                into += limit as u64;
                true
            })?;
        }
    }
    relocation::for_each_relocation(file, space, |entry| {
        let item = entry.target.and_then(|target| unnamed.item(space, claims, target));
        pointers.extend(space.offset(entry.address).zip(item));
    })?;
    let mut items: BTreeMap<u64, Users> = BTreeMap::new();
    for (_, item) in &pointers {
        items.insert(*item, Users::None);
    }
    let mut shared = Vec::new();
    for _ in 0..ROUNDS {
        // Data that has an owner now may point to data that has none yet.
        let group = |symbol: usize| groups.get(symbol);
        for (at, item) in &pointers {
            let (Some(user), Some(users)) = (claims.claim_at(*at), items.get_mut(item)) else {
                continue;
            };
            *users = match *users {
                Users::None => Users::One(user.symbol),
                Users::One(first) if group(first) == group(user.symbol) => {
                    Users::One(first.min(user.symbol))
                }
                Users::One(_) | Users::Several => Users::Several,
            };
        }
        let found = unnamed.claims(&items, claims, &mut shared);
        if found.is_empty() {
            break;
        }
        claims.fill(found);
        items.retain(|_, users| *users == Users::None);
    }
    Ok(shared)
}

/// The sections that hold data which may have no name.
struct UnnamedData {
    ranges: Vec<std::ops::Range<u64>>,
}

impl UnnamedData {
    fn new(file: &ElfFile<'_>, space: &AddressSpace<'_>) -> Self {
        let tables: [&[u8]; 4] = [b".got", b".eh_frame", b".gcc_except_table", b".interp"];
        let sections = file.sections.iter().enumerate();
        let ranges = sections
            .filter(|(_, section)| {
                let name = file.name(section);
                is_alloc(section)
                    && section.sh_type == SHT_PROGBITS
                    && !areas::is_code(section)
                    && !tables.iter().any(|table| name.starts_with(table))
            })
            .map(|(index, _)| space.section(index));
        UnnamedData { ranges: ranges.collect() }
    }

    /// Returns the range in the file of the unnamed item that is loaded at `address`.
    fn item(&self, space: &AddressSpace<'_>, claims: &Claims, address: u64) -> Option<u64> {
        let offset = space.offset(address)?;
        let inside = self.ranges.iter().any(|range| range.contains(&offset));
        (inside && claims.claim_at(offset).is_none()).then_some(offset)
    }

    /// Returns each item from its beginning to that of the next, or to a claimed range, or to its
    /// section's end.
    fn claims(
        &self,
        items: &BTreeMap<u64, Users>,
        claims: &Claims,
        shared: &mut Vec<Claim>,
    ) -> Vec<Claim> {
        let mut found = Vec::new();
        let next = items.keys().skip(1).copied().chain([u64::MAX]);
        for ((&start, users), next) in items.iter().zip(next) {
            let Some(range) = self.ranges.iter().find(|range| range.contains(&start)) else {
                continue;
            };
            let claimed = claims.next_start(start).unwrap_or(u64::MAX);
            let end = next.min(range.end).min(claimed);
            let claim = |symbol| Claim { start, end, evidence: Evidence::Reference, symbol };
            match users {
                Users::None => {}
                Users::One(symbol) => found.push(claim(*symbol)),
                Users::Several => shared.push(claim(usize::MAX)),
            }
        }
        found
    }
}

/// Code, and its address.
struct Code<'a> {
    bytes: &'a [u8],
    /// The end of the offsets at which an instruction may begin: later ones are read with the code that
    /// follows.
    limit: usize,
    address: u64,
    offset: u64,
}

impl Code<'_> {
    /// Finds `lea`, and moves of words and vectors, with an address relative to the next instruction
    /// (Intel SDM volume 2, section 2.2.1.6, "RIP-Relative Addressing").
    fn x86_64(&self, visit: &mut impl FnMut(u64, u64)) {
        let opcode = |before: u8, byte: u8| {
            matches!(byte, 0x8d | 0x8b) || (before == 0x0f && matches!(byte, 0x10 | 0x28 | 0x6f))
        };
        for (at, window) in self.bytes.windows(7).take(self.limit).enumerate() {
            if let [before, byte, form, d0, d1, d2, d3] = *window
                && form & 0xc7 == 0x05
                && opcode(before, byte)
            {
                let distance = i32::from_le_bytes([d0, d1, d2, d3]);
                let end = self.address.wrapping_add(at as u64 + 7);
                visit(self.offset + at as u64, end.wrapping_add_signed(distance.into()));
            }
        }
    }

    /// Finds `adrp` with the `add` or `ldr` that follows it, and `adr` (Arm Architecture Reference
    /// Manual for A-profile, section C6.2).
    fn arm64(&self, visit: &mut impl FnMut(u64, u64)) {
        let words: Vec<u32> = self
            .bytes
            .chunks_exact(4)
            .map(|word| word.try_into().map_or(0, u32::from_le_bytes))
            .collect();
        for (at, &word) in words.iter().enumerate().take(self.limit.div_ceil(4)) {
            if word & 0x1f00_0000 != 0x1000_0000 {
                continue;
            }
            let into = 4 * at as u64;
            let address = self.address.wrapping_add(into);
            let register = word & 0x1f;
            let distance = (((word >> 5) & 0x7_ffff) << 2) | ((word >> 29) & 3);
            let distance = i64::from((distance << 11) as i32 >> 11);
            if word >> 31 == 0 {
                visit(self.offset + into, address.wrapping_add_signed(distance));
                continue;
            }
            let page = (address & !0xfff).wrapping_add_signed(distance << 12);
            for &next in words.iter().skip(at + 1).take(AHEAD) {
                let uses = (next >> 5) & 0x1f == register;
                let twelve = u64::from((next >> 10) & 0xfff);
                if uses && next & 0xffc0_0000 == 0x9100_0000 {
                    visit(self.offset + into, page.wrapping_add(twelve));
                } else if uses && next & 0x3b40_0000 == 0x3940_0000 {
                    // Vectors of 16 bytes have their own code for the size.
                    let vector = next & 0x0480_0000 == 0x0480_0000 && next >> 30 == 0;
                    let scale = if vector { 4 } else { next >> 30 };
                    visit(self.offset + into, page.wrapping_add(twelve << scale));
                }
            }
        }
    }
}
