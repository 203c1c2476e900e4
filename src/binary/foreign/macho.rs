//! Mach-O files (Apple's `mach-o/loader.h` and `mach-o/fat.h`).

use std::borrow::Cow;

use object::{
    Endianness, macho,
    read::macho::{
        FatArch, LoadCommandData, LoadCommandVariant, MachHeader, MachOFatFile, Segment,
    },
};

use super::{ForeignFacts, ForeignFormat, MAX_NAMES, ProgramKind, number, text};
use crate::model::source::{ReadError, Source};

/// The most bytes of load commands that are read; programs have a few thousand.
const MAX_COMMANDS: u64 = 4 << 20;

/// The most machines of one file. Java's classes have the same magic, and then a version that is
/// 45 or more.
const MAX_MACHINES: u64 = 40;

/// Returns whether bytes with this beginning are a Mach-O file for one machine.
pub(super) fn is_thin(start: &[u8]) -> bool {
    is_wide(start).is_some()
}

/// Returns whether the words of a Mach-O file are wide; `None` for other files.
fn is_wide(start: &[u8]) -> Option<bool> {
    match number(start, 0, 4, false).map(u32::try_from)?.ok()? {
        macho::MH_MAGIC | macho::MH_CIGAM => Some(false),
        macho::MH_MAGIC_64 | macho::MH_CIGAM_64 => Some(true),
        _ => None,
    }
}

/// Returns whether bytes with this beginning are a file for several machines.
pub fn is_fat(start: &[u8]) -> bool {
    let magic = matches!(start.get(..4), Some([0xca, 0xfe, 0xba, 0xbe | 0xbf]));
    magic && number(start, 4, 4, false).is_some_and(|count| (1..MAX_MACHINES).contains(&count))
}

/// The part of a file that is for one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The machine.
    pub machine: Cow<'static, str>,
    /// Its offset.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// Returns the parts of a file for several machines.
///
/// # Errors
/// The table of them is not in the file.
pub fn read_slices(source: Source<'_>) -> Result<Vec<Slice>, ReadError> {
    let head = source.read_up_to(0, 8)?;
    if !is_fat(&head) {
        return Err(ReadError::new("it is not for several machines"));
    }
    let truncated = || ReadError::new("its table of machines ends after the file's end");
    let table = source.read_up_to(0, 8 + MAX_MACHINES * size_of::<macho::FatArch64>() as u64)?;
    if head.get(3) == Some(&0xbf) {
        let file = MachOFatFile::<macho::FatArch64>::parse(&*table).map_err(|_| truncated())?;
        return Ok(file.arches().iter().map(to_slice).collect());
    }
    let file = MachOFatFile::<macho::FatArch32>::parse(&*table).map_err(|_| truncated())?;
    Ok(file.arches().iter().map(to_slice).collect())
}

fn to_slice(arch: &impl FatArch) -> Slice {
    let (start, size) = arch.file_range();
    Slice { machine: machine(arch.cputype(), arch.cpusubtype()), start, size }
}

/// Names a `cputype` and `cpusubtype` (Apple's `mach/machine.h`).
fn machine(cpu: macho::CpuType, sub: macho::CpuSubtype) -> Cow<'static, str> {
    match (cpu, sub.id()) {
        (macho::CPU_TYPE_X86, _) => "i386".into(),
        (macho::CPU_TYPE_ARM, _) => "arm".into(),
        (macho::CPU_TYPE_POWERPC, _) => "ppc".into(),
        (macho::CPU_TYPE_X86_64, _) => "x86_64".into(),
        (macho::CPU_TYPE_ARM64, macho::CPU_SUBTYPE_ARM64E) => "arm64e".into(),
        (macho::CPU_TYPE_ARM64, _) => "arm64".into(),
        (macho::CPU_TYPE_POWERPC64, _) => "ppc64".into(),
        (cpu, _) => format!("cputype {:#x}", cpu.0).into(),
    }
}

/// Returns the facts of a file for one machine.
pub(super) fn read(source: Source<'_>) -> Result<ForeignFacts, ReadError> {
    let head = source.read_up_to(0, 32)?;
    match is_wide(&head) {
        Some(true) => facts::<macho::MachHeader64<Endianness>>(source, &head),
        Some(false) => facts::<macho::MachHeader32<Endianness>>(source, &head),
        None => Err(ReadError::new("its header is truncated")),
    }
}

