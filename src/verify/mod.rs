//! Verdicts on binaries: lints over the facts that [`crate::elf`] reads.
//!
//! Adding a lint is one function and one row of [`LINTS`], which holds its documentation, too.

mod artifact;
mod catalogue;
mod explain;
pub mod fact;
pub mod format;
mod kind;
mod leftover;
mod linkage;
mod lint;
mod memory;
mod mode;
mod policy;
mod render;

pub use artifact::{Refused, VerifiedArtifact, mismatch};
pub use catalogue::LINTS;
pub use explain::{explain, page};
pub use kind::other_kind;
pub use lint::Lint;
pub use mode::Mode;
pub use policy::Policy;
pub use render::Report;

use crate::{
    elf::Facts,
    schema::dist::{Finding, Level, Verdict},
};
use lint::Subject;

/// The id of the finding on a file that cannot be looked at. It is no lint: it cannot be allowed.
pub const READABLE: &str = "readable";

/// The id of the finding on a file that a packer hides. It is no lint: it cannot be allowed.
pub const PACKED: &str = "packed";

/// The id of the finding on a file that is not the one of its record. It is no lint: it cannot be
/// allowed.
pub const RECORD: &str = "record";

/// The verdict on `bytes`, a whole file, under `policy`: every failure at once, the worst first.
/// A file that cannot be looked at is refused, never passed.
pub fn verify(bytes: &[u8], policy: &Policy) -> Verdict {
    match Facts::read(bytes) {
        Ok(facts) => judge(bytes, &facts, None, policy),
        Err(error) => unreadable(&error.to_string()),
    }
}

/// The verdict on a file whose `facts` were read from `bytes`, under `policy`, and on its mode
/// where that is known.
pub fn judge(bytes: &[u8], facts: &Facts, mode: Option<Mode>, policy: &Policy) -> Verdict {
    if let Some(packer) = facts.packer {
        return refused(packed(packer, facts));
    }
    let subject = Subject { bytes, facts, policy, mode };
    let mut lints = vec![READABLE.to_owned(), PACKED.to_owned()];
    let mut findings = Vec::new();
    for lint in &LINTS {
        let level = policy.level(lint);
        if level == Level::Allow || !(lint.applies)(&subject) {
            continue;
        }
        lints.push(lint.id.to_owned());
        findings.extend((lint.check)(&subject).into_iter().map(|found| Finding {
            lint: lint.id.to_owned(),
            level,
            message: found.message,
            evidence: found.evidence,
            hint: found.hint,
        }));
    }
    // Stable: findings of one level stay in the order of the table.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Verdict { accepted: findings.iter().all(|found| found.level < Level::Deny), lints, findings }
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
    })
}

fn packed(packer: &str, facts: &Facts) -> Finding {
    let sections = if facts.has_sections { "" } else { ", and no section headers" };
    Finding {
        lint: PACKED.to_owned(),
        level: Level::Deny,
        message: format!("the program is packed by {packer}, which hides what is linked into it"),
        evidence: format!("{packer}'s magic follows the program headers{sections}"),
        hint: format!("verify the file before {packer} packs it, or leave it unpacked"),
    }
}

#[cfg(test)]
mod tests;
