//! git: the commit of the workspace, the files that differ from it, and checkouts of other commits.
//!
//! Every command runs without the variables that name a repository, an index or an object directory.
//! A hook of git has them in its environment, and a command that inherits `GIT_INDEX_FILE` writes to
//! the index of the commit that is being made.

mod branch;
mod changes;
mod checkout;
mod clone;
mod discovery;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::{
    branch::{default_branch, is_ignored, published_commit},
    changes::Excluded,
    checkout::{Checkout, check_out},
    clone::clone,
};
use crate::{
    model::{
        command::Command,
        error::{Error, Result, Status},
        schema::dist::Changes,
    },
    sys::{Context, access, fs, process::Output},
};

/// The variables that belong to one repository, which git itself removes before it runs a command in
/// another one: `git rev-parse --local-env-vars` (`local_repo_env` in git's `environment.c`, 2.34 to
/// 2.51). A test compares the list with the output of the installed git.
pub const LOCAL_VARIABLES: [&str; 18] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_SUPER_PREFIX",
    "GIT_WORK_TREE",
];

/// Variables that change the meaning of paths or of attributes.
const MEANING: [&str; 6] = [
    "GIT_ATTR_SOURCE",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
];

/// Settings that would start a program of the repository's choice, or hide changes.
const SETTINGS: [&str; 8] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.ignoreStat=false",
    "core.checkStat=default",
    "core.trustctime=true",
    "core.quotePath=false",
    "status.renames=false",
];

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The top directory of the work tree.
    pub top: Utf8PathBuf,
    /// Its full hash.
    pub hash: String,
    /// The files that differ from it; `None` if there are none.
    pub changes: Option<Changes>,
    /// Its committer time in seconds since 1970.
    pub time: u64,
}

/// The state of a directory as git reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryState {
    /// It is not in a repository.
    Outside,
    /// The repository has no commit yet.
    Unborn(Utf8PathBuf),
    /// The repository does not track the `Cargo.toml` of the directory: it is the repository of
    /// something else.
    Untracked(Utf8PathBuf),
    /// It is in a repository with a commit.
    At(Revision),
}

impl RepositoryState {
    /// Returns the top directory of the repository, if it is that of the directory.
    pub fn top(&self) -> Option<&Utf8Path> {
        match self {
            RepositoryState::At(revision) => Some(&revision.top),
            RepositoryState::Unborn(top) => Some(top),
            RepositoryState::Outside | RepositoryState::Untracked(_) => None,
        }
    }

    /// Returns the reason for which the revision is unknown; `None` if it is known.
    pub fn unknown_reason(&self) -> Option<String> {
        match self {
            RepositoryState::Outside => Some("not in a git repository".to_owned()),
            RepositoryState::Unborn(top) => {
                Some(format!("the git repository `{top}` has no commit yet"))
            }
            RepositoryState::Untracked(top) => {
                Some(format!("the git repository `{top}` does not track this `Cargo.toml`"))
            }
            RepositoryState::At(_) => None,
        }
    }
}

/// Returns the command `git` in `dir`, without the variables and settings that would redirect it or
/// hide changes. `safe.directory` entries of the environment are kept.
fn command(cx: &Context, dir: &Utf8Path) -> Command {
    let mut command = Command::new("git").dir(dir);
    for setting in SETTINGS {
        command = command.args(["-c", setting]);
    }
    for name in LOCAL_VARIABLES.iter().chain(&MEANING) {
        command = command.env_remove(*name);
    }
    let trusted = safe_directories(cx);
    if !trusted.is_empty() {
        command = command.env("GIT_CONFIG_COUNT", trusted.len().to_string());
        for (number, value) in trusted.iter().enumerate() {
            command = command
                .env(format!("GIT_CONFIG_KEY_{number}"), "safe.directory")
                .env(format!("GIT_CONFIG_VALUE_{number}"), *value);
        }
    }
    command
        // Paths are paths, and messages are those that are recognised here.
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("LC_ALL", "C")
        // The index belongs to the user, who may hold its lock.
        .env("GIT_OPTIONAL_LOCKS", "0")
        // A commit's hash names its own content, not that of a replacement.
        .env("GIT_NO_REPLACE_OBJECTS", "1")
}

