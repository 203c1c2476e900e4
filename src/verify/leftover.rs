//! Lints on contents that do not belong in a released file.

use super::lint::{LintInput, Violation};
use crate::binary::elf::{needle, quote};

pub(super) fn stripped(input: &LintInput<'_>) -> Vec<Violation> {
    let facts = input.facts;
    let mut leftovers_found = Vec::new();
    if facts.symbols {
        leftovers_found.push("a symbol table (SHT_SYMTAB)".to_owned());
    }
    match facts.debug_sections.as_slice() {
        [] => {}
        [only] => leftovers_found.push(format!("the section {}", quote(only.as_bytes()))),
        [first, others @ ..] => leftovers_found.push(format!(
            "the section {} and {} more with debug information",
            quote(first.as_bytes()),
            others.len()
        )),
    }
    if leftovers_found.is_empty() {
        return Vec::new();
    }
    vec![Violation::new(
        "the program is not stripped",
        leftovers_found.join(", "),
        "`cargo longshore build` strips it and can keep the symbols in a separate file; \
         `strip = \"symbols\"` in the profile removes them",
    )]
}

pub(super) fn run_path(input: &LintInput<'_>) -> Vec<Violation> {
    let facts = input.facts;
    let tags = [("DT_RPATH", &facts.rpath), ("DT_RUNPATH", &facts.runpath)];
    let found: Vec<_> = tags
        .into_iter()
        .filter_map(|(tag, path)| Some(format!("{tag} {}", quote(path.as_ref()?.as_bytes()))))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![Violation::new(
        "the program names directories to search for shared libraries",
        found.join(", "),
        "check the link arguments for `-rpath`, and for `rpath = true` in the profile",
    )]
}

pub(super) fn leftovers(input: &LintInput<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Some(section) = input.facts.instrumentation.first() {
        found.push(Violation::new(
            "the program is instrumented for profiling or coverage",
            format!("the section {}", quote(section.as_bytes())),
            "build without `-C instrument-coverage` and `-C profile-generate`",
        ));
    }
    if input.strings.assertion {
        found.push(Violation::new(
            "the program is built with debug assertions",
            format!("the text {}", needle::ASSERTION.quoted()),
            "build with a release profile, in which `debug-assertions` is off",
        ));
    }
    found
}

pub(super) fn build_id(input: &LintInput<'_>) -> Vec<Violation> {
    if input.facts.build_id.is_some() {
        return Vec::new();
    }
    vec![Violation::new(
        "the program has no build id, so its debug information cannot be found by one",
        "it has no note NT_GNU_BUILD_ID",
        "link with `-C link-arg=-Wl,--build-id=sha1`; zig and rust-lld write none by default",
    )]
}

pub(super) fn audit_data(input: &LintInput<'_>) -> Vec<Violation> {
    if input.facts.audit_data.is_some() {
        return Vec::new();
    }
    vec![Violation::new(
        "the program does not carry the list of its dependencies",
        "it has no section `.dep-v0`",
        "build with `cargo auditable`, and do not strip with LLVM's tools",
    )]
}

pub(super) fn build_path(input: &LintInput<'_>) -> Vec<Violation> {
    build_path_violation(input.strings.path.as_deref())
}

/// Returns the complaint about such a path, if there is one.
pub(super) fn build_path_violation(found: Option<&[u8]>) -> Vec<Violation> {
    let Some(found) = found else {
        return Vec::new();
    };
    vec![Violation::new(
        "the program names a directory of the machine that built it",
        format!("the text {}", quote(found)),
        "build with `--remap-path-prefix`, and C code with `-ffile-prefix-map`: such paths differ \
         between machines, so the same source gives different bytes",
    )]
}
