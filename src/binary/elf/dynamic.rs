//! The dynamic section: what a file requests of a dynamic linker (gABI, "Dynamic Section").

use std::{borrow::Cow, cell::RefCell};

use goblin::elf::{
    dynamic::{
        DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED,
        DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_TEXTREL, DT_VERNEED,
    },
    header::{ET_DYN, ET_EXEC},
    program_header::{PT_DYNAMIC, PT_LOAD},
};

use memchr::{memmem, memrchr};

use super::{
    facts::is_detached,
    file::{ElfFile, quote, text, until_nul},
    version,
};
use crate::model::source::{ReadError, Source};

/// The longest string read from the dynamic string table: Linux' `PATH_MAX`.
const MAX_STRING: usize = 4096;

/// The most needed libraries that are listed. Programs have tens; without a limit the many names
/// could all be one long string.
const MAX_NEEDED: usize = 4096;

/// The most functions that check sizes which are listed; glibc has some eighty.
const MAX_FORTIFIED: usize = 128;

/// The contents of the dynamic section.
#[derive(Default)]
pub(super) struct Dynamic {
    pub(super) needed: Vec<String>,
    pub(super) soname: Option<String>,
    pub(super) rpath: Option<String>,
    pub(super) runpath: Option<String>,
    pub(super) flags: u64,
    pub(super) flags_1: u64,
    /// Whether `__stack_chk_fail` is among its names, which checks of the stack call.
    pub(super) canary: bool,
    /// The names of functions that check the sizes of buffers (`__memcpy_chk`).
    pub(super) fortified: Vec<String>,
    /// The newest version of glibc that it names (`GLIBC_2.34`).
    pub(super) glibc: Option<version::Version>,
    text_relocations: bool,
    bind_now: bool,
}

impl Dynamic {
    pub(super) fn text_relocations(&self) -> bool {
        self.text_relocations || self.flags & DF_TEXTREL != 0
    }

    pub(super) fn bind_now(&self) -> bool {
        self.bind_now || self.flags & DF_BIND_NOW != 0 || self.flags_1 & DF_1_NOW != 0
    }

    pub(super) fn pie(&self) -> bool {
        self.flags_1 & DF_1_PIE != 0
    }

    /// Facts from the names of symbols, in a part of their table. Tables have millions of bytes, so
    /// only candidates for such a name are checked.
    fn inspect_names(&mut self, names: &[u8]) {
        self.canary |= memmem::find(names, b"\0__stack_chk_fail\0").is_some();
        for end in memmem::find_iter(names, b"_chk\0").map(|at| at + b"_chk".len()) {
            let before = names.get(..end).unwrap_or_default();
            let start = memrchr(0, before).map_or(0, |at| at + 1);
            let name = before.get(start..).unwrap_or_default();
            let new = !self.fortified.iter().any(|known| known.as_bytes() == name);
            let checks = name.starts_with(b"__") && name.len() < MAX_STRING;
            if checks && new && self.fortified.len() < MAX_FORTIFIED {
                self.fortified.push(text(name));
            }
        }
    }
}

/// Returns the dynamic section; `None` if the file has no `PT_DYNAMIC`, or one without bytes in the
/// file. The table of all names is read if `names` is set.
pub(super) fn read(file: &ElfFile<'_>, names: bool) -> Result<Option<Dynamic>, ReadError> {
    let Some(segment) = file.segments.iter().find(|s| s.p_type == PT_DYNAMIC) else {
        return Ok(None);
    };
    if segment.p_filesz == 0 {
        // A dynamic linker reads what is at its address, whatever its size.
        let harmless = is_detached(file) || !matches!(file.header.e_type, ET_EXEC | ET_DYN);
        return if harmless {
            Ok(None)
        } else {
            Err(ReadError::new("its PT_DYNAMIC has no bytes in the file"))
        };
    }
    // Loaders go by the address and readers by the offset: where they differ, what is read here is
    // not what happens.
    let loaded = file.segments.iter().any(|s| s.p_type == PT_LOAD);
    if loaded && file.offset_of(segment.p_vaddr) != Some(segment.p_offset) {
        return Err(ReadError::new("the offset of its PT_DYNAMIC does not match its address"));
    }
    let range = file.segment_range(segment)?;
    let bytes = file.source.read_up_to(range.start, range.end - range.start)?;
    parse_entries(file, &bytes, names).map(Some)
}

/// The tags of which a dynamic linker takes one entry only.
const UNIQUE_TAGS: [u64; 8] =
    [DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1, DT_VERNEED];

/// Further tags with names of libraries that glibc loads (glibc's elf/dl-deps.c, elf/rtld.c):
/// `DT_AUXILIARY`, `DT_FILTER`, `DT_AUDIT`, `DT_DEPAUDIT`.
const LIBRARY_TAGS: [u64; 4] = [0x7fff_fffd, 0x7fff_ffff, 0x6fff_fefc, 0x6fff_fefb];

