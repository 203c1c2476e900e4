//! The kind of a file, decided once from its first bytes.

use crate::{
    archive::unpack::{ArchiveFormat as Archive, is_tar},
    binary::foreign::{self, ForeignFormat},
    image::read::image::is_absent,
};

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum FileKind {
    /// An ELF program or library, or a file that only begins like one, which its verdict reports.
    Elf,
    /// An ELF file that does not run, with its description.
    ElfPart(&'static str),
    /// A program for another system.
    Foreign(ForeignFormat),
    /// Mach-O programs for several machines in one file.
    Universal,
    /// An archive in a supported format, with its description inside another archive.
    Archive(Archive, &'static str),
    /// Any other file, with its description.
    Other(&'static str),
}

/// The number of bytes of a file that determine its kind.
pub(super) const START_SIZE: u64 = 512;

/// The formats that are not programs: their first bytes, their description, and whether they may contain
/// programs that are not read.
const FORMATS: [(&[u8], &str, bool); 13] = [
    (b"#!", "a script", false),
    (b"!<arch>\n", "an archive of object files", false),
    (b"\x1f\x8b", "compressed with gzip, in an archive", true),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd, in an archive", true),
    (b"\xfd7zXZ", "compressed with xz, in an archive", true),
    (b"BZh", "compressed with bzip2, which is not read", true),
    (b"070701", "a cpio archive, which is not read", true),
    (b"070707", "a cpio archive, which is not read", true),
    (b"\xed\xab\xee\xdb", "an RPM package, in an archive", true),
    (b"PK\x03\x04", "a zip archive, in an archive", true),
    (b"\xca\xfe\xba\xbe", "a Java class", false),
    (b"\0asm", "a WebAssembly module", false),
    (b"BC\xc0\xde", "LLVM bitcode", false),
];

const TAR: &str = "a tar archive, in an archive";

/// The reason for an image in a directory that skopeo or podman wrote for `dir:`.
pub(super) const DIR_FORM: &str = "an image in the form of `dir:`, which is not read";

/// The end of the reason for files that are not listed one by one.
pub(super) const UNLISTED: &str = "more files that are not programs";

/// Returns whether a file that is not checked for this reason may hold programs.
pub(super) fn may_hold_programs(reason: &str) -> bool {
    let known = FORMATS.iter().any(|(_, name, holds)| *holds && *name == reason);
    known || [TAR, DIR_FORM].contains(&reason) || reason.ends_with(UNLISTED) || is_absent(reason)
}

impl FileKind {
    /// Returns the kind of a file that begins with `start`: [`START_SIZE`] bytes, or the complete file. A
    /// program that is also an archive is a program, as the kernel decides by the first bytes.
    pub(in crate::ops) fn detect(start: &[u8]) -> Self {
        if start.starts_with(b"\x7fELF") {
            return elf_part(start).map_or(FileKind::Elf, FileKind::ElfPart);
        }
        if let Some(format) = foreign::format(start) {
            return FileKind::Foreign(format);
        }
        if foreign::is_universal(start) {
            return FileKind::Universal;
        }
        let known = FORMATS.iter().find(|(magic, ..)| start.starts_with(magic));
        let name = match known {
            Some((_, name, _)) => name,
            None if start.is_empty() => "empty",
            None if is_tar(start) => TAR,
            None => "no program",
        };
        match Archive::detect(start) {
            Some(format) => FileKind::Archive(format, name),
            None => FileKind::Other(name),
        }
    }

    /// Returns whether it is a program, a library or a part of one, for any system. Scripts count as
    /// text.
    pub(in crate::ops) fn is_binary(self) -> bool {
        use FileKind::{Elf, ElfPart, Foreign, Universal};
        matches!(self, Elf | ElfPart(_) | Foreign(_) | Universal)
    }

    /// Returns the reason for which such a file in a directory or an archive is skipped; `None` if it
    /// is a program, a shared library, or broken, and a verdict is due. A user who names a file itself
    /// always gets a verdict.
    pub(super) fn skipped(self) -> Option<&'static str> {
        match self {
            FileKind::Elf | FileKind::Foreign(_) | FileKind::Universal => None,
            FileKind::ElfPart(name) | FileKind::Archive(_, name) | FileKind::Other(name) => {
                Some(name)
            }
        }
    }
}

/// Returns the kind of an ELF file that is not run; `None` for a program or a library.
fn elf_part(start: &[u8]) -> Option<&'static str> {
    // `e_type` follows the 16 bytes of `e_ident`, in the byte order that the sixth of them says.
    let number = match (start.get(5), start.get(16), start.get(17)) {
        (Some(2), Some(&high), Some(&low)) => u16::from_be_bytes([high, low]),
        (_, Some(&low), Some(&high)) => u16::from_le_bytes([low, high]),
        _ => return None,
    };
    match number {
        1 => Some("an object file"),
        4 => Some("a core dump"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::elf::fixture::{Fixture, MACHINES};

    fn skipped(start: &[u8]) -> Option<&'static str> {
        FileKind::detect(start).skipped()
    }

    #[test]
    fn only_what_is_or_may_be_a_program_gets_a_verdict() {
        for machine in MACHINES {
            let fixture = |kind| Fixture { kind, ..Fixture::new(machine) }.build();
            assert_eq!(FileKind::detect(&fixture(2)), FileKind::Elf);
            assert_eq!(FileKind::detect(&fixture(3)), FileKind::Elf);
            assert_eq!(skipped(&fixture(1)), Some("an object file"));
            assert_eq!(skipped(&fixture(4)), Some("a core dump"));
        }
        assert_eq!(skipped(b"\x7fELF"), None, "cut off: that is for a verdict to say");
        assert_eq!(skipped(b""), Some("empty"));
        for reason in [DIR_FORM, "linux/arm64 is not in the layout"] {
            assert!(may_hold_programs(reason), "{reason}");
        }
        assert!(!may_hold_programs("no program"));
        assert_eq!(skipped(b"#!/bin/sh"), Some("a script"));
        assert_eq!(skipped(b"text"), Some("no program"));
        let mut tar = vec![0; 512];
        tar[0] = b'x';
        tar[257..262].copy_from_slice(b"ustar");
        assert!(skipped(&tar).unwrap().contains("tar"));
    }
}
