use super::{
    ArtifactError, FileContext, LINTS, Mode, PACKED, Policy, READABLE, Report, VerifiedArtifact,
    explain, judge, page, verify,
};
use crate::{
    binary::elf::{
        Facts,
        fixture::{DF_1_PIE, Fixture, MACHINES, SHT_PROGBITS, SHT_SYMTAB, mutate},
        needle,
    },
    build::target::{Target, Targets},
    model::{
        digest::Digest,
        schema::{
            allocator::{Allocator, AllocatorChoice},
            dist::{Artifact, File, Level},
        },
    },
};

const ARM: &str = r#"
platform = "linux/arm/v7"
linkage = "static-pie"
[elf]
machine = "arm"
class = 32
endian = "little"
page-size = 65536
"#;

const S390X: &str = r#"
platform = "linux/s390x"
linkage = "static-pie"
[elf]
machine = "s390"
class = 64
endian = "big"
page-size = 4096
"#;

const RISCV: &str = r#"
platform = "linux/riscv64"
linkage = "static-pie"
[elf]
machine = "riscv"
class = 64
endian = "little"
page-size = 4096
"#;

fn targets() -> [Target; 5] {
    let file = |name: &str, text: &str| (name.to_owned(), "test".to_owned(), text.to_owned());
    let all = [file("arm", ARM), file("s390x", S390X), file("riscv", RISCV)];
    let all = Targets::new(all).unwrap();
    ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "arm", "s390x", "riscv"]
        .map(|name| all.get(name).unwrap().clone())
}

/// Checks the ids of the findings on the good file of every machine after `change`.
#[track_caller]
fn check(change: impl Fn(&mut Fixture), expected: &[&str]) {
    for (machine, target) in MACHINES.into_iter().zip(targets()) {
        let mut fixture = Fixture::new(machine);
        change(&mut fixture);
        let verdict = verify(&fixture.build(), &target.policy());
        let found: Vec<_> = verdict.findings.iter().map(|f| f.lint.as_str()).collect();
        assert_eq!(found, expected, "{}: {verdict:#?}", target.name);
        let denied = verdict.findings.iter().any(|found| found.level == Level::Deny);
        assert_eq!(verdict.accepted, !denied);
    }
}

#[test]
fn the_good_file_passes() {
    check(|_| {}, &[]);
    check(|file| file.headers = false, &[]);
    check(|file| file.os_abi = 3, &[]);
}

#[test]
fn linkage_lints_report_violations() {
    check(|file| file.kind = 1, &["program"]);
    check(|file| file.kind = 4, &["program"]);
    check(|file| file.interpreter = Some("/lib/ld-musl-x.so.1"), &["static", "relro"]);
    check(|file| file.needed = vec!["libz.so.1"], &["static", "relro"]);
    check(|file| file.kind = 2, &["static-pie"]);
    check(|file| file.dynamic = Some(vec![]), &["program", "static-pie", "relro"]);
    check(|file| file.machine = 8, &["machine"]);
    check(|file| file.os_abi = 9, &["machine"]);
}

#[test]
fn memory_lints_report_violations() {
    check(|file| file.stack = Some(7), &["nx-stack"]);
    check(|file| file.stack = None, &["nx-stack"]);
    check(|file| file.load = 7, &["w-x"]);
    check(|file| file.dynamic = Some(vec![DF_1_PIE, (22, 0)]), &["text-relocations"]);
    check(|file| file.dynamic = Some(vec![DF_1_PIE, (30, 4)]), &["text-relocations"]);
    check(|file| file.align = 0x800, &["page-size"]);
    check(|file| file.base = 0x1_0008, &["page-size"]);
    // RELRO requested and complete, or requested and partial; a static program does not request it.
    let dynamic = |file: &mut Fixture, now: &[(u64, u64)]| {
        file.needed = vec!["libc.so.6"];
        file.relro = true;
        file.dynamic = Some([&[DF_1_PIE], now].concat());
    };
    check(|file| dynamic(file, &[(30, 8)]), &["static"]);
    check(|file| dynamic(file, &[]), &["static", "relro"]);
    check(|file| file.relro = true, &[]);
}

