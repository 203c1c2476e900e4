//! The tar reader: an archive that is accepted has consistent entries, within the input, and the
//! same ones when it arrives in short reads.
#![no_main]

use std::{
    cell::Cell,
    io::{self, Read},
};

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use longshore::archive::unpack::{self, ArchiveEntry, EntryKind};
use longshore_fuzz::{BLOCK, set_checksums};

/// A stream that gives at most so many bytes at once, and counts them.
struct Stream<'a> {
    bytes: &'a [u8],
    most: usize,
    count: &'a Cell<usize>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.most);
        let count = self.bytes.read(&mut buffer[..most])?;
        self.count.set(self.count.get() + count);
        Ok(count)
    }
}

/// The entries, and the sum of the bytes of their content.
fn read(bytes: &[u8], most: usize, strictly: bool) -> longshore::Result<Vec<(ArchiveEntry, u64)>> {
    let count = Cell::new(0);
    let mut stream = Stream { bytes, most, count: &count };
    let mut entries: Vec<(ArchiveEntry, u64)> = Vec::new();
    let mut text = 0;
    let mut each = |entry: &ArchiveEntry, content: &mut dyn Read| {
        let start = entry.start.map(|start| start as usize);
        assert_eq!(start, Some(count.get()), "content begins where the stream is");
        text += entry.path.len() + entry.stat.xattrs.keys().map(String::len).sum::<usize>();
        let _ = entry.hazard();
        let mut sum = 0_u64;
        let mut buffer = [0; BLOCK];
        // Every other content is left to the reader to skip.
        while entries.len() % 2 == 0 {
            match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    sum += buffer[..count].iter().map(|&byte| u64::from(byte)).sum::<u64>()
                }
                Err(_) => return Ok(()),
            }
        }
        entries.push((entry.clone(), sum));
        Ok(())
    };
    let result = match strictly {
        true => unpack::read_tar_strictly(&mut stream, &mut each),
        false => unpack::read_tar(&mut stream, &mut each),
    };
    assert!(count.get() <= bytes.len());
    // A byte of a name has at most four characters.
    assert!(text <= 4 * bytes.len(), "the names are longer than the archive");
    result.map(|()| {
        assert_eq!(count.get(), bytes.len(), "an accepted archive is read to its end");
        entries
    })
}

fn check(entries: &[(ArchiveEntry, u64)], size: usize) {
    let mut end = 0;
    for (entry, _) in entries {
        let start = entry.start.unwrap() as usize;
        assert!(start >= end + BLOCK && start % BLOCK == 0, "entries follow each other");
        end = start + entry.stat.size as usize;
        assert!(end <= size, "content is in the archive");
        assert!(entry.kind == EntryKind::File || entry.stat.size == 0);
        assert!(!entry.path.is_empty() && !entry.path.contains('\0'));
        assert!(entry.mode.is_some_and(|mode| mode <= 0o7777));
        assert_eq!(entry.capabilities, entry.stat.xattrs.contains_key("security.capability"));
        if let EntryKind::Link(target) | EntryKind::HardLink(target) = &entry.kind {
            assert!(!target.is_empty());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = read(bytes, usize::MAX, false) else {
        assert!(read(bytes, usize::MAX, true).is_err());
        return;
    };
    check(&entries, bytes.len());
    if let Ok(strict) = read(bytes, 100, true) {
        assert_eq!(strict, entries);
    }
});

fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, _seed: u32| {
    let size = fuzzer_mutate(bytes, size, max_size);
    set_checksums(&mut bytes[..size]);
    size
});
