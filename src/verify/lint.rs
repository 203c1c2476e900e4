//! The types of lints.

use std::fmt;

use super::{Mode, policy::Policy, run::RunResult, strings::FoundStrings};
use crate::{
    binary::elf::Facts,
    model::schema::{dist::Level, plan::CpuFlags},
};

/// Facts about a file beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct FileContext {
    /// Its mode, if it has one.
    pub mode: Option<Mode>,
    /// Its size in the base, if it is there.
    pub base: Option<u64>,
    /// The result of running it, if that was requested.
    pub run: Option<RunResult>,
    /// The flags that let it use more of a CPU than the target's CPU has, if a release records some.
    pub cpu_flags: Option<CpuFlags>,
}

/// The input of a lint.
#[derive(Clone, Copy)]
pub(super) struct LintInput<'a> {
    pub(super) facts: &'a Facts,
    pub(super) policy: &'a Policy,
    pub(super) context: &'a FileContext,
    /// Empty until it is known which lints are applied.
    pub(super) strings: &'a FoundStrings,
    /// Whether the user gave this lint a level by its name, so that it has to be applied.
    pub(super) named: bool,
}

/// The decision whether a lint is applied to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// It is applied.
    Applied,
    /// It has nothing to check in such a file, and why.
    NotApplied(&'static str),
    /// It would check something, and an input is missing: which one, and how to give it.
    Missing(&'static str, &'static str),
}

impl Scope {
    /// Returns `Applied` if `is` holds or the user named the lint; else `NotApplied` with that reason.
    pub(super) fn expected(input: &LintInput<'_>, is: bool, reason: &'static str) -> Self {
        if is || input.named { Scope::Applied } else { Scope::NotApplied(reason) }
    }
}

/// A finding of a lint: one sentence, the evidence in the file, and a hint.
pub(super) struct Violation {
    pub(super) message: String,
    pub(super) evidence: String,
    pub(super) hint: String,
}

impl Violation {
    pub(super) fn new(
        message: impl Into<String>,
        evidence: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Violation { message: message.into(), evidence: evidence.into(), hint: hint.into() }
    }
}

/// One check on a file.
pub struct Lint {
    /// Its name in configuration and reports.
    pub id: &'static str,
    /// The level of its findings unless the policy sets another.
    pub level: Level,
    /// The property of a file that passes, as a fragment that follows "the file".
    pub requirement: &'static str,
    /// Its purpose.
    pub purpose: &'static str,
    /// The evidence in the file that decides.
    pub method: &'static str,
    /// Its limitations.
    pub limitations: &'static str,
    /// Decides whether it is applied to such a file under such a policy.
    pub(super) scope: fn(&LintInput<'_>) -> Scope,
    pub(super) check: fn(&LintInput<'_>) -> Vec<Violation>,
}

impl Lint {
    /// Returns the level of a finding under `policy`.
    pub(super) fn level_under(&self, policy: &Policy) -> Level {
        policy.level(self.id).unwrap_or(self.level)
    }
}

impl fmt::Debug for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lint({}, {:?})", self.id, self.level)
    }
}

pub(super) fn always(_: &LintInput<'_>) -> Scope {
    Scope::Applied
}
