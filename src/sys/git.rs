//! What git says of the workspace.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{command::Command, sys::Context};

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its full hash.
    pub hash: String,
    /// Whether the work tree differs from it.
    pub dirty: bool,
    /// Its committer time in seconds since 1970.
    pub time: u64,
}

/// The commit checked out in `dir`; `None` outside a repository, in one without a commit, and
/// where git is missing. What is in `output` makes no difference: a build that made its own tree
/// dirty would give another image the second time.
pub fn revision(cx: &Context, dir: &Utf8Path, output: &Utf8Path) -> Option<Revision> {
    // `safe.directory` refusals and the like all mean the same here: git has nothing to say.
    let git = |args: &[&str]| {
        let command = Command::new("git").args(args.iter().copied()).dir(dir);
        let output = cx.children.output(&command).ok()?;
        output.success().then(|| output.text())
    };
    let head = git(&["log", "-1", "--format=%H %ct", "--no-show-signature"])?;
    let (hash, time) = head.split_once(' ')?;
    let outside = match output.strip_prefix(dir) {
        Ok(inside) if !inside.as_str().is_empty() => format!(":(exclude){inside}"),
        _ => ".".to_owned(),
    };
    Some(Revision {
        hash: hash.to_owned(),
        dirty: git(&["status", "--porcelain", "--", ".", &outside])
            .is_none_or(|changes| !changes.is_empty()),
        time: time.parse().ok()?,
    })
}

/// Returns the top directory of the repository that `dir` is in: the nearest one with `.git`.
pub fn top(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    dir.ancestors().find(|above| above.join(".git").exists()).map(Utf8Path::to_owned)
}
