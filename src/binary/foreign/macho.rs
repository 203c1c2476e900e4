//! Mach-O files (Apple's `mach-o/loader.h` and `mach-o/fat.h`).

use std::borrow::Cow;

use super::{Foreign, Format, Kind, NAMES, number, text};
use crate::model::source::{Source, Unreadable};

/// The most bytes of load commands that are read; programs have a few thousand.
const COMMANDS: u64 = 4 << 20;

/// The most machines of one file. Java's classes have the same magic, and then a version that is
/// 45 or more.
const MACHINES: u64 = 40;

/// Whether what begins so is a Mach-O file for one machine.
pub(super) fn is_one(start: &[u8]) -> bool {
    layout(start).is_some()
}

/// Whether its words are wide, and whether they are little-endian.
fn layout(start: &[u8]) -> Option<(bool, bool)> {
    match start.get(..4)? {
        [0xfe, 0xed, 0xfa, 0xce] => Some((false, false)),
        [0xfe, 0xed, 0xfa, 0xcf] => Some((true, false)),
        [0xce, 0xfa, 0xed, 0xfe] => Some((false, true)),
        [0xcf, 0xfa, 0xed, 0xfe] => Some((true, true)),
        _ => None,
    }
}

/// Whether what begins so is a file for several machines.
pub fn is_fat(start: &[u8]) -> bool {
    let magic = matches!(start.get(..4), Some([0xca, 0xfe, 0xba, 0xbe | 0xbf]));
    magic && number(start, 4, 4, false).is_some_and(|count| (1..MACHINES).contains(&count))
}

/// The part of a file that is for one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The machine.
    pub machine: Cow<'static, str>,
    /// Where it begins.
    pub start: u64,
    /// How many bytes it has.
    pub size: u64,
}

/// The parts of a file for several machines.
///
/// # Errors
/// The table of them is not in the file.
pub fn slices(source: Source<'_>) -> Result<Vec<Slice>, Unreadable> {
    let head = source.start(0, 8)?;
    if !is_fat(&head) {
        return Err(Unreadable::new("it is not for several machines"));
    }
    let wide = head.get(3) == Some(&0xbf);
    let (entry, word) = if wide { (32, 8) } else { (20, 4) };
    let count = number(&head, 4, 4, false).unwrap_or_default();
    let cut = || Unreadable::new("its table of machines ends after the file's end");
    let table = source.piece(8, count * entry as u64)?.ok_or_else(cut)?;
    let mut slices = Vec::new();
    for entry in table.chunks_exact(entry) {
        let field = |at, size| number(entry, at, size, false).ok_or_else(cut);
        slices.push(Slice {
            machine: machine(field(0, 4)?, field(4, 4)?),
            start: field(8, word)?,
            size: field(8 + word, word)?,
        });
    }
    Ok(slices)
}

/// `cputype` and `cpusubtype` (Apple's `mach/machine.h`).
fn machine(cpu: u64, sub: u64) -> Cow<'static, str> {
    const WIDE: u64 = 0x0100_0000;
    match (cpu, sub & 0x00ff_ffff) {
        (7, _) => "i386".into(),
        (12, _) => "arm".into(),
        (18, _) => "ppc".into(),
        (cpu, _) if cpu == 7 | WIDE => "x86_64".into(),
        (cpu, 2) if cpu == 12 | WIDE => "arm64e".into(),
        (cpu, _) if cpu == 12 | WIDE => "arm64".into(),
        (cpu, _) if cpu == 18 | WIDE => "ppc64".into(),
        (cpu, _) => format!("cputype {cpu:#x}").into(),
    }
}

