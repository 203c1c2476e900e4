use super::{
    Facts, StripOptions,
    file::ElfFile,
    fixture::{DF_1_PIE, Fixture, MACHINES, SHT_PROGBITS, SHT_SYMTAB, mutate},
    strip::StripError,
    table::header_fields,
};

/// Strips in memory, like [`super::strip()`].
fn strip(bytes: &[u8], keep: StripOptions<'_>) -> Result<Vec<u8>, StripError> {
    Ok(super::strip(bytes, keep)?.bytes()?)
}

#[derive(Debug)]
struct Split {
    stripped: Vec<u8>,
    debug: Vec<u8>,
}

/// Splits in memory, like [`super::split()`].
fn split(bytes: &[u8], keep: StripOptions<'_>, name: &str) -> Result<Split, StripError> {
    let super::SplitProgram { stripped, debug } = super::split(bytes, keep, name)?;
    Ok(Split { stripped: stripped.bytes()?, debug: debug.bytes()? })
}

/// All that can be kept.
const KEEP: StripOptions<'_> = StripOptions { comment: true, build_id: true, dependencies: None };

const RENEW: StripOptions<'_> = StripOptions { comment: true, build_id: false, dependencies: None };

/// Returns a program with symbols, debug information, a compiler's name and a list of dependencies.
fn unstripped(machine: (bool, bool, u16)) -> Fixture {
    let mut fixture = Fixture::new(machine);
    fixture.sections.push((".debug_info", SHT_PROGBITS, vec![1; 1000]));
    fixture.sections.push((".dep-v0", SHT_PROGBITS, b"dependencies".to_vec()));
    fixture.sections.push((".symtab", SHT_SYMTAB, vec![0; 48]));
    fixture
}

fn content(bytes: &[u8], name: &str) -> Option<Vec<u8>> {
    let file = ElfFile::read(bytes).unwrap();
    let section = file.sections.iter().find(|s| file.name(s) == name.as_bytes())?;
    Some(file.content(section).unwrap().to_vec())
}

#[test]
fn only_loaded_content_is_kept() {
    for machine in MACHINES {
        let bytes = unstripped(machine).build();
        let stripped = strip(&bytes, StripOptions::default()).unwrap();
        let (before, after) = (Facts::read(&bytes).unwrap(), Facts::read(&stripped).unwrap());
        assert!(before.symbols && !before.debug_sections.is_empty());
        assert!(!after.symbols && after.debug_sections.is_empty() && after.has_sections);
        assert_eq!(before.segments, after.segments);
        assert_eq!(content(&stripped, ".dep-v0").unwrap(), b"dependencies");
        assert_eq!(content(&stripped, ".text"), content(&bytes, ".text"));
        assert_eq!(content(&stripped, ".comment"), None);
        assert_eq!(strip(&stripped, StripOptions::default()).unwrap(), stripped);
        let kept = strip(&bytes, KEEP).unwrap();
        assert_eq!(content(&kept, ".comment").unwrap(), b"a compiler\0");
    }
}

#[test]
fn a_list_of_dependencies_is_added_if_missing() {
    let keep = StripOptions { dependencies: Some(b"ours"), ..StripOptions::default() };
    for machine in MACHINES {
        let with = unstripped(machine).build();
        let mut without = unstripped(machine);
        without.build_id = Some(vec![1; 20]);
        without.sections.retain(|(name, ..)| *name != ".dep-v0");
        let without = without.build();

        let listed = strip(&without, keep).unwrap();
        assert_eq!(content(&listed, ".dep-v0").unwrap(), b"ours");
        let (facts, plain) =
            (Facts::read(&listed).unwrap(), strip(&without, StripOptions::default()).unwrap());
        let plain_facts = Facts::read(&plain).unwrap();
        assert_eq!(
            (&facts.segments, &facts.build_id),
            (&plain_facts.segments, &plain_facts.build_id)
        );
        assert_eq!(content(&plain, ".dep-v0"), None);
        // An existing id is the build's own.
        assert_eq!(content(&strip(&with, keep).unwrap(), ".dep-v0").unwrap(), b"dependencies");
        assert_eq!(strip(&listed, StripOptions::default()).unwrap(), listed);

        let both = split(&without, keep, "x.debug").unwrap();
        assert_eq!(content(&both.stripped, ".dep-v0").unwrap(), b"ours");
        assert!(content(&both.stripped, ".gnu_debuglink").is_some());
        assert_eq!(content(&both.debug, ".dep-v0"), None);
        assert_eq!(strip(&both.stripped, keep).unwrap(), both.stripped);
    }
}

/// zig's own objects bring debug information that depends on the state of its cache.
#[test]
fn programs_that_differ_in_debug_information_are_equal_after_stripping() {
    for machine in MACHINES {
        for len in [8, 16, 20, 32, 64] {
            let mut one = unstripped(machine);
            one.build_id = Some(vec![1; len]);
            let mut other = one.clone();
            other.build_id = Some(vec![2; len]);
            other.sections[1].2 = vec![2; 3000];
            let (one, other) = (one.build(), other.build());
            let stripped = strip(&one, StripOptions::default()).unwrap();
            assert_eq!(stripped, strip(&other, StripOptions::default()).unwrap());
            assert_ne!(strip(&one, KEEP).unwrap(), strip(&other, KEEP).unwrap());

            let id = |bytes: &[u8]| Facts::read(bytes).unwrap().build_id.unwrap();
            assert_eq!(id(&stripped).len(), len);
            assert_ne!(id(&stripped), vec![1; len]);
            assert_eq!(id(&strip(&one, KEEP).unwrap()), vec![1; len]);
            let split = split(&one, RENEW, "x").unwrap();
            assert_eq!(id(&split.stripped), id(&stripped));
            assert_eq!(id(&split.debug), id(&stripped));
            // Again, with the link to the debug file in it.
            assert_eq!(strip(&split.stripped, RENEW).unwrap(), split.stripped);

            let mut changed = unstripped(machine);
            changed.build_id = Some(vec![1; len]);
            changed.text = b"some texu".to_vec();
            assert_ne!(id(&strip(&changed.build(), RENEW).unwrap()), id(&stripped));
        }
        let mut none = unstripped(machine);
        none.build_id = None;
        let stripped = strip(&none.build(), StripOptions::default()).unwrap();
        assert_eq!(Facts::read(&stripped).unwrap().build_id, None);
    }
}

