//! The dynamic section: what a file asks of a dynamic linker (gABI, "Dynamic Section").

use goblin::elf::{
    dynamic::{
        DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED,
        DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_TEXTREL,
    },
    program_header::{PT_DYNAMIC, PT_LOAD},
};

use super::file::{File, Unreadable, quote, slice, text, until_nul};

/// The longest string read from the dynamic string table: Linux' `PATH_MAX`.
const STRING: usize = 4096;

/// The most needed libraries that are listed. Programs have tens; without a limit the many names
/// could all be one long string.
const NEEDED: usize = 4096;

/// The most functions that check sizes which are listed; glibc has some eighty.
const FORTIFIED: usize = 128;

/// What the dynamic section says.
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
    pub(super) glibc: Option<Version>,
    text_relocations: bool,
    bind_now: bool,
}

/// A version of glibc.
pub(super) type Version = (u32, u32, u32);

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

    /// What names of symbols and of their versions tell, which are in one table.
    fn look_at_names(&mut self, strings: &[u8]) {
        for name in strings.split(|&byte| byte == 0) {
            if name == b"__stack_chk_fail" {
                self.canary = true;
            } else if name.starts_with(b"__") && name.ends_with(b"_chk") {
                if self.fortified.len() < FORTIFIED && name.len() < STRING {
                    self.fortified.push(text(name));
                }
            } else if let Some(version) = name.strip_prefix(b"GLIBC_").and_then(version) {
                self.glibc = self.glibc.max(Some(version));
            }
        }
    }
}

/// The dynamic section; none where the file has no `PT_DYNAMIC`, or one without bytes in the file.
pub(super) fn read(file: &File<'_>) -> Result<Option<Dynamic>, Unreadable> {
    let mut all = file.segments.iter().filter(|s| s.p_type == PT_DYNAMIC);
    let Some(segment) = all.next().filter(|segment| segment.p_filesz != 0) else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(Unreadable::new("it has more than one PT_DYNAMIC"));
    }
    // Loaders go by the address and readers by the offset: where they differ, what is read here is
    // not what happens.
    let loaded = file.segments.iter().any(|s| s.p_type == PT_LOAD);
    if loaded && file.offset_of(segment.p_vaddr) != Some(segment.p_offset) {
        return Err(Unreadable::new(
            "the offset of its PT_DYNAMIC is not where its address is loaded from",
        ));
    }
    entries(file, file.segment(segment)?).map(Some)
}

fn entries(file: &File<'_>, bytes: &[u8]) -> Result<Dynamic, Unreadable> {
    let words = file.words();
    let pairs = || {
        bytes
            .chunks_exact(words.size() * 2)
            .map_while(move |entry| Some((words.word(entry, 0)?, words.word(entry, words.size())?)))
            .take_while(|&(tag, _)| tag != DT_NULL)
    };
    let last = |wanted| pairs().filter(|&(tag, _)| tag == wanted).last();
    let strings = match (last(DT_STRTAB), last(DT_STRSZ)) {
        (Some((_, address)), Some((_, size))) => {
            file.offset_of(address).and_then(|offset| slice(file.bytes, offset, size))
        }
        _ => None,
    };
    // A name that cannot be read is still a library that is needed.
    let string = |offset| match strings.and_then(|table| until_nul(table, offset, STRING)) {
        Some(name) => text(name),
        None => format!("string {offset:#x}, which is outside the string table"),
    };
    let mut dynamic = Dynamic::default();
    dynamic.look_at_names(strings.unwrap_or_default());
    for (tag, value) in pairs() {
        match tag {
            DT_NEEDED if dynamic.needed.len() == NEEDED => {
                return Err(Unreadable::new(format!(
                    "it needs more than {NEEDED} libraries, {} among them",
                    quote(string(value).as_bytes())
                )));
            }
            DT_NEEDED => dynamic.needed.push(string(value)),
            DT_SONAME => dynamic.soname = Some(string(value)),
            DT_RPATH => dynamic.rpath = Some(string(value)),
            DT_RUNPATH => dynamic.runpath = Some(string(value)),
            DT_FLAGS => dynamic.flags |= value,
            DT_FLAGS_1 => dynamic.flags_1 |= value,
            DT_TEXTREL => dynamic.text_relocations = true,
            DT_BIND_NOW => dynamic.bind_now = true,
            _ => {}
        }
    }
    Ok(dynamic)
}

/// `2.34` or `2.2.5`.
fn version(text: &[u8]) -> Option<Version> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split('.').map(|part| part.parse::<u32>());
    let mut next = || parts.next().transpose().ok();
    let version = (next()??, next()?.unwrap_or(0), next()?.unwrap_or(0));
    parts.next().is_none().then_some(version)
}
