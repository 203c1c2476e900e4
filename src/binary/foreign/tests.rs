use super::{
    ForeignFacts, ForeignFormat, ProgramKind, format, is_universal, macho::read_slices, read,
};
use crate::{
    binary::elf::fixture::mutate,
    model::source::{ReadError, Source},
    verify::{FileContext, Policy, judge_foreign},
};

fn push_numbers(out: &mut Vec<u8>, numbers: &[(u64, usize)], little: bool) {
    for &(number, size) in numbers {
        match little {
            true => out.extend(&number.to_le_bytes()[..size]),
            false => out.extend(&number.to_be_bytes()[8 - size..]),
        }
    }
}

/// Returns a load command with fields and a text after them.
fn command(kind: u64, fields: &[u64], name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let text = if name.is_empty() { 0 } else { (name.len() + 1).next_multiple_of(8) };
    let size = 8 + fields.len() * 4 + text;
    push_numbers(&mut out, &[(kind, 4), (size as u64, 4)], true);
    fields.iter().for_each(|field| push_numbers(&mut out, &[(*field, 4)], true));
    out.extend(name.as_bytes());
    out.resize(size, 0);
    out
}

/// Returns a Mach-O program for arm64 with these flags and commands.
fn macho(flags: u64, commands: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0xcf, 0xfa, 0xed, 0xfe];
    let size: usize = commands.iter().map(Vec::len).sum();
    let (cpu, count) = (0x0100_000c, commands.len() as u64);
    let head = [(cpu, 4), (0, 4), (2, 4), (count, 4), (size as u64, 4), (flags, 4), (0, 4)];
    push_numbers(&mut out, &head, true);
    out.extend(commands.concat());
    out
}

const DYLIB: u64 = 0xc;
const RPATH: u64 = 0x8000_001c;

fn good() -> Vec<Vec<u8>> {
    vec![
        command(DYLIB, &[24, 0, 0, 0], "/usr/lib/libSystem.B.dylib"),
        command(0x1d, &[0, 100], ""),
        command(0x32, &[1, 0x000b_0000, 0, 0], ""),
        command(0xb, &[0; 18], ""),
    ]
}

/// Returns a PE program for x86-64 that needs `KERNEL32.dll`.
fn pe(dll_characteristics: u64, symbols: u64) -> Vec<u8> {
    let mut out = b"MZ".to_vec();
    out.resize(0x3c, 0);
    push_numbers(&mut out, &[(0x40, 4)], true);
    out.extend(b"PE\0\0");
    let coff = [(0x8664, 2), (1, 2), (0, 4), (0, 4), (symbols, 4), (240, 2), (2, 2)];
    push_numbers(&mut out, &coff, true);
    let mut optional = Vec::new();
    push_numbers(&mut optional, &[(0x20b, 2)], true);
    optional.resize(48, 0);
    push_numbers(&mut optional, &[(6, 2), (1, 2)], true);
    optional.resize(70, 0);
    push_numbers(&mut optional, &[(dll_characteristics, 2)], true);
    optional.resize(108, 0);
    push_numbers(&mut optional, &[(16, 4), (0, 8), (0x1000, 4), (40, 4)], true);
    optional.resize(240, 0);
    out.extend(optional);
    out.extend(b".idata\0\0");
    push_numbers(&mut out, &[(100, 4), (0x1000, 4), (100, 4), (0x200, 4), (0, 8), (0, 8)], true);
    out.resize(0x200, 0);
    push_numbers(&mut out, &[(0, 4), (0, 4), (0, 4), (0x1000 + 40, 4), (1, 4)], true);
    out.resize(0x200 + 40, 0);
    out.extend(b"KERNEL32.dll\0");
    out.resize(0x200 + 100, 0);
    out
}

/// Returns a Mach-O program without findings.
pub(crate) fn macho_sample() -> Vec<u8> {
    macho(0, &good())
}

/// Returns a PE program without findings.
pub(crate) fn pe_sample() -> Vec<u8> {
    pe(0x160, 0)
}

fn try_facts(bytes: &[u8]) -> Result<ForeignFacts, ReadError> {
    read(Source::Bytes(bytes), format(bytes).unwrap_or(ForeignFormat::Pe))
}

fn facts(bytes: &[u8]) -> ForeignFacts {
    try_facts(bytes).unwrap()
}

fn findings(bytes: &[u8]) -> Vec<String> {
    let about = FileContext::default();
    let verdict = judge_foreign(Source::Bytes(bytes), &facts(bytes), &about, &Policy::for_any());
    verdict.findings.into_iter().map(|found| found.lint).collect()
}

