//! Lints on the permissions of a file.

use super::lint::{LintInput, Scope, Violation};
use crate::binary::elf::Shape;

/// The metadata of a file beside its bytes, as its file system records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// The lowest twelve bits of `st_mode` (stat(2)): permissions, setuid, setgid, sticky.
    pub bits: u32,
    /// Whether it has a `security.capability` attribute (capabilities(7), "File capabilities").
    pub capabilities: bool,
}

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const OWNER_RUNS: u32 = 0o100;
const OTHERS_WRITE: u32 = 0o022;

pub(super) fn scope(input: &LintInput<'_>) -> Scope {
    mode_scope(input.context.mode, input.named)
}

/// Returns the scope of both lints for a file of that mode.
pub(super) fn mode_scope(mode: Option<Mode>, named: bool) -> Scope {
    if mode.is_some() || named {
        Scope::Applied
    } else {
        Scope::NotApplied("its mode is not known")
    }
}

/// Returns the complaint about a file without a mode, which a lint that the user named cannot pass.
fn unknown_mode() -> Vec<Violation> {
    vec![Violation::new(
        "the mode of the file is not known",
        "the archive does not record one",
        "verify the file itself, or an archive that records modes",
    )]
}

pub(super) fn privileges(input: &LintInput<'_>) -> Vec<Violation> {
    check_privileges(input.context.mode)
}

pub(super) fn check_privileges(mode: Option<Mode>) -> Vec<Violation> {
    let Some(mode) = mode else {
        return unknown_mode();
    };
    let found = [
        (mode.bits & SETUID != 0, "setuid"),
        (mode.bits & SETGID != 0, "setgid"),
        (mode.capabilities, "the attribute `security.capability`"),
    ];
    let found: Vec<_> =
        found.iter().filter(|(is_set, _)| *is_set).map(|(_, description)| *description).collect();
    if found.is_empty() {
        return Vec::new();
    }
    vec![Violation::new(
        "the program runs with privileges its caller may lack",
        format!("{} (mode {:04o})", found.join(", "), mode.bits),
        "`chmod 0755` removes the bits, and `setcap -r` the capabilities",
    )]
}

pub(super) fn mode(input: &LintInput<'_>) -> Vec<Violation> {
    let program = matches!(input.facts.shape, Shape::Fixed | Shape::StaticPie | Shape::Pie);
    check_mode(input.context.mode, program)
}

pub(super) fn check_mode(mode: Option<Mode>, program: bool) -> Vec<Violation> {
    let Some(Mode { bits, .. }) = mode else {
        return unknown_mode();
    };
    let violation = |message| {
        Violation::new(message, format!("its mode is {bits:04o}"), "`chmod 0755` is usual")
    };
    let mut found = Vec::new();
    if program && bits & OWNER_RUNS == 0 {
        found.push(violation("the program is not executable for its owner"));
    }
    if bits & OTHERS_WRITE != 0 {
        found.push(violation("users other than its owner can write to the file"));
    }
    found
}
