//! Every lint, denied by its name, on files to which it is not applied by default: it finds something,
//! lacks an input, or is listed with a reason. None passes in silence.

use super::{
    CpuLevel, FileContext, Inputs, LINTS, MISSING_INPUT, Policy, Settings, judge, judge_foreign,
    missing_input,
};
use crate::{
    binary::{
        elf::{
            Facts,
            fixture::{DF_1_PIE, Fixture, MACHINES},
        },
        foreign::{macho_sample, pe_sample},
    },
    model::{
        schema::dist::{Level, Verdict},
        source::Source,
    },
};

/// The result of a denied lint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LintOutcome {
    /// It finds something.
    Finds,
    /// It lacks an input.
    Lacks,
    /// It is listed as not applied.
    Listed,
    /// It is applied, and finds nothing.
    Passes,
}
use LintOutcome::{Finds, Lacks, Listed, Passes};

fn outcome(verdict: &Verdict, lint: &str) -> LintOutcome {
    let found = verdict.findings.iter().find(|found| found.lint == lint);
    let listed = verdict.not_applied.iter().find(|unapplied| unapplied.lint == lint);
    match (found, listed) {
        (Some(found), _) if found.message == MISSING_INPUT => Lacks,
        (Some(found), None) => {
            assert_eq!(found.level, Level::Deny);
            assert!(!verdict.accepted);
            Finds
        }
        (None, Some(listed)) => {
            assert!(listed.requested && !listed.reason.is_empty(), "{lint}");
            assert!(!verdict.lints.iter().any(|id| id == lint), "{lint}");
            Listed
        }
        (None, None) => {
            assert!(verdict.lints.iter().any(|id| id == lint), "{lint} passes in silence");
            Passes
        }
        other => panic!("{lint}: {other:?}"),
    }
}

fn denied(lint: &str) -> Policy {
    Policy::for_any().with_level(lint, Level::Deny).unwrap()
}

fn elf(lint: &str, change: fn(&mut Fixture)) -> LintOutcome {
    let mut fixture = Fixture::new(MACHINES[0]);
    change(&mut fixture);
    let bytes = fixture.build();
    let facts = Facts::read(&bytes).unwrap();
    outcome(&judge(&bytes, &facts, &FileContext::default(), &denied(lint)), lint)
}

fn other(lint: &str, bytes: &[u8]) -> LintOutcome {
    let source = Source::Bytes(bytes);
    let format = crate::binary::foreign::format(bytes).unwrap();
    let facts = crate::binary::foreign::read(source, format).unwrap();
    outcome(&judge_foreign(source, &facts, &FileContext::default(), &denied(lint)), lint)
}

/// Makes the file like `/bin/ls`: dynamic, without a build id, and with pages of 4 KiB.
fn dynamic(file: &mut Fixture) {
    file.interpreter = Some("/lib64/ld-linux-x86-64.so.2");
    file.needed = vec!["libc.so.6"];
    file.dynamic = Some(vec![DF_1_PIE, (30, 8)]);
    file.relro = true;
    file.build_id = None;
}

/// Makes the file a static program for a fixed address.
fn fixed(file: &mut Fixture) {
    file.kind = 2;
    file.dynamic = None;
    file.text = b"No error information <jemalloc>: Unsupported system page size".to_vec();
    file.relro = true;
}

fn library(file: &mut Fixture) {
    file.dynamic = Some(vec![]);
    file.needed = vec!["libc.so.6"];
}

fn object(file: &mut Fixture) {
    file.kind = 1;
    file.stack = None;
}

#[test]
fn denied_lints_are_applied_or_listed() {
    // A dynamic program, a static one, a shared library, an object file, Mach-O, PE.
    #[rustfmt::skip]
    let table: [(&str, [LintOutcome; 6]); 29] = [
        ("program",             [Passes, Passes, Passes, Finds,  Passes, Passes]),
        ("machine",             [Lacks,  Lacks,  Lacks,  Lacks,  Lacks,  Lacks]),
        ("float-abi",           [Listed, Listed, Listed, Listed, Listed, Listed]),
        ("static",              [Finds,  Passes, Finds,  Passes, Finds,  Finds]),
        ("static-pie",          [Finds,  Finds,  Finds,  Finds,  Finds,  Finds]),
        ("dynamic",             [Passes, Finds,  Passes, Finds,  Passes, Passes]),
        ("glibc",               [Lacks,  Listed, Lacks,  Listed, Listed, Listed]),
        ("libraries",           [Lacks,  Listed, Lacks,  Listed, Lacks,  Lacks]),
        ("stripped",            [Passes, Passes, Passes, Passes, Passes, Passes]),
        ("nx-stack",            [Passes, Passes, Passes, Finds,  Passes, Passes]),
        ("w-x",                 [Passes, Passes, Passes, Passes, Finds,  Finds]),
        ("text-relocations",    [Passes, Passes, Passes, Passes, Finds,  Finds]),
        ("relro",               [Passes, Finds,  Finds,  Finds,  Finds,  Finds]),
        ("page-size",           [Passes, Passes, Passes, Passes, Listed, Listed]),
        ("allocator-page-size", [Passes, Finds,  Passes, Passes, Listed, Listed]),
        ("cpu-level",           [Passes, Passes, Passes, Passes, Listed, Listed]),
        ("run-path",            [Passes, Passes, Passes, Passes, Passes, Passes]),
        ("leftovers",           [Passes, Passes, Passes, Passes, Finds,  Finds]),
        ("build-path",          [Passes, Passes, Passes, Passes, Passes, Passes]),
        ("static-glibc",        [Listed, Passes, Listed, Passes, Listed, Listed]),
        ("build-id",            [Finds,  Passes, Passes, Passes, Finds,  Finds]),
        ("privileges",          [Finds,  Finds,  Finds,  Finds,  Finds,  Finds]),
        ("mode",                [Finds,  Finds,  Finds,  Finds,  Finds,  Finds]),
        ("size",                [Lacks,  Lacks,  Lacks,  Lacks,  Lacks,  Lacks]),
        ("growth",              [Lacks,  Lacks,  Lacks,  Lacks,  Lacks,  Lacks]),
        ("runs",                [Lacks,  Lacks,  Listed, Listed, Finds,  Finds]),
        ("canary",              [Finds,  Finds,  Finds,  Finds,  Finds,  Finds]),
        ("fortify",             [Finds,  Finds,  Finds,  Finds,  Finds,  Finds]),
        ("audit-data",          [Finds,  Finds,  Finds,  Finds,  Finds,  Finds]),
    ];
    let names: Vec<_> = table.iter().map(|(lint, _)| *lint).collect();
    assert_eq!(names, LINTS.iter().map(|lint| lint.id).collect::<Vec<_>>());
    for (lint, expected) in table {
        let is = [
            elf(lint, dynamic),
            elf(lint, fixed),
            elf(lint, library),
            elf(lint, object),
            other(lint, &macho_sample()),
            other(lint, &pe_sample()),
        ];
        assert_eq!(is, expected, "{lint}");
    }
}

