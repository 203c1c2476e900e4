//! Separates a program from its symbols and debug information, which debuggers find again by build
//! id or by name and checksum (GDB manual, "Separate Debug Files").

use std::{collections::BTreeMap, ops::Range};

use goblin::elf::{
    program_header::{PT_GNU_PROPERTY, PT_LOAD, PT_NOTE, PT_PHDR, ProgramHeader},
    section_header::{SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_SYMTAB, SectionHeader},
};

use super::{
    build_id,
    composite::Composite,
    file::{ElfFile, NumberFormat, is_alloc, quote},
    strip::{StripError, StripOptions, charge, new_build_id, read_program, rewrite},
    table::{self, Section, pad},
};
use crate::model::source::{ReadAt as _, ReadError, Source};

/// A program and its separate debug information.
#[derive(Debug)]
pub struct SplitProgram<'a> {
    /// The stripped program, with a `.gnu_debuglink`.
    pub stripped: Composite<'a>,
    /// The file that `objcopy --only-keep-debug` makes: everything that [`super::strip()`] removes, and
    /// the headers and notes of the rest.
    pub debug: Composite<'a>,
}

/// Strips the program and returns what was removed as a separate file. `debug_name` is the name,
/// without a directory, that file will have: debuggers search for it beside the program and in `.debug`
/// there. Both have the same build id, if the program has one.
///
/// # Errors
/// The program cannot be stripped, has nothing to take away, or the name is not one of a file.
pub fn split<'a>(
    source: impl Into<Source<'a>>,
    keep: StripOptions<'_>,
    debug_name: &str,
) -> Result<SplitProgram<'a>, StripError> {
    if debug_name.is_empty() || debug_name.contains(['/', '\0']) {
        let name = quote(debug_name.as_bytes());
        return Err(StripError::new(format!("{name} is not the name of a file")));
    }
    let file = read_program(source.into())?;
    if !file.sections.iter().any(|section| is_debug_section(&file, section)) {
        return Err(StripError::new("it has no symbols and no debug information to separate"));
    }
    let mut debug = debug_file(&file)?;
    if let Some(id) = new_build_id(&file, keep)? {
        let ranges = build_id::find_ranges(&ElfFile::read(&debug)?, debug.size())?;
        id.write(ranges, &mut debug);
    }
    let link = debug_link(debug_name, &debug, file.words())?;
    let stripped = rewrite(&file, keep, Some(&link))?;
    Ok(SplitProgram { stripped, debug })
}

fn is_debug_section(file: &ElfFile<'_>, section: &SectionHeader) -> bool {
    let name = file.name(section);
    section.sh_type == SHT_SYMTAB
        || (!is_alloc(section) && (name.starts_with(b".debug_") || name.starts_with(b".zdebug_")))
}

/// Returns the name with its NUL, padded to four bytes, and the CRC-32 of the complete debug file, in
/// the program's byte order.
fn debug_link(
    name: &str,
    debug: &Composite<'_>,
    words: NumberFormat,
) -> Result<Vec<u8>, ReadError> {
    let mut link = name.as_bytes().to_vec();
    link.push(0);
    link.resize(link.len().next_multiple_of(4), 0);
    let mut crc = libdeflater::Crc::new();
    Source::File(debug).for_each_chunk(0..debug.size(), |chunk| crc.update(chunk))?;
    words.push(&mut link, crc.sum().into(), 4);
    Ok(link)
}

