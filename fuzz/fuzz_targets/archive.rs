//! Archives of every sort, read to their ends.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use longshore::archive::unpack::{self, ArchiveEntry, Budget, Compression};

fuzz_target!(|bytes: &[u8]| {
    let mut each = |entry: &ArchiveEntry, content: &mut dyn Read| {
        let _ = entry.hazard();
        let _ = std::io::copy(&mut content.take(1 << 20), &mut std::io::sink());
        Ok(())
    };
    if unpack::is_zip(bytes) {
        let _ = unpack::read_zip(bytes.into(), &mut each);
        return;
    }
    if unpack::is_deb(bytes) {
        let _ = unpack::read_deb(bytes, &mut |_, entry, content| each(entry, content));
        return;
    }
    if unpack::is_rpm(bytes) {
        let _ = unpack::read_rpm(bytes, &mut |_, entry, content| each(entry, content));
        return;
    }
    let budget = Budget::default();
    if let Ok(mut stream) = unpack::unpack(Cursor::new(bytes), Compression::detect(bytes), &budget)
    {
        let _ = unpack::read_tar_strictly(&mut stream, &mut each);
    }
});
