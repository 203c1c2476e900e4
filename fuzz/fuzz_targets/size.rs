//! To what the bytes of any file belong: every byte once. The first byte says where the symbols are
//! from: the file itself, or what is behind its middle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longshore::{
    archive::compress::{self, NoCache},
    binary::elf::is_symbol_file,
    size::{self, Evidence, View, name::Name},
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let (bytes, separate) = match choice % 3 {
        0 => (bytes, None),
        1 => (bytes, Some(bytes)),
        _ => {
            let (one, two) = bytes.split_at(bytes.len() / 2);
            (one, Some(two))
        }
    };
    let _ = Name::parse(&String::from_utf8_lossy(bytes));
    if let Some(separate) = separate {
        let _ = is_symbol_file(bytes, separate);
    }
    let costs = |places: &[u64]| compress::costs(bytes, places, &NoCache);
    let separate = separate.map(Into::into);
    let evidence = Evidence { separate, native: &|_| None, costs: Some(&costs) };
    if let Ok(found) = size::attribute(bytes, &evidence) {
        assert_eq!(found.size, bytes.len() as u64);
        let rows = size::rows(&found, &View { top: Some(3), ..View::default() });
        assert_eq!(rows.iter().map(|row| row.size).sum::<u64>(), found.size);
    }
});