/// Returns the values of `safe.directory` that `GIT_CONFIG_COUNT` and its variables set, as CI jobs do.
fn safe_directories(cx: &Context) -> Vec<&str> {
    let count = cx.env.var("GIT_CONFIG_COUNT").and_then(|text| text.parse::<u32>().ok());
    let entry = |number: u32| {
        let key = cx.env.var(&format!("GIT_CONFIG_KEY_{number}"))?;
        // An empty value resets the list.
        let value = cx.env.value(&format!("GIT_CONFIG_VALUE_{number}")).unwrap_or_default();
        key.eq_ignore_ascii_case("safe.directory").then_some(value)
    };
    (0..count.unwrap_or(0).min(1000)).filter_map(entry).collect()
}

/// Returns stdout without the line end that git adds.
fn line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

/// Returns the message of git: its first line that reports an error, without the word in front.
fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let reported = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    let found = text.lines().find(|line| line.starts_with("fatal: "));
    let found = found.or_else(|| text.lines().find(reported)).or_else(|| text.lines().next());
    match found {
        Some(line) => {
            escape(line.trim_start_matches("fatal: ").trim_start_matches("error: ").as_bytes())
        }
        None => format!("it ended with {}", output.ending()),
    }
}

/// Escapes `name` for a terminal: bytes that are not UTF-8 are replaced, and control characters are
/// escaped.
fn escape(name: &[u8]) -> String {
    let mut shown = String::new();
    for c in String::from_utf8_lossy(name).chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Returns the error for a repository that git cannot use.
fn unusable_error(marker: &Utf8Path, output: &Output) -> Error {
    let output_text = message(output);
    let top = marker.parent().unwrap_or(marker);
    let hint = if output_text.contains("dubious ownership") {
        format!(
            "`git config --global --add safe.directory {}` trusts it",
            crate::model::command::quote(top.as_str())
        )
    } else if output_text.contains("not a git repository") {
        "a linked worktree or a submodule needs the repository that it belongs to; without one, \
         remove `.git`"
            .to_owned()
    } else {
        format!("`git -C {} status` shows the problem", crate::model::command::quote(top.as_str()))
    };
    let error = Error::usage(format!("git cannot use the repository `{marker}`: {output_text}"));
    let all = String::from_utf8_lossy(&output.stderr);
    let error = if all.trim().lines().count() > 1 {
        error.detail(
            all.trim().lines().map(|line| escape(line.as_bytes())).collect::<Vec<_>>().join("\n"),
        )
    } else {
        error
    };
    error.hint(hint)
}

/// Runs `git` with `args` in `dir`, which must succeed; `marker` is the `.git` that is used.
fn read(cx: &Context, dir: &Utf8Path, marker: &Utf8Path, args: &[&str]) -> Result<Output> {
    let output = cx.children.output(&command(cx, dir).args(args.iter().copied()))?;
    if output.success() { Ok(output) } else { Err(unusable_error(marker, &output)) }
}

/// A repository that git can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its `.git`.
    marker: Utf8PathBuf,
    /// The directory of its work tree.
    pub top: Utf8PathBuf,
    /// The requested directory, without links.
    dir: Utf8PathBuf,
}

/// Returns the repository of `dir`; `None` outside of any. `.git` is searched for as git does it, so
/// that a repository that git cannot use is not mistaken for none.
///
/// # Errors
/// There is a repository, and git is missing or cannot use it: the message is that of git.
pub fn repository(cx: &Context, dir: &Utf8Path) -> Result<Option<Repository>> {
    let dir = fs::canonicalize(dir)?;
    let marker = discovery::marker(&cx.env, &dir);
    let output = match cx.children.output(&command(cx, &dir).args(["rev-parse", "--show-toplevel"]))
    {
        Ok(output) => output,
        Err(error) => {
            cx.children.check()?;
            let Some(marker) = marker else { return Ok(None) };
            return Err(error
                .context(format!("the repository `{marker}` cannot be read"))
                .with_status(Status::MissingTool)
                .hint(
                    "install git: the revision and the state of the source are part of a release",
                ));
        }
    };
    if !output.success() {
        return match marker {
            Some(marker) => Err(unusable_error(&marker, &output)),
            None => Ok(None),
        };
    }
    let top = fs::canonicalize(Utf8Path::new(&line(&output)))?;
    let marker = marker.unwrap_or_else(|| top.join(".git"));
    // git skips a `.git` that it cannot use, and takes the repository around it.
    let nearest = marker.parent().unwrap_or(&marker);
    if nearest != top && nearest.starts_with(&top) {
        let probe =
            command(cx, &dir).args(["--git-dir", marker.as_str(), "rev-parse", "--git-dir"]);
        let output = cx.children.output(&probe)?;
        return Err(unusable_error(&marker, &output));
    }
    Ok(Some(Repository { marker, top, dir }))
}