fn facts<Header: MachHeader<Endian = Endianness>>(
    source: Source<'_>,
    head: &[u8],
) -> Result<ForeignFacts, ReadError> {
    let truncated = |_| ReadError::new("its header is truncated");
    let header = Header::parse(head, 0).map_err(truncated)?;
    let endian = header.endian().map_err(truncated)?;
    let flags = header.flags(endian);
    let kind = match header.filetype(endian) {
        macho::MH_EXECUTE => ProgramKind::Program,
        macho::MH_FVMLIB | macho::MH_DYLIB | macho::MH_BUNDLE | macho::MH_DYLIB_STUB => {
            ProgramKind::Library
        }
        macho::MH_OBJECT => ProgramKind::Other("an object file (MH_OBJECT)"),
        macho::MH_CORE => ProgramKind::Other("a core dump (MH_CORE)"),
        macho::MH_DSYM => ProgramKind::Other("the debug information of a program (MH_DSYM)"),
        _ => ProgramKind::Other("of a kind that cannot be run"),
    };
    let mut foreign = ForeignFacts {
        format: ForeignFormat::MachO,
        size: source.size(),
        class: if header.is_type_64() { 64 } else { 32 },
        machine: machine(header.cputype(endian), header.cpusubtype(endian)),
        kind,
        libraries: Vec::new(),
        run_paths: Vec::new(),
        signed: false,
        symbols: false,
        debug: false,
        any_address: kind != ProgramKind::Program || flags.0 & macho::MH_PIE.0 != 0,
        executable_stack: flags.0 & macho::MH_ALLOW_STACK_EXECUTION.0 != 0,
        system: None,
        id: None,
    };
    let size = u64::from(header.sizeofcmds(endian));
    if size > MAX_COMMANDS {
        return Err(ReadError::new(format!("it has more than {MAX_COMMANDS} bytes of commands")));
    }
    let truncated = || ReadError::new("its load commands end after the file's end");
    let bytes = source.read(0, size_of::<Header>() as u64 + size)?.ok_or_else(truncated)?;
    let mut commands = header.load_commands(endian, &*bytes, 0).map_err(|_| truncated())?;
    while let Some(command) = commands.next().map_err(|_| truncated())? {
        add_command(&mut foreign, command, endian)?;
    }
    Ok(foreign)
}

/// Reads one load command.
fn add_command(
    foreign: &mut ForeignFacts,
    command: LoadCommandData<'_, Endianness>,
    endian: Endianness,
) -> Result<(), ReadError> {
    let broken = |_| ReadError::new("one of its load commands is truncated");
    let push = |names: &mut Vec<String>, name| {
        if names.len() >= MAX_NAMES {
            return Err(ReadError::new(format!("it has more than {MAX_NAMES} names of one sort")));
        }
        let broken = |_| ReadError::new("a name in its load commands is not in them");
        names.push(text(command.string(endian, name).map_err(broken)?));
        Ok(())
    };
    match command.variant().map_err(broken)? {
        LoadCommandVariant::Dylib(of) => push(&mut foreign.libraries, of.dylib.name)?,
        LoadCommandVariant::Rpath(of) => push(&mut foreign.run_paths, of.path)?,
        LoadCommandVariant::LinkeditData(of) if command.cmd() == macho::LC_CODE_SIGNATURE => {
            foreign.signed = of.datasize.get(endian) > 0;
        }
        LoadCommandVariant::Dysymtab(of) => foreign.symbols = of.nlocalsym.get(endian) > 0,
        LoadCommandVariant::Segment32(of, _) => foreign.debug |= of.name() == b"__DWARF",
        LoadCommandVariant::Segment64(of, _) => foreign.debug |= of.name() == b"__DWARF",
        LoadCommandVariant::Uuid(of) => foreign.id = Some(of.uuid.to_vec()),
        LoadCommandVariant::BuildVersion(of, _) => {
            foreign.system = Some(format_version(of.minos.get(endian).0));
        }
        LoadCommandVariant::VersionMin(of) if command.cmd() == macho::LC_VERSION_MIN_MACOSX => {
            foreign.system = Some(format_version(of.version.get(endian).0));
        }
        _ => {}
    }
    Ok(())
}

/// Formats `X.Y.Z`, in 16 bits and twice 8.
fn format_version(number: u32) -> String {
    let (major, minor, patch) = (number >> 16, (number >> 8) & 0xff, number & 0xff);
    match patch {
        0 => format!("{major}.{minor}"),
        _ => format!("{major}.{minor}.{patch}"),
    }
}
