//! Symbols of a program that is not stripped.

use std::collections::BTreeMap;

use crate::model::source::{CachedReader, ReadError, Source};

use goblin::elf::{
    Symtab,
    section_header::{SHN_UNDEF, SHT_SYMTAB},
    sym::Sym,
};

use super::file::{File, until_nul};

/// The maximum length of a name that is read.
const NAME: u64 = 1024;

/// The number of symbols that are read at a time.
const SYMBOLS: u64 = 4096;

/// Shows every symbol that the program defines to `see`, with its name.
pub(super) fn each(file: &File<'_>, mut see: impl FnMut(&Sym, &[u8])) -> Result<(), ReadError> {
    for table in file.sections.iter().filter(|section| section.sh_type == SHT_SYMTAB) {
        let strings = usize::try_from(table.sh_link).ok().and_then(|at| file.sections.get(at));
        let strings = match strings {
            Some(section) => file.place(section)?,
            None => return Err(ReadError::new("the symbol table has no names")),
        };
        let mut names = CachedReader::new(file.source);
        let place = file.place(table)?;
        let size = if file.ctx.is_big() { 24 } else { 16 };
        let last = place.end - (place.end - place.start) % size;
        for start in (place.start..last).step_by((SYMBOLS * size) as usize) {
            let part = file.source.read_up_to(start, (last - start).min(SYMBOLS * size))?;
            let symbols = Symtab::parse(&part, 0, part.len() / size as usize, file.ctx)
                .map_err(|_| ReadError::new("the symbol table cannot be read"))?;
            for symbol in symbols.iter().filter(|symbol| symbol.st_shndx != SHN_UNDEF as usize) {
                let at = strings.start.saturating_add(symbol.st_name as u64).min(strings.end);
                let name = names.get(at, (strings.end - at).min(NAME))?;
                see(&symbol, until_nul(name, 0, name.len()).unwrap_or_default());
            }
        }
    }
    Ok(())
}

/// Returns the addresses of those of `names` that the program defines.
///
/// # Errors
/// The file cannot be read, or its symbol table is not where it says.
pub fn addresses<'a, 'n>(
    source: impl Into<Source<'a>>,
    names: &[&'n str],
) -> Result<BTreeMap<&'n str, u64>, ReadError> {
    let mut found = BTreeMap::new();
    each(&File::read(source)?, |symbol, name| {
        if let Some(known) = names.iter().find(|known| known.as_bytes() == name) {
            found.insert(*known, symbol.st_value);
        }
    })?;
    Ok(found)
}
