//! The facts that a file records about itself, as plain values.

use std::ops::Range;

use goblin::elf::{
    header::{EI_ABIVERSION, EI_OSABI, ET_CORE, ET_DYN, ET_EXEC, ET_REL},
    program_header::{
        PF_W, PF_X, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NULL,
        ProgramHeader,
    },
    section_header::SHT_SYMTAB,
};

use super::{
    consistent,
    dynamic::{self, Dynamic},
    file::{ElfFile, text, until_nul},
    needle,
    note::{self, Property},
    text as strings,
};
use crate::model::{
    machine::Endian,
    source::{ReadError, Source, slice},
};

/// The longest interpreter path that is read: Linux' `PATH_MAX`, above which the kernel does not run
/// the file.
const PATH_MAX: usize = 4096;

/// The most section names of one sort that are listed.
const MAX_LISTED: usize = 64;

/// The maximum offset of UPX' header in a file: behind the ELF header and a few program headers.
const MAX_UPX_OFFSET: u64 = 1024;

/// The most of `.comment` that is read.
const MAX_COMMENT: u64 = 64 << 10;

/// The facts that an ELF file records about itself. Sizes and offsets are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The size of the file.
    pub size: u64,
    /// 32 or 64 (`EI_CLASS`).
    pub class: u8,
    /// Byte order (`EI_DATA`).
    pub endian: Endian,
    /// `e_machine`; [`crate::model::machine::machine_name`] has the names.
    pub machine: u16,
    /// `e_flags`, with a meaning that depends on the machine.
    pub flags: u32,
    /// `EI_OSABI`.
    pub os_abi: u8,
    /// `EI_ABIVERSION`.
    pub abi_version: u8,
    /// The kind of the file.
    pub shape: Shape,
    /// The address it starts at (`e_entry`); 0 where it does not start.
    pub entry: u64,
    /// The path of `PT_INTERP`: the dynamic linker the kernel has to start instead.
    pub interpreter: Option<String>,
    /// The names of `DT_NEEDED`: shared libraries without which it does not start.
    pub needed: Vec<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RPATH`.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub runpath: Option<String>,
    /// `DT_FLAGS`; 0 where there is none.
    pub dynamic_flags: u64,
    /// `DT_FLAGS_1`; 0 where there is none.
    pub dynamic_flags_1: u64,
    /// Whether its code has to be written to when it is loaded (`DT_TEXTREL`, `DF_TEXTREL`).
    pub text_relocations: bool,
    /// Whether all symbols are bound at the start (`DT_BIND_NOW`, `DF_BIND_NOW`, `DF_1_NOW`).
    pub bind_now: bool,
    /// Whether it requests read-only pages after relocation (`PT_GNU_RELRO`). The request may be
    /// ignored: musl's static start-up code leaves them writable.
    pub relro: bool,
    /// `PT_GNU_STACK`; `None` if it has none.
    pub stack: Option<Stack>,
    /// Every segment but `PT_NULL`.
    pub segments: Vec<Segment>,
    /// Whether it has section headers.
    pub has_sections: bool,
    /// Whether it has a symbol table (`SHT_SYMTAB`); the dynamic one does not count.
    pub symbols: bool,
    /// The names of sections with debug information that are not loaded (`.debug_*`, `.zdebug_*`),
    /// at most 64 of them.
    pub debug_sections: Vec<String>,
    /// The names of sections that profiling and coverage add (`__llvm_prf_*`, `__llvm_cov*`), at
    /// most 64 of them.
    pub instrumentation: Vec<String>,
    /// `NT_GNU_BUILD_ID`.
    pub build_id: Option<Vec<u8>>,
    /// The properties that all objects in it share (`NT_GNU_PROPERTY_TYPE_0`).
    pub property: Property,
    /// Whether checks of the stack call into a shared C library. Statically linked code has no names
    /// any more, and is not covered.
    pub canary: bool,
    /// The checking functions of a shared C library that it calls, at most 128 names.
    pub fortified: Vec<String>,
    /// The newest version of glibc's symbols that it names: it does not start with an older one.
    pub glibc_version: Option<String>,
    /// Whether it has tables to unwind its stack by (`.eh_frame`, `.ARM.exidx`). Without section
    /// headers this is unknown, and false.
    pub unwind_tables: bool,
    /// `.comment`: the names of compilers and linkers.
    pub comment: Vec<String>,
    /// The size of `.dep-v0`, where cargo-auditable keeps the list of dependencies
    /// (<https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>).
    pub audit_data: Option<u64>,
    /// The name of the program that packed it: what is inside cannot be seen.
    pub packer: Option<&'static str>,
    /// The C library that it uses or contains.
    pub libc: Libc,
    /// Whether it is a file of separate debug information (`objcopy --only-keep-debug`), which
    /// describes a program without holding it.
    pub detached: bool,
    loaded: Vec<Range<u64>>,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An object file (`ET_REL`).
    Object,
    /// A program for a fixed address (`ET_EXEC`).
    Fixed,
    /// A program for any address with nothing to load beside it: `ET_DYN`, `DF_1_PIE`, no
    /// interpreter, no needed library.
    StaticPie,
    /// A program for any address that a dynamic linker loads: `ET_DYN` with `DF_1_PIE`.
    Pie,
    /// A shared object: `ET_DYN` without `DF_1_PIE`.
    SharedObject,
    /// A core dump (`ET_CORE`).
    Core,
    /// Another `e_type`.
    Other(u16),
}

/// `PT_GNU_STACK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Whether the stack may be executed (`PF_X`).
    pub executable: bool,
    /// `p_memsz`: musl's size of a thread's stack, 0 for its default.
    pub size: u64,
}

