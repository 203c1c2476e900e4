//! The inputs that cargo compares to decide whether a unit is fresh, and how to handle each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Time;
use crate::model::digest::Digest;

/// One input, as it was when the cache was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// What it held.
    pub state: State,
    /// Its modification time.
    pub time: Time,
    /// The hashes of the units that it is an input of.
    pub units: BTreeSet<String>,
}

/// What an input holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A file, by its content.
    File(Digest),
    /// A directory, by the names in it.
    Directory(Digest),
    /// A symbolic link, with its target.
    Link(String),
}

/// An input as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it holds.
    pub state: State,
    /// Its modification time.
    pub time: Time,
}

/// The treatment of an input before cargo compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: cargo sees what there is to see.
    Leave,
    /// It is unchanged: give it the time that it had.
    Restore,
    /// It changed, and its time hides that: make it newer than the cache.
    Renew,
    /// Cargo could not see that it changed: the units that it is an input of have to go.
    Drop,
}

/// Decides about one input. `saved` is when the cache was saved, and `own` whether the input is in
/// a directory of the user, where times may be changed.
pub fn decide(input: &Input, now: Option<&Seen>, saved: Time, own: bool) -> Decision {
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
pub fn hidden_by(others: &[Time], then: Time, now: Time) -> bool {
    let first = others.partition_point(|time| *time < then);
    others.get(first).is_some_and(|time| *time < now)
}

/// The inputs in a dep-info file of rustc's (`*.d`): the words after the colon of its first rule, in
/// the form of make (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>).
pub fn dep_info(text: &str) -> Vec<String> {
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

/// The inputs that a build script declared; `None` when it declared neither files nor variables, and
/// cargo compares its complete package
/// (<https://doc.rust-lang.org/cargo/reference/build-scripts.html#change-detection>).
pub fn rerun_if_changed(output: &str) -> Option<Vec<String>> {
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
        assert_eq!(dep_info(text), ["src/main.rs", "src/a b.rs", "/w/c.txt"]);
        assert_eq!(dep_info(""), Vec::<String>::new());
        assert_eq!(dep_info("a: b\\"), ["b "]);
    }

    #[test]
    fn a_script_that_names_only_variables_names_no_files() {
        assert_eq!(rerun_if_changed("cargo:rustc-cfg=x\nhello\n"), None);
        assert_eq!(rerun_if_changed("cargo:rerun-if-env-changed=A"), Some(vec![]));
        let both = "cargo:rerun-if-changed=a b \ncargo::rerun-if-changed=/c\r\n";
        assert_eq!(rerun_if_changed(both), Some(vec!["a b".to_owned(), "/c".to_owned()]));
    }

    #[test]
    fn no_change_is_hidden_by_a_time() {
        let state = |text: &str| State::File(Digest::sha256(text.as_bytes()));
        let input = Input { state: state("a"), time: (10, 5), units: BTreeSet::new() };
        let seen = |text: &str, time| Seen { state: state(text), time };
        let saved = (20, 0);
        let decide = |seen: Option<Seen>, own| decide(&input, seen.as_ref(), saved, own);
        assert_eq!(decide(Some(seen("a", (30, 0))), true), Decision::Restore);
        assert_eq!(decide(Some(seen("a", (10, 5))), true), Decision::Leave);
        assert_eq!(decide(Some(seen("a", (30, 0))), false), Decision::Leave);
        assert_eq!(decide(Some(seen("b", (30, 0))), true), Decision::Leave);
        assert_eq!(decide(Some(seen("b", (20, 0))), true), Decision::Renew);
        assert_eq!(decide(Some(seen("b", (1, 0))), false), Decision::Drop);
        assert_eq!(decide(None, true), Decision::Drop);
    }

    #[test]
    fn another_build_that_has_not_seen_a_file_is_noticed() {
        let others = [(5, 0), (15, 0), (40, 0)];
        assert!(hidden_by(&others, (10, 0), (20, 0)));
        // Built before, and stale either way; built after, and fresh either way.
        assert!(!hidden_by(&others, (16, 0), (40, 0)));
        assert!(!hidden_by(&[], (10, 0), (20, 0)));
    }
}