#[test]
fn leftover_lints_report_violations() {
    let section = |file: &mut Fixture, name, kind| file.sections.push((name, kind, vec![0; 24]));
    check(|file| section(file, ".symtab", SHT_SYMTAB), &["stripped"]);
    check(|file| section(file, ".debug_line", SHT_PROGBITS), &["stripped"]);
    check(|file| section(file, ".zdebug_line", SHT_PROGBITS), &["stripped"]);
    check(|file| section(file, ".dep-v0", SHT_PROGBITS), &[]);
    check(|file| section(file, "__llvm_prf_cnts", SHT_PROGBITS), &["leftovers"]);
    check(|file| file.runpath = Some("/opt/lib"), &["run-path"]);
    check(|file| file.build_id = None, &["build-id"]);
    let text = |text: &'static str| move |file: &mut Fixture| file.text = text.into();
    check(text("unsafe precondition(s) violated: x"), &["leftovers"]);
    check(text("at /home/ann/src/main.rs"), &["build-path"]);
    check(text("put it into /home/ or /home/<name>/x"), &[]);
    check(text("/rustc/0123/library/core /checkout/src"), &[]);
}

#[test]
fn pages_of_64_kib_are_checked_for_machines_with_them() {
    let text = b"<jemalloc>: Unsupported system page size".to_vec();
    for (index, (machine, target)) in MACHINES.into_iter().zip(targets()).enumerate() {
        let mut fixture = Fixture::new(machine);
        fixture.align = 0x1000;
        fixture.text.clone_from(&text);
        let found = verify(&fixture.build(), &target.policy()).findings;
        let found: Vec<_> = found.iter().map(|found| found.lint.as_str()).collect();
        // arm64, and the made-up target for 32-bit ARM.
        let large = matches!(index, 1 | 2);
        let expected: &[&str] = if large { &["page-size", "allocator-page-size"] } else { &[] };
        assert_eq!(found, expected, "{}", target.name);
    }
}

#[test]
fn float_abi_and_cpu_level_must_match_the_target() {
    let file = |text: &str, name: &str| (name.to_owned(), "test".to_owned(), text.to_owned());
    let riscv = ARM.replace("\"arm\"", "\"riscv\"").replace("32", "64");
    let all = Targets::new([
        file(ARM, "armv7-unknown-linux-musleabihf"),
        file(ARM, "arm-unknown-linux-musleabi"),
        file(&riscv, "riscv64gc-unknown-linux-musl"),
    ]);
    let all = all.unwrap();
    let find = |machine, flags, target: &str| {
        let fixture = Fixture { flags, ..Fixture::new(machine) };
        let verdict = verify(&fixture.build(), &all.get(target).unwrap().policy());
        assert!(verdict.lints.contains(&"float-abi".to_owned()));
        verdict.findings.iter().filter(|found| found.lint == "float-abi").count()
    };
    let arm = MACHINES[2];
    assert_eq!(find(arm, 0x500_0400, "armv7-unknown-linux-musleabihf"), 0);
    assert_eq!(find(arm, 0x500_0200, "armv7-unknown-linux-musleabihf"), 1);
    assert_eq!(find(arm, 0x500_0400, "arm-unknown-linux-musleabi"), 1);
    assert_eq!(find(arm, 0x500_0000, "arm-unknown-linux-musleabi"), 0);
    assert_eq!(find((true, true, 243), 5, "riscv64gc-unknown-linux-musl"), 0);
    assert_eq!(find((true, true, 243), 1, "riscv64gc-unknown-linux-musl"), 1);

    let level = |bits: u32| {
        let mut fixture = Fixture::new(MACHINES[0]);
        fixture.property = Some(bits);
        let verdict = verify(&fixture.build(), &targets()[0].policy());
        verdict.findings.iter().map(|found| found.evidence.clone()).collect::<Vec<_>>()
    };
    assert_eq!(level(1), [""; 0]);
    assert_eq!(level(5), ["GNU_PROPERTY_X86_ISA_1_NEEDED names x86-64, x86-64-v3"]);
}

#[test]
fn modes_are_checked_if_known() {
    let bytes = Fixture::new(MACHINES[0]).build();
    let facts = Facts::read(&bytes).unwrap();
    let find = |bits, capabilities| {
        let mode = Some(Mode { bits, capabilities });
        let context = FileContext { mode, ..FileContext::default() };
        let verdict = judge(&bytes, &facts, &context, &Policy::for_any());
        verdict.findings.into_iter().map(|found| found.lint).collect::<Vec<_>>()
    };
    assert_eq!(find(0o755, false), [""; 0]);
    assert_eq!(find(0o4755, false), ["privileges"]);
    assert_eq!(find(0o2755, true), ["privileges"]);
    assert_eq!(find(0o644, false), ["mode"]);
    assert_eq!(find(0o777, false), ["mode"]);
}

