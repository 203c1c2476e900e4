//! Who runs the job, and the forms in which each wants its log.

use crate::model::provider::data;

/// A continuous-integration system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// GitHub Actions, and what does as it does.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// CircleCI, which does not support groups in logs.
    CircleCi,
}

impl Provider {
    /// Returns the provider of the job, by the variable that each sets; `var` returns those that are not empty.
    pub fn of<'a>(var: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let known = [
            ("GITHUB_ACTIONS", Provider::GitHub),
            ("GITLAB_CI", Provider::GitLab),
            ("CIRCLECI", Provider::CircleCi),
        ];
        let set = |name: &str| var(name).is_some_and(|value| value != "false" && value != "0");
        known.into_iter().find(|(name, _)| set(name)).map(|(_, provider)| provider)
    }

    /// Returns the lines that begin a folded group of the lines that follow. `began` is in seconds since
    /// 1970, and distinguishes groups of one name.
    ///
    /// GitHub: "Grouping log lines" in
    /// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>; GitLab:
    /// "Custom collapsible sections" in <https://docs.gitlab.com/ci/jobs/job_logs/>.
    pub fn begin(self, name: &str, began: u64) -> String {
        match self {
            Provider::GitHub => format!("::group::{}\n", data(name)),
            Provider::GitLab => {
                let id = section(name, began);
                format!("\u{1b}[0Ksection_start:{began}:{id}[collapsed=true]\r\u{1b}[0K{name}\n")
            }
            Provider::CircleCi => String::new(),
        }
    }

    /// The lines that end the group `name`, which began at `began`.
    pub fn end(self, name: &str, began: u64, now: u64) -> String {
        match self {
            Provider::GitHub => "::endgroup::\n".to_owned(),
            Provider::GitLab => {
                // The end has its line for itself, or it would stand before the next one's text.
                format!("\u{1b}[0Ksection_end:{now}:{}\r\u{1b}[0K\n", section(name, began))
            }
            Provider::CircleCi => String::new(),
        }
    }

    /// Returns the line that shows `message` as an annotation of the run, if the provider supports it.
    pub fn annotation(self, level: &str, message: &str) -> String {
        match self {
            Provider::GitHub => format!("::{level}::{}\n", data(message)),
            Provider::GitLab | Provider::CircleCi => String::new(),
        }
    }
}

/// `text`, which others wrote, without commands for the runner: GitHub's takes `::error::…` at the
/// start of a line, spaces aside, and `##[error]…` anywhere.
pub fn defused(text: &str) -> String {
    let line = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let (spaces, rest) = line.split_at(start);
        let mark = if rest.starts_with("::") { "\\" } else { "" };
        format!("{spaces}{mark}{}", rest.replace("##[", "##\\["))
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The name of a section of GitLab's: letters, numbers, `_`, `.` and `-`.
fn section(name: &str, began: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("longshore_{}_{began}", name.chars().map(plain).collect::<String>())
}
