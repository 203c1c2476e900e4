//! Symbols of a program that is not stripped.

use std::collections::BTreeMap;

use crate::model::source::{CachedReader, ReadError, Source};

use goblin::elf::{
    Symtab,
    section_header::{SHN_UNDEF, SHT_SYMTAB},
    sym::Sym,
};

use super::file::{ElfFile, until_nul};

/// The maximum length of a name that is read.
const MAX_NAME: u64 = 1024;

/// The number of symbols that are read at a time.
const BATCH: u64 = 4096;

/// Calls `visit` with every symbol that the program defines, and its name.
pub(super) fn for_each_symbol(
    file: &ElfFile<'_>,
    mut visit: impl FnMut(&Sym, &[u8]),
) -> Result<(), ReadError> {
    for table in file.sections.iter().filter(|section| section.sh_type == SHT_SYMTAB) {
        let strings = usize::try_from(table.sh_link).ok().and_then(|at| file.sections.get(at));
        let strings = match strings {
            Some(section) => file.section_range(section)?,
            None => return Err(ReadError::new("the symbol table has no names")),
        };
        let mut names = CachedReader::new(file.source);
        let range = file.section_range(table)?;
        let size = if file.ctx.is_big() { 24 } else { 16 };
        let last = range.end - (range.end - range.start) % size;
        for start in (range.start..last).step_by((BATCH * size) as usize) {
            let part = file.source.read_up_to(start, (last - start).min(BATCH * size))?;
            let symbols = Symtab::parse(&part, 0, part.len() / size as usize, file.ctx)
                .map_err(|_| ReadError::new("the symbol table cannot be read"))?;
            for symbol in symbols.iter().filter(|symbol| symbol.st_shndx != SHN_UNDEF as usize) {
                let at = strings.start.saturating_add(symbol.st_name as u64).min(strings.end);
                let name = names.read_up_to(at, (strings.end - at).min(MAX_NAME))?;
                visit(&symbol, until_nul(name, 0, name.len()).unwrap_or_default());
            }
        }
    }
    Ok(())
}

/// Returns the addresses of those of `names` that the program defines.
///
/// # Errors
/// The file cannot be read, or its symbol table is not where it says.
pub fn symbol_addresses<'a, 'n>(
    source: impl Into<Source<'a>>,
    names: &[&'n str],
) -> Result<BTreeMap<&'n str, u64>, ReadError> {
    let mut found = BTreeMap::new();
    for_each_symbol(&ElfFile::read(source)?, |symbol, name| {
        if let Some(known) = names.iter().find(|known| known.as_bytes() == name) {
            found.insert(*known, symbol.st_value);
        }
    })?;
    Ok(found)
}

/// Returns at most `max` names of functions that a crate defines itself, without what the optimiser appended: names
/// of rustc's version 0 in which the crate is the first.
///
/// # Errors
/// The file cannot be read, or its symbol table is not where it says.
pub fn crate_functions<'a>(
    source: impl Into<Source<'a>>,
    name: &str,
    max: usize,
) -> Result<Vec<Vec<u8>>, ReadError> {
    let krate = format!("_{}{name}", name.len());
    let mut found = Vec::new();
    for_each_symbol(&ElfFile::read(source)?, |symbol, name| {
        let name = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        let is_of_crate = || name.windows(krate.len()).any(|window| window == krate.as_bytes());
        if found.len() < max && symbol.is_function() && name.starts_with(b"_R") && is_of_crate() {
            found.push(name.to_owned());
        }
    })?;
    Ok(found)
}
