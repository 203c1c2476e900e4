//! A commit of a repository elsewhere, in a separate clone.

use camino::Utf8Path;

use super::{command, message};
use crate::{
    model::{
        command::Command,
        error::{Error, Result, Status},
    },
    sys::{Context, fs},
};

/// Clones the repository at `url` to `path`, and checks out the commit `hash` with its submodules. `shown` is
/// the URL for people. No hook runs, and git does not prompt.
///
/// # Errors
/// The repository cannot be reached, or does not have the commit or one of its submodules.
pub fn clone(cx: &Context, url: &str, shown: &str, path: &Utf8Path, hash: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(Utf8Path::new("/"));
    fs::create_dir_all(parent)?;
    // The repository is the user's own choice, so that a helper may have the credentials for it.
    let git = |dir: &Utf8Path| {
        command(cx, dir)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LFS_SKIP_SMUDGE", "0")
            .with_credentials()
    };
    let run = |command: Command| cx.children.output(&command);
    let cloned =
        run(git(parent).args(["clone", "--quiet", "--no-checkout", "--", url, path.as_str()]))?;
    if !cloned.success() {
        let message = message(&cloned).replace(url, shown);
        return Err(Error::new(Status::Registry, format!("`{shown}` cannot be cloned: {message}"))
            .hint("is the URL right, and does git have the credentials for it?"));
    }
    let object = format!("{hash}^{{commit}}");
    let mut there = run(git(path).args(["cat-file", "-e", object.as_str()]))?;
    if !there.success() {
        // A commit that no branch or tag has; some servers send it all the same.
        run(git(path).args(["fetch", "--quiet", "origin", hash]))?;
        there = run(git(path).args(["cat-file", "-e", object.as_str()]))?;
    }
    if !there.success() {
        return Err(super::gone_error(shown, hash));
    }
    for args in [
        &["checkout", "--quiet", "--detach", "--force", hash][..],
        &["submodule", "--quiet", "update", "--init", "--recursive"],
    ] {
        let output = run(git(path).args(args.iter().copied()))?;
        if !output.success() {
            let message = message(&output).replace(url, shown);
            let error = format!("commit `{hash}` of `{shown}` cannot be checked out: {message}");
            return Err(Error::build(error));
        }
    }
    Ok(())
}