fn parse_entries(file: &ElfFile<'_>, bytes: &[u8], names: bool) -> Result<Dynamic, ReadError> {
    let words = file.words();
    let pairs = || {
        bytes
            .chunks_exact(words.size() * 2)
            .map_while(move |entry| Some((words.word(entry, 0)?, words.word(entry, words.size())?)))
            .take_while(|&(tag, _)| tag != DT_NULL)
    };
    let complete =
        bytes.chunks_exact(words.size() * 2).any(|entry| words.word(entry, 0) == Some(DT_NULL));
    if !complete {
        // A dynamic linker reads on behind it.
        return Err(ReadError::new("its PT_DYNAMIC has no end (DT_NULL)"));
    }
    for unique in UNIQUE_TAGS {
        let mut values = pairs().filter(|&(tag, _)| tag == unique).map(|(_, value)| value);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            return Err(ReadError::new(format!(
                "its PT_DYNAMIC has several different entries of the tag {unique:#x}"
            )));
        }
    }
    let last = |searched| pairs().filter(|&(tag, _)| tag == searched).last();
    let strings = match (last(DT_STRTAB), last(DT_STRSZ)) {
        (Some((_, address)), Some((_, size))) => StringTable::new(file, address, size),
        _ => None,
    };
    // A name that cannot be read is still a library that is needed.
    let string = |offset| {
        let name = strings.as_ref().map(|table| table.get(offset)).transpose()?.flatten();
        let outside = || format!("string {offset:#x}, which is outside the string table");
        Ok::<_, ReadError>(name.unwrap_or_else(outside))
    };
    let mut dynamic = Dynamic::default();
    if let Some(strings) = strings.as_ref().filter(|_| names) {
        strings.for_each_chunk(|names| dynamic.inspect_names(names))?;
    }
    if let Some((_, address)) = last(DT_VERNEED) {
        let known = |offset| {
            let name = strings.as_ref().map(|table| table.get(offset)).transpose()?.flatten();
            name.ok_or_else(|| ReadError::new("a version that it needs is outside its strings"))
        };
        dynamic.glibc = version::newest_glibc(file, address, known)?;
    }
    for (tag, value) in pairs() {
        match tag {
            tag if (tag == DT_NEEDED || LIBRARY_TAGS.contains(&tag))
                && dynamic.needed.len() == MAX_NEEDED =>
            {
                return Err(ReadError::new(format!(
                    "it needs more than {MAX_NEEDED} libraries, {} among them",
                    quote(string(value)?.as_bytes())
                )));
            }
            tag if tag == DT_NEEDED || LIBRARY_TAGS.contains(&tag) => {
                dynamic.needed.push(string(value)?);
            }
            DT_SONAME => dynamic.soname = Some(string(value)?),
            DT_RPATH => dynamic.rpath = Some(string(value)?),
            DT_RUNPATH => dynamic.runpath = Some(string(value)?),
            DT_FLAGS => dynamic.flags |= value,
            DT_FLAGS_1 => dynamic.flags_1 |= value,
            DT_TEXTREL => dynamic.text_relocations = true,
            DT_BIND_NOW => dynamic.bind_now = true,
            _ => {}
        }
    }
    Ok(dynamic)
}

/// The dynamic string table.
struct StringTable<'a> {
    source: Source<'a>,
    start: u64,
    size: u64,
    /// The part that was read last, and its offset in the table: consecutive requests are for adjacent
    /// names.
    recent: RefCell<(u64, Cow<'a, [u8]>)>,
}

/// The number of bytes of the table that are read around a name.
const READ_AROUND: u64 = 8 << 10;

impl<'a> StringTable<'a> {
    /// Returns the table of that size at that address; `None` if it is not entirely in the file.
    fn new(file: &ElfFile<'a>, address: u64, size: u64) -> Option<Self> {
        let start = file.offset_of(address)?;
        let end = start.checked_add(size)?;
        let recent = RefCell::default();
        (end <= file.source.size()).then_some(StringTable {
            source: file.source,
            start,
            size,
            recent,
        })
    }

    /// Returns the name at that offset, truncated if it is too long; `None` if that is outside the
    /// table.
    fn get(&self, offset: u64) -> Result<Option<String>, ReadError> {
        if offset > self.size {
            return Ok(None);
        }
        let mut recent = self.recent.borrow_mut();
        let read_end = recent.0.saturating_add(recent.1.len() as u64);
        let end = offset.saturating_add(MAX_STRING as u64).min(self.size);
        if offset < recent.0 || end > read_end {
            let first = offset.saturating_sub(READ_AROUND);
            let len = (self.size - first).min(2 * READ_AROUND);
            *recent = (first, self.source.read_up_to(self.start.saturating_add(first), len)?);
        }
        let Some(at) = offset.checked_sub(recent.0) else { return Ok(None) };
        Ok(until_nul(&recent.1, at, MAX_STRING).map(text))
    }

    /// Calls `take` with all names, in parts. A name that spans two parts is complete in one of them,
    /// unless it is longer than the overlap of the windows.
    fn for_each_chunk(&self, mut take: impl FnMut(&[u8])) -> Result<(), ReadError> {
        self.source.for_each_window(
            self.start..self.start.saturating_add(self.size),
            |window, _| {
                take(window);
                true
            },
        )?;
        Ok(())
    }
}