#[test]
fn default_expectations_match_the_machine() {
    let on = |lint: &str, machine: usize, change: fn(&mut Fixture)| {
        let mut fixture = Fixture::new(MACHINES[machine]);
        change(&mut fixture);
        let bytes = fixture.build();
        let facts = Facts::read(&bytes).unwrap();
        outcome(&judge(&bytes, &facts, &FileContext::default(), &denied(lint)), lint)
    };
    let small = |file: &mut Fixture| file.align = 0x1000;
    assert_eq!(on("page-size", 0, small), Passes);
    assert_eq!(on("page-size", 1, small), Finds, "arm64 kernels have pages of 64 KiB");
    assert_eq!(on("page-size", 1, |_| ()), Passes);
    assert_eq!(on("cpu-level", 0, |file| file.property = Some(4)), Finds);
    assert_eq!(on("cpu-level", 1, |_| ()), Listed);
    // ARM and RISC-V have several ABIs, and only a target determines which is right.
    assert_eq!(on("float-abi", 2, |_| ()), Lacks);
    assert_eq!(on("float-abi", 4, |_| ()), Lacks);
}

#[test]
fn settings_name_lints_as_arguments_do() {
    let bytes = {
        let mut fixture = Fixture::new(MACHINES[0]);
        dynamic(&mut fixture);
        fixture.build()
    };
    let under = |text: &str| {
        let settings = Settings::parse("policy.toml", text).unwrap();
        super::verify(&bytes, &Policy::for_any().with_settings(&settings).unwrap())
    };
    assert!(!under("deny = ['static']").accepted);
    assert_eq!(under("warn = ['static']").findings[0].level, Level::Warn);
    assert!(missing_input(&under("deny = ['machine']")).is_some());
    assert!(under("allow = ['static']").findings.is_empty());
    // The last one holds.
    let both = Policy::for_any().with_level("static", Level::Deny).unwrap();
    let both = both.with_level("static", Level::Allow).unwrap();
    assert!(super::verify(&bytes, &both).accepted);
}

#[test]
fn lints_without_their_input_are_usage_errors() {
    let policy = |text: &str| {
        let settings = Settings::parse("policy.toml", text).unwrap();
        Policy::for_any().with_settings(&settings).unwrap()
    };
    let none = Inputs::default();
    let all = Inputs { base: true, run: true };
    for (lint, given) in [
        ("glibc", "glibc = '2.28'"),
        ("libraries", "libraries = []"),
        ("size", "max-size.image = 1"),
        ("growth", "max-growth.file = '1%'"),
    ] {
        for level in ["deny", "warn"] {
            let error = policy(&format!("{level} = ['{lint}']")).check_inputs(all).unwrap_err();
            assert!(error.to_string().contains(&format!("`{lint}`")), "{error}");
            assert!(error.hint_text().is_some(), "{error}");
            policy(&format!("{level} = ['{lint}']\n{given}")).check_inputs(all).unwrap();
        }
    }
    for (text, inputs) in
        [("deny = ['runs']", all), ("deny = ['growth']\nmax-growth.file = 1", all)]
    {
        assert!(policy(text).check_inputs(none).is_err());
        policy(text).check_inputs(inputs).unwrap();
        // A warning in a file of settings is for the commands that can give it.
        policy(&text.replace("deny", "warn")).check_inputs(none).unwrap();
    }
    assert!(denied("runs").check_inputs(none).is_err());
    // If programs are static, neither glibc nor libraries have a meaning.
    policy("deny = ['glibc', 'libraries']\nlinkage = 'static'").check_inputs(none).unwrap();
    assert_eq!(policy("cpu = 'x86-64-v2'").declared_cpu(), Some(CpuLevel::V2));
}
