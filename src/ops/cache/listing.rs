//! The files of a package, for build scripts that name no inputs: cargo runs them again when any
//! file of the package changes.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        command::Command,
        error::{Error, Result},
    },
    sys::{Context, fs, tree},
};

/// Variables that point git at another repository.
const REPOSITORY_VARIABLES: [&str; 5] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"];

/// Returns the files of the package at `root` as cargo lists them, sorted: those that git does not
/// ignore, or all without a repository or if `Cargo.toml` has `include`. Packages nested in it and
/// `target`, where cargo builds, are left out.
pub(super) fn package_files(
    cx: &Context,
    root: &Utf8Path,
    target: &Utf8Path,
) -> Result<Vec<Utf8PathBuf>> {
    let manifest = fs::read(&root.join("Cargo.toml")).unwrap_or_default();
    let manifest = String::from_utf8_lossy(&manifest);
    let has_include = manifest.lines().any(|line| line.trim_start().starts_with("include"));
    let tracked = if has_include { None } else { git_files(cx, root)? };
    let files = match tracked {
        Some(files) => {
            let mut all = Vec::new();
            for file in files {
                // A submodule, or a link to a directory.
                if file.is_dir() {
                    all.extend(tree::tracked_paths(&file, target))
                } else {
                    all.push(file)
                }
            }
            all
        }
        None => tree::package_files(root, target)?,
    };
    let nested: BTreeSet<&Utf8Path> = files
        .iter()
        .filter(|file| file.file_name() == Some("Cargo.toml"))
        .filter_map(|file| file.parent())
        .filter(|dir| *dir != root)
        .collect_set();
    let own = |file: &&Utf8PathBuf| {
        !file.ancestors().any(|dir| nested.contains(dir)) && !file.starts_with(target)
    };
    let mut files: Vec<Utf8PathBuf> = files.iter().filter(own).cloned().collect();
    files.sort_stable();
    files.dedup();
    Ok(files)
}

/// Returns the files below `root` that git tracks or does not ignore; `None` outside of a repository.
fn git_files(cx: &Context, root: &Utf8Path) -> Result<Option<Vec<Utf8PathBuf>>> {
    if cx.env.which("git").is_none() {
        return Ok(None);
    }
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."];
    let command = Command::new("git").args(arguments).dir(root);
    let command =
        REPOSITORY_VARIABLES.iter().fold(command, |command, name| command.env_remove(*name));
    let output = cx.children.output(&command)?;
    if !output.success() {
        return Ok(None);
    }
    // A file that cannot be named here cannot be compared; its package is compiled again.
    let text = String::from_utf8(output.stdout)
        .map_err(|_| Error::usage(format!("`{root}` has a file with a name that is not UTF-8")))?;
    let names: Vec<_> = text.split('\0').filter(|name| !name.is_empty()).collect();
    // The directory itself may be ignored, or belong to an enclosing, unrelated repository.
    if !names.contains(&"Cargo.toml") {
        return Ok(None);
    }
    Ok(Some(names.into_iter().map(|name| root.join(name)).collect()))
}
