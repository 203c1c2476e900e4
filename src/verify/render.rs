//! A verdict for people.

use std::fmt;

use super::catalogue::LINTS;
use crate::model::schema::dist::{Finding, Level, NotApplied, Verdict};

/// A verdict in a form for people, without colours and without a final line break: one line for a
/// file without findings, and one for each lint that was named and is not applied; otherwise every
/// finding in full, and the names of the passed checks on one line.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    name: &'a str,
    verdict: &'a Verdict,
}

impl<'a> Report<'a> {
    /// Returns the report on the file called `name`.
    pub fn new(name: &'a str, verdict: &'a Verdict) -> Self {
        Report { name, verdict }
    }

    fn count(&self, level: Level) -> usize {
        let findings = self.verdict.findings.iter();
        findings.filter(|finding| finding.level == level).count()
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { accepted, lints, not_applied, findings } = self.verdict;
        let outcome = if *accepted { "accepted" } else { "refused" };
        write!(f, "`{}` {outcome}: ", self.name.escape_debug())?;
        let tallies =
            [("denied", Level::Deny), ("warned of", Level::Warn), ("waived", Level::Allow)]
                .map(|(word, level)| (word, self.count(level)));
        for (word, count) in tallies.into_iter().filter(|&(_, count)| count > 0) {
            write!(f, "{count} {word}, ")?;
        }
        let passed: Vec<&str> = lints
            .iter()
            .map(String::as_str)
            .filter(|id| findings.iter().all(|finding| finding.lint != **id))
            .collect();
        write!(f, "{} passed", passed.len())?;
        for NotApplied { lint, reason, .. } in
            not_applied.iter().filter(|unapplied| unapplied.requested)
        {
            write!(f, "\n  not applied {lint}: {reason}")?;
        }
        if findings.is_empty() {
            return Ok(());
        }
        findings.iter().try_for_each(|finding| row(f, finding))?;
        if !passed.is_empty() {
            write!(f, "\n  passed: {}", passed.join(", "))?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    let Finding { lint, level, message, evidence, hint, waived } = finding;
    if let Some(reason) = waived {
        let reason = reason.escape_debug();
        return write!(
            f,
            "\n  waived {lint}: {message}\n    found: {evidence}\n    because: {reason}"
        );
    }
    let level = match level {
        Level::Deny => "deny",
        Level::Warn => "warn",
        Level::Allow => "allow",
    };
    write!(f, "\n  {level} {lint}: {message}\n    found: {evidence}")?;
    if let Some(known) = LINTS.iter().find(|known| known.id == lint) {
        write!(f, "\n    expected: a file that {}", known.requirement)?;
    }
    write!(f, "\n    hint: {hint}")
}
