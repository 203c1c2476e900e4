//! Findings that are known, and why they do not matter.

use super::{Policy, Waiver};
use crate::schema::dist::{Finding, Level, Verdict};

impl Policy {
    /// The verdict on the file at `path`, with the findings that are waived there taken for
    /// allowed. They stay, with the reason.
    #[must_use]
    pub fn waive(&self, mut verdict: Verdict, path: &str) -> Verdict {
        for finding in &mut verdict.findings {
            let about = |waiver: &&Waiver| waiver.lint == finding.lint && waiver.is_about(path);
            let Some(waiver) = self.settings.waive.iter().rev().find(about) else {
                continue;
            };
            match &waiver.until {
                Some(until) if self.today.as_ref().is_some_and(|today| today > until) => {
                    finding.hint = format!("it was waived until {until}; {}", finding.hint);
                }
                _ => {
                    finding.level = Level::Allow;
                    finding.waived = Some(waiver.reason.clone());
                }
            }
        }
        verdict.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let denied = |finding: &Finding| finding.level == Level::Deny;
        verdict.accepted = !verdict.findings.iter().any(denied);
        verdict
    }
}

impl Waiver {
    fn is_about(&self, path: &str) -> bool {
        let ends = path.char_indices().filter(|(_, c)| matches!(c, '/' | '!'));
        let ends: Vec<&str> =
            std::iter::once(path).chain(ends.filter_map(|(at, _)| path.get(at + 1..))).collect();
        let fits = |pattern: &String| {
            ends.iter().any(|end| is_like(end.as_bytes(), pattern.as_bytes(), true))
        };
        self.paths.is_empty() || self.paths.iter().any(fits)
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text, without `/` and `!` where
/// `names` is set, and `**` for any text at all. Time is at most the product of the lengths.
pub(in crate::verify) fn is_like(text: &[u8], pattern: &[u8], names: bool) -> bool {
    // fits[n]: whether what was read of the pattern fits the first n bytes of the text.
    let mut fits = vec![false; text.len() + 1];
    if let Some(first) = fits.first_mut() {
        *first = true;
    }
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        let mut next = vec![false; text.len() + 1];
        if byte == b'*' {
            let all = after.first() == Some(&b'*');
            rest = if all { after.get(1..).unwrap_or_default() } else { after };
            let mut open = false;
            for (at, fit) in fits.iter().enumerate() {
                let before = at.checked_sub(1).and_then(|at| text.get(at));
                open &= all || !names || !matches!(before, Some(b'/' | b'!'));
                open |= fit;
                if let Some(place) = next.get_mut(at) {
                    *place = open;
                }
            }
        } else {
            rest = after;
            for (at, fit) in fits.iter().enumerate() {
                if *fit
                    && text.get(at) == Some(&byte)
                    && let Some(place) = next.get_mut(at + 1)
                {
                    *place = true;
                }
            }
        }
        fits = next;
    }
    fits.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let like = |text: &str, pattern: &str| is_like(text.as_bytes(), pattern.as_bytes(), true);
        assert!(like("bin/rg", "bin/rg") && like("bin/rg", "bin/*") && like("bin/rg", "**rg"));
        assert!(like("", "") && like("", "*") && like("abc", "a*c") && like("abc", "a**c"));
        assert!(
            !like("bin/rg", "*") && !like("a/b", "a*b") && !like("abc", "ab") && !like("a", "")
        );
        assert!(is_like(b"a/b", b"a*b", false));
    }

    #[test]
    fn paths_are_the_ends_of_paths() {
        let waiver = |path: &str| Waiver {
            lint: "mode".to_owned(),
            reason: "x".to_owned(),
            paths: vec![path.to_owned()],
            until: None,
        };
        assert!(waiver("bin/rg").is_about("target/dist/linux/amd64/bin/rg"));
        assert!(waiver("usr/bin/*").is_about("x.tar!usr/bin/rg"));
        assert!(!waiver("bin/rg").is_about("sbin/rg"));
        assert!(!waiver("bin/*").is_about("bin/a/b"));
    }
}
