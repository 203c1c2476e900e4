//! One header block of a tar archive.

use super::quote_bytes;
use crate::model::error::{Error, Result};

/// The size of a block: headers are one block, and content is padded to a multiple of it.
pub(super) const BLOCK: usize = 512;

/// The dialect that a header is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// No magic: Unix version 7.
    V7,
    /// POSIX, and star, which uses the end of the prefix for times.
    Ustar,
    /// GNU, which uses the prefix for other fields.
    Gnu,
}

/// The fields of a header that decide where the next one is and what an entry is.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) dialect: Dialect,
    pub(super) kind: u8,
    /// The path: prefix and name.
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    /// The major and minor number of a device.
    pub(super) device: (u32, u32),
    /// Of GNU's sparse files, the size of the file, and whether a block with more of its map follows.
    pub(super) sparse: Option<(u64, bool)>,
}

/// Returns whether `block` has the checksum of a tar header.
pub(super) fn has_checksum(block: &[u8; BLOCK]) -> bool {
    let Some(expected) = block.get(148..156).and_then(octal).flatten() else { return false };
    let blank = |at: usize, byte: u8| if (148..156).contains(&at) { b' ' } else { byte };
    let bytes = block.iter().enumerate().map(|(at, &byte)| blank(at, byte));
    // Some old writers add the bytes as signed numbers.
    let (unsigned, signed) = bytes.fold((0_i64, 0_i64), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    i64::try_from(expected).is_ok_and(|sum| sum == unsigned || sum == signed)
}

impl Header {
    /// Parses a block, which must not be all zeros.
    ///
    /// # Errors
    /// A field is damaged, or has a form that readers of tar take for different values.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Header> {
        let field = |from: usize, len: usize| block.get(from..from + len).unwrap_or_default();
        if !has_checksum(block) {
            return Err(Error::check("the checksum does not match"));
        }
        let dialect = dialect(block)?;
        let number = |name: &str, from: usize, len: usize| {
            let field = field(from, len);
            number(field).ok_or_else(|| {
                Error::check(format!(
                    "the field `{name}` is not a number: `{}`",
                    quote_bytes(field)
                ))
            })
        };
        let positive = |name: &str, from: usize, len: usize| {
            let value = number(name, from, len)?;
            u64::try_from(value)
                .map_err(|_| Error::check(format!("the field `{name}` is negative: {value}")))
        };
        let small = |name: &str, from: usize, len: usize| {
            let value = positive(name, from, len)?;
            u32::try_from(value)
                .map_err(|_| Error::check(format!("the field `{name}` is too large: {value}")))
        };
        let kind = block[156];
        // GNU tar does not take blanks for zero.
        if !matches!(kind, b'1'..=b'6') && octal(field(124, 12)) == Some(None) {
            return Err(Error::check("the field `size` is blank"));
        }
        let device = match kind {
            b'3' | b'4' if dialect != Dialect::V7 => {
                (small("devmajor", 329, 8)?, small("devminor", 337, 8)?)
            }
            _ => (0, 0),
        };
        let sparse = match kind {
            b'S' => Some((positive("realsize", 483, 12)?, block[482] != 0)),
            _ => None,
        };
        Ok(Header {
            dialect,
            kind,
            name: path(block, dialect)?,
            link: text(field(157, 100)).to_vec(),
            mode: small("mode", 100, 8)?,
            uid: positive("uid", 108, 8)?,
            gid: positive("gid", 116, 8)?,
            size: positive("size", 124, 12)?,
            mtime: number("mtime", 136, 12)?,
            device,
            sparse,
        })
    }
}

/// Returns the dialect, by the magic. Some readers compare five bytes of it, and some all eight.
fn dialect(block: &[u8; BLOCK]) -> Result<Dialect> {
    let magic = block.get(257..265).unwrap_or_default();
    match magic {
        [b'u', b's', b't', b'a', b'r', 0, ..] => Ok(Dialect::Ustar),
        b"ustar  \0" => Ok(Dialect::Gnu),
        _ if magic.starts_with(b"ustar") => {
            Err(Error::check(format!("the magic `{}` is unknown", quote_bytes(magic))))
        }
        _ => Ok(Dialect::V7),
    }
}

/// Returns the path. The bytes after the header's fields must be empty where only some readers take
/// them for a prefix.
fn path(block: &[u8; BLOCK], dialect: Dialect) -> Result<Vec<u8>> {
    let name = text(block.get(..100).unwrap_or_default());
    let prefix = block.get(345..500).unwrap_or_default();
    let star = block.get(508..) == Some(b"tar\0");
    // star has times behind the first 131 bytes.
    let ambiguous = match dialect {
        Dialect::Ustar => star && !prefix.iter().take(131).any(|&byte| byte == 0),
        Dialect::Gnu | Dialect::V7 => prefix.first().is_some_and(|&byte| byte != 0),
    };
    if ambiguous {
        let message = format!("readers disagree on whether `{}` has a prefix", quote_bytes(name));
        return Err(Error::check(message));
    }
    let prefix = text(prefix);
    Ok(match prefix {
        [] => name.to_vec(),
        prefix => [prefix, b"/", name].concat(),
    })
}

/// Returns the bytes up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Parses the number in a field; `None` if readers disagree on its value, or if it is not a number.
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    // GNU: big-endian, and in two's complement if negative.
    let base256 = |sign: u8| {
        let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
        let low = i64::from_be_bytes(low.try_into().ok()?);
        (high.iter().all(|&byte| byte == sign) && (low < 0) == (sign != 0)).then_some(low)
    };
    match first {
        0x80 if rest.len() >= 8 => base256(0),
        0xff if rest.len() >= 8 => base256(0xff),
        0x80 | 0xff => {
            let sign = if *first == 0x80 { 0 } else { -1 };
            Some(rest.iter().fold(sign, |value, &byte| (value << 8) | i64::from(byte)))
        }
        _ => i64::try_from(octal(field)?.unwrap_or(0)).ok(),
    }
}

/// Parses an octal number: spaces, digits, and then only spaces and NULs. `Some(None)` if the field
/// is blank.
fn octal(field: &[u8]) -> Option<Option<u64>> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    if field.iter().all(blank) {
        return Some(None);
    }
    let start = field.iter().position(|&byte| byte != b' ')?;
    let rest = field.get(start..)?;
    let digits = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, end) = rest.split_at(digits);
    if digits.is_empty() || !end.iter().all(blank) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 8).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_meaning_or_none() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644     ", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x02\0", Some(512)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            // Python's `tarfile` stops at the NUL, Go's `archive/tar` skips it.
            (b"\x000644\0\0", None),
            (b"0644\x0007\0", None),
            (b"0644 7 \0", None),
            (b"0o644\0\0\0", None),
            (b"-0000644", None),
            (b"00_644\0\0", None),
            (b"0000648\0", None),
            (b"\t000644\0", None),
            (b"\x81\0\0\0\0\0\x01\0", None),
            (b"\xc0\0\0\0\0\0\x01\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\0\xff\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), value, "{}", field.escape_ascii());
        }
    }
}
