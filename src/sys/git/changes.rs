//! The files of a work tree that differ from its commit.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Repository, command, escape, line, read, unusable_error};
use crate::{
    build::cache::HEADER,
    model::{command::Command, error::Result, schema::dist::Changes},
    sys::{Context, directory, fs, process::Output},
};

/// The maximum number of changed files that are named.
const MAX_NAMED: usize = 5;

/// The files that longshore and cargo write into a target directory, if it contains files of the user,
/// too.
const BUILD_FILES: [&str; 11] = [
    "CACHEDIR.TAG",
    ".rustc_info.json",
    "debug",
    "dist",
    "dist.failed",
    "dist.lock",
    "dist.old",
    "dist.partial",
    "longshore",
    "longshore-again",
    "release",
];

/// Untracked files that are not changes of the source: files that a build writes must not make the next
/// one differ. A tracked file always counts.
#[derive(Clone, Debug, Default)]
pub struct Excluded {
    /// The target directory.
    pub target: Utf8PathBuf,
    /// Directories of caches.
    pub caches: Vec<Utf8PathBuf>,
}

/// Returns the files of the workspace in `repository.dir`, and in the directories `more`, that differ
/// from `HEAD`; `None` if there are none.
pub(super) fn changes(
    cx: &Context,
    repository: &Repository,
    more: &[Utf8PathBuf],
    excluded: &Excluded,
) -> Result<Option<Changes>> {
    let Repository { marker, top, dir } = repository;
    let more = more.iter().filter_map(|path| fs::canonicalize(path).ok());
    let more: Vec<String> =
        more.filter(|path| path.starts_with(top)).map(Utf8PathBuf::into_string).collect();
    let scope = |args: &[&str]| -> Command {
        command(cx, dir).args(args.iter().copied()).args(["--", "."]).args(more.iter().cloned())
    };
    let succeed = |output: Output| match output.success() {
        true => Ok(output),
        false => Err(unusable_error(marker, &output)),
    };
    let listed = succeed(cx.children.output(&scope(&["ls-files", "-v", "-z"]))?)?;
    let index = visible_index(cx, repository, &listed.stdout)?;
    let mut status = scope(&[
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=normal",
        "--ignore-submodules=none",
    ]);
    if let Some((_, path)) = &index {
        status = status.env("GIT_INDEX_FILE", path.as_str());
    }
    let output = succeed(cx.children.output(&status)?)?;
    let own = ExcludedPaths::new(top, excluded, || {
        let target = ["ls-files", "-z", "--", excluded.target.as_str()];
        let inside = fs::canonicalize(&excluded.target).is_ok_and(|path| path.starts_with(top));
        Ok(inside && !read(cx, dir, marker, &target)?.stdout.is_empty())
    })?;
    let mut found = Changes { count: 0, files: Vec::new() };
    for entry in output.stdout.split(|byte| *byte == 0) {
        // Two letters of state, a space, and the path from the top.
        let Some(name) = entry.get(3..) else { continue };
        if entry.starts_with(b"??")
            && own.contains(&top.as_std_path().join(OsStr::from_bytes(name)))
        {
            continue;
        }
        found.count += 1;
        if found.files.len() < MAX_NAMED {
            let below = dir.strip_prefix(top).unwrap_or(Utf8Path::new(""));
            let prefix = format!("{below}/");
            let shown = name.strip_prefix(prefix.as_bytes()).unwrap_or(name);
            found.files.push(escape(shown));
        }
    }
    Ok((found.count > 0).then_some(found))
}

