//! Waivers: known findings with the reasons to accept them.

use super::{Policy, Waiver};
use crate::model::{
    collect::SortStable as _,
    schema::dist::{Finding, Level, Verdict},
};

impl Policy {
    /// Sets `root`, the directory that was named or that of a release: waivers give paths relative to
    /// it.
    #[must_use]
    pub fn with_root(mut self, root: &str) -> Self {
        self.root = Some(format!("{}/", root.trim_end_matches('/')));
        self
    }

    /// Returns the verdict on the file at `path`, with the findings that are waived there set to
    /// allowed. They remain, with the reason.
    #[must_use]
    pub fn waive(&self, mut verdict: Verdict, path: &str) -> Verdict {
        for finding in &mut verdict.findings {
            let below = self.root.as_ref().and_then(|root| path.strip_prefix(root.as_str()));
            let context = |waiver: &&Waiver| {
                let is = |path| waiver.applies_to(path);
                waiver.lint == finding.lint && (is(path) || below.is_some_and(is))
            };
            let Some(waiver) = self.settings.waive.iter().rev().find(context) else {
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
        verdict.findings.sort_stable_by_key(|finding| std::cmp::Reverse(finding.level));
        let denied = |finding: &Finding| finding.level == Level::Deny;
        verdict.accepted = !verdict.findings.iter().any(denied);
        verdict
    }
}

impl Waiver {
    fn applies_to(&self, path: &str) -> bool {
        let path = path.trim_start_matches("./");
        let fits = |pattern: &String| matches_pattern(path.as_bytes(), pattern.as_bytes(), true);
        self.paths.is_empty() || self.paths.iter().any(fits)
    }
}

/// Returns whether `text` matches `pattern`, in which `*` matches any text, without `/` and `!` if
/// `names` is set, and `**` matches any text. The time is at most proportional to the product of the
/// lengths.
pub(in crate::verify) fn matches_pattern(text: &[u8], pattern: &[u8], names: bool) -> bool {
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
                if let Some(state) = next.get_mut(at) {
                    *state = open;
                }
            }
        } else {
            rest = after;
            for (at, fit) in fits.iter().enumerate() {
                if *fit
                    && text.get(at) == Some(&byte)
                    && let Some(state) = next.get_mut(at + 1)
                {
                    *state = true;
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
        let like =
            |text: &str, pattern: &str| matches_pattern(text.as_bytes(), pattern.as_bytes(), true);
        assert!(like("bin/rg", "bin/rg") && like("bin/rg", "bin/*") && like("bin/rg", "**rg"));
        assert!(like("", "") && like("", "*") && like("abc", "a*c") && like("abc", "a**c"));
        assert!(
            !like("bin/rg", "*") && !like("a/b", "a*b") && !like("abc", "ab") && !like("a", "")
        );
        assert!(matches_pattern(b"a/b", b"a*b", false));
    }

    #[test]
    fn paths_are_complete() {
        let waiver = |path: &str| Waiver {
            lint: "mode".to_owned(),
            reason: "x".to_owned(),
            paths: vec![path.to_owned()],
            until: None,
        };
        assert!(waiver("bin/rg").applies_to("bin/rg"));
        assert!(waiver("bin/rg").applies_to("./bin/rg"));
        assert!(waiver("linux/*/bin/rg").applies_to("linux/amd64/bin/rg"));
        assert!(waiver("*.tar!usr/bin/*").applies_to("x.tar!usr/bin/rg"));
        assert!(waiver("**/bin/rg").applies_to("a.tar.gz!evil/bin/rg"));
        for path in ["sbin/rg", "evil/bin/rg", "a.tar.gz!bin/rg", "a.tar.gz!evil/bin/rg"] {
            assert!(!waiver("bin/rg").applies_to(path), "{path}");
        }
        assert!(!waiver("bin/*").applies_to("bin/a/b"));
        assert!(!waiver("*/bin/rg").applies_to("a.tar.gz!evil/bin/rg"));
    }

    #[test]
    fn paths_are_relative_to_the_named_directory() {
        let finding = Finding {
            lint: "mode".to_owned(),
            level: Level::Deny,
            message: String::new(),
            evidence: String::new(),
            hint: String::new(),
            waived: None,
        };
        let verdict = Verdict {
            accepted: false,
            lints: Vec::new(),
            not_applied: Vec::new(),
            findings: vec![finding],
        };
        let text = "[[waive]]\nlint = 'mode'\nreason = 'x'\npaths = ['bin/rg']";
        let settings = super::super::Settings::parse("p", text).unwrap();
        let policy = Policy::for_any().with_settings(&settings).unwrap().with_root("down/load");
        let accepted = |path: &str| policy.waive(verdict.clone(), path).accepted;
        assert!(accepted("down/load/bin/rg") && accepted("bin/rg"));
        assert!(!accepted("down/load/evil/bin/rg") && !accepted("down/load!bin/rg"));
    }
}