/// A segment, from its program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`; [`super::segment_type_name`] has the names.
    pub kind: u32,
    /// `p_flags`: 4 to read, 2 to write, 1 to execute.
    pub flags: u32,
    /// Its range in the file.
    pub offset: u64,
    /// Its address in memory.
    pub address: u64,
    /// Its size in the file.
    pub file_size: u64,
    /// Its size in memory.
    pub memory_size: u64,
    /// `p_align`.
    pub align: u64,
}

impl Segment {
    /// Returns whether it is loaded (`PT_LOAD`).
    pub fn is_loaded(&self) -> bool {
        self.kind == PT_LOAD
    }

    /// Returns whether it may be written to.
    pub fn is_writable(&self) -> bool {
        self.flags & PF_W != 0
    }

    /// Returns whether it may be executed.
    pub fn is_executable(&self) -> bool {
        self.flags & PF_X != 0
    }
}

/// The C library that a file uses or contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// The GNU C library, by its dynamic linker, its `libc.so.6` or its ABI note.
    Glibc,
    /// musl, by its dynamic linker or by the text of its `strerror` for an unknown number.
    Musl,
    /// None that is known, or none.
    Unknown,
}

impl Facts {
    /// Returns the facts of a complete ELF file. The program headers determine the ranges that are
    /// read; section headers add detail, and may be absent. The time is proportional to the size of the
    /// file, whatever its contents; memory is bounded if the file is read in chunks.
    ///
    /// # Errors
    /// It is not an ELF file, a table or a loaded segment is not wholly in it, or it contradicts
    /// itself so that what is read would not be what is run.
    pub fn read<'a>(source: impl Into<Source<'a>>) -> Result<Facts, ReadError> {
        Self::read_with(source.into(), true)
    }

    /// Reads like [`Facts::read`]; unless `names` is set, facts that only the table of all names of
    /// shared libraries' functions contains are left out: [`Facts::canary`] and [`Facts::fortified`].
    ///
    /// # Errors
    /// As [`Facts::read`].
    pub(crate) fn read_with(source: Source<'_>, names: bool) -> Result<Facts, ReadError> {
        let file = ElfFile::read(source)?;
        consistent::check(&file)?;
        let dynamic = dynamic::read(&file, names)?;
        let interpreter = interpreter(&file)?;
        let notes = note::read(&file)?;
        let loaded = strings::loaded_ranges(&file)?;
        let shape = shape(&file, dynamic.as_ref(), interpreter.is_some());
        let dynamic = dynamic.unwrap_or_default();
        let segments: Vec<Segment> = segments(&file).collect();
        let named = SectionFacts::read(&file)?;
        let ident = |index: usize| file.header.e_ident.get(index).copied().unwrap_or_default();
        let libc = match libc(interpreter.as_deref(), &dynamic, notes.abi_tag) {
            None if has_start(shape, &dynamic)
                && strings::contains(file.source, &loaded, &needle::MUSL.bytes())? =>
            {
                Libc::Musl
            }
            None if dynamic.needed.iter().any(|name| name == "libc.so") => Libc::Musl,
            known => known.unwrap_or(Libc::Unknown),
        };
        Ok(Facts {
            size: file.source.size(),
            class: if file.ctx.is_big() { 64 } else { 32 },
            endian: file.endian(),
            machine: file.header.e_machine,
            flags: file.header.e_flags,
            os_abi: ident(EI_OSABI),
            abi_version: ident(EI_ABIVERSION),
            shape,
            entry: file.header.e_entry,
            text_relocations: dynamic.text_relocations(),
            bind_now: dynamic.bind_now(),
            relro: segments.iter().any(|segment| segment.kind == PT_GNU_RELRO),
            stack: stack(&segments),
            has_sections: !file.sections.is_empty(),
            symbols: file.sections.iter().any(|s| s.sh_type == SHT_SYMTAB),
            debug_sections: named.debug,
            instrumentation: named.instrumentation,
            build_id: notes.build_id,
            property: notes.property,
            canary: dynamic.canary,
            glibc_version: dynamic.glibc.map(|(major, minor, patch)| match patch {
                0 => format!("{major}.{minor}"),
                _ => format!("{major}.{minor}.{patch}"),
            }),
            fortified: dynamic.fortified,
            unwind_tables: named.unwind_tables,
            comment: named.comment,
            audit_data: named.audit_data,
            packer: packer(&file, &segments)?,
            libc,
            detached: is_detached(&file),
            interpreter,
            needed: dynamic.needed,
            soname: dynamic.soname,
            rpath: dynamic.rpath,
            runpath: dynamic.runpath,
            dynamic_flags: dynamic.flags,
            dynamic_flags_1: dynamic.flags_1,
            segments,
            loaded,
        })
    }

    /// Returns the parts of `bytes`, the same file, that are loaded, each byte once.
    pub fn loaded<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let ranges = self.loaded.iter();
        ranges.filter_map(|range| slice(bytes, range.start, range.end - range.start))
    }

    /// Calls `search` with the loaded bytes of the same file, each once, as
    /// [`Source::for_each_window`] does.
    pub(crate) fn search(
        &self,
        source: Source<'_>,
        search: impl FnMut(&[u8], usize) -> bool,
    ) -> Result<(), ReadError> {
        search_ranges(source, &self.loaded, search)
    }
}

