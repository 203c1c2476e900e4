//! Tar archives for the fuzz targets and their seed corpus.

use std::fmt::Write;

/// The size of a block of a tar archive.
pub const BLOCK: usize = 512;

/// The longest name of an entry, and the longest target of a link.
pub const NAME: usize = 100;

/// A header of an entry in the POSIX format. Names that are too long for their fields are cut.
pub fn header(kind: u8, mode: u32, name: &[u8], target: &[u8], size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, cut(name));
    put(&mut block, 100, &octal(u64::from(mode), 7));
    put(&mut block, 108, b"0000000\x000000000\0");
    put(&mut block, 124, &octal(size as u64, 11));
    put(&mut block, 136, b"00000000000\0");
    block[156] = kind;
    put(&mut block, 157, cut(target));
    put(&mut block, 257, b"ustar\x0000");
    if matches!(kind, b'3' | b'4') {
        put(&mut block, 329, b"0000001\x000000005\0");
    }
    set_checksum(&mut block);
    block
}

/// Appends an entry and its content.
pub fn append(tar: &mut Vec<u8>, header: &[u8; BLOCK], content: &[u8]) {
    tar.extend_from_slice(header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Appends a pax header with these records.
pub fn append_pax(tar: &mut Vec<u8>, kind: u8, records: &[(&str, &[u8])]) {
    let mut content = Vec::new();
    for (key, value) in records {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let len =
            (1..).map(|digits| digits + rest).find(|len| len.to_string().len() + rest == *len);
        content.extend(format!("{} {key}=", len.unwrap_or(rest)).bytes());
        content.extend_from_slice(value);
        content.push(b'\n');
    }
    append(tar, &header(kind, 0o644, b"pax", b"", content.len()), &content);
}

/// Corrects the checksum of the first block and of every block with a magic, so that mutated
/// archives are read beyond their first header.
pub fn set_checksums(bytes: &mut [u8]) {
    let (blocks, _) = bytes.as_chunks_mut::<BLOCK>();
    for (at, block) in blocks.iter_mut().enumerate() {
        if at == 0 || block.get(257..262) == Some(b"ustar") {
            set_checksum(block);
        }
    }
}

fn set_checksum(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    put(block, 148, &octal(sum, 6));
}

/// A number of so many octal digits, and a NUL.
fn octal(number: u64, digits: usize) -> Vec<u8> {
    let mut text = String::new();
    let _ = write!(text, "{number:0digits$o}\0");
    text.into_bytes()
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn cut(name: &[u8]) -> &[u8] {
    &name[..name.len().min(NAME)]
}
