//! Lints on what a file is, for which machine, and what it is linked to.

use super::{
    fact,
    lint::{LintInput, Scope, Violation},
};
use crate::{
    binary::elf::{Facts, Libc, Shape, needle, quote},
    model::machine::{Endian, Linkage, Machine, machine_name},
};

/// `EI_OSABI` of Linux programs: 0 (System V) or 3 (GNU, set where a GNU extension is used).
const LINUX_OS_ABI: [u8; 2] = [0, 3];

/// The hint on how to give a target.
const TARGET_HINT: &str = "name the target with `--target TRIPLE`";

/// The scope of `machine` where no machine is expected.
pub(super) const NO_MACHINE: Scope =
    Scope::Missing("neither a target nor a known platform is given", TARGET_HINT);

pub(super) fn build_id_scope(input: &LintInput<'_>) -> Scope {
    Scope::expected(input, input.policy.target().is_some(), "no target is given")
}

pub(super) fn machine_scope(input: &LintInput<'_>) -> Scope {
    if input.policy.machine().is_some() {
        return Scope::Applied;
    }
    NO_MACHINE
}

/// Returns the scope of lints on dynamic files: names of the functions that checks call are in the
/// file only if a dynamic linker needs them.
pub(super) fn dynamic_names_scope(input: &LintInput<'_>) -> Scope {
    Scope::expected(input, fact::is_dynamic(input.facts), "a static program has no such names")
}

pub(super) fn float_abi_scope(input: &LintInput<'_>) -> Scope {
    let has_several = |machine: u16| matches!(machine, fact::ARM | fact::RISCV);
    match input.policy.target() {
        _ if expected_float_abi(input).is_some() => Scope::Applied,
        Some(target) if has_several(target.elf.machine.number()) => Scope::Missing(
            "the name of the target does not say how floating-point numbers are passed",
            "name it as rustc does: `…eabihf`, `…eabi`, `riscv64gc-…`",
        ),
        None if has_several(input.facts.machine) => {
            Scope::Missing("no target is given", TARGET_HINT)
        }
        _ => Scope::NotApplied("such machines pass floating-point numbers in one way only"),
    }
}

