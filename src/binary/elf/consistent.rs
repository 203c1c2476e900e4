//! Contradictions in a file, because of which what is read here would not be what runs: kernels and
//! dynamic linkers each take their own fields for the truth, and seldom check the others.

use goblin::elf::{
    header::{EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_X86_64, ET_DYN, ET_EXEC},
    program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_PHDR, ProgramHeader},
};

use super::{
    facts::is_detached,
    file::{ElfFile, PN_XNUM},
};
use crate::model::{
    machine::{Endian, machine_name},
    source::ReadError,
};

/// The smallest page of a kernel.
const PAGE: u64 = 4096;

/// Checks what a kernel or a dynamic linker would read in another way.
///
/// # Errors
/// The first contradiction.
pub(super) fn check(file: &ElfFile<'_>) -> Result<(), ReadError> {
    check_identification(file)?;
    if !matches!(file.header.e_type, ET_EXEC | ET_DYN) || is_detached(file) {
        return Ok(());
    }
    if file.header.e_phnum == PN_XNUM {
        // No kernel reads the real number from the first section of a program.
        return Err(ReadError::new("its number of program headers is in its first section"));
    }
    for kind in [PT_DYNAMIC, PT_INTERP, PT_PHDR] {
        if file.segments.iter().filter(|segment| segment.p_type == kind).count() > 1 {
            let kind = super::segment_type_name(kind);
            return Err(ReadError::new(format!("it has more than one {kind}")));
        }
    }
    check_segments(file)?;
    check_program_headers(file)
}

/// Checks `EI_CLASS` and `EI_DATA` against `e_machine`. Linux uses `e_machine` alone, and reads the
/// rest as its own machine has it (fs/binfmt_elf.c, load_elf_binary).
fn check_identification(file: &ElfFile<'_>) -> Result<(), ReadError> {
    let class = if file.ctx.is_big() { 64 } else { 32 };
    let (machine, endian) = (file.header.e_machine, file.endian());
    if let Some((expected, order)) = class_and_order(machine)
        && (expected != class || order.is_some_and(|order| order != endian))
    {
        return Err(ReadError::new(format!(
            "its class and byte order are not those of its machine {}",
            machine_name(machine)
        )));
    }
    let swapped = machine.swap_bytes();
    if class_and_order(swapped).is_some_and(|(_, order)| order.is_some_and(|order| order != endian))
    {
        return Err(ReadError::new(format!(
            "its machine is {} in the other byte order",
            machine_name(swapped)
        )));
    }
    Ok(())
}

/// Returns the class of a machine, and its byte order if it has only one.
fn class_and_order(machine: u16) -> Option<(u8, Option<Endian>)> {
    Some(match machine {
        EM_386 => (32, Some(Endian::Little)),
        EM_X86_64 => (64, Some(Endian::Little)),
        EM_ARM => (32, None),
        EM_AARCH64 | EM_PPC64 => (64, None),
        _ => return None,
    })
}

/// Checks that each byte of memory is loaded from one segment.
fn check_segments(file: &ElfFile<'_>) -> Result<(), ReadError> {
    let mut last: Option<&ProgramHeader> = None;
    for segment in file.segments.iter().filter(|s| s.p_type == PT_LOAD && s.p_memsz > 0) {
        if segment.p_filesz > segment.p_memsz {
            return Err(ReadError::new(format!(
                "its PT_LOAD at {:#x} has more bytes in the file than in memory",
                segment.p_vaddr
            )));
        }
        let end = segment.p_vaddr.checked_add(segment.p_memsz);
        if end.and_then(|end| end.checked_add(PAGE)).is_none() {
            return Err(ReadError::new("its memory ends after the last address"));
        }
        if let Some(before) = last {
            let end = before.p_vaddr.saturating_add(before.p_memsz);
            let page_end = end.next_multiple_of(PAGE);
            let page = segment.p_vaddr - segment.p_vaddr % PAGE;
            let distance = |s: &ProgramHeader| s.p_vaddr.wrapping_sub(s.p_offset);
            // The pages that two segments share come from the later one.
            let differs = page < page_end && distance(before) != distance(segment);
            if segment.p_vaddr < end || differs {
                return Err(ReadError::new(format!(
                    "its PT_LOAD at {:#x} and {:#x} overlap, or are not in order",
                    before.p_vaddr, segment.p_vaddr
                )));
            }
        }
        last = Some(segment);
    }
    Ok(())
}

/// Checks that the program headers in memory, which a dynamic linker reads, are those in the file.
fn check_program_headers(file: &ElfFile<'_>) -> Result<(), ReadError> {
    if !file.segments.iter().any(|segment| segment.p_type == PT_INTERP) {
        return Ok(());
    }
    let start = file.header.e_phoff;
    let size = u64::from(file.header.e_phentsize) * u64::from(file.header.e_phnum);
    let end = start.saturating_add(size);
    let loaded = file.segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    let first = loaded.clone().next().map(|segment| segment.p_vaddr.wrapping_sub(segment.p_offset));
    let contains_table = |segment: &&ProgramHeader| {
        segment.p_offset <= start && end <= segment.p_offset.saturating_add(segment.p_filesz)
    };
    let base = loaded
        .clone()
        .find(contains_table)
        .map(|segment| segment.p_vaddr.wrapping_sub(segment.p_offset));
    let own = file.segments.iter().find(|segment| segment.p_type == PT_PHDR);
    let same = own.is_none_or(|segment| {
        segment.p_offset == start && Some(segment.p_vaddr.wrapping_sub(start)) == base
    });
    // Kernels before 5.18 take the distance of the first segment for that of the table.
    if base.is_none() || base != first || !same {
        return Err(ReadError::new(
            "its program headers are loaded from a different offset than they are read from",
        ));
    }
    Ok(())
}
