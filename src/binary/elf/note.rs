//! GNU notes (gABI, "Note Section").

use std::ops::Range;

use crate::model::source::ReadError;

use goblin::elf::{
    header::{EM_386, EM_AARCH64, EM_X86_64},
    note::{NT_GNU_ABI_TAG, NT_GNU_BUILD_ID, NT_GNU_PROPERTY_TYPE_0},
    program_header::PT_NOTE,
    section_header::SHT_NOTE,
};

use super::file::{ElfFile, NumberFormat};

/// The most notes that are read. Note segments may overlap, so their number is not bounded by the
/// file's size.
const MAX_NOTES: usize = 65_536;

/// The most bytes of notes that are read, for the same reason; programs have some hundred.
const MAX_SIZE: u64 = 16 << 20;

/// The most properties of one note that are read; programs have two or three. Each of many notes could
/// span the entire file.
const MAX_PROPERTIES: usize = 64;

/// The longest build id that is taken for one; sha1 has 20 bytes, sha512 has 64.
const MAX_BUILD_ID: usize = 64;

/// The contents of the notes.
#[derive(Default)]
pub(super) struct Notes {
    /// The bytes of the first `NT_GNU_BUILD_ID` (`ld --build-id`).
    pub(super) build_id: Option<Vec<u8>>,
    /// Whether there is an `NT_GNU_ABI_TAG`, which glibc's start files bring.
    pub(super) abi_tag: bool,
    /// The properties that every object in the file shares.
    pub(super) property: Property,
}

/// `NT_GNU_PROPERTY_TYPE_0`: what linkers make of the promises of all objects
/// (<https://gitlab.com/x86-psABIs/linux-abi>, "Program Property"; for arm64
/// <https://github.com/ARM-software/abi-aa/blob/main/sysvabi64/sysvabi64.rst>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Property {
    /// `GNU_PROPERTY_X86_ISA_1_NEEDED`: bit n is level n + 1 of x86-64 (`x86-64-v2` is bit 1).
    pub isa_needed: Option<u32>,
    /// The machine's `FEATURE_1_AND`. x86: 1 indirect branch tracking, 2 shadow stack. arm64:
    /// 1 branch target identification, 2 pointer authentication, 4 guarded control stack.
    pub features: Option<u32>,
}

/// Returns the notes of the segments and of the sections.
pub(super) fn read(file: &ElfFile<'_>) -> Result<Notes, ReadError> {
    let mut notes = Notes::default();
    for_each_note(file, |note, _| {
        let is = |kind: u32| note.kind == u64::from(kind);
        notes.abi_tag |= is(NT_GNU_ABI_TAG);
        if is_build_id(&note) {
            notes.build_id.get_or_insert_with(|| note.content.to_vec());
        }
        if is(NT_GNU_PROPERTY_TYPE_0) {
            notes.property.add(file, note.content);
        }
    })?;
    Ok(notes)
}

/// Returns the ranges of the build ids in the file, first the one that [`read()`] returns. One that a
/// segment and a section have in common is there once.
pub(super) fn build_ids(file: &ElfFile<'_>) -> Result<Vec<Range<u64>>, ReadError> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for_each_note(file, |note, at| {
        let range = at..at.saturating_add(note.content.len() as u64);
        // A program has one; the limit bounds the time that the search among them takes.
        if is_build_id(&note) && ranges.len() < 16 && !ranges.contains(&range) {
            ranges.push(range);
        }
    })?;
    Ok(ranges)
}

fn is_build_id(note: &Note<'_>) -> bool {
    note.kind == u64::from(NT_GNU_BUILD_ID) && (1..=MAX_BUILD_ID).contains(&note.content.len())
}

/// Calls `take` with every GNU note, and the offset of its content in the file.
fn for_each_note(file: &ElfFile<'_>, mut take: impl FnMut(Note<'_>, u64)) -> Result<(), ReadError> {
    let mut areas = Vec::new();
    for segment in file.segments.iter().filter(|s| s.p_type == PT_NOTE) {
        areas.push((file.segment_range(segment)?, segment.p_align));
    }
    for section in file.sections.iter().filter(|s| s.sh_type == SHT_NOTE) {
        areas.push((file.section_range(section)?, section.sh_addralign));
    }
    let (mut remaining, mut size) = (MAX_NOTES, MAX_SIZE);
    for (range, align) in areas {
        let len = range.end - range.start;
        size = size
            .checked_sub(len)
            .ok_or_else(|| ReadError::new(format!("it has more than {MAX_SIZE} bytes of notes")))?;
        let (bytes, offset) = (file.source.read_up_to(range.start, len)?, range.start);
        let bytes = &*bytes;
        // 8 is what x86-64's property note uses; every other value means 4 in practice.
        let align = if align == 8 { 8 } else { 4 };
        let mut rest = bytes;
        // A broken note ends the search: no check passes because a note is absent.
        while let Some(note) = parse_note(rest, align, file.words()) {
            let Some(fewer) = remaining.checked_sub(1) else {
                return Err(ReadError::new(format!("it has more than {MAX_NOTES} notes")));
            };
            remaining = fewer;
            let before = offset.saturating_add((bytes.len() - rest.len()) as u64);
            rest = note.after;
            if note.name == b"GNU\0" {
                let at = before.saturating_add(note.start as u64);
                take(note, at);
            }
        }
    }
    Ok(())
}

impl Property {
    /// Adds the properties that are known of the file's machine. Each is a type, a size and data,
    /// aligned as words are.
    fn add(&mut self, file: &ElfFile<'_>, mut rest: &[u8]) {
        const X86_FEATURES: u64 = 0xc000_0002;
        const X86_ISA_NEEDED: u64 = 0xc000_8002;
        const AARCH64_FEATURES: u64 = 0xc000_0000;
        let words = file.words();
        for _ in 0..MAX_PROPERTIES {
            let (Some(kind), Some(len)) = (words.u32(rest, 0), words.u32(rest, 4)) else {
                break;
            };
            let value = words.u32(rest, 8).and_then(|value| u32::try_from(value).ok());
            match (file.header.e_machine, kind) {
                _ if len != 4 => {}
                (EM_386 | EM_X86_64, X86_ISA_NEEDED) => self.isa_needed = value,
                (EM_386 | EM_X86_64, X86_FEATURES) => self.features = value,
                (EM_AARCH64, AARCH64_FEATURES) => self.features = value,
                _ => {}
            }
            let size = usize::try_from(len).ok().and_then(|len| len.checked_add(8));
            let size = size.and_then(|size| size.checked_next_multiple_of(words.size()));
            rest = size.and_then(|size| rest.get(size..)).unwrap_or_default();
        }
    }
}

struct Note<'a> {
    kind: u64,
    name: &'a [u8],
    content: &'a [u8],
    /// The offset of the content from the note's beginning.
    start: usize,
    after: &'a [u8],
}

/// Returns the first note, and the bytes that follow it.
fn parse_note(bytes: &[u8], align: usize, words: NumberFormat) -> Option<Note<'_>> {
    let name_len = usize::try_from(words.u32(bytes, 0)?).ok()?;
    let len = usize::try_from(words.u32(bytes, 4)?).ok()?;
    let name_end = 12_usize.checked_add(name_len)?;
    let start = name_end.checked_next_multiple_of(align)?;
    let end = start.checked_add(len)?;
    let after = end.checked_next_multiple_of(align)?;
    Some(Note {
        kind: words.u32(bytes, 8)?,
        name: bytes.get(12..name_end)?,
        content: bytes.get(start..end)?,
        start,
        after: bytes.get(after..).unwrap_or_default(),
    })
}
