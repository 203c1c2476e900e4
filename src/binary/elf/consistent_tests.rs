//! Files that a kernel or a dynamic linker reads in another way than their headers suggest.

use super::{
    Facts,
    fixture::{DF_1_PIE, Fixture, MACHINES, SHT_PROGBITS},
};

const PT_LOAD: u8 = 1;
const PT_DYNAMIC: u8 = 2;
const PT_NOTE: u8 = 4;

/// Returns the offset of the program header of that type in a 64-bit file.
fn program_header(bytes: &[u8], kind: u8) -> usize {
    (64..).step_by(56).find(|at| bytes[*at..at + 4] == [kind, 0, 0, 0]).unwrap()
}

fn write_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[track_caller]
fn assert_rejected(bytes: &[u8], reason: &str) {
    let error = Facts::read(bytes).expect_err(reason).to_string();
    assert!(error.contains(reason), "no `{reason}` in `{error}`");
}

fn good() -> Vec<u8> {
    let bytes = Fixture::new(MACHINES[0]).build();
    Facts::read(&bytes).unwrap();
    bytes
}

/// musl takes the last one, and reads it by its address, whatever its size.
#[test]
fn several_dynamic_sections_are_rejected() {
    let mut twice = good();
    let note = program_header(&twice, PT_NOTE);
    twice[note] = PT_DYNAMIC;
    for size in [0, 16] {
        write_u64(&mut twice, note + 32, size);
        assert_rejected(&twice, "more than one PT_DYNAMIC");
    }
    let mut empty = good();
    let at = program_header(&empty, PT_DYNAMIC) + 32;
    write_u64(&mut empty, at, 0);
    assert_rejected(&empty, "PT_DYNAMIC has no bytes");
    let mut endless = good();
    let size = read_u64(&endless, at);
    write_u64(&mut endless, at, size - 16);
    assert_rejected(&endless, "has no end");
}

#[test]
fn repeated_dynamic_tags_are_rejected() {
    let with = |more: &[(u64, u64)]| {
        let mut fixture = Fixture::new(MACHINES[0]);
        fixture.dynamic = Some([&[DF_1_PIE], more].concat());
        Facts::read(&fixture.build())
    };
    assert!(with(&[(30, 8), (30, 0)]).is_err(), "DT_FLAGS");
    assert!(with(&[(0x6fff_fffb, 0)]).is_err(), "DT_FLAGS_1");
    assert!(with(&[(5, 0x10_0000)]).is_err(), "DT_STRTAB");
    assert!(with(&[(30, 8), (30, 8)]).is_ok());
    // Libraries that glibc loads beside DT_NEEDED.
    for tag in [0x7fff_fffd, 0x7fff_ffff, 0x6fff_fefc, 0x6fff_fefb] {
        assert_eq!(with(&[(tag, 0)]).unwrap().needed.len(), 1, "{tag:#x}");
    }
}

/// Linux reads neither class nor byte order.
#[test]
fn class_and_byte_order_must_match_the_machine() {
    for (at, value) in [(4, 1), (5, 2)] {
        let mut bytes = good();
        bytes[at] = value;
        assert!(Facts::read(&bytes).is_err(), "{at}");
    }
    for (wide, little, machine) in [
        (false, true, 62),
        (true, false, 62),
        (true, true, 3),
        (false, true, 183),
        (true, true, 40),
    ] {
        let bytes = Fixture::new((wide, little, machine)).build();
        assert_rejected(&bytes, "class and byte order are not those of its machine");
    }
    // Big-endian to a reader, and an x86-64 program to the kernel.
    let bytes = Fixture::new((true, false, 62_u16.swap_bytes())).build();
    assert_rejected(&bytes, "in the other byte order");
}

#[test]
fn overlapping_segments_are_rejected() {
    let with = |address: u64, offset: u64, file: u64, memory: u64| {
        let mut bytes = good();
        let at = program_header(&bytes, PT_NOTE);
        bytes[at] = PT_LOAD;
        for (field, value) in [(8, offset), (16, address), (32, file), (40, memory)] {
            write_u64(&mut bytes, at + field, value);
        }
        bytes
    };
    let first = read_u64(&good(), 64 + 16);
    let size = read_u64(&good(), 64 + 40);
    assert_rejected(&with(first, 0, 16, 16), "overlap");
    assert_rejected(&with(first + size - 1, 0, 16, 16), "overlap");
    assert_rejected(&with(first - 0x1_0000, 0, 16, 16), "not in order");
    // The rest of a page comes from the later segment.
    assert_rejected(&with(first + size + 8, 8, 16, 16), "overlap");
    assert_rejected(&with(first + 0x10_0000, 0, 32, 16), "more bytes in the file than in memory");
    assert_rejected(&with(u64::MAX - 8, 0, 4, 8), "last address");
    assert!(Facts::read(&with(first + 0x10_0000, 0, 16, 16)).is_ok());
    assert!(Facts::read(&with(first + size, size, 0, 0x1000)).is_ok());
}

#[test]
fn program_headers_must_be_loaded_from_the_file() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.interpreter = Some("/lib64/ld-linux-x86-64.so.2");
    let good = fixture.build();
    assert!(Facts::read(&good).is_ok());
    let table = good[64..64 + 56 * usize::from(good[56])].to_vec();
    let mut moved = good.clone();
    write_u64(&mut moved, 32, good.len() as u64);
    moved.extend(table);
    assert_rejected(&moved, "loaded from a different offset");
    let mut many = Fixture::new(MACHINES[0]).build();
    many[56..58].copy_from_slice(&[0xff, 0xff]);
    assert!(Facts::read(&many).is_err());
}

/// A file with one empty segment of code still runs what the others hold.
#[test]
fn debug_files_must_not_contain_code() {
    let mut bytes = Fixture { dynamic: None, ..Fixture::new(MACHINES[0]) }.build();
    let at = program_header(&bytes, PT_NOTE);
    let free = read_u64(&bytes, 64 + 16) + 0x10_0000;
    bytes[at] = PT_LOAD;
    bytes[at + 4] = 5;
    for (field, value) in [(8, 0), (16, free), (32, 0), (40, 0x1000)] {
        write_u64(&mut bytes, at + field, value);
    }
    assert!(!Facts::read(&bytes).unwrap().detached);
    write_u64(&mut bytes, 64 + 32, 0);
    assert!(Facts::read(&bytes).unwrap().detached, "nothing of its code is there");
}

#[test]
fn section_addresses_must_match_segments() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.sections.push((".debug_info", SHT_PROGBITS, vec![0; 16]));
    let mut bytes = fixture.build();
    let table = usize::try_from(read_u64(&bytes, 40)).unwrap();
    let count = usize::from(bytes[60]);
    let flags = table + (count - 2) * 64 + 8;
    write_u64(&mut bytes, flags, 2);
    assert_eq!(Facts::read(&bytes).unwrap().debug_sections, [".debug_info"]);
    bytes[flags - 8 + 3] = 0xff;
    assert_rejected(&bytes, "outside the table of names");
}

#[test]
fn one_of_several_stack_headers_suffices() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.relro = true;
    let mut bytes = fixture.build();
    let stack = (64..).step_by(56).find(|at| bytes[*at..at + 4] == [0x51, 0xe5, 0x74, 0x64]);
    let stack = stack.unwrap();
    bytes[stack + 4] = 7;
    bytes[stack + 56] = 0x51;
    assert!(Facts::read(&bytes).unwrap().stack.unwrap().executable);
}
