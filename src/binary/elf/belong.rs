//! Whether symbols are those of a program.

use goblin::elf::program_header::{PF_X, PT_LOAD};

use crate::model::source::Unreadable;

use super::{
    facts::detached,
    file::{File, is_alloc},
    note,
};

/// Whether `separate` is the file that `shipped` was stripped from, or its debug file: the build ids
/// are the same; or its code is, byte for byte, since stripping may renew the id; or, where the debug
/// file has no code and neither has an id, its sections are in the same places.
///
/// # Errors
/// One of them is no ELF file that can be read.
pub fn belongs(shipped: &[u8], separate: &[u8]) -> Result<bool, Unreadable> {
    let (shipped, separate) = (File::read(shipped)?, File::read(separate)?);
    let (one, two) = (&shipped.header, &separate.header);
    if (one.e_machine, shipped.ctx) != (two.e_machine, separate.ctx) {
        return Ok(false);
    }
    let (own, other) = (note::read(&shipped)?.build_id, note::read(&separate)?.build_id);
    if own.is_some() && own == other {
        return Ok(true);
    }
    if !detached(&separate) {
        let (one, two) = (code(&shipped)?, code(&separate)?);
        return Ok(!one.is_empty() && one == two);
    }
    Ok(own.is_none() && other.is_none() && places(&shipped) == places(&separate))
}

/// The address of each executable segment, and what is in it.
fn code(file: &File<'_>) -> Result<Vec<(u64, Vec<u8>)>, Unreadable> {
    let segments = file.segments.iter().filter(|segment| {
        segment.p_type == PT_LOAD && segment.p_flags & PF_X != 0 && segment.p_filesz > 0
    });
    let mut code = Vec::new();
    for segment in segments {
        // The first bytes of a file say where its section headers are.
        let place = file.segment(segment)?;
        let start = if place.start == 0 { 64.min(place.end) } else { place.start };
        let bytes = file.source.piece(start, place.end - start)?.unwrap_or_default();
        code.push((segment.p_vaddr, bytes.into_owned()));
    }
    Ok(code)
}

/// The address and the size of each section that is loaded.
fn places(file: &File<'_>) -> Vec<(u64, u64)> {
    let sections = file.sections.iter().filter(|section| is_alloc(section));
    sections.map(|section| (section.sh_addr, section.sh_size)).collect()
}
