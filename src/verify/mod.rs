//! Verdicts on binaries: lints over the facts that [`crate::binary::elf`] reads.
//!
//! Adding a lint is one function and one row of `LINTS`, which holds its documentation, too.

mod archive_or_image;
mod artifact;
mod catalogue;
mod expected;
mod explain;
pub mod fact;
mod foreign;
pub mod format;
mod leftover;
mod linkage;
mod lint;
mod memory;
mod mode;
mod policy;
mod render;
mod run;
mod strings;

pub use crate::model::bytes::{Growth, Size};
pub use archive_or_image::{ArchiveOrImage, SizedItem, SizedKind, judge_archive_or_image};
pub use artifact::{ArtifactError, VerifiedArtifact, mismatch};
pub use catalogue::LINTS;
pub use explain::{explain, page};
pub use foreign::{foreign_facts, judge_foreign};
pub use lint::{FileContext, Lint};
pub use mode::Mode;
pub use policy::{
    CpuLevel, Day, GlibcVersion, Inputs, KEYS as POLICY_KEYS, Limits, Policy, Settings, Waiver,
};
pub use render::Report;
pub use run::{RunEnd, RunResult};

use crate::{
    binary::elf::Facts,
    model::{
        collect::SortStable as _,
        schema::dist::{Finding, Level, NotApplied, Verdict},
        source::Source,
    },
};
use lint::{LintInput, Scope, Violation};
use strings::FoundStrings;

/// The id of the finding on a file that cannot be read. It is not a lint: it cannot be allowed.
pub const READABLE: &str = "readable";

/// The id of the finding on a file that a packer hides. It is not a lint: it cannot be allowed.
pub const PACKED: &str = "packed";

/// The id of the finding on a release that does not match its signature.
pub const SIGNATURE: &str = "signature";

/// The id of the finding on a file that does not match its record. It is not a lint: it cannot be
/// allowed.
pub const RECORD: &str = "record";

/// The id of the finding on an archive that is dangerous to unpack. It is not a lint: it cannot be
/// allowed.
pub const ARCHIVE: &str = "archive";

/// Returns the verdict on a complete file under `policy`: every failure at once, the worst first. A
/// file that cannot be read is rejected, never passed.
///
/// ```
/// use longshore::{Policy, verify};
///
/// let verdict = verify(b"no program", &Policy::for_any());
/// assert!(!verdict.accepted);
/// assert_eq!(verdict.findings[0].lint, "readable");
/// ```
pub fn verify<'a>(source: impl Into<Source<'a>>, policy: &Policy) -> Verdict {
    verify_with_context(source.into(), &FileContext::default(), policy)
}

/// Verifies like [`verify`], with the other facts in `context`.
fn verify_with_context(source: Source<'_>, context: &FileContext, policy: &Policy) -> Verdict {
    match Facts::read(source) {
        Ok(facts) => judge(source, &facts, context, policy),
        Err(error) => reject_unreadable(&error.to_string()),
    }
}

/// Returns whether a lint is enabled that needs the names of all functions that a file imports.
pub(crate) fn needs_names(policy: &Policy) -> bool {
    let on = |lint: &&Lint| lint.level_under(policy) != Level::Allow;
    LINTS.iter().filter(on).any(|lint| matches!(lint.id, "canary" | "fortify"))
}

/// Returns the verdict under `policy` on a file with `facts` read from `source`, and with the other
/// facts in `context`.
pub fn judge<'a>(
    source: impl Into<Source<'a>>,
    facts: &Facts,
    context: &FileContext,
    policy: &Policy,
) -> Verdict {
    if let Some(packer) = facts.packer {
        return rejected(packed_finding(packer, facts));
    }
    let nothing = FoundStrings::default();
    let input = LintInput { facts, policy, context, strings: &nothing, named: false };
    let mut selection = LintSelection::default();
    for lint in &LINTS {
        let named = policy.is_named(lint.id);
        selection.add(lint, policy, (lint.scope)(&LintInput { named, ..input }));
    }
    let LintSelection { applied, not_applied, mut findings } = selection;
    let names: Vec<_> = applied.iter().map(|(lint, _)| lint.id).collect();
    let strings = match FoundStrings::read(source.into(), facts, policy, &names) {
        Ok(strings) => strings,
        Err(error) => return reject_unreadable(&error.to_string()),
    };
    let input = LintInput { strings: &strings, ..input };
    let mut lints = vec![READABLE.to_owned(), PACKED.to_owned()];
    for (lint, level) in applied {
        lints.push(lint.id.to_owned());
        let input = LintInput { named: policy.is_named(lint.id), ..input };
        let found = (lint.check)(&input).into_iter();
        findings.extend(found.map(|violation| new_finding(lint.id, level, violation)));
    }
    verdict(lints, not_applied, findings)
}

