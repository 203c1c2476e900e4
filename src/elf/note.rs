//! Notes (gABI, "Note Section") that GNU owns.

use goblin::elf::{
    note::{NT_GNU_ABI_TAG, NT_GNU_BUILD_ID},
    program_header::PT_NOTE,
    section_header::SHT_NOTE,
};

use super::file::{File, Unreadable, Words};

/// The most notes looked at. Note segments may lie over each other, so their number is not bounded
/// by the file's size.
const NOTES: usize = 65_536;

/// The longest build id that is taken for one; sha1 has 20 bytes, sha512 has 64.
const BUILD_ID: usize = 64;

/// What the notes say.
#[derive(Default)]
pub(super) struct Notes {
    /// The bytes of the first `NT_GNU_BUILD_ID` (`ld --build-id`).
    pub(super) build_id: Option<Vec<u8>>,
    /// Whether there is an `NT_GNU_ABI_TAG`, which glibc's start files bring.
    pub(super) abi_tag: bool,
}

/// The notes of the segments and of the sections.
pub(super) fn read(file: &File<'_>) -> Result<Notes, Unreadable> {
    let mut notes = Notes::default();
    let mut left = NOTES;
    for segment in file.segments.iter().filter(|s| s.p_type == PT_NOTE) {
        let bytes = file.segment(segment)?;
        notes.add(bytes, segment.p_align, file.words(), &mut left)?;
    }
    for section in file.sections.iter().filter(|s| s.sh_type == SHT_NOTE) {
        let bytes = file.content(section)?;
        notes.add(bytes, section.sh_addralign, file.words(), &mut left)?;
    }
    Ok(notes)
}

impl Notes {
    fn add(
        &mut self,
        bytes: &[u8],
        align: u64,
        words: Words,
        left: &mut usize,
    ) -> Result<(), Unreadable> {
        // 8 is what x86-64's property note uses; every other value means 4 in practice.
        let align = if align == 8 { 8 } else { 4 };
        let mut rest = bytes;
        // A broken note ends the search: no check passes because a note is absent.
        while let Some(note) = next(rest, align, words) {
            let Some(fewer) = left.checked_sub(1) else {
                return Err(Unreadable::new(format!("it has more than {NOTES} notes")));
            };
            *left = fewer;
            rest = note.after;
            if note.name != b"GNU\0" {
                continue;
            }
            let is = |kind: u32| note.kind == u64::from(kind);
            self.abi_tag |= is(NT_GNU_ABI_TAG);
            if is(NT_GNU_BUILD_ID) && (1..=BUILD_ID).contains(&note.content.len()) {
                self.build_id.get_or_insert_with(|| note.content.to_vec());
            }
        }
        Ok(())
    }
}

struct Note<'a> {
    name: &'a [u8],
    kind: u64,
    content: &'a [u8],
    after: &'a [u8],
}

/// The first note, and what follows it.
fn next(bytes: &[u8], align: usize, words: Words) -> Option<Note<'_>> {
    let name_len = usize::try_from(words.u32(bytes, 0)?).ok()?;
    let len = usize::try_from(words.u32(bytes, 4)?).ok()?;
    let name_end = 12_usize.checked_add(name_len)?;
    let start = name_end.checked_next_multiple_of(align)?;
    let end = start.checked_add(len)?;
    let after = end.checked_next_multiple_of(align)?;
    Some(Note {
        name: bytes.get(12..name_end)?,
        kind: words.u32(bytes, 8)?,
        content: bytes.get(start..end)?,
        after: bytes.get(after..).unwrap_or_default(),
    })
}