/// Returns the sections of the debug file. Loaded sections keep their headers, addresses and indices,
/// since symbols refer to them, and lose their bytes; only notes keep theirs, so that the build id is
/// in both files.
fn debug_file<'a>(file: &ElfFile<'a>) -> Result<Composite<'a>, StripError> {
    let mut out = Composite::new(file.source);
    out.copy(0..if file.ctx.is_big() { 64 } else { 52 });
    let program_headers = out.size();
    let headers_len = usize::from(file.header.e_phentsize).saturating_mul(file.segments.len());
    out.push(&vec![0; headers_len]);
    let headers_end = out.size();

    let mut sections: Vec<Section<'_>> = file
        .sections
        .iter()
        .map(|section| Section { name: file.name(section), header: section.clone() })
        .collect();
    let mut remaining = file.source.size();
    let mut notes = BTreeMap::new();
    let is_note = |header: &SectionHeader| is_alloc(header) && header.sh_type == SHT_NOTE;
    // Notes are first and adjacent: segments of several notes stay complete.
    for Section { header, .. } in sections.iter_mut().filter(|s| is_note(&s.header)) {
        let content = file.section_range(header)?;
        remaining = charge(remaining, &content)?;
        let at = pad(&mut out, header.sh_addralign);
        out.copy(content);
        notes.insert(header.sh_offset, at..at.saturating_add(header.sh_size));
        header.sh_offset = at;
    }
    // The names are rewritten at their old offset, unless they are also a symbol table's.
    let names_index = file.names_index().filter(|&names| {
        let linked = |section: &SectionHeader| usize::try_from(section.sh_link) == Ok(names);
        names != 0 && !file.sections.iter().skip(1).any(linked)
    });
    for (index, Section { header, .. }) in sections.iter_mut().enumerate() {
        if names_index == Some(index) {
            continue;
        }
        if header.sh_type == SHT_NULL || is_note(header) {
            if index == 0 {
                (header.sh_size, header.sh_link) = (0, 0);
            }
        } else if is_alloc(header) {
            header.sh_type = SHT_NOBITS;
            header.sh_offset = out.size();
        } else {
            let content = file.section_range(header)?;
            remaining = charge(remaining, &content)?;
            header.sh_offset = pad(&mut out, header.sh_addralign);
            out.copy(content);
        }
    }
    let headers = program_header_table(file, program_headers..headers_end, &notes);
    table::overwrite(&mut out, program_headers, &headers)?;
    let words = file.words();
    let field = if words.wide { 32 } else { 28 };
    let start = if headers.is_empty() { 0 } else { program_headers };
    let mut offset = Vec::new();
    words.push(&mut offset, start, words.size());
    table::overwrite(&mut out, field, &offset)?;
    table::write_table(&mut out, words, sections, names_index)?;
    Ok(out)
}

/// Returns the program headers, from `start` to `end`: with unchanged addresses and sizes in memory,
/// and bytes in the file only for themselves and for notes.
fn program_header_table(
    file: &ElfFile<'_>,
    Range { start, end }: Range<u64>,
    notes: &BTreeMap<u64, Range<u64>>,
) -> Vec<u8> {
    let mut out = Vec::new();
    for old in &file.segments {
        let mut header = old.clone();
        let range = match header.p_type {
            PT_PHDR => Some(start),
            PT_NOTE | PT_GNU_PROPERTY => moved_offset(old, notes),
            // The segment with the headers keeps them: PT_PHDR has to be in a loaded one.
            PT_LOAD if old.p_offset == 0 && file.header.e_phoff == start => {
                header.p_filesz = old.p_filesz.min(end);
                Some(0)
            }
            _ => None,
        };
        match range {
            Some(range) => header.p_offset = range,
            None => {
                // An offset must agree with the address below the alignment, even of nothing.
                let rest = header.p_vaddr.checked_rem(header.p_align);
                header.p_offset = rest.unwrap_or_default();
                header.p_filesz = 0;
            }
        }
        push_program_header(&mut out, file.words(), &header);
    }
    out
}

/// Returns the new offset of the notes of a segment, if they are as they were: adjacent without a gap.
fn moved_offset(segment: &ProgramHeader, notes: &BTreeMap<u64, Range<u64>>) -> Option<u64> {
    /// Programs have two or three; the limit bounds the time of many segments over many notes.
    const MAX_NOTES: usize = 16;
    let first = notes.get(&segment.p_offset)?.start;
    let end = segment.p_offset.checked_add(segment.p_filesz)?;
    let mut last = first;
    for (old, new) in notes.range(segment.p_offset..end).take(MAX_NOTES) {
        if new.start.checked_sub(first) != old.checked_sub(segment.p_offset) {
            return None;
        }
        last = new.end;
    }
    (last.checked_sub(first)? >= segment.p_filesz).then_some(first)
}

/// Appends a program header (gABI, "Program Header"): the flags' place depends on the class.
fn push_program_header(out: &mut Vec<u8>, words: NumberFormat, header: &ProgramHeader) {
    let word = words.size();
    let flags = (u64::from(header.p_flags), 4);
    words.push(out, header.p_type.into(), 4);
    if words.wide {
        words.push(out, flags.0, flags.1);
    }
    for number in [header.p_offset, header.p_vaddr, header.p_paddr, header.p_filesz, header.p_memsz]
    {
        words.push(out, number, word);
    }
    if !words.wide {
        words.push(out, flags.0, flags.1);
    }
    words.push(out, header.p_align, word);
}
