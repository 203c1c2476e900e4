//! Markdown, for the summary of a job or a comment.

use std::fmt::Write;

use super::{findings, level_name, summary};
use crate::model::{
    markup::{code_span, markdown_line as cell},
    schema::verify::Verification,
};

/// Returns a summary line and a table of the findings, without the table if there are none.
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
            code_span(&checked.path),
            level_name(found.level),
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
