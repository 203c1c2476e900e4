//! The branches of a repository, and the paths that it ignores.

use camino::Utf8Path;

use super::{command, line, repository, unusable_error};
use crate::{model::error::Result, sys::Context};

/// Returns the default branch: that of the remote `origin`, else `main` or `master` if there is one, else the
/// current one. `None` outside of a repository, or if it is unknown.
///
/// # Errors
/// As [`repository`].
pub fn default_branch(cx: &Context, dir: &Utf8Path) -> Result<Option<String>> {
    let Some(repository) = repository(cx, dir)? else {
        return Ok(None);
    };
    let read = |args: &[&str]| {
        let output =
            cx.children.output(&command(cx, &repository.dir).args(args.iter().copied()))?;
        Ok(output.success().then(|| line(&output)).filter(|line| !line.is_empty()))
    };
    let remote = read(&["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"])?;
    if let Some(branch) = remote.as_deref().and_then(|name| name.strip_prefix("origin/")) {
        return Ok(Some(branch.to_owned()));
    }
    for name in ["main", "master"] {
        for kind in ["heads", "remotes/origin"] {
            let full = format!("refs/{kind}/{name}");
            if read(&["rev-parse", "--verify", "--quiet", &full])?.is_some() {
                return Ok(Some(name.to_owned()));
            }
        }
    }
    read(&["symbolic-ref", "--quiet", "--short", "HEAD"])
}

/// Returns whether the repository of `dir` ignores `path`, by any of its rules; `None` outside of a repository.
///
/// # Errors
/// As [`repository`].
pub fn is_ignored(cx: &Context, dir: &Utf8Path, path: &str) -> Result<Option<bool>> {
    let Some(repository) = repository(cx, dir)? else {
        return Ok(None);
    };
    let args = ["check-ignore", "--quiet", "--", path];
    // This command rejects literal paths, and `path` has no characters with a meaning.
    let command = command(cx, &repository.dir).args(args).env("GIT_LITERAL_PATHSPECS", "0");
    let output = cx.children.output(&command)?;
    match output.code {
        Some(0) => Ok(Some(true)),
        Some(1) => Ok(Some(false)),
        _ => Err(unusable_error(&repository.marker, &output)),
    }
}

/// Returns the commit that is checked out, if a branch of the remote `origin` has it; `None` otherwise, or outside of
/// a repository.
///
/// # Errors
/// As [`repository`].
pub fn published_commit(cx: &Context, dir: &Utf8Path) -> Result<Option<String>> {
    let Some(repository) = repository(cx, dir)? else {
        return Ok(None);
    };
    let run = |args: &[&str]| {
        let output =
            cx.children.output(&command(cx, &repository.dir).args(args.iter().copied()))?;
        Ok(output.success().then(|| line(&output)).filter(|line| !line.is_empty()))
    };
    let branches = ["for-each-ref", "--contains", "HEAD", "--count=1", "refs/remotes/origin"];
    if run(&branches)?.is_none() {
        return Ok(None);
    }
    run(&["rev-parse", "--verify", "--quiet", "HEAD"])
}
