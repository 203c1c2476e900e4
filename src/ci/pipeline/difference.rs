//! The difference of two texts in the unified format of `diff -u` (POSIX, XCU diff, "Diff -u Output
//! Format").

use std::time::Duration;

use similar::TextDiff;

/// The maximum duration of the search for a shortest difference; after it, the rest is shown as replaced.
/// The cost grows with the square of the difference, and generated files need a fraction of this.
const LIMIT: Duration = Duration::from_secs(2);

/// Returns the difference from `old` to `new` of the file `path`; an empty string if they are equal.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let from = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{path}") };
    let difference = TextDiff::configure().timeout(LIMIT).diff_lines(old, new);
    difference.unified_diff().header(&from, &format!("b/{path}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changes() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\n";
        let expected = "--- a/x\n+++ b/x\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n";
        assert_eq!(unified("x", old, new), expected);
        assert_eq!(unified("x", old, old), "");
    }

    #[test]
    fn missing_files_and_line_ends() {
        assert_eq!(unified("x", "", "a\n"), "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n");
        let out = unified("x", "a", "a\n");
        assert_eq!(out, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
    }

    #[test]
    fn files_without_a_common_line_end_in_time() {
        let lines =
            |prefix: &str| -> String { (0..60_000).map(|n| format!("{prefix}{n}\n")).collect() };
        let out = unified("x", &lines("a"), &lines("b"));
        assert_eq!(out.lines().count(), 120_003);
    }
}
