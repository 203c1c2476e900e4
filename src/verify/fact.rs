//! The facts that a file records about itself, in words: each value with its meaning here, since
//! several of them promise more than is enforced.

use crate::{
    binary::elf::{Facts, Libc, Segment, Shape, needle, quote, segment_type_name},
    model::{
        machine::{Endian, Machine, machine_name},
        schema::verify::Fact,
        source::{ReadError, Source},
    },
};

/// Machines by their `e_machine` number (System V gABI, "Machine Information").
pub(super) const ARM: u16 = Machine::Arm.number();
pub(super) const X86: u16 = Machine::X86.number();
pub(super) const X86_64: u16 = Machine::X86_64.number();
pub(super) const AARCH64: u16 = Machine::Aarch64.number();
pub(super) const RISCV: u16 = Machine::Riscv.number();

/// Returns all `facts`, in a fixed order.
pub fn list_facts(facts: &Facts) -> Vec<Fact> {
    let mut rows = Rows(Vec::new());
    add_identity(facts, &mut rows);
    add_linkage(facts, &mut rows);
    add_hardening(facts, &mut rows);
    add_leftovers(facts, &mut rows);
    for segment in &facts.segments {
        rows.add("segment", describe_segment(segment));
    }
    rows.0
}

/// Returns how the Rust code in a program reacts to a panic, as far as its code shows. `source` is the
/// file that `facts` were read from.
///
/// # Errors
/// It cannot be read.
pub fn panic_facts(source: Source<'_>, facts: &Facts) -> Result<Vec<Fact>, ReadError> {
    let mut rows = Rows(Vec::new());
    let rust = facts.comment.iter().any(|line| line.starts_with("rustc version"));
    if facts.machine != X86_64 {
        if rust {
            rows.add_noted("panic", "not declared", "only x86-64 code shows it");
        }
        return Ok(rows.0);
    }
    let mut unwinds = false;
    facts.search(source, |window, _| {
        unwinds = needle::EXCEPTION.is_in(window);
        !unwinds
    })?;
    match (unwinds, rust) {
        (true, _) => rows.add("panic", "unwind"),
        (false, true) => {
            rows.add_noted("panic", "abort", "it has no code that throws Rust's exceptions")
        }
        (false, false) => {}
    }
    Ok(rows.0)
}

struct Rows(Vec<Fact>);

impl Rows {
    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(Fact { name: name.to_owned(), value: value.into(), note: None });
    }

    fn add_noted(&mut self, name: &str, value: impl Into<String>, note: &str) {
        let note = Some(note.to_owned());
        self.0.push(Fact { name: name.to_owned(), value: value.into(), note });
    }

    fn add_bool(&mut self, name: &str, value: bool) {
        self.add(name, yes_or_no(value));
    }

    fn add_list(&mut self, name: &str, values: &[String]) {
        if values.is_empty() {
            return self.add(name, "none");
        }
        for value in values {
            self.add(name, quote(value.as_bytes()));
        }
    }
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn add_identity(facts: &Facts, rows: &mut Rows) {
    rows.add("size", facts.size.to_string());
    rows.add("class", facts.class.to_string());
    let endian = match facts.endian {
        Endian::Little => "little",
        Endian::Big => "big",
    };
    rows.add("byte-order", endian);
    rows.add("machine", format!("{} ({})", machine_name(facts.machine), facts.machine));
    rows.add("flags", format!("{:#x}", facts.flags));
    if let Some(abi) = float_abi(facts) {
        rows.add("float-abi", abi);
    }
    rows.add("os-abi", facts.os_abi.to_string());
    rows.add("abi-version", facts.abi_version.to_string());
    let kind = match facts.shape {
        Shape::Object => "object file (ET_REL)".to_owned(),
        Shape::Fixed => "program for a fixed address (ET_EXEC)".to_owned(),
        Shape::StaticPie => "static-pie (ET_DYN, DF_1_PIE, nothing to load beside it)".to_owned(),
        Shape::Pie => "program for any address (ET_DYN, DF_1_PIE)".to_owned(),
        Shape::SharedObject => "shared object (ET_DYN without DF_1_PIE)".to_owned(),
        Shape::Core => "core dump (ET_CORE)".to_owned(),
        Shape::Other(number) => format!("e_type {number}"),
    };
    rows.add("kind", kind);
    rows.add("entry", format!("{:#x}", facts.entry));
    match facts.property.isa_needed {
        Some(bits) => rows.add("cpu-level", isa_names(bits)),
        None if facts.machine == X86_64 => rows.add_noted(
            "cpu-level",
            "not declared",
            "compilers leave no mark of a level unless the linker was requested to; only running \
             it on the baseline CPU shows its requirements",
        ),
        None => {}
    }
}

/// Returns the names of the bits of `GNU_PROPERTY_X86_ISA_1_NEEDED`.
pub(super) fn isa_names(bits: u32) -> String {
    let names = [(1, "x86-64"), (2, "x86-64-v2"), (4, "x86-64-v3"), (8, "x86-64-v4")];
    let named: Vec<_> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|n| n.1).collect();
    if named.is_empty() { format!("{bits:#x}") } else { named.join(", ") }
}

/// Returns how floating-point arguments are passed, if `e_flags` declare it (ELF for the Arm
/// Architecture, "ELF Header", `EF_ARM_ABI_FLOAT_*`; RISC-V ELF psABI, "File Header",
/// `EF_RISCV_FLOAT_ABI_*`).
pub(super) fn float_abi(facts: &Facts) -> Option<&'static str> {
    match (facts.machine, facts.flags) {
        (ARM, flags) if flags & 0x400 != 0 => Some("hard"),
        (ARM, flags) if flags & 0x200 != 0 => Some("soft"),
        (ARM, _) => Some("not declared"),
        (RISCV, flags) => Some(match flags & 0x6 {
            0 => "soft",
            2 => "single",
            4 => "double",
            _ => "quad",
        }),
        _ => None,
    }
}

