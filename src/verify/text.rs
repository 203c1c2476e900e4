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
const SHOWN: usize = 120;

/// The strings that were found. Nothing is recorded about a string that no lint needs.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// The name of glibc's modules for character sets.
    pub(super) gconv: bool,
    /// The message of a failing debug assertion of `core`.
    pub(super) assertion: bool,
    /// The message that jemalloc writes before it aborts.
    pub(super) jemalloc: bool,
    /// The beginning of a path of the machine that built it.
    pub(super) path: Option<Vec<u8>>,
}

impl Texts {
    /// Searches for what the `wanted` lints need.
    pub(super) fn read(
        source: Source<'_>,
        facts: &Facts,
        policy: &Policy,
        wanted: &[&str],
    ) -> Result<Self, ReadError> {
        let is_wanted = |lint: &str| wanted.contains(&lint);
        let mut texts = Texts::default();
        let mut looked_for = [
            (is_wanted("static-glibc"), &needle::GCONV, &mut texts.gconv),
            (is_wanted("leftovers"), &needle::ASSERTION, &mut texts.assertion),
            (is_wanted("allocator-page-size"), &needle::JEMALLOC, &mut texts.jemalloc),
        ]
        .into_iter()
        .filter(|(wanted, ..)| *wanted)
        .map(|(_, needle, found)| (Finder::new(&needle.bytes()).into_owned(), found))
        .collect::<Vec<_>>();
        let mut paths = is_wanted("build-path").then(|| Paths::new(policy));
        if looked_for.is_empty() && paths.is_none() {
            return Ok(texts);
        }
        facts.search(source, |window, limit| {
            for (finder, found) in &mut looked_for {
                **found = **found || finder.find(window).is_some();
            }
            if let Some(paths) = &mut paths {
                paths.look(window, limit);
            }
            let all = looked_for.iter().all(|(_, found)| **found);
            !(all && paths.as_ref().is_none_or(|paths| paths.known.is_some()))
        })?;
        drop(looked_for);
        texts.path = paths.and_then(|paths| paths.known.or(paths.home));
        Ok(texts)
    }
}

impl Texts {
    /// Returns the beginning of a path of the machine that built it, anywhere in the file.
    pub(super) fn paths(source: Source<'_>, policy: &Policy) -> Result<Option<Vec<u8>>, ReadError> {
        let mut paths = Paths::new(policy);
        source.for_each_window(0..source.size(), |window, limit| {
            paths.look(window, limit);
            paths.known.is_none()
        })?;
        Ok(paths.known.or(paths.home))
    }
}

/// Directories that do not belong in a released file.
struct Paths<'a> {
    directories: Vec<(&'a str, Finder<'a>)>,
    homes: Vec<Finder<'static>>,
    /// The first of the policy's directories.
    known: Option<Vec<u8>>,
    /// The first path in a home directory.
    home: Option<Vec<u8>>,
}

impl<'a> Paths<'a> {
    fn new(policy: &'a Policy) -> Self {
        let directories = policy.build_paths().iter();
        let owned = |parent: &Needle| Finder::new(&parent.bytes()).into_owned();
        Paths {
            directories: directories.map(|path| (path.as_str(), Finder::new(path))).collect(),
            homes: needle::HOMES.iter().map(owned).collect(),
            known: None,
            home: None,
        }
    }

    fn look(&mut self, window: &[u8], limit: usize) {
        if self.known.is_none() {
            let mut found = self.directories.iter().filter_map(|(path, finder)| {
                let at = find_directory(window, path.as_bytes(), finder)?;
                (at < limit).then(|| shown(window.get(at..).unwrap_or_default()).to_vec())
            });
            self.known = found.next();
        }
        if self.home.is_none() {
            let found = self.homes.iter().find_map(|parent| home(window, parent, limit));
            self.home = found.map(|path| shown(path).to_vec());
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
fn home<'a>(window: &'a [u8], parent: &Finder<'_>, limit: usize) -> Option<&'a [u8]> {
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
fn shown(text: &[u8]) -> &[u8] {
    let text = text.get(..SHOWN).unwrap_or(text);
    let end = text.iter().position(|&byte| !is_name(byte) && byte != b'/');
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}
