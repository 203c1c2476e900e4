//! Verdicts on binaries: lints over the facts that [`crate::elf`] reads.
//!
//! Adding a lint is one function and one row of [`LINTS`].

mod artifact;
mod leftover;
mod linkage;
mod lint;
mod memory;
mod policy;
mod render;

pub use artifact::{Refused, VerifiedArtifact};
pub use lint::{LINTS, Lint};
pub use policy::Policy;
pub use render::Report;

use crate::{
    elf::{Facts, Unreadable},
    schema::dist::{Finding, Level, Verdict},
};
use lint::Subject;

/// The id of the finding on a file that cannot be looked at. It is no lint: it cannot be allowed.
pub const READABLE: &str = "readable";

/// The id of the finding on a file that a packer hides. It is no lint: it cannot be allowed.
pub const PACKED: &str = "packed";

/// The verdict on `bytes`, a whole file, under `policy`: every failure at once, the worst first.
/// A file that cannot be looked at is refused, never passed.
pub fn verify(bytes: &[u8], policy: &Policy) -> Verdict {
    let facts = match Facts::read(bytes) {
        Ok(facts) => facts,
        Err(error) => return refused(unreadable(&error)),
    };
    if let Some(packer) = facts.packer {
        return refused(packed(packer, &facts));
    }
    let subject = Subject { bytes, facts: &facts, policy };
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

fn unreadable(error: &Unreadable) -> Finding {
    Finding {
        lint: READABLE.to_owned(),
        level: Level::Deny,
        message: "the file cannot be looked at".to_owned(),
        evidence: error.to_string(),
        hint:
            "nothing is known of this file, so it is refused; was it cut off while it was copied?"
                .to_owned(),
    }
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
