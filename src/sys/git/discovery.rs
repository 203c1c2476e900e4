//! The search for a repository, as git does it.

use camino::{Utf8Path, Utf8PathBuf};

use crate::sys::{access, env::Env, fs};

/// Returns the nearest `.git` in `dir`, which has no links in its path, or in a directory above it. The
/// search ends where git's own ends: at `GIT_CEILING_DIRECTORIES`, and at the boundary of the file
/// system unless `GIT_DISCOVERY_ACROSS_FILESYSTEM` is set (git(1)). An empty `.git` directory is not
/// one.
pub(super) fn marker(env: &Env, dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let across = env.var("GIT_DISCOVERY_ACROSS_FILESYSTEM").is_some_and(is_true);
    let device = access::device(dir);
    let ceilings = ceilings(env.value("GIT_CEILING_DIRECTORIES").unwrap_or_default());
    for (depth, ancestor) in dir.ancestors().enumerate() {
        // The directory itself is always searched.
        if depth > 0 {
            let outside = !across && access::device(ancestor) != device;
            if outside || ceilings.iter().any(|ceiling| ceiling == ancestor) {
                return None;
            }
        }
        let marker = ancestor.join(".git");
        let is_empty = || marker.is_dir() && fs::names(&marker).is_ok_and(|names| names.is_empty());
        if access::exists(&marker) && !is_empty() {
            return Some(marker);
        }
    }
    None
}

/// Returns the directories that a search must not enter. Links in those before an empty entry are
/// followed.
fn ceilings(list: &str) -> Vec<Utf8PathBuf> {
    let mut follow = true;
    let mut ceilings = Vec::new();
    for entry in list.split(':') {
        let path = Utf8Path::new(entry);
        if entry.is_empty() {
            follow = false;
        } else if path.is_absolute() {
            let real = if follow { fs::canonicalize(path).ok() } else { None };
            let path = real.unwrap_or_else(|| path.to_owned());
            // Without a slash at its end.
            ceilings.push(path.components().collect());
        }
    }
    ceilings
}

/// Returns a boolean of git's environment (`git_env_bool`).
fn is_true(text: &str) -> bool {
    let number = text.parse::<i64>().is_ok_and(|number| number != 0);
    number || ["true", "yes", "on"].iter().any(|word| text.eq_ignore_ascii_case(word))
}
