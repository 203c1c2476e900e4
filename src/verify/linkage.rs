//! Lints on what a file is, for which machine, and what it is linked to.

use super::{
    fact,
    lint::{Complaint, Scope, Subject},
};
use crate::{
    binary::elf::{Facts, Libc, Shape, needle, quote},
    model::machine::{Endian, Linkage, Machine, machine_name},
};

/// `EI_OSABI` of Linux programs: 0 (System V) or 3 (GNU, set where a GNU extension is used).
const LINUX_OS_ABI: [u8; 2] = [0, 3];

/// The hint on how to give a target.
const NAME_TARGET: &str = "name the target with `--target TRIPLE`";

/// The scope of `machine` where no machine is expected.
pub(super) const NO_MACHINE: Scope =
    Scope::Missing("neither a target nor a known platform is given", NAME_TARGET);

pub(super) fn build_id_scope(subject: &Subject<'_>) -> Scope {
    Scope::expected(subject, subject.policy.target().is_some(), "no target is given")
}

pub(super) fn machine_scope(subject: &Subject<'_>) -> Scope {
    if subject.policy.machine().is_some() {
        return Scope::Applied;
    }
    NO_MACHINE
}

/// Applies to dynamic files: names of the functions that checks call are in the file only if a dynamic
/// linker needs them.
pub(super) fn dynamic_names_scope(subject: &Subject<'_>) -> Scope {
    Scope::expected(subject, fact::is_dynamic(subject.facts), "a static program has no such names")
}

pub(super) fn float_abi_scope(subject: &Subject<'_>) -> Scope {
    let has_several = |machine: u16| matches!(machine, fact::ARM | fact::RISCV);
    match subject.policy.target() {
        _ if wanted_float_abi(subject).is_some() => Scope::Applied,
        Some(target) if has_several(target.elf.machine.number()) => Scope::Missing(
            "the name of the target does not say how floating-point numbers are passed",
            "name it as rustc does: `…eabihf`, `…eabi`, `riscv64gc-…`",
        ),
        None if has_several(subject.facts.machine) => {
            Scope::Missing("no target is given", NAME_TARGET)
        }
        _ => Scope::NotApplied("such machines pass floating-point numbers in one way only"),
    }
}

