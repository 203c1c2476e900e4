//! `.gitignore`.

use super::{closed, line_end};

/// Returns whether a line ignores the directory `path`, which is relative to the file and has no slash at its
/// ends. Patterns with wildcards are not understood: git itself decides where there is a repository.
pub fn is_ignored(text: &str, path: &str) -> bool {
    text.lines().map(str::trim_end).any(|line| line.trim_matches('/') == path)
}

/// Returns `.gitignore` with a line for the directory `path`.
pub fn add_ignored(text: &str, path: &str) -> String {
    format!("{}/{path}{}", closed(text), line_end(text))
}