fn search_ranges(
    source: Source<'_>,
    ranges: &[Range<u64>],
    mut search: impl FnMut(&[u8], usize) -> bool,
) -> Result<(), ReadError> {
    for range in ranges {
        if !source.for_each_window(range.clone(), &mut search)? {
            break;
        }
    }
    Ok(())
}

/// Returns whether it may contain a C library: a library for others to link to uses theirs.
fn has_start(shape: Shape, dynamic: &Dynamic) -> bool {
    match shape {
        Shape::Fixed | Shape::StaticPie | Shape::Pie => true,
        // musl's own dynamic linker is one without DF_1_PIE.
        Shape::SharedObject | Shape::Other(_) => dynamic.soname.is_none(),
        Shape::Object | Shape::Core => false,
    }
}

fn segments<'a>(file: &'a ElfFile<'_>) -> impl Iterator<Item = Segment> + 'a {
    let kept = file.segments.iter().filter(|s| s.p_type != PT_NULL);
    kept.map(|header| Segment {
        kind: header.p_type,
        flags: header.p_flags,
        offset: header.p_offset,
        address: header.p_vaddr,
        file_size: header.p_filesz,
        memory_size: header.p_memsz,
        align: header.p_align,
    })
}

fn interpreter(file: &ElfFile<'_>) -> Result<Option<String>, ReadError> {
    // The kernel takes the first and ignores the others (fs/binfmt_elf.c, load_elf_binary).
    let Some(segment) = file.segments.iter().find(|s| s.p_type == PT_INTERP) else {
        return Ok(None);
    };
    let range = file.segment_range(segment)?;
    let path =
        file.source.read_up_to(range.start, (range.end - range.start).min(PATH_MAX as u64))?;
    Ok(Some(text(until_nul(&path, 0, PATH_MAX).unwrap_or_default())))
}

fn shape(file: &ElfFile<'_>, dynamic: Option<&Dynamic>, interpreted: bool) -> Shape {
    let pie = dynamic.is_some_and(Dynamic::pie);
    let alone = !interpreted && dynamic.is_none_or(|dynamic| dynamic.needed.is_empty());
    match file.header.e_type {
        ET_REL => Shape::Object,
        ET_EXEC => Shape::Fixed,
        ET_DYN if pie && alone => Shape::StaticPie,
        ET_DYN if pie => Shape::Pie,
        ET_DYN => Shape::SharedObject,
        ET_CORE => Shape::Core,
        other => Shape::Other(other),
    }
}

fn stack(segments: &[Segment]) -> Option<Stack> {
    // Loaders let one of several decide, and not the same one.
    let all = || segments.iter().filter(|s| s.kind == PT_GNU_STACK);
    let last = all().next_back()?;
    Some(Stack { executable: all().any(Segment::is_executable), size: last.memory_size })
}

/// Facts that only section names show.
#[derive(Default)]
struct SectionFacts {
    debug: Vec<String>,
    instrumentation: Vec<String>,
    comment: Vec<String>,
    audit_data: Option<u64>,
    unwind_tables: bool,
}

