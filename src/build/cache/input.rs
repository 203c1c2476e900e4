//! The inputs that cargo compares to decide whether a unit is fresh, and how to handle each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Time;
use crate::model::digest::Digest;

/// One input, as it was when the cache was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// Its content.
    pub state: InputContent,
    /// Its modification time.
    pub time: Time,
    /// The hashes of the units that it is an input of.
    pub units: BTreeSet<String>,
}

/// The content of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputContent {
    /// A file, by its content.
    File(Digest),
    /// A directory, by the names in it.
    Directory(Digest),
    /// A symbolic link, with its target.
    Link(String),
}

/// An input as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentInput {
    /// Its content.
    pub state: InputContent,
    /// Its modification time.
    pub time: Time,
}

/// The treatment of an input before cargo compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Leave it: cargo notices all changes.
    Leave,
    /// It is unchanged: restore its time.
    Restore,
    /// It changed, and its time hides that: make it newer than the cache.
    Renew,
    /// It changed, and cargo could not notice: remove the units that it is an input of.
    Drop,
}

/// Decides about one input. `saved` is when the cache was saved, and `own` whether the input is in
/// a directory of the user, where times may be changed.
pub fn decide(input: &Input, now: Option<&CurrentInput>, saved: Time, own: bool) -> Decision {
    match now {
        None => Decision::Drop,
        Some(seen) if seen.state == input.state => match own && seen.time != input.time {
            true => Decision::Restore,
            false => Decision::Leave,
        },
        // What cargo built is older than `saved`.
        Some(seen) if seen.time > saved => Decision::Leave,
        Some(_) if own => Decision::Renew,
        Some(_) => Decision::Drop,
    }
}

/// Returns whether another build would consider a file unchanged that it has not seen yet, once the file's
/// time goes back from `now` to `then`. `others` holds, sorted, when other builds compared their
/// inputs.
pub fn hides_change(others: &[Time], then: Time, now: Time) -> bool {
    let first = others.partition_point(|time| *time < then);
    others.get(first).is_some_and(|time| *time < now)
}

/// Returns the inputs in a dep-info file of rustc's (`*.d`): the words after the colon of its first rule, in
/// the form of make (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>).
pub fn parse_dep_info(text: &str) -> Vec<String> {
    let rule = text.lines().find_map(|line| Some(line.split_once(": ")?.1));
    let mut paths = Vec::new();
    let mut words = rule.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let mut path = word.to_owned();
        // A space in a name is written `\ `.
        while path.ends_with('\\') {
            path.pop();
            path.push(' ');
            match words.next() {
                Some(more) => path.push_str(more),
                None => break,
            }
        }
        paths.push(path);
    }
    paths
}

/// Returns the inputs that a build script declared; `None` if it declared neither files nor variables, so that
/// cargo compares its complete package
/// (<https://doc.rust-lang.org/cargo/reference/build-scripts.html#change-detection>).
pub fn parse_rerun_if_changed(output: &str) -> Option<Vec<String>> {
    let instruction = |line: &'_ str| -> Option<(bool, String)> {
        let rest = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:"))?;
        let file = rest.strip_prefix("rerun-if-changed=");
        let variable = rest.starts_with("rerun-if-env-changed=");
        match file {
            Some(path) => Some((true, path.trim_end().to_owned())),
            None => variable.then(|| (false, String::new())),
        }
    };
    let all: Vec<_> = output.lines().filter_map(instruction).collect();
    let files = all.iter().filter(|(is_file, _)| *is_file).map(|(_, path)| path.clone());
    (!all.is_empty()).then(|| files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_is_read_as_make_writes_it() {
        let text = "/w/t/deps/a-1.d: src/main.rs src/a\\ b.rs /w/c.txt\n\n/w/t/deps/a-1: src/x.rs\n\
                    src/main.rs:\n\n# env-dep:A=: b\n";
        assert_eq!(parse_dep_info(text), ["src/main.rs", "src/a b.rs", "/w/c.txt"]);
        assert_eq!(parse_dep_info(""), Vec::<String>::new());
        assert_eq!(parse_dep_info("a: b\\"), ["b "]);
    }

    #[test]
    fn scripts_with_variables_only_have_no_files() {
        assert_eq!(parse_rerun_if_changed("cargo:rustc-cfg=x\nhello\n"), None);
        assert_eq!(parse_rerun_if_changed("cargo:rerun-if-env-changed=A"), Some(vec![]));
        let both = "cargo:rerun-if-changed=a b \ncargo::rerun-if-changed=/c\r\n";
        assert_eq!(parse_rerun_if_changed(both), Some(vec!["a b".to_owned(), "/c".to_owned()]));
    }

    #[test]
    fn every_change_is_detected_whatever_the_time() {
        let state = |text: &str| InputContent::File(Digest::sha256(text.as_bytes()));
        let input = Input { state: state("a"), time: (10, 5), units: BTreeSet::new() };
        let seen = |text: &str, time| CurrentInput { state: state(text), time };
        let saved = (20, 0);
        let decide = |seen: Option<CurrentInput>, own| decide(&input, seen.as_ref(), saved, own);
        assert_eq!(decide(Some(seen("a", (30, 0))), true), Decision::Restore);
        assert_eq!(decide(Some(seen("a", (10, 5))), true), Decision::Leave);
        assert_eq!(decide(Some(seen("a", (30, 0))), false), Decision::Leave);
        assert_eq!(decide(Some(seen("b", (30, 0))), true), Decision::Leave);
        assert_eq!(decide(Some(seen("b", (20, 0))), true), Decision::Renew);
        assert_eq!(decide(Some(seen("b", (1, 0))), false), Decision::Drop);
        assert_eq!(decide(None, true), Decision::Drop);
    }

    #[test]
    fn builds_that_have_not_read_a_file_are_detected() {
        let others = [(5, 0), (15, 0), (40, 0)];
        assert!(hides_change(&others, (10, 0), (20, 0)));
        // Built before, and stale either way; built after, and fresh either way.
        assert!(!hides_change(&others, (16, 0), (40, 0)));
        assert!(!hides_change(&[], (10, 0), (20, 0)));
    }
}