#[test]
fn symbols_are_a_warning_without_a_target() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.sections.push((".symtab", SHT_SYMTAB, vec![0; 24]));
    let verdict = verify(&fixture.build(), &Policy::for_any());
    assert!(verdict.accepted);
    assert_eq!(verdict.findings[0].level, Level::Warn);
    let strict = Policy::for_any().with_level("stripped", Level::Deny).unwrap();
    assert!(!verify(&fixture.build(), &strict).accepted);
    assert!(!verify(&fixture.build(), &targets()[0].policy()).accepted);
}

#[test]
fn a_shared_library_of_musl_may_need_others() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.needed = vec!["libc.musl-x86_64.so.1"];
    fixture.dynamic = Some(vec![(30, 8)]);
    fixture.relro = true;
    let verdict = verify(&fixture.build(), &Policy::for_any());
    assert_eq!((verdict.accepted, verdict.findings), (true, Vec::new()));
}

#[test]
fn the_page_on_lints_is_current() {
    let page = page();
    for lint in &LINTS {
        assert!(page.contains(&explain(lint.id).unwrap()), "{}", lint.id);
    }
    assert_eq!(explain("statc").unwrap_err().hint_text(), Some("did you mean `static`?"));
    for needle in needle::all() {
        assert!(!needle.is_in(page.as_bytes()), "our own program would have {}", needle.quoted());
    }
}

#[test]
fn a_file_for_a_different_target_is_rejected_with_every_difference() {
    let bytes = Fixture::new(MACHINES[2]).build();
    let verdict = verify(&bytes, &targets()[3].policy());
    let found = &verdict.findings[0];
    assert_eq!(found.lint, "machine");
    for part in ["ARM (40), not S390 (22)", "EI_CLASS is 32", "EI_DATA is little-endian"] {
        assert!(found.evidence.contains(part), "{}", found.evidence);
    }
}

#[test]
fn build_paths_match_complete_names() {
    let find = |text: &str| {
        let mut fixture = Fixture::new(MACHINES[0]);
        fixture.text = text.into();
        let policy = Policy::for_any().with_build_paths(["/build/src/".to_owned(), "/".to_owned()]);
        verify(&fixture.build(), &policy).findings.len()
    };
    assert_eq!(find("/build/src/main.rs"), 1);
    assert_eq!(find("at /build/src, line 1"), 1);
    assert_eq!(find("/build/srcs/main.rs"), 0);
}

#[test]
fn files_without_a_target_are_expected_static_only_with_musl() {
    let with = |interpreter| {
        let mut fixture = Fixture::new(MACHINES[0]);
        fixture.interpreter = Some(interpreter);
        verify(&fixture.build(), &Policy::for_any()).accepted
    };
    assert!(with("/lib64/ld-linux-x86-64.so.2"));
    assert!(!with("/lib/ld-musl-x86_64.so.1"));
}

#[test]
fn packed_and_broken_files_are_always_rejected() {
    let mut policy = targets()[0].policy();
    for lint in &LINTS {
        policy = policy.with_level(lint.id, Level::Allow).unwrap();
    }
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.text = b"UPX!".to_vec();
    assert!(verify(&fixture.build(), &policy).accepted, "the text alone is no packer");
    fixture.headers = false;
    let packed = verify(&fixture.build(), &policy);
    assert!(!packed.accepted);
    assert_eq!(packed.findings[0].lint, PACKED);
    let broken = verify(b"MZ", &policy);
    assert!(!broken.accepted);
    assert_eq!(broken.findings[0].lint, READABLE);
}

#[test]
fn the_worst_finding_comes_first() {
    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.runpath = Some("/opt/lib");
    fixture.stack = None;
    let policy = Policy::for_any()
        .with_level("run-path", Level::Deny)
        .and_then(|policy| policy.with_level("nx-stack", Level::Warn))
        .unwrap();
    let verdict = verify(&fixture.build(), &policy);
    let found: Vec<_> = verdict.findings.iter().map(|f| f.lint.as_str()).collect();
    assert_eq!(found, ["run-path", "nx-stack"]);
}

#[test]
fn an_unknown_lint_names_the_nearest() {
    let error = Policy::for_any().with_level("striped", Level::Warn).unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean `stripped`?"));
}