#[test]
fn program_and_debug_file_refer_to_each_other() {
    for machine in MACHINES {
        let bytes = unstripped(machine).build();
        let split = split(&bytes, KEEP, "x.debug").unwrap();
        let link = content(&split.stripped, ".gnu_debuglink").unwrap();
        let (name, sum) = link.split_at(8);
        assert_eq!(name, b"x.debug\0");
        let sum: [u8; 4] = sum.try_into().unwrap();
        let little = machine.1;
        let sum = if little { u32::from_le_bytes(sum) } else { u32::from_be_bytes(sum) };
        assert_eq!(sum, crc32(&split.debug));

        let (program, debug) =
            (Facts::read(&split.stripped).unwrap(), Facts::read(&split.debug).unwrap());
        assert!(debug.symbols && debug.detached && !program.detached);
        assert_eq!((&debug.build_id, debug.entry), (&program.build_id, program.entry));
        assert_eq!(content(&split.debug, ".debug_info").unwrap(), vec![1; 1000]);
        assert_eq!(content(&split.debug, ".text").unwrap(), b"");
        let sections = |bytes: &[u8]| {
            let file = ElfFile::read(bytes).unwrap();
            let ranges = file.sections.iter();
            ranges.map(|s| (file.name(s).to_vec(), s.sh_addr)).collect::<Vec<_>>()
        };
        assert_eq!(sections(&split.debug), sections(&bytes));
    }
}

/// Computes CRC-32 as the GDB manual's "Separate Debug Files" describes it, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[test]
fn a_file_without_section_headers_stays_as_it_is() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.headers = false;
    let bytes = fixture.build();
    assert_eq!(strip(&bytes, KEEP).unwrap(), bytes);
    fixture.sections.clear();
    let mut cut = fixture.build();
    cut.pop();
    assert!(strip(&cut, KEEP).is_err());
}

#[test]
fn unsupported_files_are_rejected_with_a_reason() {
    let good = unstripped(MACHINES[0]);
    let bytes = good.build();
    let split_error = |bytes: &[u8], name| split(bytes, KEEP, name).unwrap_err().to_string();
    for name in ["", "a/b", "a\0"] {
        assert!(split_error(&bytes, name).contains("name of a file"));
    }
    let stripped = strip(&bytes, KEEP).unwrap();
    assert!(split_error(&stripped, "x").contains("no symbols"));
    let object = Fixture { kind: 1, ..good.clone() }.build();
    assert!(strip(&object, KEEP).unwrap_err().to_string().contains("neither a program"));

    let debug = split(&bytes, KEEP, "x").unwrap().debug;
    assert!(strip(&debug, KEEP).unwrap_err().to_string().contains("debug information"));

    // Each of many sections has the entire file as its content.
    let mut many = good;
    many.sections = vec![(".dep-v0", SHT_PROGBITS, Vec::new()); 100];
    let mut bytes = many.build();
    let len = bytes.len() as u64;
    let table = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
    for header in bytes[table..].chunks_exact_mut(64).skip(4).take(100) {
        header[24..32].fill(0);
        header[32..40].copy_from_slice(&len.to_le_bytes());
    }
    assert!(strip(&bytes, KEEP).unwrap_err().to_string().contains("sections overlap"));
}

#[test]
fn no_mutation_panics_and_what_is_loaded_never_changes() {
    let mut state = 0xd1b5_4a32_d192_ed03;
    for machine in MACHINES {
        let mut fixture = unstripped(machine);
        fixture.dynamic = Some(vec![DF_1_PIE, (30, 8)]);
        let good = fixture.build();
        for _ in 0..5000 {
            let bytes = mutate(&good, &mut state);
            if let Ok(stripped) = strip(&bytes, KEEP) {
                assert!(stripped.len() <= bytes.len() * 8 + 4096);
                if let Ok(facts) = Facts::read(&bytes) {
                    let after = Facts::read(&stripped).unwrap();
                    assert_eq!(facts.segments, after.segments);
                    let loaded = |facts: &Facts, bytes: &[u8]| {
                        let mut bytes = bytes.to_vec();
                        for range in header_fields(facts.class == 64) {
                            bytes[range.start as usize..range.end as usize].fill(0);
                        }
                        facts.loaded(&bytes).collect::<Vec<_>>().concat()
                    };
                    assert_eq!(loaded(&facts, &bytes), loaded(&after, &stripped));
                }
            }
            let _ = split(&bytes, RENEW, "x.debug");
            if let Ok(renewed) = strip(&bytes, RENEW) {
                assert_eq!(renewed.len(), strip(&bytes, KEEP).unwrap().len());
                let facts = (Facts::read(&bytes), Facts::read(&renewed));
                if let (Ok(before), Ok(after)) = facts {
                    assert_eq!(before.segments, after.segments);
                }
            }
        }
    }
}