#[test]
fn facts_of_mach_o() {
    const MH_PIE: u64 = 0x20_0000;
    let bytes = macho(MH_PIE, &good());
    assert_eq!(format(&bytes), Some(ForeignFormat::MachO));
    let facts = facts(&bytes);
    assert_eq!(facts.libraries, ["/usr/lib/libSystem.B.dylib"]);
    assert_eq!((facts.class, &*facts.machine, facts.kind), (64, "arm64", ProgramKind::Program));
    assert!(facts.signed && facts.any_address && !facts.symbols && !facts.debug);
    assert_eq!(facts.system.as_deref(), Some("11.0"));
    assert_eq!(findings(&bytes), [""; 0]);
    let with = |more: Vec<u8>| findings(&macho(MH_PIE, &[good(), vec![more]].concat()));
    assert_eq!(with(command(RPATH, &[12], "/opt/lib")), ["run-path"]);
    assert_eq!(with(command(RPATH, &[12], "@loader_path/lib")), [""; 0]);
    let symbols: Vec<u64> = (0..18).map(|at| if at == 1 { 7 } else { 0 }).collect();
    assert_eq!(with(command(0xb, &symbols, "")), ["stripped"]);
    let mut dwarf = command(0x19, &[0; 16], "");
    dwarf[8..15].copy_from_slice(b"__DWARF");
    assert_eq!(with(dwarf), ["stripped"]);
    assert_eq!(with(command(DYLIB, &[24, 0, 0, 0], "/home/ann/x.dylib")), ["build-path"]);
    assert_eq!(findings(&macho(0x2_0000, &good())), ["nx-stack"]);
    let mut object = bytes.clone();
    object[12] = 1;
    assert_eq!(findings(&object), ["program"]);
    assert!(try_facts(&bytes[..bytes.len() - 1]).is_err());
    assert!(try_facts(&bytes[..20]).is_err());
}

#[test]
fn universal_files_are_distinguished_from_java_classes() {
    let one = macho(0, &good());
    let mut fat = vec![0xca, 0xfe, 0xba, 0xbe];
    let (start, size) = (8 + 20, one.len() as u64);
    push_numbers(
        &mut fat,
        &[(1, 4), (0x0100_000c, 4), (0, 4), (start, 4), (size, 4), (0, 4)],
        false,
    );
    fat.extend(&one);
    assert!(is_universal(&fat) && format(&fat).is_none());
    let found = read_slices(Source::Bytes(&fat)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].machine, found[0].start, found[0].size), ("arm64", start, size));
    assert!(read_slices(Source::Bytes(&fat[..20])).is_err());
    // Java 8: minor version 0, major version 52.
    let class = [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52];
    assert!(!is_universal(&class) && format(&class).is_none());
    assert!(read_slices(Source::Bytes(&class)).is_err());
}

#[test]
fn facts_of_pe() {
    const GOOD: u64 = 0x160;
    let bytes = pe(GOOD, 0);
    assert_eq!(format(&bytes), Some(ForeignFormat::Pe));
    let facts = facts(&bytes);
    assert_eq!(facts.libraries, ["KERNEL32.dll"]);
    assert_eq!((facts.class, &*facts.machine, facts.kind), (64, "x86_64", ProgramKind::Program));
    assert!(!facts.signed && facts.any_address && !facts.executable_stack);
    assert_eq!(facts.system.as_deref(), Some("6.1"));
    assert_eq!(findings(&bytes), [""; 0]);
    assert_eq!(findings(&pe(GOOD, 9)), ["stripped"]);
    assert_eq!(findings(&pe(0x40, 0)), ["nx-stack"]);
    let error = try_facts(b"MZ, and then nothing").unwrap_err();
    assert!(error.to_string().contains("headers"), "{error}");
    assert!(try_facts(&bytes[..0x210]).is_err());
}

#[test]
fn a_program_for_another_system_is_not_for_the_target() {
    let targets = crate::build::target::Targets::new([]).unwrap();
    let policy = targets.get("x86_64-unknown-linux-musl").unwrap().policy();
    let bytes = pe(0x160, 0);
    let verdict =
        judge_foreign(Source::Bytes(&bytes), &facts(&bytes), &FileContext::default(), &policy);
    assert!(!verdict.accepted);
    assert_eq!(verdict.findings[0].evidence, "it is a PE file for x86_64");
}

#[test]
fn no_mutation_panics() {
    let mut state = 0x1234_5678_9abc_def1;
    for good in [macho(0, &good()), pe(0x160, 0)] {
        for _ in 0..20_000 {
            let bytes = mutate(&good, &mut state);
            let source = Source::Bytes(&bytes);
            let _ = read_slices(source);
            if let Ok(facts) = try_facts(&bytes) {
                let _ = judge_foreign(source, &facts, &FileContext::default(), &Policy::for_any());
            }
        }
    }
}
