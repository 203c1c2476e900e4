//! The one reader of directories, and the one walk through a tree of them.

use std::{
    ffi::OsString,
    fs::Metadata,
    io::{self, ErrorKind},
    path::Path,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::fs::file_error;
use crate::model::{
    collect::SortStable as _,
    error::{Error, Result},
};

/// A depth of directories that is enough for every caller.
pub const DEPTH: usize = 128;

/// Returns the names in a directory, in no order.
///
/// # Errors
/// It cannot be read.
pub fn entries(path: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// Returns whether a directory holds nothing.
///
/// # Errors
/// It cannot be read.
pub fn is_empty(path: &Utf8Path) -> Result<bool> {
    let mut entries =
        std::fs::read_dir(path).map_err(|error| file_error("read directory", path, error))?;
    Ok(entries.next().is_none())
}

/// Returns the names in a directory, sorted; none when it is not there.
///
/// # Errors
/// It is there and cannot be read, or holds a name that is not UTF-8.
pub fn names(path: &Utf8Path) -> Result<Vec<String>> {
    let names = entries_if_present(path)?.into_iter().map(|name| utf8(path, name));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort_stable();
    Ok(names)
}

/// Returns the names in a directory of sources, sorted, without those that are not UTF-8: cargo accepts
/// such files, and no file that is searched for has such a name.
///
/// # Errors
/// It is there and cannot be read.
pub fn source_names(path: &Utf8Path) -> Result<Vec<String>> {
    let names = entries_if_present(path)?.into_iter().filter_map(|name| name.into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_stable();
    Ok(names)
}

fn entries_if_present(path: &Utf8Path) -> Result<Vec<OsString>> {
    match entries(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(|error| file_error("read directory", path, error)),
    }
}

fn utf8(directory: &Utf8Path, name: OsString) -> Result<String> {
    name.into_string().map_err(|name| {
        let shown = name.to_string_lossy().into_owned();
        Error::build(format!("the name of `{directory}/{shown}` is not UTF-8"))
            .hint("rename it: such a name cannot be kept here")
    })
}

/// A walk through all that is below a directory, in the order of names. Links are not followed. What
/// cannot be read is a step, too.
#[derive(Debug)]
pub struct Walk {
    deepest: usize,
    /// The directory that is read next.
    next: Option<Utf8PathBuf>,
    /// The directories around the last step.
    open: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    path: Utf8PathBuf,
    rest: std::vec::IntoIter<OsString>,
}

/// A step of a walk.
#[derive(Debug)]
pub enum WalkStep {
    /// An entry of a directory. If it is a directory, [`Walk::skip_contents`] leaves out what is in it.
    Entry(Utf8PathBuf, Metadata),
    /// The beginning of a directory, with the names in it that are UTF-8. [`Walk::skip_contents`] leaves them out.
    Directory(Utf8PathBuf, Vec<String>),
    /// An entry that cannot be read.
    Unreadable(Utf8PathBuf, Error),
    /// A directory with an entry with a name that is not UTF-8.
    NotUtf8(Utf8PathBuf, Error),
}

impl Walk {
    /// Returns a walk through the contents of `root`, with at most `deepest` levels of directories
    /// below it.
    pub fn new(root: &Utf8Path, deepest: usize) -> Self {
        Walk { deepest, next: Some(root.to_owned()), open: Vec::new() }
    }

    /// Leaves out what is in the directory of the last step.
    pub fn skip_contents(&mut self) {
        if self.next.take().is_none() {
            self.open.pop();
        }
    }

    fn read(&mut self, path: Utf8PathBuf) -> WalkStep {
        if self.open.len() > self.deepest {
            let why = format!("it is more than {} directories deep", self.deepest);
            return WalkStep::Unreadable(path, Error::check(why));
        }
        let mut entries = match entries(&path) {
            Ok(entries) => entries,
            Err(error) => {
                let error = file_error("read directory", &path, error);
                return WalkStep::Unreadable(path, error);
            }
        };
        entries.sort_stable();
        let names = entries.iter().filter_map(|name| name.to_str().map(str::to_owned)).collect();
        self.open.push(Level { path: path.clone(), rest: entries.into_iter() });
        WalkStep::Directory(path, names)
    }
}

impl Iterator for Walk {
    type Item = WalkStep;

    fn next(&mut self) -> Option<WalkStep> {
        if let Some(path) = self.next.take() {
            return Some(self.read(path));
        }
        let (level, name) = loop {
            let level = self.open.last_mut()?;
            match level.rest.next() {
                Some(name) => break (level, name),
                None => drop(self.open.pop()),
            }
        };
        let path = match utf8(&level.path, name) {
            Ok(name) => level.path.join(name),
            Err(error) => return Some(WalkStep::NotUtf8(level.path.clone(), error)),
        };
        Some(match path.symlink_metadata() {
            Ok(meta) => {
                self.next = meta.is_dir().then(|| path.clone());
                WalkStep::Entry(path, meta)
            }
            Err(error) => {
                let error = file_error("read", &path, error);
                WalkStep::Unreadable(path, error)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    fn steps(walk: &mut Walk, root: &Utf8Path, skip: &str) -> Vec<String> {
        let mut steps = Vec::new();
        while let Some(step) = walk.next() {
            let (what, path) = match step {
                WalkStep::Entry(path, _) => ("entry", path),
                WalkStep::Directory(path, _) => ("in", path),
                WalkStep::Unreadable(path, _) | WalkStep::NotUtf8(path, _) => ("not", path),
            };
            steps.push(format!("{what} {}", path.strip_prefix(root).unwrap()));
            if steps.last().is_some_and(|last| last == skip) {
                walk.skip_contents();
            }
        }
        steps
    }

    #[test]
    fn directories_are_walked_in_order_and_can_be_left_out() {
        let dir = fs::TempDir::new("longshore-walk-test").unwrap();
        for name in ["b/x", "b/deep/y", "a", "c"] {
            fs::write(&dir.path.join(name), b"").unwrap();
        }
        let walked = |skip| steps(&mut Walk::new(&dir.path, DEPTH), &dir.path, skip);
        let all = [
            "in ",
            "entry a",
            "entry b",
            "in b",
            "entry b/deep",
            "in b/deep",
            "entry b/deep/y",
            "entry b/x",
            "entry c",
        ];
        assert_eq!(walked(""), all);
        assert_eq!(walked("entry b"), ["in ", "entry a", "entry b", "entry c"]);
        assert_eq!(walked("in b"), ["in ", "entry a", "entry b", "in b", "entry c"]);
        let shallow = steps(&mut Walk::new(&dir.path, 1), &dir.path, "");
        assert!(shallow.contains(&"not b/deep".to_owned()), "{shallow:?}");
    }
}
