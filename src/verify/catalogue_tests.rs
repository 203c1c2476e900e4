//! For each lint, on each sort of machine, a file that passes it and one that does not, which is one
//! property away.

use super::{FileContext, LINTS, Mode, Policy, RunEnd, RunResult, Settings, judge};
use crate::{
    binary::elf::{
        Facts,
        fixture::{DF_1_PIE, Fixture, MACHINES, SHT_PROGBITS, SHT_SYMTAB},
    },
    model::{platform::Platform, schema::dist::Level},
};

/// A file, the facts about it beside its bytes, and the policy it is checked against.
struct Case {
    file: Fixture,
    context: FileContext,
    policy: Policy,
}

/// The policy file that every case begins with.
const POLICY: &str = "
linkage = 'static-pie'
page-size = 65536
cpu = 'x86-64'
max-size.file = '1 MB'
max-growth.file = '10%'
warn = ['audit-data']
";

impl Case {
    /// Creates a case that every lint passes.
    fn good(machine: (bool, bool, u16)) -> Self {
        let mut case = Case {
            file: Fixture::new(machine),
            context: FileContext {
                mode: Some(Mode { bits: 0o755, capabilities: false }),
                base: Some(1 << 19),
                run: None,
                cpu_flags: None,
            },
            policy: Policy::for_any(),
        };
        case.file.sections.push((".dep-v0", SHT_PROGBITS, vec![0; 7]));
        case.policy = case.policy.with_platform(&platform(machine.2));
        case.policy(POLICY);
        case.run(RunEnd::Code(0));
        case
    }

    fn policy(&mut self, text: &str) {
        let settings = Settings::parse("policy.toml", text).unwrap();
        self.policy = self.policy.clone().with_settings(&settings).unwrap();
    }

    fn run(&mut self, end: RunEnd) {
        let text = |text: &str| text.to_owned();
        let output = text("No such file or directory");
        self.context.run = Some(RunResult::Ran { command: text("x"), cpu: text("y"), end, output });
    }

    /// Creates the case of a dynamic program that every lint passes.
    fn dynamic(machine: (bool, bool, u16)) -> Self {
        let mut case = Case::good(machine);
        case.file.needed = vec!["libc.so.6"];
        case.file.interpreter = Some("/lib64/ld-linux-x86-64.so.2");
        case.file.versions = vec!["GLIBC_2.2.5", "GLIBC_2.28"];
        case.file.names = vec!["__stack_chk_fail", "__memcpy_chk"];
        case.file.relro = true;
        case.file.dynamic = Some(vec![DF_1_PIE, (30, 8)]);
        case.policy("linkage = 'dynamic'\nglibc = '2.28'\nlibraries = ['libc.so.6', 'ld-*']\nwarn = ['canary', 'fortify']");
        case
    }

    /// Returns the lints that were applied, and those that found something.
    fn judge(&self) -> (Vec<String>, Vec<String>) {
        let bytes = self.file.build();
        let facts = Facts::read(&bytes).unwrap();
        let verdict = judge(&bytes, &facts, &self.context, &self.policy);
        (verdict.lints, verdict.findings.into_iter().map(|found| found.lint).collect())
    }
}

fn platform(machine: u16) -> Platform {
    let name = match machine {
        62 => "amd64",
        183 => "arm64",
        40 => "arm",
        22 => "s390x",
        _ => "riscv64",
    };
    format!("linux/{name}").parse().unwrap()
}

