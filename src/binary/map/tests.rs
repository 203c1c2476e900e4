use super::*;
use crate::binary::elf::fixture::{Fixture, MACHINES, SHT_PROGBITS, SHT_SYMTAB, mutate};

const FUNC: u8 = 2;
const NOTYPE: u8 = 0;

/// A symbol of a fixture: its name, where it begins in the code, its size and its type.
type TestSymbol = (&'static str, u64, u64, u8);

/// Returns a file with `text` and these symbols, and the offset of the code.
fn with_symbols(machine: (bool, bool, u16), text: &[u8], symbols: &[TestSymbol]) -> (Vec<u8>, u64) {
    let mut fixture = Fixture::new(machine);
    fixture.text = text.to_vec();
    let table = |start: u64| {
        let entry = if machine.0 { 24 } else { 16 };
        let (mut table, mut names) = (vec![0; entry], vec![0]);
        for (name, at, size, kind) in symbols {
            let number = |number: u64, len: usize| match machine.1 {
                true => number.to_le_bytes()[..len].to_vec(),
                false => number.to_be_bytes()[8 - len..].to_vec(),
            };
            let value = start + at;
            let named = number(names.len() as u64, 4);
            let fields = match machine.0 {
                true => {
                    [named, vec![16 | kind, 0], number(1, 2), number(value, 8), number(*size, 8)]
                }
                false => {
                    [named, number(value, 4), number(*size, 4), vec![16 | kind, 0], number(1, 2)]
                }
            };
            table.extend(fields.concat());
            names.extend(name.as_bytes());
            names.push(0);
        }
        (table, names)
    };
    // The code's address does not depend on what comes behind it.
    let bare = fixture.build();
    let file = ElfFile::read(&bare).unwrap();
    let code = file.sections.iter().find(|section| file.name(section) == b".text").unwrap();
    let (offset, address) = (code.sh_offset, code.sh_addr);
    let (table, names) = table(address);
    fixture.sections.push((".symtab", SHT_SYMTAB, table));
    fixture.sections.push((".strtab", 3, names));
    (fixture.build(), offset)
}

fn mapped(bytes: &[u8], separate: Option<&[u8]>) -> Result<Map, ReadError> {
    let draft = MapBuilder::read(bytes, separate.map(Into::into))?;
    let groups = vec![0; draft.symbols().len()];
    draft.map(&groups)
}

/// Asserts that the ranges cover the file exactly once.
fn assert_covered(map: &Map, bytes: &[u8]) {
    let mut at = 0;
    for range in &map.ranges {
        assert_eq!(range.range.start, at, "a gap or an overlap");
        assert!(range.range.end > at, "an empty piece");
        assert!(range.section.is_none_or(|section| section < map.sections.len()));
        at = range.range.end;
    }
    assert_eq!((at, map.size), (bytes.len() as u64, bytes.len() as u64));
}

/// Returns the owners of the code: names with offsets into it, `.` for none, `~` for padding.
fn code(
    machine: (bool, bool, u16),
    text: &[u8],
    symbols: &[TestSymbol],
) -> Vec<(String, u64, u64)> {
    let (bytes, start) = with_symbols(machine, text, symbols);
    let map = mapped(&bytes, None).unwrap();
    assert_covered(&map, &bytes);
    let ranges = map.ranges.iter().filter(|range| map.section(range) == Some(".text"));
    ranges
        .map(|range| {
            let name = match range.owner {
                Owner::Symbol(at, _) => map.symbols[at].name.clone(),
                Owner::Padding => "~".to_owned(),
                _ => ".".to_owned(),
            };
            (name, range.range.start - start, range.range.end - start)
        })
        .collect()
}

fn check(symbols: &[TestSymbol], expected: &[(&str, u64, u64)]) {
    let text: Vec<u8> = (1..=200).collect();
    for machine in MACHINES {
        let found = code(machine, &text, symbols);
        let found: Vec<_> = found.iter().map(|(name, a, b)| (name.as_str(), *a, *b)).collect();
        assert_eq!(found, expected, "{machine:?}");
    }
}

#[test]
fn symbols_claim_their_sizes() {
    check(&[("f", 0, 100, FUNC), ("g", 100, 100, FUNC)], &[("f", 0, 100), ("g", 100, 200)]);
    check(&[("f", 20, 30, FUNC)], &[(".", 0, 20), ("f", 20, 50), (".", 50, 200)]);
}

#[test]
fn overlapping_symbols_count_once() {
    check(
        &[("f", 0, 100, FUNC), ("inside", 10, 20, FUNC), ("g", 90, 110, FUNC)],
        &[("f", 0, 100), ("g", 100, 200)],
    );
    // Of aliases the one with a size, then the first by name.
    check(&[("b", 0, 200, FUNC), ("a", 0, 200, FUNC), ("0", 0, 0, FUNC)], &[("a", 0, 200)]);
}

#[test]
fn a_symbol_ends_with_its_section() {
    check(&[("f", 100, 1 << 30, FUNC)], &[(".", 0, 100), ("f", 100, 200)]);
    check(&[("f", 100, u64::from(u32::MAX), FUNC)], &[(".", 0, 100), ("f", 100, 200)]);
    check(&[("outside", 5000, 10, FUNC)], &[(".", 0, 200)]);
}

#[test]
fn code_without_a_size_reaches_to_the_next_symbol() {
    check(
        &[("a", 0, 0, NOTYPE), ("b", 50, 0, FUNC), ("c", 80, 20, FUNC), ("d", 90, 0, FUNC)],
        &[("a", 0, 50), ("b", 50, 80), ("c", 80, 100), (".", 100, 200)],
    );
}

#[test]
fn short_filler_is_padding() {
    let mut text: Vec<u8> = (1..=200).collect();
    text[100..116].fill(0);
    let symbols = [("f", 0, 100, FUNC), ("g", 116, 84, FUNC)];
    for machine in MACHINES {
        let found = code(machine, &text, &symbols);
        assert_eq!(found[1], ("~".to_owned(), 100, 116), "{machine:?}");
    }
    text.fill(0);
    // More than that is not an alignment.
    let symbols = [("f", 0, 10, FUNC), ("g", 180, 20, FUNC)];
    assert_eq!(code(MACHINES[0], &text, &symbols)[1], (".".to_owned(), 10, 180));
}

#[test]
fn files_without_symbols_are_mapped_by_section() {
    let bytes = Fixture::new(MACHINES[0]).build();
    let map = mapped(&bytes, None).unwrap();
    assert_covered(&map, &bytes);
    assert_eq!(map.origin, SymbolSource::None);
    let owners = map.ranges.iter().map(|range| range.owner);
    assert!(owners.clone().all(|owner| !matches!(owner, Owner::Symbol(..) | Owner::Unknown)));
    // Symbols of another file give them names.
    let (other, _) =
        with_symbols(MACHINES[0], &Fixture::new(MACHINES[0]).text, &[("f", 0, 4, FUNC)]);
    let map = mapped(&bytes, Some(&other)).unwrap();
    assert_covered(&map, &bytes);
    assert_eq!(map.origin, SymbolSource::Separate);
    assert!(map.ranges.iter().any(|range| matches!(range.owner, Owner::Symbol(0, _))));
}

#[test]
fn files_without_section_headers_are_mapped_by_segment() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.headers = false;
    let bytes = fixture.build();
    let map = mapped(&bytes, None).unwrap();
    assert_covered(&map, &bytes);
    assert!(map.ranges.iter().any(|range| map.section(range) == Some("segment 0 (PT_LOAD)")));
}

