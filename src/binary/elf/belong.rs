//! Whether symbols are those of a program.

use std::ops::Range;

use goblin::elf::program_header::{PF_X, PT_LOAD};

use crate::model::source::{ReadError, Source};

use super::{
    facts::detached,
    file::{File, is_alloc},
    note,
};

/// Returns whether `separate` is the file that `shipped` was stripped from, or its debug file: the
/// build ids are the same; or the code is, byte for byte, since stripping may renew the id; or, if the
/// debug file has no code and neither has an id, its sections have the same addresses.
///
/// # Errors
/// One of them is not an ELF file that can be read.
pub fn belongs<'a>(
    shipped: impl Into<Source<'a>>,
    separate: impl Into<Source<'a>>,
) -> Result<bool, ReadError> {
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
        return same_code(&shipped, &separate);
    }
    Ok(own.is_none() && other.is_none() && places(&shipped) == places(&separate))
}

/// Returns whether both have the same executable segments, and the same bytes in them.
fn same_code(one: &File<'_>, two: &File<'_>) -> Result<bool, ReadError> {
    let segments = (code(one)?, code(two)?);
    if segments.0.is_empty() || segments.0.len() != segments.1.len() {
        return Ok(false);
    }
    for ((address, place), (other, there)) in segments.0.into_iter().zip(segments.1) {
        if address != other || one.source.first_difference(place, two.source, there)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the address of each executable segment, and its range in the file.
fn code(file: &File<'_>) -> Result<Vec<(u64, Range<u64>)>, ReadError> {
    let segments = file.segments.iter().filter(|segment| {
        segment.p_type == PT_LOAD && segment.p_flags & PF_X != 0 && segment.p_filesz > 0
    });
    let code = segments.map(|segment| {
        let mut place = file.segment(segment)?;
        if place.start == 0 {
            // The first bytes of a file say where its section headers are.
            place.start = 64.min(place.end);
        }
        Ok((segment.p_vaddr, place))
    });
    code.collect()
}

/// Returns the address and the size of each section that is loaded.
fn places(file: &File<'_>) -> Vec<(u64, u64)> {
    let sections = file.sections.iter().filter(|section| is_alloc(section));
    sections.map(|section| (section.sh_addr, section.sh_size)).collect()
}