/// The facts of a file for one machine.
pub(super) fn read(source: Source<'_>) -> Result<Foreign, Unreadable> {
    const MH_ALLOW_STACK_EXECUTION: u64 = 0x2_0000;
    const MH_PIE: u64 = 0x20_0000;
    let cut = || Unreadable::new("its header is cut off");
    let head = source.start(0, 32)?;
    let (wide, little) = layout(&head).ok_or_else(cut)?;
    let field = |at| number(&head, at, 4, little).ok_or_else(cut);
    let flags = field(24)?;
    let kind = match field(12)? {
        2 => Kind::Program,
        3 | 6 | 8 | 9 => Kind::Library,
        1 => Kind::Other("an object file (MH_OBJECT)"),
        4 => Kind::Other("a core dump (MH_CORE)"),
        10 => Kind::Other("the debug information of a program (MH_DSYM)"),
        _ => Kind::Other("of a kind that is not run"),
    };
    let mut foreign = Foreign {
        format: Format::MachO,
        size: source.size(),
        class: if wide { 64 } else { 32 },
        machine: machine(field(4)?, field(8)?),
        kind,
        libraries: Vec::new(),
        run_paths: Vec::new(),
        signed: false,
        symbols: false,
        debug: false,
        any_address: kind != Kind::Program || flags & MH_PIE != 0,
        executable_stack: flags & MH_ALLOW_STACK_EXECUTION != 0,
        system: None,
        id: None,
    };
    let (count, size) = (field(16)?, field(20)?);
    if size > COMMANDS {
        return Err(Unreadable::new(format!("it has more than {COMMANDS} bytes of commands")));
    }
    let cut = || Unreadable::new("its load commands end after the file's end");
    let commands = source.piece(if wide { 32 } else { 28 }, size)?.ok_or_else(cut)?;
    let mut rest = &*commands;
    for _ in 0..count {
        let size = number(rest, 4, 4, little).and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| *size >= 8).ok_or_else(cut)?;
        let command = rest.get(..size).ok_or_else(cut)?;
        add(&mut foreign, command, little)?;
        rest = rest.get(size..).unwrap_or_default();
    }
    Ok(foreign)
}

/// What one load command says.
fn add(foreign: &mut Foreign, command: &[u8], little: bool) -> Result<(), Unreadable> {
    let field = |at| number(command, at, 4, little);
    // Texts follow the command's fields, at an offset that the first of these gives.
    let name = || {
        let at = usize::try_from(field(8)?).ok()?;
        Some(text(command.get(at..)?))
    };
    let push = |names: &mut Vec<String>, name: Option<String>| {
        if names.len() >= NAMES {
            return Err(Unreadable::new(format!("it has more than {NAMES} names of one sort")));
        }
        let broken = || Unreadable::new("a name in its load commands is not in them");
        names.push(name.ok_or_else(broken)?);
        Ok(())
    };
    match field(0).unwrap_or_default() {
        // LC_LOAD_DYLIB, _LOAD_WEAK_, _REEXPORT_, _LAZY_LOAD_, _LOAD_UPWARD_
        0xc | 0x8000_0018 | 0x8000_001f | 0x20 | 0x8000_0023 => {
            push(&mut foreign.libraries, name())?;
        }
        // LC_RPATH
        0x8000_001c => push(&mut foreign.run_paths, name())?,
        // LC_CODE_SIGNATURE
        0x1d => foreign.signed = field(12).is_some_and(|size| size > 0),
        // LC_DYSYMTAB: the number of local symbols.
        0xb => foreign.symbols = field(12).is_some_and(|count| count > 0),
        // LC_SEGMENT, LC_SEGMENT_64
        0x1 | 0x19 => {
            foreign.debug |= command.get(8..24).is_some_and(|name| text(name) == "__DWARF");
        }
        // LC_UUID
        0x1b => foreign.id = command.get(8..24).map(<[u8]>::to_vec),
        // LC_BUILD_VERSION, LC_VERSION_MIN_MACOSX
        0x32 => foreign.system = field(12).map(version),
        0x24 => foreign.system = field(8).map(version),
        _ => {}
    }
    Ok(())
}

/// `X.Y.Z`, in 16 bits and twice 8.
fn version(number: u64) -> String {
    let (major, minor, patch) = (number >> 16, (number >> 8) & 0xff, number & 0xff);
    match patch {
        0 => format!("{major}.{minor}"),
        _ => format!("{major}.{minor}.{patch}"),
    }
}