/// Returns the floating-point ABI that the target's name declares (rustc's book, "Platform Support"):
/// names of ARM targets end in `hf` if numbers are passed in separate registers, those of RISC-V have
/// the letters of the instruction set.
fn expected_float_abi(input: &LintInput<'_>) -> Option<&'static str> {
    let target = input.policy.target()?;
    let name = target.name.as_str();
    match target.elf.machine {
        Machine::Arm if name.ends_with("hf") => Some("hard"),
        Machine::Arm if name.ends_with("eabi") => Some("soft"),
        Machine::Riscv if name.starts_with("riscv64g") || name.starts_with("riscv32g") => {
            Some("double")
        }
        _ => None,
    }
}

pub(super) fn float_abi(input: &LintInput<'_>) -> Vec<Violation> {
    let (Some(expected), Some(is)) = (expected_float_abi(input), fact::float_abi(input.facts))
    else {
        return Vec::new();
    };
    if is == expected || is == "not declared" {
        return Vec::new();
    }
    vec![Violation::new(
        format!(
            "the program passes floating-point numbers the {is} way, expected the {expected} way"
        ),
        format!("e_flags is {:#x}", input.facts.flags),
        "build all objects in it, those of C code too, for the same target",
    )]
}

fn static_expected(input: &LintInput<'_>) -> bool {
    matches!(input.policy.linkage(input.facts), Some(Linkage::Static | Linkage::StaticPie))
}

pub(super) fn static_scope(input: &LintInput<'_>) -> Scope {
    Scope::expected(input, static_expected(input), "static linkage is not expected of it")
}

pub(super) fn static_pie_scope(input: &LintInput<'_>) -> Scope {
    let expected = input.policy.linkage(input.facts) == Some(Linkage::StaticPie);
    Scope::expected(input, expected, "`static-pie` linkage is not expected of it")
}

pub(super) fn static_glibc_scope(input: &LintInput<'_>) -> Scope {
    if !static_expected(input) && fact::is_dynamic(input.facts) {
        return Scope::NotApplied("it is not static");
    }
    Scope::expected(input, static_expected(input), "static linkage is not expected of it")
}

/// Checks that the file is a program: an object file has no interpreter and no library either. Without
/// a target a shared object is accepted as one.
pub(super) fn program(input: &LintInput<'_>) -> Vec<Violation> {
    let facts = input.facts;
    let violation =
        |message: &str, evidence: String, hint: &str| vec![Violation::new(message, evidence, hint)];
    let kind = match facts.shape {
        Shape::Object => Some("an object file (ET_REL)".to_owned()),
        Shape::Core => Some("a core dump (ET_CORE)".to_owned()),
        Shape::Other(number) => Some(format!("of a kind that cannot be run (e_type {number})")),
        Shape::SharedObject if input.policy.target().is_some() && facts.interpreter.is_none() => {
            Some("a shared object (ET_DYN without DF_1_PIE and without an interpreter)".to_owned())
        }
        _ => None,
    };
    if let Some(kind) = kind {
        return violation(
            "the file is not a program",
            format!("it is {kind}"),
            "give the file that cargo names as the executable",
        );
    }
    if facts.detached {
        return violation(
            "the file contains only the debug information of a program",
            "its segments have no bytes in the file".to_owned(),
            "give the program itself, not its `.debug` file",
        );
    }
    if !facts.segments.iter().any(|segment| segment.is_loaded()) {
        return violation(
            "the file has nothing to load",
            "it has no PT_LOAD".to_owned(),
            "build it again; a program has at least one loadable segment",
        );
    }
    Vec::new()
}

pub(super) fn machine(input: &LintInput<'_>) -> Vec<Violation> {
    let Some(expected) = input.policy.machine() else {
        return Vec::new();
    };
    let facts = input.facts;
    let mut differs = Vec::new();
    // Kernels for amd64 run programs for its 32-bit predecessor, too.
    let predecessor = input.policy.target().is_none()
        && (expected.number, facts.machine, facts.class) == (fact::X86_64, fact::X86, 32);
    if predecessor {
        return Vec::new();
    }
    if facts.machine != expected.number {
        differs.push(format!(
            "e_machine is {} ({}), not {} ({})",
            machine_name(facts.machine),
            facts.machine,
            machine_name(expected.number),
            expected.number,
        ));
    }
    if facts.class != expected.class {
        differs.push(format!("EI_CLASS is {}, not {}", facts.class, expected.class));
    }
    if facts.endian != expected.endian {
        let name = |endian| match endian {
            Endian::Little => "little",
            Endian::Big => "big",
        };
        let (is, expected_order) = (name(facts.endian), name(expected.endian));
        differs.push(format!("EI_DATA is {is}-endian, not {expected_order}-endian"));
    }
    if !LINUX_OS_ABI.contains(&facts.os_abi) {
        differs.push(format!("EI_OSABI is {}, not 0 or 3", facts.os_abi));
    }
    if facts.abi_version != 0 {
        differs.push(format!("EI_ABIVERSION is {}, not 0", facts.abi_version));
    }
    if differs.is_empty() {
        return Vec::new();
    }
    vec![Violation::new(
        format!("the file does not run on `{}`", expected.platform),
        differs.join("; "),
        expected.hint,
    )]
}

/// Returns what the file requests of a dynamic linker.
fn dynamic_needs(facts: &Facts) -> Option<String> {
    /// More names than this add nothing.
    const SHOWN: usize = 8;
    let mut needs = Vec::new();
    if let Some(path) = &facts.interpreter {
        needs.push(format!("PT_INTERP {}", quote(path.as_bytes())));
    }
    let names = facts.needed.iter().take(SHOWN);
    needs.extend(names.map(|name| format!("DT_NEEDED {}", quote(name.as_bytes()))));
    if let Some(more) = facts.needed.len().checked_sub(SHOWN).filter(|&n| n > 0) {
        needs.push(format!("{more} more"));
    }
    (!needs.is_empty()).then(|| needs.join(", "))
}

pub(super) fn static_linkage(input: &LintInput<'_>) -> Vec<Violation> {
    let Some(evidence) = dynamic_needs(input.facts) else {
        return Vec::new();
    };
    let message = match (&input.facts.interpreter, input.facts.needed.is_empty()) {
        (Some(_), false) => "the program needs an interpreter and shared libraries",
        (Some(_), true) => "the program needs an interpreter",
        (None, _) => "the program needs shared libraries",
    };
    let hint = match input.facts.libc {
        Libc::Musl => {
            "build with `-C target-feature=+crt-static`, and link native libraries statically"
        }
        Libc::Glibc | Libc::Unknown => {
            "build for a musl target with a linker for it: the host's own linker brings the \
             host's C library"
        }
    };
    vec![Violation::new(message, evidence, hint)]
}

pub(super) fn static_pie(input: &LintInput<'_>) -> Vec<Violation> {
    let (evidence, hint) = match input.facts.shape {
        Shape::Fixed => (
            "e_type is ET_EXEC",
            "link with `-C relocation-model=pic -C link-arg=-pie`, or set `linkage = \"static\"` \
             in the target's file",
        ),
        Shape::SharedObject => (
            "e_type is ET_DYN without DF_1_PIE",
            "link it as a program with `-pie`, not as a shared object",
        ),
        Shape::StaticPie => return Vec::new(),
        // Reported by `static` and `program`, unless this lint was named.
        _ if !input.named => return Vec::new(),
        Shape::Pie => {
            let needs = dynamic_needs(input.facts).unwrap_or_default();
            let hint = "build for a musl target, or with `-C target-feature=+crt-static`";
            return vec![Violation::new("the program is not static", needs, hint)];
        }
        Shape::Object | Shape::Core | Shape::Other(_) => {
            ("e_type is neither ET_EXEC nor ET_DYN", "give the program itself")
        }
    };
    let message = "the program cannot be loaded at any address";
    vec![Violation::new(message, evidence, hint)]
}

/// Checks for a static glibc, which still loads its modules for names and character sets from the file
/// system.
pub(super) fn static_glibc(input: &LintInput<'_>) -> Vec<Violation> {
    let facts = input.facts;
    if facts.libc != Libc::Glibc || dynamic_needs(facts).is_some() || !input.strings.gconv {
        return Vec::new();
    }
    vec![Violation::new(
        "the C library in it is glibc, which loads modules at run time even when it is static",
        format!("a GNU ABI note, and the text {}", needle::GCONV.quoted()),
        "build for a musl target",
    )]
}