/// Returns a change that makes a good file fail the lint, and whether that file is the dynamic one.
fn failing(lint: &str) -> (bool, fn(&mut Case)) {
    match lint {
        "program" => (false, |c| c.file.kind = 1),
        "machine" => (false, |c| c.file.machine = 8),
        "static" => (false, |c| c.file.needed = vec!["libz.so.1"]),
        "static-pie" => (false, |c| c.file.kind = 2),
        "dynamic" => (true, |c| (c.file.needed, c.file.interpreter) = (Vec::new(), None)),
        "glibc" => (true, |c| c.file.versions.push("GLIBC_2.29")),
        "libraries" => (true, |c| c.file.needed.push("libz.so.1")),
        "stripped" => (false, |c| c.file.sections.push((".symtab", SHT_SYMTAB, vec![0; 24]))),
        "nx-stack" => (false, |c| c.file.stack = Some(7)),
        "w-x" => (false, |c| c.file.load = 7),
        "text-relocations" => (false, |c| c.file.dynamic = Some(vec![DF_1_PIE, (22, 0)])),
        "relro" => (true, |c| c.file.relro = false),
        "page-size" => (false, |c| c.file.align = 0x1000),
        "allocator-page-size" => {
            (false, |c| c.file.text = b"<jemalloc>: Unsupported system page size".to_vec())
        }
        "cpu-level" => (false, |c| c.file.property = Some(4)),
        "run-path" => (false, |c| c.file.runpath = Some("/opt/lib")),
        "leftovers" => {
            (false, |c| c.file.sections.push(("__llvm_prf_cnts", SHT_PROGBITS, vec![0; 8])))
        }
        "static-glibc" => (false, |c| {
            c.file.abi_tag = true;
            c.file.text = b"/usr/lib/gconv/gconv-modules".to_vec();
        }),
        "build-path" => (false, |c| c.file.text = b"at /home/ann/src/main.rs".to_vec()),
        "privileges" => {
            (false, |c| c.context.mode = Some(Mode { bits: 0o4755, capabilities: false }))
        }
        "mode" => (false, |c| c.context.mode = Some(Mode { bits: 0o777, capabilities: false })),
        "size" => (false, |c| c.policy("max-size.file = 100")),
        "growth" => (false, |c| c.context.base = Some(100)),
        "runs" => (false, |c| c.run(RunEnd::Signal(4))),
        "canary" => (true, |c| c.file.names = vec!["__memcpy_chk"]),
        "fortify" => (true, |c| c.file.names = vec!["__stack_chk_fail"]),
        "audit-data" => (false, |c| c.file.sections.truncate(1)),
        other => panic!("no file fails `{other}`"),
    }
}

#[test]
fn each_lint_has_a_file_that_fails_it_and_one_that_passes() {
    for machine in MACHINES {
        for good in [Case::good(machine), Case::dynamic(machine)] {
            let (_, found) = good.judge();
            assert_eq!(found, [""; 0], "{machine:?}");
        }
        for lint in &LINTS {
            // Lints that need a target have a separate test.
            if ["float-abi", "build-id"].contains(&lint.id) {
                continue;
            }
            if lint.id == "cpu-level" && machine.2 != 62 {
                continue;
            }
            let (dynamic, change) = failing(lint.id);
            let make = if dynamic { Case::dynamic } else { Case::good };
            let (applied, _) = make(machine).judge();
            assert!(applied.iter().any(|id| id == lint.id), "{}: {machine:?}", lint.id);
            let mut failing_case = make(machine);
            change(&mut failing_case);
            let (_, found) = failing_case.judge();
            assert!(found.iter().any(|id| id == lint.id), "{}: {machine:?}: {found:?}", lint.id);
            // And is not applied if it is off.
            failing_case.policy = failing_case.policy.with_level(lint.id, Level::Allow).unwrap();
            let (_, found) = failing_case.judge();
            assert!(!found.iter().any(|id| id == lint.id), "{}: {machine:?}", lint.id);
        }
    }
}

#[test]
fn how_programs_end() {
    let mut case = Case::good(MACHINES[0]);
    for (end, passes) in [
        (RunEnd::Code(0), true),
        (RunEnd::Code(2), true),
        (RunEnd::TimedOut, true),
        (RunEnd::Code(101), false),
        (RunEnd::Code(255), true),
        (RunEnd::Signal(11), false),
    ] {
        case.run(end);
        let (_, found) = case.judge();
        assert_eq!(found.is_empty(), passes, "{end:?}");
    }
    case.context.run = Some(RunResult::NotRun("`qemu` is not there".to_owned()));
    assert_eq!(case.judge().1, ["runs"]);
}
