//! Lints on how a file is loaded into memory.

use super::{
    CpuLevel, fact,
    lint::{LintInput, Scope, Violation},
};
use crate::{
    binary::elf::{Libc, Segment, Shape, needle},
    model::schema::plan::CpuFlags,
};

/// The page size that every kernel has or emulates; allocators are built for it by default.
const SMALL_PAGE: u64 = 4096;

fn is_object(input: &LintInput<'_>) -> bool {
    matches!(input.facts.shape, Shape::Object | Shape::Core)
}

fn describe_segment(segment: &Segment) -> String {
    format!("PT_LOAD at {:#x}", segment.address)
}

fn join(segments: impl IntoIterator<Item = String>) -> Option<String> {
    /// More of them add nothing.
    const SHOWN: usize = 4;
    let shown: Vec<_> = segments.into_iter().take(SHOWN).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

pub(super) fn nx_stack_scope(input: &LintInput<'_>) -> Scope {
    Scope::expected(input, !is_object(input), "it is not a program, and has no stack")
}

pub(super) fn nx_stack(input: &LintInput<'_>) -> Vec<Violation> {
    let (message, evidence) = match input.facts.stack {
        Some(stack) if !stack.executable => return Vec::new(),
        Some(_) => ("the program requests an executable stack", "PT_GNU_STACK has PF_X"),
        None => (
            "the program does not declare its stack, and older kernels make it executable",
            "it has no PT_GNU_STACK",
        ),
    };
    vec![Violation::new(
        message,
        evidence,
        "an assembly file without `.section .note.GNU-stack,\"\",%progbits` is the usual cause; \
         `-C link-arg=-Wl,-z,noexecstack` overrules it",
    )]
}

pub(super) fn w_x(input: &LintInput<'_>) -> Vec<Violation> {
    let segments = input.facts.segments.iter();
    let violating = segments.filter(|s| s.is_loaded() && s.is_writable() && s.is_executable());
    let Some(evidence) =
        join(violating.map(|s| format!("{} has PF_W and PF_X", describe_segment(s))))
    else {
        return Vec::new();
    };
    vec![Violation::new(
        "the program has memory that is both writable and executable",
        evidence,
        "check the link arguments for `-N`, `--omagic` or a linker script",
    )]
}

pub(super) fn text_relocations(input: &LintInput<'_>) -> Vec<Violation> {
    if !input.facts.text_relocations {
        return Vec::new();
    }
    vec![Violation::new(
        "read-only segments of the program have to be written to when it is loaded",
        "DT_TEXTREL or DF_TEXTREL",
        "build the objects in it with `-fPIC`; `-C link-arg=-Wl,-z,text` names them",
    )]
}

/// Returns the largest page size of Linux kernels for a machine, by `e_machine` (`PAGE_SIZE` in
/// arch/*/Kconfig): the expected one if neither a target nor a policy sets it.
fn largest_page_size(machine: u16) -> u64 {
    const MIPS: u16 = 8;
    const PPC64: u16 = 21;
    const LOONGARCH: u16 = 258;
    match machine {
        fact::AARCH64 | MIPS | PPC64 | LOONGARCH => 64 << 10,
        _ => SMALL_PAGE,
    }
}

pub(super) fn page_size_scope(input: &LintInput<'_>) -> Scope {
    Scope::expected(input, input.policy.page_size().is_some(), "no page size is given")
}

/// Checks alignment: the kernel maps entire pages, so an address and its offset must agree below the
/// page size (gABI, "Program Header", `p_align`).
pub(super) fn page_size(input: &LintInput<'_>) -> Vec<Violation> {
    let natural = || largest_page_size(input.facts.machine);
    let page = input.policy.page_size().unwrap_or_else(natural).max(1);
    let segments = input.facts.segments.iter();
    let loaded = segments.filter(|s| s.is_loaded() && s.memory_size > 0);
    let violating = loaded.filter_map(|segment| {
        if segment.align < page {
            return Some(format!("{} has p_align {:#x}", describe_segment(segment), segment.align));
        }
        // Alignments that are not powers of two are not rounded, and mean nothing.
        let congruent = segment.align.is_power_of_two()
            && segment.address % segment.align == segment.offset % segment.align;
        (!congruent).then(|| {
            let (offset, align) = (segment.offset, segment.align);
            format!(
                "{} is at offset {offset:#x}, which differs modulo p_align {align:#x}",
                describe_segment(segment)
            )
        })
    });
    let Some(evidence) = join(violating) else {
        return Vec::new();
    };
    vec![Violation::new(
        format!("kernels with pages of {page} bytes cannot load the program"),
        evidence,
        format!("link with `-C link-arg=-Wl,-z,max-page-size={page}`"),
    )]
}

pub(super) fn allocator_scope(input: &LintInput<'_>) -> Scope {
    let large = input.policy.page_size().is_some_and(|size| size > SMALL_PAGE);
    Scope::expected(input, large, "no page size above 4 KiB is expected")
}

/// Checks for jemalloc, which is built for one page size and aborts under a larger one although the
/// file is loaded. The file does not record the page size that it was built for.
pub(super) fn allocator_page_size(input: &LintInput<'_>) -> Vec<Violation> {
    if !input.strings.jemalloc {
        return Vec::new();
    }
    vec![Violation::new(
        "jemalloc in it aborts under kernels with larger pages than it was built for",
        format!("the text {}", needle::JEMALLOC.quoted()),
        "build with `JEMALLOC_SYS_WITH_LG_PAGE=16` in the environment, which is right for pages \
         up to 64 KiB",
    )]
}

/// Returns whether a dynamic linker or glibc's start-up code enforces what the header requests.
fn relro_is_enforced(input: &LintInput<'_>) -> bool {
    !is_object(input) && (fact::is_dynamic(input.facts) || input.facts.libc == Libc::Glibc)
}

pub(super) fn relro_scope(input: &LintInput<'_>) -> Scope {
    Scope::expected(input, relro_is_enforced(input), "static start-up code does not enforce it")
}

pub(super) fn relro(input: &LintInput<'_>) -> Vec<Violation> {
    let facts = input.facts;
    let (message, evidence) = match (facts.relro, facts.bind_now) {
        (true, _) if !relro_is_enforced(input) => {
            return vec![Violation::new(
                "tables of addresses in it stay writable",
                "it has PT_GNU_RELRO, which the start-up code of static programs does not enforce",
                "leave `relro` out of `deny` and `warn` for static programs",
            )];
        }
        (false, _) => ("tables of addresses in it stay writable", "it has no PT_GNU_RELRO"),
        (true, false) if fact::is_dynamic(facts) => (
            "the table of functions from shared libraries stays writable",
            "it has none of DT_BIND_NOW, DF_BIND_NOW and DF_1_NOW",
        ),
        (true, _) => return Vec::new(),
    };
    vec![Violation::new(
        message,
        evidence,
        "link with `-C relro-level=full`, or `-Wl,-z,relro,-z,now` in C",
    )]
}

pub(super) fn cpu_level_scope(input: &LintInput<'_>) -> Scope {
    if input.context.cpu_flags.is_some() {
        return Scope::Applied;
    }
    if !matches!(input.facts.machine, fact::X86 | fact::X86_64) {
        return Scope::NotApplied("only x86-64 has such levels");
    }
    Scope::expected(input, input.policy.cpu().is_some(), "no target and no level is given")
}

pub(super) fn cpu_level(input: &LintInput<'_>) -> Vec<Violation> {
    let level = input.policy.cpu().unwrap_or(CpuLevel::V1);
    let mut violations = Vec::new();
    if let Some(flags) = &input.context.cpu_flags {
        violations.extend(cpu_flags_violation(flags, input.policy.declared_cpu()));
    }
    let is_x86 = matches!(input.facts.machine, fact::X86 | fact::X86_64);
    let needed = input.facts.property.isa_needed.filter(|_| is_x86).unwrap_or_default();
    if needed & !level.bits() != 0 {
        violations.push(Violation::new(
            format!(
                "the program declares that it needs more of the processor than {}",
                level.name()
            ),
            format!("GNU_PROPERTY_X86_ISA_1_NEEDED names {}", fact::isa_names(needed)),
            "check the flags for `-C target-cpu`, and those of C code for `-march`",
        ));
    }
    violations
}

/// Returns the complaint about flags that let a program use more of a CPU than its target's CPU, or one
/// of the `declared` level, has.
fn cpu_flags_violation(flags: &CpuFlags, declared: Option<CpuLevel>) -> Option<Violation> {
    const ALLOW: &str = "or allow it with `allow = [\"cpu-level\"]` in \
                         `[workspace.metadata.longshore.verify]` or `--allow cpu-level`";
    if flags.native {
        return Some(Violation::new(
            "the program depends on the CPU of the machine that built it",
            flags.flags_text(),
            format!(
                "remove the flag, or choose a CPU by its name, as `cpu` in the target's file; {ALLOW}"
            ),
        ));
    }
    let known = declared.map(CpuLevel::features).unwrap_or_default();
    let features = flags.features.iter().filter(|name| !known.contains(&name.as_str()));
    let more = CpuFlags { features: features.cloned().collect(), ..flags.clone() };
    (!more.features.is_empty()).then(|| {
        Violation::new(
            "the program was built for a newer CPU than that of its target",
            format!("{} may use {}", more.flags_text(), more.features_text()),
            format!("remove the flag, or declare the CPU as `cpu` in the target's file; {ALLOW}"),
        )
    })
}

/// Returns the complaint about a static program, which does not record the functions that it calls.
fn static_program_violation(input: &LintInput<'_>) -> Option<Violation> {
    (!fact::is_dynamic(input.facts)).then(|| {
        Violation::new(
            "a static program does not show whether it has such checks",
            "it has no dynamic symbol table",
            "leave the lint out of `deny` and `warn` for static programs",
        )
    })
}

pub(super) fn canary(input: &LintInput<'_>) -> Vec<Violation> {
    if let Some(violation) = static_program_violation(input) {
        return vec![violation];
    }
    if input.facts.canary {
        return Vec::new();
    }
    vec![Violation::new(
        "nothing in it checks the stack for overflows",
        "`__stack_chk_fail` is not among its names",
        "build C code with `-fstack-protector-strong`; Rust code has no such checks",
    )]
}

pub(super) fn fortify(input: &LintInput<'_>) -> Vec<Violation> {
    if let Some(violation) = static_program_violation(input) {
        return vec![violation];
    }
    if !input.facts.fortified.is_empty() {
        return Vec::new();
    }
    vec![Violation::new(
        "it calls no function of the C library that checks sizes",
        "no `__*_chk` is among its names",
        "build C code with `-O2 -D_FORTIFY_SOURCE=2`; Rust code calls none, and musl has none",
    )]
}