/// Returns the state of the workspace in `dir`. `more` are directories outside of it that belong to it;
/// files that are `excluded` do not count as changes.
///
/// # Errors
/// As [`repository`].
pub fn state(
    cx: &Context,
    dir: &Utf8Path,
    more: &[Utf8PathBuf],
    excluded: &Excluded,
) -> Result<RepositoryState> {
    let Some(repository) = repository(cx, dir)? else {
        return Ok(RepositoryState::Outside);
    };
    let Repository { marker, top, dir } = &repository;
    let log = ["log", "-1", "--format=%H %ct", "--no-show-signature"];
    let head = cx.children.output(&command(cx, dir).args(log))?;
    if !head.success() {
        return if is_unborn(cx, dir)? {
            Ok(RepositoryState::Unborn(top.clone()))
        } else {
            Err(unusable_error(marker, &head))
        };
    }
    let tracked = ["ls-files", "-z", "--error-unmatch", "--", "Cargo.toml"];
    let output = cx.children.output(&command(cx, dir).args(tracked))?;
    match output.code {
        Some(0) => {}
        // As `cargo package` decides: an ignored manifest is not that repository's.
        Some(1) => return Ok(RepositoryState::Untracked(top.clone())),
        _ => return Err(unusable_error(marker, &output)),
    }
    let text = line(&head);
    let unknown = || {
        Error::tool(format!("`git {}` printed `{}`", log.join(" "), escape(text.as_bytes())))
            .hint("expected a hash and a time in seconds")
    };
    let (hash, time) = text.trim().split_once(' ').ok_or_else(unknown)?;
    let time = time.parse().map_err(|_| unknown())?;
    let changes = changes::changes(cx, &repository, more, excluded)?;
    let top = repository.top;
    Ok(RepositoryState::At(Revision { top, hash: hash.to_owned(), changes, time }))
}

/// Returns whether `HEAD` names a branch that does not exist yet, and not one that cannot be read.
fn is_unborn(cx: &Context, dir: &Utf8Path) -> Result<bool> {
    let branch = cx.children.output(&command(cx, dir).args(["symbolic-ref", "--quiet", "HEAD"]))?;
    if !branch.success() {
        return Ok(false);
    }
    let branch = line(&branch);
    let path = ["rev-parse", "--git-path", branch.as_str()];
    let file = cx.children.output(&command(cx, dir).args(path))?;
    let file = dir.join(line(&file));
    // git reports a file without a hash in it as a branch that is not there.
    let exists = ["show-ref", "--verify", "--quiet", branch.as_str()];
    let exists = cx.children.output(&command(cx, dir).args(exists))?;
    Ok(exists.code == Some(1) && !access::exists(&file))
}

/// Returns the error for a commit that the repository `shown` does not have.
pub fn gone_error(shown: &str, hash: &str) -> Error {
    Error::usage(format!("`{shown}` has no commit `{hash}`")).hint(
        "`git fetch --tags` or `git fetch --unshallow` may bring it; `--source` names another repository",
    )
}

/// Returns the hash of the commit that `text` names in the repository of `dir`; `None` if it names
/// none.
///
/// # Errors
/// As [`repository`].
pub fn find_commit(cx: &Context, dir: &Utf8Path, text: &str) -> Result<Option<String>> {
    // A leading dash would be an option.
    if text.starts_with('-') {
        return Ok(None);
    }
    let Some(repository) = repository(cx, dir)? else {
        return Ok(None);
    };
    let name = format!("{text}^{{commit}}");
    let args = ["rev-parse", "--verify", "--quiet", name.as_str()];
    let output = cx.children.output(&command(cx, &repository.dir).args(args))?;
    let hash = line(&output).trim().to_owned();
    Ok((output.success() && !hash.is_empty()).then_some(hash))
}

/// Returns the URL of a remote of the repository of `dir`; `None` if there is no such remote. It may contain a
/// password.
///
/// # Errors
/// As [`repository`].
pub fn remote_url(cx: &Context, dir: &Utf8Path, name: &str) -> Result<Option<String>> {
    let Some(repository) = repository(cx, dir)? else {
        return Ok(None);
    };
    let args = ["remote", "get-url", "--", name];
    let output = cx.children.output(&command(cx, &repository.dir).args(args))?;
    let url = line(&output).trim().to_owned();
    Ok((output.success() && !url.is_empty()).then_some(url))
}
