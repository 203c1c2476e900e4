//! The match of a program and a file with its symbols.

use std::ops::Range;

use goblin::elf::program_header::{PF_X, PT_LOAD};

use crate::model::source::{ReadError, Source};

use super::{
    facts::is_detached,
    file::{ElfFile, is_alloc},
    note,
};

/// Returns whether `separate` is the file that `shipped` was stripped from, or its debug file: the
/// build ids are the same; or the code is, byte for byte, since stripping may renew the id; or, if the
/// debug file has no code and neither has an id, its sections have the same addresses.
///
/// # Errors
/// One of them is not an ELF file that can be read.
pub fn is_symbol_file<'a>(
    shipped: impl Into<Source<'a>>,
    separate: impl Into<Source<'a>>,
) -> Result<bool, ReadError> {
    let (shipped, separate) = (ElfFile::read(shipped)?, ElfFile::read(separate)?);
    let (one, two) = (&shipped.header, &separate.header);
    if (one.e_machine, shipped.ctx) != (two.e_machine, separate.ctx) {
        return Ok(false);
    }
    let (own, other) = (note::read(&shipped)?.build_id, note::read(&separate)?.build_id);
    if own.is_some() && own == other {
        return Ok(true);
    }
    if !is_detached(&separate) {
        return has_same_code(&shipped, &separate);
    }
    Ok(own.is_none() && other.is_none() && loaded_sections(&shipped) == loaded_sections(&separate))
}

/// Returns whether both have the same executable segments, and the same bytes in them.
fn has_same_code(one: &ElfFile<'_>, two: &ElfFile<'_>) -> Result<bool, ReadError> {
    let segments = (code_ranges(one)?, code_ranges(two)?);
    if segments.0.is_empty() || segments.0.len() != segments.1.len() {
        return Ok(false);
    }
    for ((address, range), (other, other_range)) in segments.0.into_iter().zip(segments.1) {
        if address != other
            || one.source.first_difference(range, two.source, other_range)?.is_some()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the address of each executable segment, and its range in the file.
fn code_ranges(file: &ElfFile<'_>) -> Result<Vec<(u64, Range<u64>)>, ReadError> {
    let segments = file.segments.iter().filter(|segment| {
        segment.p_type == PT_LOAD && segment.p_flags & PF_X != 0 && segment.p_filesz > 0
    });
    let code = segments.map(|segment| {
        let mut range = file.segment_range(segment)?;
        if range.start == 0 {
            // The first bytes of a file say where its section headers are.
            range.start = 64.min(range.end);
        }
        Ok((segment.p_vaddr, range))
    });
    code.collect()
}

/// Returns the address and the size of each section that is loaded.
fn loaded_sections(file: &ElfFile<'_>) -> Vec<(u64, u64)> {
    let sections = file.sections.iter().filter(|section| is_alloc(section));
    sections.map(|section| (section.sh_addr, section.sh_size)).collect()
}
