//! The text of the comment.

use crate::model::error::{Error, Result};

/// The maximum length of a comment, in UTF-16 code units: GitHub accepts 65,536 characters, GitLab a
/// million.
pub const MAX_LENGTH: usize = 65_535;

/// The last line of a truncated report.
const TRUNCATED: &str =
    "The report is too long for a comment: its end is left out, the job has all of it.\n";

/// The space, in bytes, for the end of open blocks in a truncated report.
const CLOSING_SPACE: usize = 400;

/// Returns the first line of a comment called `name`, which is invisible when rendered.
///
/// # Errors
/// The name is not valid.
pub fn marker(name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // Two hyphens would end the markup's comment in some readers.
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || name.contains("--") {
        let message = format!("`{}` is not a valid name of a comment", name.escape_debug());
        return Err(Error::usage(message).hint("letters, digits, `-`, `_` and `.` make one"));
    }
    Ok(format!("<!-- longshore:{name} -->"))
}

/// Returns the complete comment: marker and report, which is truncated at the end of a line if it is too long.
pub fn body(marker: &str, report: &str) -> String {
    let head = format!("{marker}\n");
    let report = report.trim_end();
    let room = MAX_LENGTH - length(&head) - 1;
    if length(report) <= room {
        return format!("{head}{report}\n");
    }
    let room = room - length(TRUNCATED) - CLOSING_SPACE;
    let mut kept = String::new();
    let mut taken = 0;
    for line in report.split_inclusive('\n') {
        taken += length(line);
        if taken > room {
            break;
        }
        kept.push_str(line);
    }
    format!("{head}{kept}{}\n{TRUNCATED}", closing(&kept))
}

/// Returns the end of blocks that `text` leaves open: code, and foldable sections.
fn closing(text: &str) -> String {
    let fences = text.lines().filter(|line| line.trim_start().starts_with("```")).count();
    let fence = if fences % 2 == 1 { "```\n" } else { "" };
    let open = text.matches("<details").count().saturating_sub(text.matches("</details>").count());
    let details = "</details>\n".repeat(open.min(20));
    format!("{fence}{details}")
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}