/// Returns a copy of the index in which nothing hides a change, with the directory it is in; `None` if
/// nothing does. `listed` is the output of `ls-files -v -z`: a lowercase letter marks a file that git
/// is to assume unchanged, and `S` one that it is to skip.
fn visible_index(
    cx: &Context,
    repository: &Repository,
    listed: &[u8],
) -> Result<Option<(fs::TempDir, Utf8PathBuf)>> {
    let Repository { marker, dir, .. } = repository;
    let sparse = command(cx, dir).args(["config", "--type=bool", "core.sparseCheckout"]);
    let mut sparse_checkout = None;
    let (mut assumed, mut skipped) = (Vec::new(), Vec::new());
    for entry in listed.split(|byte| *byte == 0) {
        let [letter, b' ', path @ ..] = entry else { continue };
        if letter.is_ascii_lowercase() {
            assumed.extend([path, b"\0"].concat());
        }
        if letter.eq_ignore_ascii_case(&b'S') {
            let is_sparse = match sparse_checkout {
                Some(is_sparse) => is_sparse,
                None => line(&cx.children.output(&sparse)?) == "true",
            };
            sparse_checkout = Some(is_sparse);
            let path_here = dir.as_std_path().join(OsStr::from_bytes(path));
            // A sparse checkout leaves files out; one that is there counts all the same.
            if !is_sparse || path_here.symlink_metadata().is_ok() {
                skipped.extend([path, b"\0"].concat());
            }
        }
    }
    if assumed.is_empty() && skipped.is_empty() {
        return Ok(None);
    }
    let index = read(cx, dir, marker, &["rev-parse", "--git-path", "index"])?;
    let copies = fs::TempDir::new("longshore-git")?;
    let copy = copies.path.join("index");
    fs::write(&copy, &fs::read(&dir.join(line(&index)))?)?;
    for (flag, paths) in [("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)] {
        let update = command(cx, dir)
            .args(["update-index", "-z", flag, "--stdin"])
            .env("GIT_INDEX_FILE", copy.as_str());
        let mut stderr = Vec::new();
        let take = |_, bytes: &[u8]| stderr.extend_from_slice(bytes);
        let mut output = cx.children.stream(&update, Some(paths), take)?;
        output.stderr = stderr;
        if !output.success() {
            return Err(unusable_error(marker, &output));
        }
    }
    Ok(Some((copies, copy)))
}

/// Decides which untracked files are not changes of the source.
struct ExcludedPaths {
    target: PathBuf,
    /// Whether the user has tracked files in the target directory.
    shared: bool,
    caches: Vec<PathBuf>,
}

impl ExcludedPaths {
    fn new(
        top: &Utf8Path,
        excluded: &Excluded,
        shared: impl FnOnce() -> Result<bool>,
    ) -> Result<Self> {
        let real = |path: &Utf8PathBuf| {
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            // A directory around the repository excludes nothing.
            (path != *top && path.starts_with(top)).then(|| path.into_std_path_buf())
        };
        Ok(ExcludedPaths {
            shared: shared()?,
            target: fs::canonicalize(&excluded.target)
                .unwrap_or_else(|_| excluded.target.clone())
                .into_std_path_buf(),
            caches: excluded.caches.iter().filter_map(real).collect(),
        })
    }

    /// Returns whether all of `path`, a file or a directory, is excluded.
    fn contains(&self, path: &Path) -> bool {
        let written = |path: &Path| {
            let Ok(below) = path.strip_prefix(&self.target) else { return false };
            let first = below.components().next();
            let name = first.and_then(|first| first.as_os_str().to_str());
            if self.shared { name.is_some_and(|name| BUILD_FILES.contains(&name)) } else { true }
        };
        if written(path) || self.caches.iter().any(|cache| path.starts_with(cache)) {
            return true;
        }
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            let Ok(entries) = directory::entries(path) else { return false };
            return !entries.is_empty()
                && entries.iter().all(|name| self.contains(&path.join(name)));
        }
        is_saved_cache(path)
    }
}

/// Returns whether `path` is a file of a cache that `cache save` wrote.
fn is_saved_cache(path: &Path) -> bool {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return false;
    };
    let archive = name
        .strip_suffix(".tar.zst")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let temporary = name.starts_with("longshore-cache.") && name.ends_with(".tmp");
    (name == HEADER || archive || temporary) && dir.join(HEADER).is_file()
}
