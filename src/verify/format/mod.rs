//! Verdicts on many files, in the forms that people and other programs read.

mod github;
mod junit;
mod markdown;
mod sarif;

pub use github::annotations;
pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;

use std::fmt::Write;

use super::Report;
use crate::model::schema::{
    dist::{Finding, Level},
    verify::{Checked, Fact, PolicySource, Verification},
};

/// The most unchecked files that are listed one by one; JSON has all.
const MAX_LISTED: usize = 20;

/// Formats the report for people: findings in full, the rest in brief, without colours.
pub fn human(verification: &Verification) -> String {
    let Verification { checked, not_checked, policies, .. } = verification;
    let mut text = String::new();
    for checked in checked {
        let _ = writeln!(text, "{}", Report::new(&checked.path, &checked.verdict));
        push_facts(&mut text, &checked.facts);
    }
    for file in not_checked.iter().take(MAX_LISTED) {
        let _ = writeln!(text, "`{}` not checked: {}", file.path.escape_debug(), file.reason);
    }
    if let Some(more) = not_checked.len().checked_sub(MAX_LISTED).filter(|&more| more > 0) {
        let _ = writeln!(text, "{more} more not checked");
    }
    text.push_str(&sources(policies));
    if checked.len() + not_checked.len() > 1 {
        let _ = writeln!(text, "{}", summary(verification));
    }
    text
}

/// Returns the files that policies were read from, one per line.
pub fn sources(policies: &[PolicySource]) -> String {
    let mut text = String::new();
    for PolicySource { from, paths } in policies {
        let mut shown: Vec<_> = paths
            .iter()
            .take(MAX_LISTED)
            .map(|path| format!("`{}`", path.escape_debug()))
            .collect();
        if let Some(more) = paths.len().checked_sub(MAX_LISTED).filter(|&more| more > 0) {
            shown.push(format!("{more} more"));
        }
        let _ = writeln!(text, "policy `{}` for {}", from.escape_debug(), shown.join(", "));
    }
    text
}

/// Returns one line with the number of files of each sort.
fn summary(verification: &Verification) -> String {
    let refused = count_rejected(&verification.checked);
    let mut text = format!("{} accepted", verification.checked.len() - refused);
    if refused > 0 {
        let _ = write!(text, ", {refused} refused");
    }
    match verification.not_checked.len() {
        0 => {}
        count => drop(write!(text, ", {count} not checked")),
    }
    text
}

fn count_rejected(checked: &[Checked]) -> usize {
    checked.iter().filter(|checked| !checked.verdict.accepted).count()
}

fn push_facts(text: &mut String, facts: &[Fact]) {
    let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or_default();
    for Fact { name, value, note } in facts {
        let _ = writeln!(text, "  {name:<width$}  {value}");
        if let Some(note) = note {
            let _ = writeln!(text, "  {:<width$}  ({note})", "");
        }
    }
}

/// Returns every finding with its file.
fn findings(verification: &Verification) -> impl Iterator<Item = (&Checked, &Finding)> {
    let checked = verification.checked.iter();
    checked.flat_map(|checked| checked.verdict.findings.iter().map(move |found| (checked, found)))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Allow => "note",
    }
}

#[cfg(test)]
mod tests;
