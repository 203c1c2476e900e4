//! Static libraries: ar archives with a table of the symbols of all members as their first member.

/// The magic, and the size of a member's header (ar.h of every system that has one).
const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Returns the names in the symbol table of the library that begins with `start`: System V's, with
/// numbers of 32 or 64 bits, big-endian. Returns `None` if there is no such table.
pub fn library_symbols(start: &[u8]) -> Vec<&[u8]> {
    names(start).unwrap_or_default()
}

fn names(start: &[u8]) -> Option<Vec<&[u8]>> {
    let rest = start.strip_prefix(MAGIC)?;
    let (header, rest) = (rest.get(..HEADER)?, rest.get(HEADER..)?);
    let text = |from: usize, to: usize| {
        header.get(from..to).and_then(|field| std::str::from_utf8(field).ok()).map(str::trim_end)
    };
    let width = match text(0, 16)? {
        "/" => 4,
        "/SYM64/" => 8,
        _ => return None,
    };
    let size: usize = text(48, 58)?.parse().ok()?;
    let table = rest.get(..size.min(rest.len()))?;
    let number = table.get(..width)?;
    let count = number.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let count = usize::try_from(count).ok()?;
    let names = table.get(width.checked_add(count.checked_mul(width)?)?..)?;
    Some(names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).take(count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, width: usize) -> Vec<u8> {
        let mut table = vec![0; width - 1];
        table.push(2);
        table.extend(vec![0; 2 * width]);
        table.extend(b"first\0second\0");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(format!("{name:<16}{:<32}{:<10}`\n", 0, table.len()).bytes());
        bytes.extend(table);
        bytes
    }

    #[test]
    fn both_widths() {
        for (name, width) in [("/", 4), ("/SYM64/", 8)] {
            assert_eq!(library_symbols(&library(name, width)), [&b"first"[..], b"second"]);
        }
    }

    #[test]
    fn what_is_none_has_none() {
        let whole = library("/", 4);
        for end in 0..whole.len() {
            assert!(library_symbols(&whole[..end]).len() <= 2);
        }
        assert_eq!(library_symbols(&library("x.o/", 4)), [&b""[..]; 0]);
    }
}