impl SectionFacts {
    fn read(file: &ElfFile<'_>) -> Result<Self, ReadError> {
        let mut named = SectionFacts::default();
        for section in &file.sections {
            let name = file.name(section);
            let is_one = |prefixes: &[&[u8]]| prefixes.iter().any(|p| name.starts_with(p));
            if !file.has_name(section) {
                return Err(ReadError::new("the name of a section is outside the table of names"));
            }
            if !file.is_loaded(section) && is_one(&[b".debug_", b".zdebug_"]) {
                push_name(&mut named.debug, name);
            } else if is_one(&[b"__llvm_prf_", b"__llvm_cov"]) {
                push_name(&mut named.instrumentation, name);
            } else if name == b".comment" && named.comment.is_empty() {
                let range = file.section_range(section)?;
                let content = file
                    .source
                    .read_up_to(range.start, MAX_COMMENT.min(range.end - range.start))?;
                let lines = content.split(|&byte| byte == 0).filter(|l| !l.is_empty());
                lines.for_each(|line| push_name(&mut named.comment, line));
            } else if name == b".dep-v0" {
                named.audit_data = Some(section.sh_size);
            } else if matches!(name, b".eh_frame" | b".ARM.exidx") {
                named.unwind_tables = section.sh_size > 0;
            }
        }
        Ok(named)
    }
}

fn push_name(names: &mut Vec<String>, name: &[u8]) {
    if names.len() < MAX_LISTED {
        names.push(text(name.get(..PATH_MAX).unwrap_or(name)));
    }
}

/// Searches for UPX' magic, in the header that follows the program headers, with its effects on a file:
/// no section headers, or far more memory than file (<https://github.com/upx/upx>,
/// `src/stub/src/include/linux.h`, `l_info`). The magic alone may be a string literal of a program.
fn packer(file: &ElfFile<'_>, segments: &[Segment]) -> Result<Option<&'static str>, ReadError> {
    if !needle::UPX.is_in(&file.source.read_up_to(0, MAX_UPX_OFFSET)?) {
        return Ok(None);
    }
    let first = segments.iter().find(|segment| segment.is_loaded());
    let grows = first.is_some_and(|s| s.memory_size / 2 > s.file_size);
    Ok((file.sections.is_empty() || grows).then_some("UPX"))
}

/// Returns the C library that names show; `None` if only the bytes can.
fn libc(interpreter: Option<&str>, dynamic: &Dynamic, abi_tag: bool) -> Option<Libc> {
    let interpreter = interpreter.unwrap_or_default();
    let name = interpreter.rsplit('/').next().unwrap_or_default();
    if name.starts_with("ld-musl-") || dynamic.needed.iter().any(|n| n.starts_with("libc.musl-")) {
        Some(Libc::Musl)
    } else if abi_tag
        || ["ld-linux", "ld64.so", "ld.so"].iter().any(|ld| name.starts_with(ld))
        || dynamic.needed.iter().any(|n| n == "libc.so.6")
    {
        Some(Libc::Glibc)
    } else {
        None
    }
}

/// Returns whether it is separate debug information, without any bytes that a loader would run. A
/// loader starts a file with any of them, whatever else it lacks: so no bytes may follow the entry (on
/// some machines zeros do nothing, and the bytes after them run), none may be a dynamic section, and
/// there may be no interpreter.
pub(super) fn is_detached(file: &ElfFile<'_>) -> bool {
    let segments_of = |kind| file.segments.iter().filter(move |s| s.p_type == kind);
    let empty = |s: &ProgramHeader| s.p_filesz == 0 && s.p_memsz != 0;
    let entry = file.header.e_entry;
    let within = |s: &ProgramHeader, address: u64, bytes: u64| {
        address.checked_sub(s.p_vaddr).is_some_and(|into| into < bytes)
    };
    let backed = |address: u64| segments_of(PT_LOAD).any(|s| within(s, address, s.p_filesz));
    let follows = |s: &ProgramHeader| match entry {
        // A library: the header that leads to its code is the dynamic section's.
        0 => s.p_flags & PF_X != 0 && s.p_offset != 0,
        entry => s.p_vaddr.saturating_add(s.p_filesz) > entry,
    };
    let runs = segments_of(PT_LOAD).any(|s| s.p_filesz != 0 && follows(s))
        || segments_of(PT_INTERP).any(|s| s.p_filesz != 0)
        || segments_of(PT_DYNAMIC).any(|s| s.p_filesz != 0 || backed(s.p_vaddr));
    let executable = |s: &ProgramHeader| s.p_flags & PF_X != 0;
    let starts_nowhere =
        |s: &ProgramHeader| entry != 0 && !backed(entry) && within(s, entry, s.p_memsz);
    let lacks = segments_of(PT_DYNAMIC).chain(segments_of(PT_INTERP)).any(empty)
        || segments_of(PT_LOAD).any(|s| (executable(s) && empty(s)) || starts_nowhere(s));
    lacks && !runs
}
