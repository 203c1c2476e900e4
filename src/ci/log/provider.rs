//! The forms of each provider for the log of a job.

use crate::model::provider::{Provider, escape_data};

impl Provider {
    /// Returns the lines that begin a folded group of the lines that follow. `began` is in seconds since
    /// 1970, and distinguishes groups of one name.
    ///
    /// GitHub: "Grouping log lines" in
    /// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>; GitLab:
    /// "Custom collapsible sections" in <https://docs.gitlab.com/ci/jobs/job_logs/>.
    pub fn begin(self, name: &str, began: u64) -> String {
        match self {
            Provider::Github => format!("::group::{}\n", escape_data(name)),
            Provider::Gitlab => {
                let id = section_name(name, began);
                format!("\u{1b}[0Ksection_start:{began}:{id}[collapsed=true]\r\u{1b}[0K{name}\n")
            }
            Provider::Circleci => String::new(),
        }
    }

    /// Returns the lines that end the group `name`, which began at `began`.
    pub fn end(self, name: &str, began: u64, now: u64) -> String {
        match self {
            Provider::Github => "::endgroup::\n".to_owned(),
            Provider::Gitlab => {
                // The end has its line for itself, or it would stand before the next one's text.
                format!("\u{1b}[0Ksection_end:{now}:{}\r\u{1b}[0K\n", section_name(name, began))
            }
            Provider::Circleci => String::new(),
        }
    }

    /// Returns the line that shows `message` as an annotation of the run, if the provider supports it.
    pub fn annotation(self, level: &str, message: &str) -> String {
        match self {
            Provider::Github => format!("::{level}::{}\n", escape_data(message)),
            Provider::Gitlab | Provider::Circleci => String::new(),
        }
    }
}

/// Returns `text` from other programs without commands for the runner: GitHub's takes `::error::…` at the start
/// of a line, spaces aside, and `##[error]…` anywhere.
pub fn escape_commands(text: &str) -> String {
    let line = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let (spaces, rest) = line.split_at(start);
        let mark = if rest.starts_with("::") { "\\" } else { "" };
        format!("{spaces}{mark}{}", rest.replace("##[", "##\\["))
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the name of a section of GitLab's: letters, numbers, `_`, `.` and `-`.
fn section_name(name: &str, began: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("longshore_{}_{began}", name.chars().map(plain).collect::<String>())
}
