//! The table of lints.

use std::fmt;

use super::{leftover, linkage, memory, policy::Policy};
use crate::{
    elf::{Facts, needle::Needle},
    schema::dist::Level,
};

/// What a lint looks at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) facts: &'a Facts,
    pub(super) policy: &'a Policy,
}

impl Subject<'_> {
    /// Whether `needle` is among the bytes that are loaded.
    pub(super) fn contains(&self, needle: &Needle) -> bool {
        self.facts.loaded(self.bytes).any(|part| needle.is_in(part))
    }
}

/// What a lint has to say: one sentence, what in the file shows it, and what to do.
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) evidence: String,
    pub(super) hint: String,
}

impl Complaint {
    pub(super) fn new(
        message: impl Into<String>,
        evidence: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Complaint { message: message.into(), evidence: evidence.into(), hint: hint.into() }
    }
}

/// One check on a file.
pub struct Lint {
    /// Its name in configuration and reports.
    pub id: &'static str,
    /// How much a finding weighs unless the policy says otherwise.
    pub level: Level,
    /// What holds of a file that passes, as a fragment that follows "the file".
    pub holds: &'static str,
    /// Whether it has anything to say of such a file under such a policy.
    pub(super) applies: fn(&Subject<'_>) -> bool,
    pub(super) check: fn(&Subject<'_>) -> Vec<Complaint>,
}

impl fmt::Debug for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lint({}, {:?})", self.id, self.level)
    }
}

fn always(_: &Subject<'_>) -> bool {
    true
}

/// Every lint, in the order in which they are told.
pub static LINTS: [Lint; 14] = [
    Lint {
        id: "program",
        level: Level::Deny,
        holds: "is a program",
        applies: always,
        check: linkage::program,
    },
    Lint {
        id: "machine",
        level: Level::Deny,
        holds: "is for the target's machine, class, byte order and system",
        applies: linkage::has_target,
        check: linkage::machine,
    },
    Lint {
        id: "static",
        level: Level::Deny,
        holds: "needs no interpreter and no shared library",
        applies: linkage::static_expected,
        check: linkage::is_static,
    },
    Lint {
        id: "static-pie",
        level: Level::Deny,
        holds: "is static and can be loaded at any address",
        applies: linkage::static_pie_expected,
        check: linkage::static_pie,
    },
    Lint {
        id: "stripped",
        level: Level::Deny,
        holds: "has no symbol table and no debug information",
        applies: always,
        check: leftover::stripped,
    },
    Lint {
        id: "nx-stack",
        level: Level::Deny,
        holds: "asks for a stack that is not executable",
        applies: always,
        check: memory::nx_stack,
    },
    Lint {
        id: "w-x",
        level: Level::Deny,
        holds: "has no memory that is both writable and executable",
        applies: always,
        check: memory::w_x,
    },
    Lint {
        id: "text-relocations",
        level: Level::Deny,
        holds: "needs no relocation of read-only segments",
        applies: always,
        check: memory::text_relocations,
    },
    Lint {
        id: "page-size",
        level: Level::Deny,
        holds: "can be loaded by kernels with the target's largest pages",
        applies: linkage::has_target,
        check: memory::page_size,
    },
    Lint {
        id: "allocator-page-size",
        level: Level::Warn,
        holds: "has no allocator that is built for one page size",
        applies: memory::large_pages,
        check: memory::allocator_page_size,
    },
    Lint {
        id: "run-path",
        level: Level::Warn,
        holds: "has no search path for shared libraries",
        applies: always,
        check: leftover::run_path,
    },
    Lint {
        id: "leftovers",
        level: Level::Warn,
        holds: "has no profiling, coverage or debug assertions left in it",
        applies: always,
        check: leftover::leftovers,
    },
    Lint {
        id: "build-path",
        level: Level::Warn,
        holds: "names no directory of the machine that built it",
        applies: always,
        check: leftover::build_path,
    },
    Lint {
        id: "static-glibc",
        level: Level::Warn,
        holds: "loads no glibc modules at run time",
        applies: linkage::static_expected,
        check: linkage::static_glibc,
    },
];
