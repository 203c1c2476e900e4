//! PE files (Microsoft, "PE Format", <https://learn.microsoft.com/windows/win32/debug/pe-format>).

use std::borrow::Cow;

use super::{Foreign, Format, Kind, NAME, NAMES, number, text};
use crate::model::source::{Source, Unreadable};

/// A section: where it is in memory and in the file, and how many bytes it has there.
struct Section {
    name: String,
    address: u64,
    offset: u64,
    size: u64,
}

/// The facts of a PE file.
pub(super) fn read(source: Source<'_>) -> Result<Foreign, Unreadable> {
    const IMAGE_FILE_EXECUTABLE_IMAGE: u64 = 2;
    const IMAGE_FILE_DLL: u64 = 0x2000;
    const DYNAMIC_BASE: u64 = 0x40;
    const NX_COMPAT: u64 = 0x100;
    let cut = || Unreadable::new("its headers end after the file's end");
    let dos = source.start(0, 64)?;
    let at = number(&dos, 0x3c, 4, true).ok_or_else(cut)?;
    let head = source.start(at, 24)?;
    if !head.starts_with(b"PE\0\0") {
        return Err(Unreadable::new("it is a DOS program, and not one for Windows"));
    }
    let field = |at, size| number(&head, at, size, true).ok_or_else(cut);
    let characteristics = field(22, 2)?;
    let optional_size = field(20, 2)?;
    let optional = source.piece(at.saturating_add(24), optional_size)?.ok_or_else(cut)?;
    let option = |at, size| number(&optional, at, size, true);
    let (class, directories) = match option(0, 2) {
        Some(0x10b) => (32, 96),
        Some(0x20b) => (64, 112),
        _ => return Err(Unreadable::new("it is an object file, or no PE file at all")),
    };
    // Address and size of the directory of that number.
    let directory = |index: usize| {
        let count = option(directories - 4, 4).unwrap_or_default();
        let at = directories + index * 8;
        let there = (index as u64) < count;
        let fields = there.then(|| Some((option(at, 4)?, option(at + 4, 4)?))).flatten();
        fields.filter(|(address, size)| *address != 0 && *size != 0)
    };
    let table = at.saturating_add(24).saturating_add(optional_size);
    let sections = sections(source, table, field(6, 2)?)?;
    let dll = option(70, 2).unwrap_or_default();
    let kind = match characteristics {
        bits if bits & IMAGE_FILE_EXECUTABLE_IMAGE == 0 => Kind::Other("not linked to its end"),
        bits if bits & IMAGE_FILE_DLL != 0 => Kind::Library,
        _ => Kind::Program,
    };
    Ok(Foreign {
        format: Format::Pe,
        size: source.size(),
        class,
        machine: machine(field(4, 2)?),
        kind,
        libraries: match directory(1) {
            Some((address, _)) => imports(source, &sections, address)?,
            None => Vec::new(),
        },
        run_paths: Vec::new(),
        // The certificate table.
        signed: directory(4).is_some(),
        symbols: field(16, 4)? > 0,
        debug: sections.iter().any(|section| section.name.starts_with(".debug")),
        any_address: dll & DYNAMIC_BASE != 0,
        executable_stack: dll & NX_COMPAT == 0,
        system: match (option(48, 2), option(50, 2)) {
            (Some(major), Some(minor)) => Some(format!("{major}.{minor}")),
            _ => None,
        },
        id: None,
    })
}

fn machine(number: u64) -> Cow<'static, str> {
    match number {
        0x14c => "i386".into(),
        0x1c4 => "arm".into(),
        0x8664 => "x86_64".into(),
        0xaa64 => "arm64".into(),
        0xa641 => "arm64ec".into(),
        number => format!("machine {number:#x}").into(),
    }
}

fn sections(source: Source<'_>, at: u64, count: u64) -> Result<Vec<Section>, Unreadable> {
    const ENTRY: u64 = 40;
    let cut = || Unreadable::new("its section headers end after the file's end");
    let table = source.piece(at, count * ENTRY)?.ok_or_else(cut)?;
    let sections = table.chunks_exact(ENTRY as usize).map(|entry| {
        let field = |at| number(entry, at, 4, true).unwrap_or_default();
        let name = text(entry.get(..8).unwrap_or_default());
        Section { name, address: field(12), offset: field(20), size: field(16) }
    });
    Ok(sections.collect())
}

/// Where in the file the byte is that is loaded at `address`.
fn place(sections: &[Section], address: u64) -> Option<u64> {
    let into = |section: &Section| {
        let into = address.checked_sub(section.address)?;
        (into < section.size).then(|| section.offset.checked_add(into))?
    };
    sections.iter().find_map(into)
}

/// The names in the import directory table.
fn imports(
    source: Source<'_>,
    sections: &[Section],
    mut address: u64,
) -> Result<Vec<String>, Unreadable> {
    let broken = || Unreadable::new("its import table is not in the file");
    let mut names = Vec::new();
    loop {
        let at = place(sections, address).ok_or_else(broken)?;
        let entry = source.piece(at, 20)?.ok_or_else(broken)?;
        if entry.iter().all(|&byte| byte == 0) {
            return Ok(names);
        }
        if names.len() >= NAMES {
            return Err(Unreadable::new(format!("it needs more than {NAMES} libraries")));
        }
        let name = number(&entry, 12, 4, true).and_then(|name| place(sections, name));
        names.push(text(&source.start(name.ok_or_else(broken)?, NAME)?));
        address = address.saturating_add(20);
    }
}
