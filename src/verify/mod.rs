//! Verdicts on binaries: lints over the facts that [`crate::elf`] reads.
//!
//! Adding a lint is one function and one row of [`LINTS`], which holds its documentation, too.

mod artifact;
mod catalogue;
mod expected;
mod explain;
pub mod fact;
mod foreign;
pub mod format;
mod kind;
mod leftover;
mod linkage;
mod lint;
mod memory;
mod mode;
mod policy;
mod render;
mod run;
mod text;
mod whole;

pub use artifact::{Refused, VerifiedArtifact, mismatch};
pub use catalogue::LINTS;
pub use explain::{explain, page};
pub use foreign::{foreign, tell_foreign};
pub use kind::{UNLISTED, may_hold_programs, other_kind};
pub use lint::{About, Lint};
pub use mode::Mode;
pub(crate) use policy::of_architecture;
pub use policy::{
    CpuLevel, Day, GlibcVersion, Growth, KEYS as POLICY_KEYS, Limits, Policy, Settings, Size,
    Waiver,
};
pub use render::Report;
pub use run::{End, Run};
pub use whole::{Limited, Measured, Whole, whole};

use crate::{
    elf::{Facts, Source},
    schema::dist::{Finding, Level, Verdict},
};
use lint::{Complaint, Subject};
use text::Texts;

/// The id of the finding on a file that cannot be looked at. It is no lint: it cannot be allowed.
pub const READABLE: &str = "readable";

/// The id of the finding on a file that a packer hides. It is no lint: it cannot be allowed.
pub const PACKED: &str = "packed";

/// The name of what is found where a release is not what its signature says.
pub const SIGNATURE: &str = "signature";

/// The id of the finding on a file that is not the one of its record. It is no lint: it cannot be
/// allowed.
pub const RECORD: &str = "record";

/// The id of the finding on an archive that is dangerous to unpack. It is no lint: it cannot be
/// allowed.
pub const ARCHIVE: &str = "archive";

/// The verdict on a whole file under `policy`: every failure at once, the worst first. A file that
/// cannot be looked at is refused, never passed.
pub fn verify<'a>(source: impl Into<Source<'a>>, policy: &Policy) -> Verdict {
    let source = source.into();
    match Facts::read(source) {
        Ok(facts) => judge(source, &facts, &About::default(), policy),
        Err(error) => unreadable(&error.to_string()),
    }
}

/// Whether a lint is on that needs the names of all functions that a file takes from libraries.
pub(crate) fn needs_names(policy: &Policy) -> bool {
    let on = |lint: &&Lint| policy.level(lint) != Level::Allow;
    LINTS.iter().filter(on).any(|lint| matches!(lint.id, "canary" | "fortify"))
}

/// The verdict on a file whose `facts` were read from `source`, under `policy`, and on what is known
/// `about` it beside that.
pub fn judge<'a>(
    source: impl Into<Source<'a>>,
    facts: &Facts,
    about: &About,
    policy: &Policy,
) -> Verdict {
    if let Some(packer) = facts.packer {
        return refused(packed(packer, facts));
    }
    let nothing = Texts::default();
    let subject = Subject { facts, policy, about, texts: &nothing };
    let chosen = LINTS.iter().map(|lint| (lint, policy.level(lint)));
    let chosen: Vec<_> =
        chosen.filter(|(lint, level)| *level != Level::Allow && (lint.applies)(&subject)).collect();
    let names: Vec<_> = chosen.iter().map(|(lint, _)| lint.id).collect();
    let texts = match Texts::read(source.into(), facts, policy, &names) {
        Ok(texts) => texts,
        Err(error) => return unreadable(&error.to_string()),
    };
    let subject = Subject { texts: &texts, ..subject };
    let mut lints = vec![READABLE.to_owned(), PACKED.to_owned()];
    let mut findings = Vec::new();
    for (lint, level) in chosen {
        lints.push(lint.id.to_owned());
        let found = (lint.check)(&subject).into_iter();
        findings.extend(found.map(|complaint| finding(lint.id, level, complaint)));
    }
    // Stable: findings of one level stay in the order of the table.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Verdict { accepted: findings.iter().all(|found| found.level < Level::Deny), lints, findings }
}

fn finding(lint: &str, level: Level, complaint: Complaint) -> Finding {
    let Complaint { message, evidence, hint } = complaint;
    Finding { lint: lint.to_owned(), level, message, evidence, hint, waived: None }
}

/// The verdict that one finding alone makes.
fn refused(finding: Finding) -> Verdict {
    let mut lints = vec![READABLE.to_owned()];
    if finding.lint != READABLE {
        lints.push(finding.lint.clone());
    }
    Verdict { accepted: false, lints, findings: vec![finding] }
}

/// The verdict on a file that cannot be looked at, and `why`: it is refused.
pub fn unreadable(why: &str) -> Verdict {
    refused(Finding {
        lint: READABLE.to_owned(),
        level: Level::Deny,
        message: "the file cannot be looked at".to_owned(),
        evidence: why.to_owned(),
        hint: "what cannot be looked at is refused: is the path right, and the file whole?"
            .to_owned(),
        waived: None,
    })
}

/// The verdict on what is held against a signature: `why` not, and what to do.
pub fn signed(refusal: Option<(&str, &str)>) -> Verdict {
    let findings: Vec<Finding> = refusal
        .map(|(why, hint)| Finding {
            lint: SIGNATURE.to_owned(),
            level: Level::Deny,
            message: "the file is not what was signed".to_owned(),
            evidence: why.to_owned(),
            hint: hint.to_owned(),
            waived: None,
        })
        .into_iter()
        .collect();
    Verdict { accepted: findings.is_empty(), lints: vec![SIGNATURE.to_owned()], findings }
}

fn packed(packer: &str, facts: &Facts) -> Finding {
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
mod tests;