fn add_linkage(facts: &Facts, rows: &mut Rows) {
    let interpreter = facts.interpreter.as_ref();
    rows.add("interpreter", interpreter.map_or("none".to_owned(), |p| quote(p.as_bytes())));
    rows.add_list("needed", &facts.needed);
    for (name, value) in
        [("soname", &facts.soname), ("rpath", &facts.rpath), ("runpath", &facts.runpath)]
    {
        if let Some(value) = value {
            rows.add(name, quote(value.as_bytes()));
        }
    }
    let libc = match facts.libc {
        Libc::Glibc => "glibc",
        Libc::Musl => "musl",
        Libc::Unknown => "none that is known",
    };
    rows.add("libc", libc);
    if !is_dynamic(facts) && facts.libc != Libc::Unknown {
        rows.add_noted("libc-version", "not declared", "a static program does not name it");
    }
    if let Some(version) = &facts.glibc_version {
        rows.add("glibc-version", format!("{version} or newer"));
    }
}

/// Returns whether a dynamic linker loads it, which enforces what its headers request.
pub(super) fn is_dynamic(facts: &Facts) -> bool {
    facts.interpreter.is_some() || !facts.needed.is_empty() || facts.shape == Shape::SharedObject
}

fn add_hardening(facts: &Facts, rows: &mut Rows) {
    match facts.stack {
        Some(stack) => {
            rows.add_bool("executable-stack", stack.executable);
            let size = if stack.size == 0 { "default".to_owned() } else { stack.size.to_string() };
            rows.add("thread-stack", size);
        }
        None => rows.add_noted(
            "executable-stack",
            "not declared",
            "there is no PT_GNU_STACK, and older kernels then make the stack executable",
        ),
    }
    let both = |s: &&Segment| s.is_loaded() && s.is_writable() && s.is_executable();
    rows.add_bool("writable-and-executable", facts.segments.iter().any(|s| both(&s)));
    rows.add_bool("text-relocations", facts.text_relocations);
    add_relro(facts, rows);
    if is_dynamic(facts) {
        rows.add_bool("canary", facts.canary);
        rows.add("fortify", format!("{} checking functions", facts.fortified.len()));
    } else {
        let note = "in a static Rust program such checks could only be the C library's own, and a \
                    stripped one does not show them";
        rows.add_noted("canary", "not applicable", note);
        rows.add_noted("fortify", "not applicable", note);
    }
    let features = facts.property.features;
    let bit = |bit: u32| yes_or_no(features.is_some_and(|bits| bits & bit != 0));
    match facts.machine {
        X86 | X86_64 => {
            rows.add("cet-ibt", bit(1));
            rows.add("cet-shadow-stack", bit(2));
        }
        AARCH64 => {
            rows.add("bti", bit(1));
            rows.add("pac", bit(2));
        }
        _ => {}
    }
    let loaded = facts.segments.iter().filter(|s| s.is_loaded());
    if let Some(align) = loaded.map(|s| s.align).min() {
        rows.add("smallest-alignment", format!("{align:#x}"));
    }
}

fn add_relro(facts: &Facts, rows: &mut Rows) {
    let requested = if facts.relro { "requested" } else { "no" };
    if is_dynamic(facts) {
        let value = match (facts.relro, facts.bind_now) {
            (true, true) => "full",
            (true, false) => "partial",
            _ => "no",
        };
        rows.add("relro", value);
    } else if facts.libc == Libc::Glibc || !facts.relro {
        rows.add("relro", requested);
    } else if facts.libc == Libc::Musl {
        rows.add_noted(
            "relro",
            "requested, not enforced",
            "musl's start-up code for static programs leaves the pages writable",
        );
    } else {
        rows.add_noted("relro", requested, "whether it is enforced depends on its start-up code");
    }
    rows.add_bool("bind-now", facts.bind_now);
}

fn add_leftovers(facts: &Facts, rows: &mut Rows) {
    rows.add_bool("section-headers", facts.has_sections);
    rows.add_bool("symbols", facts.symbols);
    rows.add_list("debug-section", &facts.debug_sections);
    rows.add_list("instrumentation", &facts.instrumentation);
    if facts.has_sections {
        rows.add_bool("unwind-tables", facts.unwind_tables);
    }
    let id = facts.build_id.as_ref().map(|id| id.iter().map(|b| format!("{b:02x}")).collect());
    rows.add("build-id", id.unwrap_or_else(|| "none".to_owned()));
    rows.add_list("comment", &facts.comment);
    let audit = facts.audit_data.map(|size| format!("{size} bytes"));
    rows.add("audit-data", audit.unwrap_or_else(|| "none".to_owned()));
    rows.add("packer", facts.packer.unwrap_or("none"));
    rows.add_bool("detached-debug-information", facts.detached);
}

fn describe_segment(segment: &Segment) -> String {
    let flag = |bit, name| if segment.flags & bit != 0 { name } else { '-' };
    format!(
        "{} {}{}{} at {:#x}, {} bytes in the file, {} in memory, alignment {:#x}",
        segment_type_name(segment.kind),
        flag(4, 'r'),
        flag(2, 'w'),
        flag(1, 'x'),
        segment.address,
        segment.file_size,
        segment.memory_size,
        segment.align,
    )
}
