//! Lints on what does not belong into a released file.

use super::lint::{Complaint, Subject};
use crate::elf::{needle, quote};

/// The most of a path that is shown.
const SHOWN: usize = 120;

pub(super) fn stripped(subject: &Subject<'_>) -> Vec<Complaint> {
    let facts = subject.facts;
    let mut left = Vec::new();
    if facts.symbols {
        left.push("a symbol table (SHT_SYMTAB)".to_owned());
    }
    match facts.debug_sections.as_slice() {
        [] => {}
        [only] => left.push(format!("the section {}", quote(only.as_bytes()))),
        [first, others @ ..] => left.push(format!(
            "the section {} and {} more with debug information",
            quote(first.as_bytes()),
            others.len()
        )),
    }
    if left.is_empty() {
        return Vec::new();
    }
    vec![Complaint::new(
        "the program is not stripped",
        left.join(", "),
        "`cargo longshore build` strips it and can keep the symbols in a file of their own; \
         `strip = \"symbols\"` in the profile throws them away",
    )]
}

pub(super) fn run_path(subject: &Subject<'_>) -> Vec<Complaint> {
    let facts = subject.facts;
    let tags = [("DT_RPATH", &facts.rpath), ("DT_RUNPATH", &facts.runpath)];
    let found: Vec<_> = tags
        .into_iter()
        .filter_map(|(tag, path)| Some(format!("{tag} {}", quote(path.as_ref()?.as_bytes()))))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![Complaint::new(
        "the program names directories to search for shared libraries",
        found.join(", "),
        "look for `-rpath` among the link arguments, and for `rpath = true` in the profile",
    )]
}

pub(super) fn leftovers(subject: &Subject<'_>) -> Vec<Complaint> {
    let mut found = Vec::new();
    if let Some(section) = subject.facts.instrumentation.first() {
        found.push(Complaint::new(
            "the program is instrumented for profiling or coverage",
            format!("the section {}", quote(section.as_bytes())),
            "build without `-C instrument-coverage` and `-C profile-generate`",
        ));
    }
    if subject.contains(&needle::ASSERTION) {
        found.push(Complaint::new(
            "the program is built with debug assertions",
            format!("the text {}", needle::ASSERTION.quoted()),
            "build with a release profile, in which `debug-assertions` is off",
        ));
    }
    found
}

pub(super) fn build_id(subject: &Subject<'_>) -> Vec<Complaint> {
    if subject.facts.build_id.is_some() {
        return Vec::new();
    }
    vec![Complaint::new(
        "the program has no build id, so its debug information cannot be found by one",
        "it has no note NT_GNU_BUILD_ID",
        "link with `-C link-arg=-Wl,--build-id=sha1`; zig and rust-lld write none unless asked",
    )]
}

pub(super) fn audit_data(subject: &Subject<'_>) -> Vec<Complaint> {
    if subject.facts.audit_data.is_some() {
        return Vec::new();
    }
    vec![Complaint::new(
        "the program does not carry the list of its dependencies",
        "it has no section `.dep-v0`",
        "build with `cargo auditable`, and do not strip with LLVM's tools",
    )]
}

pub(super) fn build_path(subject: &Subject<'_>) -> Vec<Complaint> {
    let parts = || subject.facts.loaded(subject.bytes);
    let known = subject.policy.build_paths().iter().find_map(|path| {
        parts().find_map(|part| {
            let at = find_directory(part, path.as_bytes())?;
            part.get(at..)
        })
    });
    let found = known.or_else(|| parts().find_map(home));
    let Some(found) = found else {
        return Vec::new();
    };
    vec![Complaint::new(
        "the program names a directory of the machine that built it",
        format!("the text {}", quote(shown(found))),
        "build with `--remap-path-prefix`, and C code with `-ffile-prefix-map`: such paths differ \
         between machines, so the same source gives other bytes",
    )]
}

/// Where `path` is named as a directory or whole, and not as the beginning of another name.
fn find_directory(part: &[u8], path: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(part, path).find(|at| {
        let after = at.checked_add(path.len()).and_then(|end| part.get(end));
        !after.is_some_and(|&byte| is_name(byte))
    })
}

/// The first path below somebody's home directory.
fn home(part: &[u8]) -> Option<&[u8]> {
    needle::HOMES.iter().find_map(|parent| {
        let parent = parent.bytes();
        memchr::memmem::find_iter(part, &parent).find_map(|at| {
            let path = part.get(at..)?;
            let user = path.get(parent.len()..)?;
            let len = user.iter().take_while(|&&byte| is_name(byte)).count();
            // A name, and something in its directory: `/home/` alone may be a program's own text.
            let inside =
                user.get(len) == Some(&b'/') && user.get(len + 1).is_some_and(|&b| is_name(b));
            (len > 0 && inside).then_some(path)
        })
    })
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'@')
}

/// The path at the beginning of `text`, which in Rust has no end of its own.
fn shown(text: &[u8]) -> &[u8] {
    let text = text.get(..SHOWN).unwrap_or(text);
    let end = text.iter().position(|&byte| !is_name(byte) && byte != b'/');
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}
