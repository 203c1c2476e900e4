//! The symbols that claims are made from.

use goblin::elf::{
    Symtab,
    header::{EM_AARCH64, EM_ARM, EM_RISCV},
    section_header::{SHN_ABS, SHN_COMMON, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB},
    sym::{STB_GLOBAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT, STT_TLS, Sym},
};

use super::{Claim, Claims, Evidence, Symbol, SymbolSource, areas::AddressSpace};
use crate::{
    binary::elf::file::{ElfFile, until_nul},
    model::source::ReadError,
};

/// The maximum length of a name that is read: names of generic functions have some thousand characters.
const MAX_NAME: usize = 16 << 10;

/// One symbol for each address and section: the others are its aliases.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    pub(super) symbols: Vec<Symbol>,
    /// By the index of the symbol: its section and type.
    kinds: Vec<(usize, u8)>,
}

struct Candidate<'a> {
    section: usize,
    value: u64,
    size: u64,
    kind: u8,
    rank: (bool, u8, u8),
    name: &'a [u8],
}

impl SymbolTable {
    /// Returns the symbols of `file`, else of `separate`, else those for the dynamic linker.
    pub(super) fn choose(
        file: &ElfFile<'_>,
        separate: Option<&ElfFile<'_>>,
    ) -> Result<(Self, SymbolSource), ReadError> {
        for (file, kind, origin) in [
            (Some(file), SHT_SYMTAB, SymbolSource::Own),
            (separate, SHT_SYMTAB, SymbolSource::Separate),
            (Some(file), SHT_DYNSYM, SymbolSource::Dynamic),
        ] {
            if let Some(file) = file {
                let table = SymbolTable::read(file, kind)?;
                if !table.symbols.is_empty() {
                    return Ok((table, origin));
                }
            }
        }
        Ok((SymbolTable::default(), SymbolSource::None))
    }

    fn read(file: &ElfFile<'_>, kind: u32) -> Result<Self, ReadError> {
        let mut table = SymbolTable::default();
        // A file has one table of each kind.
        let Some(section) = file.sections.iter().find(|section| section.sh_type == kind) else {
            return Ok(table);
        };
        let link = usize::try_from(section.sh_link).ok().and_then(|at| file.sections.get(at));
        let Some(strings) = link else {
            return Err(ReadError::new("the symbol table has no names"));
        };
        let (strings, content) = (file.table(strings)?, file.table(section)?);
        let entry = if file.ctx.is_big() { 24 } else { 16 };
        let symbols = Symtab::parse(&content, 0, content.len() / entry, file.ctx)
            .map_err(|_| ReadError::new("the symbol table cannot be read"))?;
        let mut all: Vec<Candidate<'_>> =
            symbols.iter().filter_map(|symbol| candidate(file, &symbol, &strings)).collect();
        let key = |one: &Candidate<'_>| (one.section, one.kind == STT_TLS, one.value);
        all.sort_unstable_by(|one, two| {
            (key(one), one.rank, one.name).cmp(&(key(two), two.rank, two.name))
        });
        all.dedup_by(|next, first| key(next) == key(first));
        let longest = max_name_length(&all, strings.len());
        for Candidate { section, value, size, kind, name, .. } in all {
            let name = name.get(..longest).unwrap_or(name);
            table.symbols.push(Symbol { name: super::printable_name(name), address: value, size });
            table.kinds.push((section, kind));
        }
        Ok(table)
    }

    fn sorted(&self) -> impl Iterator<Item = (usize, &Symbol, usize, u8)> {
        let all = self.symbols.iter().zip(&self.kinds).enumerate();
        all.map(|(index, (symbol, (section, kind)))| (index, symbol, *section, *kind))
    }

    /// Returns the claims of symbols with a size: that many bytes from their addresses on, within their
    /// sections.
    pub(super) fn sized_claims(&self, space: &AddressSpace<'_>) -> Vec<Claim> {
        let mut claims = Vec::with_capacity(self.symbols.len());
        for (index, symbol, section, kind) in self.sorted() {
            let address = match kind {
                STT_TLS => space.thread_local(symbol.address),
                _ => symbol.address,
            };
            if symbol.size > 0
                && let Some(range) = space.symbol_range(section, address, symbol.size)
            {
                claims.push(claim(range.start, range.end, Evidence::Symbol, index));
            }
        }
        claims
    }

