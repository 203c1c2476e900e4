use super::{
    Facts, Libc, Shape,
    fixture::{Fixture, MACHINES, SHT_PROGBITS, SHT_SYMTAB, mutate},
};
use crate::model::machine::{Endian, machine_name};

fn read(fixture: &Fixture) -> Facts {
    Facts::read(&fixture.build()).unwrap()
}

fn read_error(bytes: &[u8]) -> String {
    Facts::read(bytes).unwrap_err().to_string()
}

#[test]
fn the_same_facts_for_every_class_byte_order_and_machine() {
    for machine in MACHINES {
        let (wide, little, number) = machine;
        let facts = read(&Fixture::new(machine));
        assert_eq!(facts.class, if wide { 64 } else { 32 });
        assert_eq!(facts.endian == Endian::Little, little);
        assert_eq!(facts.machine, number);
        assert_eq!(facts.shape, Shape::StaticPie);
        assert_eq!(facts.build_id, Some(vec![0xab; 20]));
        assert_eq!(facts.comment, ["a compiler"]);
        assert!(!facts.symbols && facts.has_sections && !facts.detached);
    }
}

#[test]
fn dynamic_sections_are_read() {
    for machine in MACHINES {
        let mut fixture = Fixture::new(machine);
        fixture.interpreter = Some("/lib/ld-musl-x.so.1");
        fixture.needed = vec!["libc.so", "libz.so.1"];
        fixture.runpath = Some("/opt/lib");
        let facts = read(&fixture);
        assert_eq!(facts.interpreter.as_deref(), Some("/lib/ld-musl-x.so.1"));
        assert_eq!(facts.needed, ["libc.so", "libz.so.1"]);
        assert_eq!(facts.runpath.as_deref(), Some("/opt/lib"));
        assert_eq!((facts.shape, facts.libc), (Shape::Pie, Libc::Musl));
    }
}

#[test]
fn a_needed_library_without_a_readable_name_is_still_needed() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.dynamic.as_mut().unwrap().push((1, 0xffff));
    assert_eq!(read(&fixture).needed.len(), 1);
}

#[test]
fn section_headers_may_be_absent() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.headers = false;
    let facts = read(&fixture);
    assert!(!facts.has_sections && !facts.symbols);
    assert_eq!(facts.shape, Shape::StaticPie);
}

#[test]
fn symbols_and_debug_information_are_reported() {
    let mut fixture = Fixture::new(MACHINES[2]);
    fixture.sections.push((".symtab", SHT_SYMTAB, vec![0; 16]));
    fixture.sections.push((".debug_info", SHT_PROGBITS, vec![0; 16]));
    fixture.sections.push((".dep-v0", SHT_PROGBITS, vec![0; 7]));
    let facts = read(&fixture);
    assert!(facts.symbols);
    assert_eq!(facts.debug_sections, [".debug_info"]);
    assert_eq!(facts.audit_data, Some(7));
}

#[test]
fn unreadable_files_are_rejected_with_a_reason() {
    let good = Fixture::new(MACHINES[0]).build();
    assert!(read_error(b"").contains("empty"));
    assert!(read_error(b"#!/bin/sh\n").contains("script"));
    assert!(read_error(b"\x1b[2J").contains(r"`\u{1b}[2J`"));
    assert!(read_error(&good[..40]).contains("header"));
    assert!(read_error(&good[..good.len() - 1]).contains("section headers"));
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.headers = false;
    fixture.sections.clear();
    let bytes = fixture.build();
    assert!(read_error(&bytes[..bytes.len() - 1]).contains("PT_LOAD"));
}

#[test]
fn a_dynamic_section_at_a_different_address_is_rejected() {
    let mut bytes = Fixture::new(MACHINES[0]).build();
    let at = 64 + 56 * 2;
    assert_eq!(bytes[at], 2, "the third program header is PT_DYNAMIC");
    bytes[at + 16] ^= 8;
    assert!(read_error(&bytes).contains("PT_DYNAMIC"));
}

#[test]
fn too_many_needed_libraries_are_rejected() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.needed = vec!["libc.so"; 5000];
    assert!(read_error(&fixture.build()).contains("4096"));
}

#[test]
fn names_of_machines() {
    assert_eq!(machine_name(62), "X86_64");
    assert_eq!(machine_name(258), "LOONGARCH");
    assert_eq!(machine_name(0xfffe), "65534");
}

#[test]
fn no_mutation_panics() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for machine in MACHINES {
        let mut fixture = Fixture::new(machine);
        fixture.interpreter = Some("/lib/ld-musl-x.so.1");
        fixture.needed = vec!["libc.so"];
        let good = fixture.build();
        for _ in 0..5000 {
            let _ = Facts::read(&mutate(&good, &mut state));
        }
    }
}
