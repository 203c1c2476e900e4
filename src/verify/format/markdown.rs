//! Markdown, for the summary of a job or a comment.

use std::fmt::Write;

use super::{findings, summary, word};
use crate::schema::verify::Verification;

/// A line that sums up, a table of what was found, and nothing else where nothing was.
pub fn markdown(verification: &Verification) -> String {
    let mut text = format!("**longshore verify**: {}\n", summary(verification));
    let mut rows = findings(verification).peekable();
    if rows.peek().is_some() {
        text.push_str("\n| file | lint | found | hint |\n| --- | --- | --- | --- |\n");
    }
    for (checked, found) in rows {
        let _ = writeln!(
            text,
            "| {} | {} `{}` | {}: {} | {} |",
            cell(&format!("`{}`", checked.path.replace('`', "'"))),
            word(found.level),
            found.lint,
            cell(&found.message),
            cell(&found.evidence),
            cell(&match &found.waived {
                Some(reason) => format!("waived: {reason}"),
                None => found.hint.clone(),
            }),
        );
    }
    text
}

/// Text of one cell: what would end it, or begin HTML, is escaped.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\|"),
            '<' => out.push_str("&lt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
