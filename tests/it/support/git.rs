//! Repositories of users.

use std::{ffi::OsStr, path::Path, process::Output};

use super::{command::plain, workspace::Workspace};

/// The configuration of git in tests, instead of the user's own.
const SETTINGS: [&str; 6] = [
    "user.name=Test",
    "user.email=test@example.org",
    "init.defaultBranch=main",
    "commit.gpgSign=false",
    "protocol.file.allow=always",
    "advice.detachedHead=false",
];

/// Runs `git` in `dir`, whatever its outcome.
pub(crate) fn run<I: AsRef<OsStr>>(
    dir: &Path,
    args: impl IntoIterator<Item = I>,
    env: &[(&str, &str)],
) -> Output {
    let mut command = plain("git");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.args(args).current_dir(dir).envs(env.iter().copied()).output().unwrap()
}

/// Returns the output of `git` in `dir`; it must succeed.
#[track_caller]
pub(crate) fn git<I: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = I>) -> String {
    let output = run(dir, args, &[]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Makes a repository of all that is in `workspace`, with one commit, and returns its hash.
pub(crate) fn committed(workspace: &Workspace) -> String {
    git(workspace.root(), ["init", "--quiet"]);
    commit(workspace, "one")
}

/// Commits everything, and returns the hash.
pub(crate) fn commit(workspace: &Workspace, message: &str) -> String {
    git(workspace.root(), ["add", "--all"]);
    git(workspace.root(), ["commit", "--quiet", "--message", message]);
    git(workspace.root(), ["rev-parse", "HEAD"])
}

/// Returns the package `hello` in a repository with one commit, and its hash.
pub(crate) fn hello() -> (Workspace, String) {
    let workspace = Workspace::hello().file(".gitignore", "/target\n");
    let hash = committed(&workspace);
    (workspace, hash)
}
