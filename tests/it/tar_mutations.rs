//! Mutations of archives: no panic, and no content that is not in the archive.

use longshore::archive::unpack;

use crate::support::{
    peer,
    random::random,
    tarball::{Entry, GNU, V7, archive, long, pax},
};

/// The number of mutations; the second number with `LONGSHORE_SLOW_TESTS=1`.
const ROUNDS: [usize; 2] = [20_000, 1_000_000];

/// Returns the entries that the reader finds, strictly or not.
fn read(bytes: &[u8], strictly: bool) -> Option<Vec<String>> {
    let (mut found, mut total) = (Vec::new(), 0);
    let mut each = |entry: &unpack::ArchiveEntry, content: &mut dyn std::io::Read| {
        let read = std::io::copy(content, &mut std::io::sink());
        let size = read.map_err(|error| longshore::Error::check("content").because(error))?;
        assert_eq!(size, entry.stat.size);
        total += size;
        found.push(format!("{entry:?}"));
        Ok(())
    };
    let read = match strictly {
        true => unpack::read_tar_strictly(&mut &bytes[..], &mut each),
        false => unpack::read_tar(&mut &bytes[..], &mut each),
    };
    assert!(total <= bytes.len() as u64);
    read.is_ok().then_some(found)
}

/// Writes the checksum of the header at `at`, so that the mutation is read.
fn fix(bytes: &mut [u8], at: usize) {
    bytes[at + 148..at + 156].fill(b' ');
    let sum: u32 = bytes[at..at + 512].iter().map(|&byte| u32::from(byte)).sum();
    bytes[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[test]
fn mutations_do_not_panic_or_overread() {
    let seeds = [
        archive(&[
            pax(b'x', &[("path", b"a/b"), ("size", b"3"), ("SCHILY.xattr.user.a", b"1")]),
            Entry::file("x", "abc").bytes(),
            Entry::link(b'1', "h", "a/b").size(512).magic(GNU).bytes(),
            Entry::new(b'3', "c").field(329, b"0000001\0").bytes(),
        ]),
        archive(&[
            long(b'L', b"long"),
            long(b'K', b"target"),
            Entry::link(b'2', "x", "y").magic(GNU).bytes(),
            pax(b'g', &[("comment", b"c")]),
            Entry::file("y", [b'y'; 600]).field(345, "prefix").bytes(),
        ]),
        archive(&[Entry::new(0, "d/").magic(V7).bytes(), Entry::file("f", "x").magic(V7).bytes()]),
    ];
    let bytes =
        [0, b' ', b'/', b'.', b'0', b'1', b'5', b'7', b'g', b'x', b'L', b'S', 0x7f, 0x80, 0xff];
    let mut random = random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    let rounds = if peer::slow() { ROUNDS[1] } else { ROUNDS[0] };
    for round in 0..rounds {
        let mut changed = seeds[round % seeds.len()].clone();
        for _ in 0..1 + random() % 3 {
            let at = random() % changed.len();
            changed[at] = match random() % 3 {
                0 => changed[at] ^ (1 << (random() % 8)),
                _ => bytes[random() % bytes.len()],
            };
            // Most blocks are headers.
            if !random().is_multiple_of(8) {
                fix(&mut changed, at - at % 512);
            }
        }
        if random().is_multiple_of(16) {
            changed.truncate(random() % changed.len());
        }
        let strict = read(&changed, true);
        let loose = read(&changed, false);
        if strict.is_some() {
            assert_eq!(strict, loose, "{round}");
        }
        accepted += usize::from(strict.is_some());
    }
    eprintln!("{accepted} of {rounds} mutations accepted");
    assert!(accepted > rounds / 50);
}
