//! PE files (Microsoft, "PE Format", <https://learn.microsoft.com/windows/win32/debug/pe-format>).

use std::borrow::Cow;

use object::{
    LittleEndian as LE, pe,
    pod::from_bytes,
    read::{
        coff::SectionTable,
        pe::{ImageNtHeaders, ImageOptionalHeader},
    },
};

use super::{ForeignFacts, ForeignFormat, MAX_NAME, MAX_NAMES, ProgramKind, text};
use crate::model::source::{ReadError, Source};

/// The maximum number of bytes that are read of headers: far more than Windows does.
const MAX_HEADERS: u64 = 1 << 20;

/// Returns the facts of a PE file.
pub(super) fn read(source: Source<'_>) -> Result<ForeignFacts, ReadError> {
    let head = source.read_up_to(0, MAX_HEADERS)?;
    let dos = pe::ImageDosHeader::parse(&*head).map_err(|_| truncated())?;
    let at = dos.nt_headers_offset() as usize;
    let rest = head.get(at..).filter(|rest| rest.len() >= 4).ok_or_else(truncated)?;
    if !rest.starts_with(b"PE\0\0") {
        return Err(ReadError::new("it is a DOS program, not a Windows program"));
    }
    match object::read::pe::optional_header_magic(&*head).map_err(|_| truncated())? {
        pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => facts::<pe::ImageNtHeaders32>(source, &head, at),
        pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => facts::<pe::ImageNtHeaders64>(source, &head, at),
        _ => Err(ReadError::new("it is an object file, or not a PE file")),
    }
}

fn truncated() -> ReadError {
    ReadError::new("its headers end after the file's end")
}

fn facts<Headers: ImageNtHeaders>(
    source: Source<'_>,
    head: &[u8],
    at: usize,
) -> Result<ForeignFacts, ReadError> {
    let mut offset = at as u64;
    let (headers, directories) = Headers::parse(head, &mut offset).map_err(|_| truncated())?;
    let (file, optional) = (headers.file_header(), headers.optional_header());
    let sections = headers.sections(head, offset).map_err(|_| truncated())?;
    let directory = |index| {
        let found = directories.get(index).map(|directory| directory.address_range());
        found.filter(|(_, size)| *size != 0)
    };
    let characteristics = file.characteristics.get(LE).0;
    let kind = if characteristics & pe::IMAGE_FILE_EXECUTABLE_IMAGE.0 == 0 {
        ProgramKind::Other("not linked to its end")
    } else if characteristics & pe::IMAGE_FILE_DLL.0 != 0 {
        ProgramKind::Library
    } else {
        ProgramKind::Program
    };
    let dll = optional.dll_characteristics().0;
    let (major, minor) = (optional.major_subsystem_version(), optional.minor_subsystem_version());
    Ok(ForeignFacts {
        format: ForeignFormat::Pe,
        size: source.size(),
        class: if headers.is_type_64() { 64 } else { 32 },
        machine: machine(file.machine.get(LE)),
        kind,
        libraries: match directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT) {
            Some((address, _)) => imports(source, &sections, address)?,
            None => Vec::new(),
        },
        run_paths: Vec::new(),
        // The certificate table.
        signed: directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY).is_some(),
        symbols: file.number_of_symbols.get(LE) > 0,
        debug: sections.iter().any(|section| section.name.starts_with(b".debug")),
        any_address: dll & pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE.0 != 0,
        executable_stack: dll & pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT.0 == 0,
        system: Some(format!("{major}.{minor}")),
        id: None,
    })
}

fn machine(machine: pe::Machine) -> Cow<'static, str> {
    match machine {
        pe::IMAGE_FILE_MACHINE_I386 => "i386".into(),
        pe::IMAGE_FILE_MACHINE_ARMNT => "arm".into(),
        pe::IMAGE_FILE_MACHINE_AMD64 => "x86_64".into(),
        pe::IMAGE_FILE_MACHINE_ARM64 => "arm64".into(),
        pe::IMAGE_FILE_MACHINE_ARM64EC => "arm64ec".into(),
        machine => format!("machine {:#x}", machine.0).into(),
    }
}

/// Returns the names in the import directory table. They are read one by one, and not with their
/// section, which holds all of a program's constants.
fn imports(
    source: Source<'_>,
    sections: &SectionTable<'_>,
    mut address: u32,
) -> Result<Vec<String>, ReadError> {
    let broken = || ReadError::new("its import table is not in the file");
    let file_offset = |address| sections.pe_file_range_at(address).map(|(at, _)| u64::from(at));
    let mut names = Vec::new();
    loop {
        let at = file_offset(address).ok_or_else(broken)?;
        let bytes = source.read(at, size_of::<pe::ImageImportDescriptor>() as u64)?;
        let bytes = bytes.ok_or_else(broken)?;
        let (entry, _) = from_bytes::<pe::ImageImportDescriptor>(&bytes).map_err(|()| broken())?;
        if entry.is_null() {
            return Ok(names);
        }
        if names.len() >= MAX_NAMES {
            return Err(ReadError::new(format!("it needs more than {MAX_NAMES} libraries")));
        }
        let name = file_offset(entry.name.get(LE)).ok_or_else(broken)?;
        names.push(text(&source.read_up_to(name, MAX_NAME)?));
        address = address.saturating_add(20);
    }
}