/// Returns the verdict for these findings; those of one level stay in their order.
fn verdict(
    lints: Vec<String>,
    not_applied: Vec<NotApplied>,
    mut findings: Vec<Finding>,
) -> Verdict {
    findings.sort_stable_by_key(|finding| std::cmp::Reverse(finding.level));
    let accepted = findings.iter().all(|found| found.level < Level::Deny);
    Verdict { accepted, lints, not_applied, findings }
}

/// The lints that are applied to a file, and those that are not.
#[derive(Default)]
struct LintSelection {
    applied: Vec<(&'static Lint, Level)>,
    not_applied: Vec<NotApplied>,
    /// Findings on lints that were named and lack an input.
    findings: Vec<Finding>,
}

impl LintSelection {
    /// Adds a lint of that scope.
    fn add(&mut self, lint: &'static Lint, policy: &Policy, scope: Scope) {
        let (level, requested) = (lint.level_under(policy), policy.is_named(lint.id));
        let reason = match scope {
            _ if level == Level::Allow && lint.level == Level::Allow => "it is off by default",
            _ if level == Level::Allow => "it is allowed",
            Scope::Applied => return self.applied.push((lint, level)),
            Scope::NotApplied(reason) => reason,
            Scope::Missing(reason, hint) => {
                if requested {
                    let violation = Violation::new(MISSING_INPUT, reason, hint);
                    self.findings.push(new_finding(lint.id, level, violation));
                }
                reason
            }
        };
        let (lint, reason) = (lint.id.to_owned(), reason.to_owned());
        self.not_applied.push(NotApplied { lint, reason, requested });
    }
}

/// The message of a finding on a lint that was named and lacks an input.
const MISSING_INPUT: &str = "the lint cannot be applied: an input is missing";

/// Returns the first finding on a lint that was named and lacks an input: a usage error, since a
/// different file would not change it.
pub fn missing_input(verdict: &Verdict) -> Option<&Finding> {
    let is_missing = |found: &&Finding| found.message == MISSING_INPUT && found.waived.is_none();
    verdict.findings.iter().find(is_missing)
}

fn new_finding(lint: &str, level: Level, violation: Violation) -> Finding {
    let Violation { message, evidence, hint } = violation;
    Finding { lint: lint.to_owned(), level, message, evidence, hint, waived: None }
}

/// Returns the verdict for one finding alone.
fn rejected(finding: Finding) -> Verdict {
    let mut lints = vec![READABLE.to_owned()];
    if finding.lint != READABLE {
        lints.push(finding.lint.clone());
    }
    verdict(lints, Vec::new(), vec![finding])
}

/// Returns the verdict on a file that cannot be read for the reason `reason`: it is rejected.
pub fn reject_unreadable(reason: &str) -> Verdict {
    reject_unreadable_with_hint(
        reason,
        "unreadable files are rejected: check the path, and that the file is complete",
    )
}

/// Returns the verdict of [`reject_unreadable`], with a hint for this file.
pub fn reject_unreadable_with_hint(reason: &str, hint: &str) -> Verdict {
    rejected(Finding {
        lint: READABLE.to_owned(),
        level: Level::Deny,
        message: "the file cannot be read".to_owned(),
        evidence: reason.to_owned(),
        hint: hint.to_owned(),
        waived: None,
    })
}

/// Returns the verdict of a signature check: the reason and the hint if it failed.
pub fn signature_verdict(refusal: Option<(&str, &str)>) -> Verdict {
    let findings: Vec<Finding> = refusal
        .map(|(reason, hint)| Finding {
            lint: SIGNATURE.to_owned(),
            level: Level::Deny,
            message: "the file does not match its signature".to_owned(),
            evidence: reason.to_owned(),
            hint: hint.to_owned(),
            waived: None,
        })
        .into_iter()
        .collect();
    verdict(vec![SIGNATURE.to_owned()], Vec::new(), findings)
}

/// Returns the verdict on a file of a release that was compared with its `dist.json`: it differs for
/// the reason `reason`.
pub fn record_verdict(reason: Option<&str>) -> Verdict {
    let finding = |reason: &str| Finding {
        lint: RECORD.to_owned(),
        level: Level::Deny,
        message: "the file does not match `dist.json`".to_owned(),
        evidence: reason.to_owned(),
        hint: "fetch the release again, or remove what does not belong to it; \
               `cargo longshore dist` makes it again"
            .to_owned(),
        waived: None,
    };
    verdict(vec![RECORD.to_owned()], Vec::new(), reason.map(finding).into_iter().collect())
}

fn packed_finding(packer: &str, facts: &Facts) -> Finding {
    let sections = if facts.has_sections { "" } else { ", and no section headers" };
    Finding {
        lint: PACKED.to_owned(),
        level: Level::Deny,
        message: format!("the program is packed by {packer}, which hides what is linked into it"),
        evidence: format!("{packer}'s magic follows the program headers{sections}"),
        hint: format!("verify the file before {packer} packs it, or leave it unpacked"),
        waived: None,
    }
}

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod named_tests;
#[cfg(test)]
mod tests;
