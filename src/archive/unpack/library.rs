//! Static libraries: ar archives with a table of the symbols in their members.

use object::read::archive::ArchiveFile;

/// Returns the names in the symbol table of the library that begins with `start`, in the form of
/// System V or of BSD; nothing without such a table, or if it cannot be read.
pub fn library_symbols(start: &[u8]) -> Vec<&[u8]> {
    let library = ArchiveFile::parse(start).ok();
    let symbols = library.and_then(|library| library.symbols().ok()?);
    symbols.into_iter().flatten().map_while(Result::ok).map(|symbol| symbol.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8] = b"!<arch>\n";

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
    fn other_files_have_no_symbols() {
        let library_bytes = library("/", 4);
        for end in 0..library_bytes.len() {
            assert!(library_symbols(&library_bytes[..end]).len() <= 2);
        }
        assert_eq!(library_symbols(&library("x.o/", 4)), [&b""[..]; 0]);
    }
}
