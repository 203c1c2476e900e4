//! What a lint is.

use std::fmt;

use super::{Mode, policy::Policy, run::Run, text::Texts};
use crate::{
    binary::elf::Facts,
    model::schema::{dist::Level, plan::CpuFlags},
};

/// What is known of a file beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its mode, where it has one.
    pub mode: Option<Mode>,
    /// Its size in the base, where that has it.
    pub base: Option<u64>,
    /// What came of running it, where that was asked for.
    pub run: Option<Run>,
    /// The flags that let it use more of a CPU than the target's CPU has, if a release records some.
    pub cpu_flags: Option<CpuFlags>,
}

/// What a lint looks at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) facts: &'a Facts,
    pub(super) policy: &'a Policy,
    pub(super) about: &'a About,
    /// Empty until it is known which lints are applied.
    pub(super) texts: &'a Texts,
    /// Whether the user gave this lint a level by its name, so that it has to be applied.
    pub(super) named: bool,
}

/// Whether a lint is applied to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// It is.
    Applied,
    /// It has nothing to check in such a file, and why.
    NotApplied(&'static str),
    /// It would check something, and an input is missing: which one, and how to give it.
    Missing(&'static str, &'static str),
}

impl Scope {
    /// Applied where `is` holds or the user named the lint; else not, for that reason.
    pub(super) fn expected(subject: &Subject<'_>, is: bool, reason: &'static str) -> Self {
        if is || subject.named { Scope::Applied } else { Scope::NotApplied(reason) }
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
    /// What it is for.
    pub means: &'static str,
    /// What in a file decides.
    pub detected: &'static str,
    /// What it cannot know.
    pub unknown: &'static str,
    /// Whether it is applied to such a file under such a policy.
    pub(super) scope: fn(&Subject<'_>) -> Scope,
    pub(super) check: fn(&Subject<'_>) -> Vec<Complaint>,
}

impl Lint {
    /// How much a finding weighs under `policy`.
    pub(super) fn level_under(&self, policy: &Policy) -> Level {
        policy.level(self.id).unwrap_or(self.level)
    }
}

impl fmt::Debug for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lint({}, {:?})", self.id, self.level)
    }
}

pub(super) fn always(_: &Subject<'_>) -> Scope {
    Scope::Applied
}
