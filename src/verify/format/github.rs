//! Annotations, as workflow commands of GitHub Actions.

use std::fmt::Write;

use super::findings;
use crate::model::{
    markup::{escape_line, escape_text},
    provider::{escape_data, escape_property},
    schema::{dist::Level, verify::Verification},
};

/// Writes a line for each finding, which GitHub Actions shows at its file and in the summary of the run
/// (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>, "Setting an error
/// message").
pub fn annotations(verification: &Verification) -> String {
    let mut text = String::new();
    for (checked, found) in findings(verification) {
        let command = match found.level {
            Level::Deny => "error",
            Level::Warn => "warning",
            Level::Allow => "notice",
        };
        let last = match &found.waived {
            Some(reason) => format!("waived: {reason}"),
            None => format!("hint: {}", found.hint),
        };
        let message = format!(
            "{}: {}\nfound: {}\n{last}",
            escape_line(&checked.path),
            found.message,
            found.evidence
        );
        let _ = writeln!(
            text,
            "::{command} file={},title={}::{}",
            escape_property(&escape_line(&checked.path)),
            escape_property(&found.lint),
            escape_data(&escape_text(&message))
        );
    }
    text
}
