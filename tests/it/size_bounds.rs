//! Memory of `size` is in proportion to the file, also where its symbols share their names.

use std::fs;

use tempfile::TempDir;

use crate::support::{
    command::{LONGSHORE, plain},
    peer,
};

/// Returns a program with so many symbols, whose names begin in one text of 16 KiB: `step` bytes after each
/// other.
fn program(symbols: usize, step: usize) -> Vec<u8> {
    let names = [&b"\0"[..], &vec![b'a'; 16383 + symbols * step], b"\0"].concat();
    let section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let (base, start) = (0x40_0000_u64, 64 + 56_u64);
    let text = vec![0x90; symbols];
    let mut table = vec![0; 24];
    for symbol in 0..symbols {
        table.extend((1 + symbol as u32 * step as u32).to_le_bytes());
        table.extend([0x12, 0, 1, 0]);
        table.extend((base + start + symbol as u64).to_le_bytes());
        table.extend(1_u64.to_le_bytes());
    }
    let names_at = start + text.len() as u64;
    let table_at = names_at + names.len() as u64;
    let section_names_at = table_at + table.len() as u64;
    let sections_at = section_names_at + section_names.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [base + start, 64, sections_at] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 5, 4] {
        file.extend(half.to_le_bytes());
    }
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = start + text.len() as u64;
    for word in [0, base, base, size, size, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(&text);
    file.extend(&names);
    file.extend(&table);
    file.extend(section_names);
    let mut section = |name: u32, kind: u32, flags: u64, rest: [u64; 3], link: u32, entry: u64| {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        rest.iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(link.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
        file.extend(entry.to_le_bytes());
    };
    section(0, 0, 0, [0; 3], 0, 0);
    section(1, 1, 6, [base + start, start, text.len() as u64], 0, 0);
    section(7, 2, 0, [0, table_at, table.len() as u64], 3, 24);
    section(15, 3, 0, [0, names_at, names.len() as u64], 0, 0);
    section(23, 3, 0, [0, section_names_at, section_names.len() as u64], 0, 0);
    file
}

#[test]
fn shared_names_take_memory_of_the_file_size() {
    let Some(prlimit) = peer::find("prlimit") else { return };
    let dir = TempDir::new().unwrap();
    for step in [0, 1] {
        let bytes = program(100_000, step);
        assert!(bytes.len() < 3 << 20, "{}", bytes.len());
        fs::write(dir.path().join("x"), bytes).unwrap();
        let mut command = plain(&prlimit);
        command.arg("--as=536870912").args([LONGSHORE, "size", "x", "--message-format", "json"]);
        let ran = command.current_dir(dir.path()).output().unwrap();
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{step}: {}: {error}", ran.status);
        assert!(ran.stdout.len() < 64 << 20, "{}", ran.stdout.len());
    }
}