/// Returns the floating-point ABI that the target's name declares (rustc's book, "Platform Support"):
/// names of ARM targets end in `hf` if numbers are passed in separate registers, those of RISC-V have
/// the letters of the instruction set.
fn wanted_float_abi(subject: &Subject<'_>) -> Option<&'static str> {
    let target = subject.policy.target()?;
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

pub(super) fn float_abi(subject: &Subject<'_>) -> Vec<Complaint> {
    let (Some(wanted), Some(is)) = (wanted_float_abi(subject), fact::float_abi(subject.facts))
    else {
        return Vec::new();
    };
    if is == wanted || is == "not said" {
        return Vec::new();
    }
    vec![Complaint::new(
        format!("the program passes floating-point numbers the {is} way, and not the {wanted} one"),
        format!("e_flags is {:#x}", subject.facts.flags),
        "build all objects in it, those of C code too, for the same target",
    )]
}

fn static_expected(subject: &Subject<'_>) -> bool {
    matches!(subject.policy.linkage(subject.facts), Some(Linkage::Static | Linkage::StaticPie))
}

pub(super) fn static_scope(subject: &Subject<'_>) -> Scope {
    Scope::expected(subject, static_expected(subject), "static linkage is not expected of it")
}

pub(super) fn static_pie_scope(subject: &Subject<'_>) -> Scope {
    let expected = subject.policy.linkage(subject.facts) == Some(Linkage::StaticPie);
    Scope::expected(subject, expected, "`static-pie` linkage is not expected of it")
}

pub(super) fn static_glibc_scope(subject: &Subject<'_>) -> Scope {
    if !static_expected(subject) && fact::is_dynamic(subject.facts) {
        return Scope::NotApplied("it is not static");
    }
    Scope::expected(subject, static_expected(subject), "static linkage is not expected of it")
}

/// Checks that the file is a program: an object file has no interpreter and no library either. Without
/// a target a shared object is accepted as one.
pub(super) fn program(subject: &Subject<'_>) -> Vec<Complaint> {
    let facts = subject.facts;
    let complaint =
        |message: &str, evidence: String, hint: &str| vec![Complaint::new(message, evidence, hint)];
    let kind = match facts.shape {
        Shape::Object => Some("an object file (ET_REL)".to_owned()),
        Shape::Core => Some("a core dump (ET_CORE)".to_owned()),
        Shape::Other(number) => Some(format!("of a kind that is not run (e_type {number})")),
        Shape::SharedObject if subject.policy.target().is_some() && facts.interpreter.is_none() => {
            Some("a shared object (ET_DYN without DF_1_PIE and without an interpreter)".to_owned())
        }
        _ => None,
    };
    if let Some(kind) = kind {
        return complaint(
            "the file is not a program",
            format!("it is {kind}"),
            "give the file that cargo names as the executable",
        );
    }
    if facts.detached {
        return complaint(
            "the file holds the debug information of a program, and not the program",
            "its segments have no bytes in the file".to_owned(),
            "give the program itself, not its `.debug` file",
        );
    }
    if !facts.segments.iter().any(|segment| segment.is_loaded()) {
        return complaint(
            "the file has nothing to load",
            "it has no PT_LOAD".to_owned(),
            "build it again; a program has at least one loadable segment",
        );
    }
    Vec::new()
}

pub(super) fn machine(subject: &Subject<'_>) -> Vec<Complaint> {
    let Some(wanted) = subject.policy.machine() else {
        return Vec::new();
    };
    let facts = subject.facts;
    let mut differs = Vec::new();
    // Kernels for amd64 run programs for its 32-bit predecessor, too.
    let predecessor = subject.policy.target().is_none()
        && (wanted.number, facts.machine, facts.class) == (fact::X86_64, fact::X86, 32);
    if predecessor {
        return Vec::new();
    }
    if facts.machine != wanted.number {
        differs.push(format!(
            "e_machine is {} ({}), not {} ({})",
            machine_name(facts.machine),
            facts.machine,
            machine_name(wanted.number),
            wanted.number,
        ));
    }
    if facts.class != wanted.class {
        differs.push(format!("EI_CLASS is {}, not {}", facts.class, wanted.class));
    }
    if facts.endian != wanted.endian {
        let name = |endian| match endian {
            Endian::Little => "little",
            Endian::Big => "big",
        };
        let (is, wants) = (name(facts.endian), name(wanted.endian));
        differs.push(format!("EI_DATA is {is}-endian, not {wants}-endian"));
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
    vec![Complaint::new(
        format!("the file does not run on `{}`", wanted.platform),
        differs.join("; "),
        wanted.hint,
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

pub(super) fn is_static(subject: &Subject<'_>) -> Vec<Complaint> {
    let Some(evidence) = dynamic_needs(subject.facts) else {
        return Vec::new();
    };
    let message = match (&subject.facts.interpreter, subject.facts.needed.is_empty()) {
        (Some(_), false) => "the program needs an interpreter and shared libraries",
        (Some(_), true) => "the program needs an interpreter",
        (None, _) => "the program needs shared libraries",
    };
    let hint = match subject.facts.libc {
        Libc::Musl => {
            "build with `-C target-feature=+crt-static`, and link native libraries statically"
        }
        Libc::Glibc | Libc::Unknown => {
            "build for a musl target with a linker for it: the host's own linker brings the \
             host's C library"
        }
    };
    vec![Complaint::new(message, evidence, hint)]
}

pub(super) fn static_pie(subject: &Subject<'_>) -> Vec<Complaint> {
    let (evidence, hint) = match subject.facts.shape {
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
        _ if !subject.named => return Vec::new(),
        Shape::Pie => {
            let needs = dynamic_needs(subject.facts).unwrap_or_default();
            let hint = "build for a musl target, or with `-C target-feature=+crt-static`";
            return vec![Complaint::new("the program is not static", needs, hint)];
        }
        Shape::Object | Shape::Core | Shape::Other(_) => {
            ("e_type is neither ET_EXEC nor ET_DYN", "give the program itself")
        }
    };
    let message = "the program cannot be loaded at any address";
    vec![Complaint::new(message, evidence, hint)]
}

/// Checks for a static glibc, which still loads its modules for names and character sets from the file
/// system.
pub(super) fn static_glibc(subject: &Subject<'_>) -> Vec<Complaint> {
    let facts = subject.facts;
    if facts.libc != Libc::Glibc || dynamic_needs(facts).is_some() || !subject.texts.gconv {
        return Vec::new();
    }
    vec![Complaint::new(
        "the C library in it is glibc, which loads modules at run time even when it is static",
        format!("a GNU ABI note, and the text {}", needle::GCONV.quoted()),
        "build for a musl target",
    )]
}
