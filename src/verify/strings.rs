//! String literals that lints search for in what a file loads, all in one pass.

use memchr::memmem::Finder;

use super::Policy;
use crate::{
    binary::elf::{
        Facts,
        needle::{self, Needle},
    },
    model::source::{ReadError, Source},
};

/// The maximum length of a path in a report.
const MAX_SHOWN: usize = 120;

/// The strings that were found. Nothing is recorded about a string that no lint needs.
#[derive(Debug, Default)]
pub(super) struct FoundStrings {
    /// The name of glibc's modules for character sets.
    pub(super) gconv: bool,
    /// The message of a failing debug assertion of `core`.
    pub(super) assertion: bool,
    /// The message that jemalloc writes before it aborts.
    pub(super) jemalloc: bool,
    /// The beginning of a path of the machine that built it.
    pub(super) path: Option<Vec<u8>>,
}

impl FoundStrings {
    /// Searches for what the `lints` lints need.
    pub(super) fn read(
        source: Source<'_>,
        facts: &Facts,
        policy: &Policy,
        lints: &[&str],
    ) -> Result<Self, ReadError> {
        let is_wanted = |lint: &str| lints.contains(&lint);
        let mut strings = FoundStrings::default();
        let mut searches = [
            (is_wanted("static-glibc"), &needle::GCONV, &mut strings.gconv),
            (is_wanted("leftovers"), &needle::ASSERTION, &mut strings.assertion),
            (is_wanted("allocator-page-size"), &needle::JEMALLOC, &mut strings.jemalloc),
        ]
        .into_iter()
        .filter(|(lints, ..)| *lints)
        .map(|(_, needle, found)| (Finder::new(&needle.bytes()).into_owned(), found))
        .collect::<Vec<_>>();
        let mut paths = is_wanted("build-path").then(|| BuildPathSearch::new(policy));
        if searches.is_empty() && paths.is_none() {
            return Ok(strings);
        }
        facts.search(source, |window, limit| {
            for (finder, found) in &mut searches {
                **found = **found || finder.find(window).is_some();
            }
            if let Some(paths) = &mut paths {
                paths.search(window, limit);
            }
            let all = searches.iter().all(|(_, found)| **found);
            !(all && paths.as_ref().is_none_or(|paths| paths.known.is_some()))
        })?;
        drop(searches);
        strings.path = paths.and_then(|paths| paths.known.or(paths.home));
        Ok(strings)
    }
}

impl FoundStrings {
    /// Returns the beginning of a path of the machine that built it, anywhere in the file.
    pub(super) fn find_build_path(
        source: Source<'_>,
        policy: &Policy,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let mut paths = BuildPathSearch::new(policy);
        source.for_each_window(0..source.size(), |window, limit| {
            paths.search(window, limit);
            paths.known.is_none()
        })?;
        Ok(paths.known.or(paths.home))
    }
}

/// Directories that do not belong in a released file.
struct BuildPathSearch<'a> {
    directories: Vec<(&'a str, Finder<'a>)>,
    homes: Vec<Finder<'static>>,
    /// The first of the policy's directories.
    known: Option<Vec<u8>>,
    /// The first path in a home directory.
    home: Option<Vec<u8>>,
}

impl<'a> BuildPathSearch<'a> {
    fn new(policy: &'a Policy) -> Self {
        let directories = policy.build_paths().iter();
        let owned = |parent: &Needle| Finder::new(&parent.bytes()).into_owned();
        BuildPathSearch {
            directories: directories.map(|path| (path.as_str(), Finder::new(path))).collect(),
            homes: needle::HOMES.iter().map(owned).collect(),
            known: None,
            home: None,
        }
    }

    fn search(&mut self, window: &[u8], limit: usize) {
        if self.known.is_none() {
            let mut found = self.directories.iter().filter_map(|(path, finder)| {
                let at = find_directory(window, path.as_bytes(), finder)?;
                (at < limit).then(|| take_path(window.get(at..).unwrap_or_default()).to_vec())
            });
            self.known = found.next();
        }
        if self.home.is_none() {
            let found = self.homes.iter().find_map(|parent| find_home_path(window, parent, limit));
            self.home = found.map(|path| take_path(path).to_vec());
        }
    }
}

/// Returns where `path` is named as a directory or in full, and not as the beginning of another name.
fn find_directory(window: &[u8], path: &[u8], finder: &Finder<'_>) -> Option<usize> {
    finder.find_iter(window).find(|at| {
        let after = at.checked_add(path.len()).and_then(|end| window.get(end));
        !after.is_some_and(|&byte| is_name(byte))
    })
}

/// Returns the first path below a home directory.
fn find_home_path<'a>(window: &'a [u8], parent: &Finder<'_>, limit: usize) -> Option<&'a [u8]> {
    parent.find_iter(window).take_while(|at| *at < limit).find_map(|at| {
        let path = window.get(at..)?;
        let user = path.get(parent.needle().len()..)?;
        let len = user.iter().take_while(|&&byte| is_name(byte)).count();
        // A name, and something in its directory: `/home/` alone may be a program's own text.
        let inside = user.get(len) == Some(&b'/') && user.get(len + 1).is_some_and(|&b| is_name(b));
        (len > 0 && inside).then_some(path)
    })
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'@')
}

/// Returns the path at the beginning of `text`: string literals in Rust have no terminator.
fn take_path(text: &[u8]) -> &[u8] {
    let text = text.get(..MAX_SHOWN).unwrap_or(text);
    let end = text.iter().position(|&byte| !is_name(byte) && byte != b'/');
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}
