//! What a file is that is not to be judged.

use crate::{archive::unpack::is_tar, binary::foreign, image::read::image::is_absent};

/// The formats that are not programs: how a file begins, what it is, and whether it may hold programs
/// that are not read.
const FORMATS: [(&[u8], &str, bool); 12] = [
    (b"#!", "a script", false),
    (b"!<arch>\n", "an archive of object files", false),
    (b"\x1f\x8b", "compressed with gzip, in an archive", true),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd, in an archive", true),
    (b"\xfd7zXZ", "compressed with xz, in an archive", true),
    (b"BZh", "compressed with bzip2, which is not read", true),
    (b"070701", "a cpio archive, which is not read", true),
    (b"070707", "a cpio archive, which is not read", true),
    (b"PK\x03\x04", "a zip archive, in an archive", true),
    (b"\xca\xfe\xba\xbe", "a Java class", false),
    (b"\0asm", "a WebAssembly module", false),
    (b"BC\xc0\xde", "LLVM bitcode", false),
];

const TAR: &str = "a tar archive, in an archive";

/// The reason for an image in a directory that skopeo or podman wrote for `dir:`.
pub const DIR_FORM: &str = "an image in the form of `dir:`, which is not read";

/// The end of the reason for files that are not listed one by one.
pub const UNLISTED: &str = "more files that are not programs";

/// Whether a file that is not checked for this reason may hold programs.
pub fn may_hold_programs(reason: &str) -> bool {
    let known = FORMATS.iter().any(|(_, name, holds)| *holds && *name == reason);
    known || [TAR, DIR_FORM].contains(&reason) || reason.ends_with(UNLISTED) || is_absent(reason)
}

/// Why nothing is said of a file in a directory, from its first bytes, 512 at least where it has
/// that many; none where it is a program, a shared library, or broken, and a verdict is due.
/// Somebody who names a file itself wants a verdict, and gets it.
pub fn other_kind(start: &[u8]) -> Option<&'static str> {
    if start.is_empty() {
        return Some("empty");
    }
    if foreign::format(start).is_some() {
        return None;
    }
    if !start.starts_with(b"\x7fELF") {
        let known = FORMATS.iter().find(|(magic, ..)| start.starts_with(magic));
        let other = if is_tar(start) { TAR } else { "no program" };
        return Some(known.map_or(other, |(_, name, _)| name));
    }
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

    #[test]
    fn only_what_is_or_may_be_a_program_gets_a_verdict() {
        for machine in MACHINES {
            let of = |kind| Fixture { kind, ..Fixture::new(machine) }.build();
            assert_eq!(other_kind(&of(2)), None);
            assert_eq!(other_kind(&of(3)), None);
            assert_eq!(other_kind(&of(1)), Some("an object file"));
            assert_eq!(other_kind(&of(4)), Some("a core dump"));
        }
        assert_eq!(other_kind(b"\x7fELF"), None, "cut off: that is for a verdict to say");
        assert_eq!(other_kind(b""), Some("empty"));
        for reason in [DIR_FORM, "linux/arm64 is not in the layout"] {
            assert!(may_hold_programs(reason), "{reason}");
        }
        assert!(!may_hold_programs("no program"));
        assert_eq!(other_kind(b"#!/bin/sh"), Some("a script"));
        assert_eq!(other_kind(b"text"), Some("no program"));
        let mut tar = vec![0; 512];
        tar[0] = b'x';
        tar[257..262].copy_from_slice(b"ustar");
        assert!(other_kind(&tar).unwrap().contains("tar"));
    }
}