/// Sections that overlap each other, the headers, and the file's end.
#[test]
fn every_parsed_file_is_mapped_without_overlap_or_gap() {
    let mut state = 0x1234_5678_9abc_def1;
    let mut read = 0;
    for machine in MACHINES {
        let mut fixture = Fixture::new(machine);
        fixture.sections.push((".eh_frame", SHT_PROGBITS, vec![1; 64]));
        let plain = fixture.build();
        let text: Vec<u8> = (0..=255).collect();
        let symbols = [("f", 0, 100, FUNC), ("g", 90, 0, FUNC), ("h", 200, 90, FUNC)];
        let (named, _) = with_symbols(machine, &text, &symbols);
        for round in 0..8000 {
            let good = if round % 2 == 0 { &plain } else { &named };
            let bytes = mutate(good, &mut state);
            if let Ok(map) = mapped(&bytes, Some(&named)) {
                assert_covered(&map, &bytes);
                read += 1;
            }
        }
    }
    assert!(read > 10_000, "{read}");
}

/// The program that runs this: with relocations, unwind tables and all that a linker makes.
#[cfg(target_os = "linux")]
#[test]
fn a_real_program() {
    #[allow(clippy::disallowed_methods, reason = "a test")]
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let map = mapped(&bytes, None).unwrap();
    assert_covered(&map, &bytes);
    let size_by = |evidence: Evidence| {
        let has_evidence = |range: &&OwnedRange| matches!(range.owner, Owner::Symbol(_, has_evidence) if has_evidence == evidence);
        map.ranges
            .iter()
            .filter(has_evidence)
            .map(|range| range.range.end - range.range.start)
            .sum::<u64>()
    };
    assert!(size_by(Evidence::Symbol) > 1_000_000 && size_by(Evidence::Unwind) > 100_000);
    assert!(size_by(Evidence::Relocation) > 100_000 && size_by(Evidence::Reference) > 10_000);
    let unknown = map.ranges.iter().filter(|range| range.owner == Owner::Unknown);
    let unknown: u64 = unknown.map(|range| range.range.end - range.range.start).sum();
    assert!(unknown * 50 < map.size, "{unknown} of {}", map.size);
}
