//! What a file is that is not to be judged.

use crate::foreign;

/// Why nothing is said of a file in a directory, from its first bytes, 20 at least where it has
/// that many; none where it is a program, a shared library, or broken, and a verdict is due.
/// Somebody who names a file itself wants a verdict, and gets it.
pub fn other_kind(start: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 10] = [
        (b"#!", "a script"),
        (b"!<arch>\n", "an archive of object files"),
        (b"\x1f\x8b", "compressed with gzip, in an archive"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd, in an archive"),
        (b"\xfd7zXZ", "compressed with xz, in an archive"),
        (b"BZh", "compressed with bzip2: what is in it is not looked at"),
        (b"PK\x03\x04", "a zip archive, in an archive"),
        (b"\xca\xfe\xba\xbe", "a Java class"),
        (b"\0asm", "a WebAssembly module"),
        (b"BC\xc0\xde", "LLVM bitcode"),
    ];
    if start.is_empty() {
        return Some("empty");
    }
    if foreign::format(start).is_some() {
        return None;
    }
    if !start.starts_with(b"\x7fELF") {
        let known = FORMATS.iter().find(|(magic, _)| start.starts_with(magic));
        let tar = start.get(257..262) == Some(b"ustar");
        let other = if tar { "a tar archive, in an archive" } else { "no program" };
        return Some(known.map_or(other, |(_, name)| name));
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
    use crate::elf::fixture::{Fixture, MACHINES};

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
        assert_eq!(other_kind(b"#!/bin/sh"), Some("a script"));
        assert_eq!(other_kind(b"text"), Some("no program"));
        let mut tar = vec![0; 512];
        tar[0] = b'x';
        tar[257..262].copy_from_slice(b"ustar");
        assert!(other_kind(&tar).unwrap().contains("tar"));
    }
}