#[test]
fn reports_list_passed_lints_on_one_line() {
    let policy = targets()[0].policy();
    let mut fixture = Fixture::new(MACHINES[0]);
    let verdict = verify(&fixture.build(), &policy);
    let report = Report::new("bin/x", &verdict).to_string();
    assert_eq!(report, "`bin/x` accepted: 17 passed");
    fixture.needed = vec!["libz.so.1", "evil\x1b[2J"];
    let verdict = verify(&fixture.build(), &policy);
    let expected = r"`bin/x` refused: 1 denied, 1 warned of, 16 passed
  deny static: the program needs shared libraries
    found: DT_NEEDED `libz.so.1`, DT_NEEDED `evil\u{1b}[2J`
    expected: a file that needs no interpreter and no shared library
    hint: build for a musl target with a linker for it: the host's own linker brings the host's C library
  warn relro: tables of addresses in it stay writable
    found: it has no PT_GNU_RELRO
    expected: a file that has its tables of addresses made read-only once they are filled
    hint: link with `-C relro-level=full`, or `-Wl,-z,relro,-z,now` in C
  passed: readable, packed, program, machine, static-pie, stripped, nx-stack, w-x, text-relocations, page-size, cpu-level, run-path, leftovers, build-path, static-glibc, build-id";
    assert_eq!(Report::new("bin/x", &verdict).to_string(), expected);
}

fn artifact(bytes: &[u8], target: &Target) -> Artifact {
    Artifact {
        name: "x".to_owned(),
        package: "x".to_owned(),
        version: "1.0.0".to_owned(),
        target: target.name.clone(),
        platform: target.spec.platform.clone(),
        path: "linux/amd64/bin/x".to_owned(),
        size: bytes.len() as u64,
        sha256: Digest::sha256(bytes),
        unstripped: File { size: bytes.len() as u64, sha256: Digest::sha256(bytes) },
        debug: None,
        attribution: None,
        audit: None,
        memory_functions: None,
        linker: None,
        pgo: None,
        allocator: AllocatorChoice { allocator: Allocator::System, origin: "metadata".to_owned() },
        cpu_flags: None,
        verdict: None,
        smoke: None,
    }
}

fn verify_file(
    record: Artifact,
    bytes: &[u8],
    policy: &Policy,
) -> Result<VerifiedArtifact, ArtifactError> {
    VerifiedArtifact::new(record, bytes.into(), Digest::sha256(bytes), policy)
}

#[test]
fn only_the_recorded_bytes_become_a_verified_artifact() {
    let [target, other, ..] = targets();
    let policy = target.policy();
    let bytes = Fixture::new(MACHINES[0]).build();
    let record = artifact(&bytes, &target);

    let verified = verify_file(record.clone(), &bytes, &policy).unwrap();
    assert_eq!(verified.digest(), record.sha256);
    assert!(verified.artifact().verdict.as_ref().unwrap().accepted);

    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let mismatch = |artifact, bytes: &[u8], policy: &Policy| {
        let refused = verify_file(artifact, bytes, policy).unwrap_err();
        matches!(refused, ArtifactError::Mismatch { .. })
    };
    assert!(mismatch(record.clone(), &changed, &policy));
    assert!(mismatch(record.clone(), &bytes, &Policy::for_any()));
    assert!(mismatch(record.clone(), &bytes, &other.policy()));

    let mut fixture = Fixture::new(MACHINES[0]);
    fixture.stack = None;
    let bytes = fixture.build();
    let refused = verify_file(artifact(&bytes, &target), &bytes, &policy).unwrap_err();
    assert!(matches!(refused, ArtifactError::Denied { .. }), "{refused}");
}

#[test]
fn no_mutation_panics() {
    let mut state = 0x2545_f491_4f6c_dd1d;
    for (machine, target) in MACHINES.into_iter().zip(targets()) {
        let policy = target.policy().with_build_paths(["/work".to_owned()]);
        let mut fixture = Fixture::new(machine);
        fixture.text = b"/home/ann/x gconv No error information\0".to_vec();
        fixture.needed = vec!["libc.so"];
        let good = fixture.build();
        for _ in 0..5000 {
            let bytes = mutate(&good, &mut state);
            let _ = Report::new("x", &verify(&bytes, &policy)).to_string();
        }
    }
}

/// Section headers cannot hide a text from the lints.
#[test]
fn strings_are_found_in_all_loaded_bytes() {
    let among = |mut text: Vec<u8>| {
        text.extend(b" /home/ann/src/main.rs ");
        text
    };
    for size in [1 << 10, 64 << 10] {
        check(|file| file.text = among(vec![0; size]), &["build-path"]);
        check(
            |file| {
                file.text = among(vec![0; size]);
                file.headers = false;
            },
            &["build-path"],
        );
    }
}