    /// Returns the claims of symbols in code without a size: all up to the next symbol, or the
    /// section's end.
    pub(super) fn unsized_claims(&self, space: &AddressSpace<'_>, claims: &Claims) -> Vec<Claim> {
        let unsized_in_code = |(index, symbol, section, kind): (usize, &Symbol, usize, u8)| {
            let fits = symbol.size == 0 && matches!(kind, STT_FUNC | STT_NOTYPE | STT_GNU_IFUNC);
            let range = fits.then(|| space.symbol_range(section, symbol.address, 1)).flatten()?;
            claims.claim_at(range.start).is_none().then_some(())?;
            let end = space.code_end(range.start)?;
            Some((range.start, claims.next_start(range.start).unwrap_or(end).min(end), index))
        };
        let mut starts: Vec<_> = self.sorted().filter_map(unsized_in_code).collect();
        starts.sort_unstable();
        let next = starts.iter().skip(1).map(|(start, ..)| *start).chain([u64::MAX]);
        let ends = starts.iter().zip(next);
        ends.map(|(&(start, end, index), next)| {
            claim(start, end.min(next.max(start)), Evidence::Extended, index)
        })
        .collect()
    }
}

/// Returns how many bytes of each name are kept. Names may share their bytes, so that a few of them in
/// the file would become gigabytes here: together they get a multiple of the size of the table that
/// contains them.
fn max_name_length(all: &[Candidate<'_>], strings: usize) -> usize {
    /// More than linkers save by the shared ends of names.
    const MAX_SHARING: usize = 4;
    /// The part of a name that is kept whatever there is.
    const MIN_LENGTH: usize = 64;
    let total: usize = all.iter().map(|one| one.name.len()).sum();
    let most = strings.saturating_mul(MAX_SHARING);
    if total <= most { MAX_NAME } else { (most / all.len().max(1)).max(MIN_LENGTH) }
}

fn claim(start: u64, end: u64, evidence: Evidence, symbol: usize) -> Claim {
    Claim { start, end, evidence, symbol }
}

/// Returns a symbol that names bytes of the file.
fn candidate<'a>(file: &ElfFile<'_>, symbol: &Sym, strings: &'a [u8]) -> Option<Candidate<'a>> {
    const UNPLACED: [u32; 3] = [SHN_UNDEF, SHN_ABS, SHN_COMMON];
    let kind = symbol.st_type();
    let order = match kind {
        STT_FUNC | STT_OBJECT | STT_TLS | STT_GNU_IFUNC => 0,
        STT_NOTYPE => 1,
        _ => return None,
    };
    if UNPLACED.iter().any(|index| symbol.st_shndx == *index as usize) {
        return None;
    }
    let name = until_nul(strings, symbol.st_name as u64, MAX_NAME).unwrap_or_default();
    if name.is_empty() || is_mapping(file, name) {
        return None;
    }
    let binding = match symbol.st_bind() {
        STB_GLOBAL => 0,
        STB_WEAK => 1,
        _ => 2,
    };
    // The lowest bit of a function's address says which instruction set it is in (ELF for the Arm
    // Architecture, "Symbol Values").
    let thumb = file.header.e_machine == EM_ARM && matches!(kind, STT_FUNC | STT_GNU_IFUNC);
    Some(Candidate {
        // Addresses say where a symbol is; only object files need the section.
        section: match file.header.e_type {
            goblin::elf::header::ET_REL => symbol.st_shndx,
            _ => 0,
        },
        value: if thumb { symbol.st_value & !1 } else { symbol.st_value },
        size: symbol.st_size,
        kind,
        rank: (symbol.st_size == 0, order, binding),
        name,
    })
}

/// Marks of where code and data begin (ELF for the Arm Architecture, "Mapping symbols"; RISC-V ELF
/// psABI, "Mapping Symbol").
fn is_mapping(file: &ElfFile<'_>, name: &[u8]) -> bool {
    matches!(file.header.e_machine, EM_ARM | EM_AARCH64 | EM_RISCV)
        && matches!(name, [b'$', b'a' | b'd' | b't' | b'x', ..])
}
