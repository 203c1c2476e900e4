//! Symbols of a program that is not stripped.

use std::collections::BTreeMap;

use goblin::elf::{
    Symtab,
    section_header::{SHN_UNDEF, SHT_SYMTAB},
};

use super::file::{File, Unreadable, until_nul};

/// The longest name that is compared.
const NAME: usize = 256;

/// The addresses of those of `names` that the program defines.
///
/// # Errors
/// The file cannot be read, or its symbol table is not where it says.
pub fn addresses<'n>(
    bytes: &[u8],
    names: &[&'n str],
) -> Result<BTreeMap<&'n str, u64>, Unreadable> {
    let file = File::read(bytes)?;
    let mut found = BTreeMap::new();
    for table in file.sections.iter().filter(|section| section.sh_type == SHT_SYMTAB) {
        let strings = usize::try_from(table.sh_link).ok().and_then(|at| file.sections.get(at));
        let strings = match strings {
            Some(section) => file.content(section)?,
            None => return Err(Unreadable::new("the symbol table has no names")),
        };
        let content = file.content(table)?;
        let size = if file.ctx.is_big() { 24 } else { 16 };
        let symbols = Symtab::parse(&content, 0, content.len() / size, file.ctx)
            .map_err(|_| Unreadable::new("the symbol table cannot be read"))?;
        for symbol in &symbols {
            if symbol.st_shndx == SHN_UNDEF as usize {
                continue;
            }
            let name = until_nul(&strings, symbol.st_name as u64, NAME);
            if let Some(name) = names.iter().find(|known| name == Some(known.as_bytes())) {
                found.insert(*name, symbol.st_value);
            }
        }
    }
    Ok(found)
}
