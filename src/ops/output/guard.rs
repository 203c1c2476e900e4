//! The paths that an output may replace: an earlier output of longshore, an empty directory, or
//! nothing. Everything else belongs to the user.

use camino::{Utf8Path, Utf8PathBuf};

use super::manifest;
use crate::{
    model::{
        error::{Error, Result},
        schema::dist::FILE,
    },
    sys::{
        Context,
        fs::{self, FileType},
    },
};

/// The largest marker that is read.
const MAX_MARKER: u64 = 64 << 10;

/// The file that marks a directory of a failed run as longshore's.
pub(in crate::ops) const MARKER: &str = ".longshore";
/// Its content.
pub(in crate::ops) const MARKER_TEXT: &str =
    "longshore: this directory is removed by the next run\n";

/// The files that cargo writes to the directory of a profile (`cargo build --profile dist`).
const CARGO_FILES: [&str; 3] = [".fingerprint", ".cargo-lock", "deps"];

/// The files in the root of a source tree.
const SOURCE_ROOT_FILES: [&str; 5] = ["Cargo.toml", ".git", ".hg", ".jj", ".svn"];

/// The inputs of a command, which its output must not replace.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct ProtectedInputs {
    /// The directory of the workspace.
    pub(in crate::ops) workspace: Option<Utf8PathBuf>,
    /// The parts of a merge.
    pub(in crate::ops) parts: Vec<Utf8PathBuf>,
    /// The option that selects another output directory, for hints.
    pub(in crate::ops) option: &'static str,
}

impl ProtectedInputs {
    /// Returns those of `dist` and `build`.
    pub(in crate::ops) fn for_build(workspace: &Utf8Path) -> Self {
        let workspace = Some(workspace.to_owned());
        ProtectedInputs { workspace, parts: Vec::new(), option: "`--target-dir DIR`" }
    }
}

/// Checks that `output`, which has to be a path that [`fs::resolve`] returned, can be replaced.
///
/// # Errors
/// It is a file, holds files that are not longshore's, or contains an input.
pub(in crate::ops) fn check(
    cx: &Context,
    output: &Utf8Path,
    inputs: &ProtectedInputs,
) -> Result<()> {
    let option = inputs.option;
    let reject = |what: String| Error::usage(format!("`{output}` cannot be replaced: {what}"));
    let elsewhere = || format!("choose another output directory with {option}");
    if output.parent().is_none() {
        return Err(reject("it is the root directory".to_owned()).hint(elsewhere()));
    }
    if contains(output, &cx.env.dir) {
        let what = match fs::is_same_file(output, &cx.env.dir) {
            true => "it is the current directory",
            false => "the current directory is in it",
        };
        return Err(reject(what.to_owned())
            .hint(format!("run the command from another directory, or {}", elsewhere())));
    }
    if let Some(workspace) = &inputs.workspace
        && contains(output, &fs::resolve(workspace)?)
    {
        return Err(reject(format!("the workspace `{workspace}` is in it")).hint(elsewhere()));
    }
    for part in &inputs.parts {
        let real = fs::resolve(part)?;
        if contains(output, &real) || contains(&real, output) {
            return Err(reject(format!("it would overwrite the part `{part}`")).hint(elsewhere()));
        }
    }
    if output.symlink_metadata().is_err() {
        return Ok(());
    }
    match fs::file_type(output, false)? {
        FileType::Directory => {}
        FileType::File { .. } => {
            return Err(reject("expected a directory, found a file".to_owned())
                .hint(format!("remove it yourself, or {}", elsewhere())));
        }
        _ => return Err(reject("it is not a directory".to_owned()).hint(elsewhere())),
    }
    check_content(output, option)
}

fn check_content(output: &Utf8Path, option: &str) -> Result<()> {
    let reject = |what: String| Error::usage(format!("`{output}` cannot be replaced: {what}"));
    let has = |name: &&&str| output.join(name).symlink_metadata().is_ok();
    if CARGO_FILES.iter().any(|name| has(&name)) {
        return Err(reject(
            "it holds files that cargo built with a profile named `dist`".to_owned(),
        )
        .hint(format!(
            "remove them with `cargo clean --profile dist`, rename the profile, or choose \
                 another output directory with {option}"
        )));
    }
    if let Some(name) = SOURCE_ROOT_FILES.iter().find(has) {
        return Err(reject(format!("it is a source directory, with `{name}`"))
            .hint(format!("choose another output directory with {option}")));
    }
    if fs::is_empty_dir(output)? || manifest::is_output(output) || is_damaged_output(output) {
        return Ok(());
    }
    Err(reject("it is not empty, and was not made by longshore (no valid `dist.json`)".to_owned())
        .hint(format!(
            "choose another output directory with {option}, or remove `{output}` yourself"
        )))
}

/// Returns whether `outer` is `inner` or one of the directories above it, by path or by inode: a
/// directory can be mounted in two places.
fn contains(outer: &Utf8Path, inner: &Utf8Path) -> bool {
    inner.ancestors().any(|above| above == outer || fs::is_same_file(above, outer))
}

/// Returns whether the directory is an output with a damaged `dist.json`: it has the log of a build and
/// only files of an output.
fn is_damaged_output(dir: &Utf8Path) -> bool {
    let is_file =
        |path: &str| matches!(fs::file_type(&dir.join(path), false), Ok(FileType::File { .. }));
    is_file(FILE)
        && is_file("logs/build.log")
        && fs::names(dir).is_ok_and(|names| {
            names
                .iter()
                .all(|name| [FILE, "logs", "archives", "image", "linux"].contains(&name.as_str()))
        })
}

/// Checks that a directory beside an output, which a run uses and removes, is of an earlier run.
///
/// # Errors
/// It holds something else.
pub(in crate::ops) fn check_beside(path: &Utf8Path, option: &str) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let is_directory = matches!(fs::file_type(path, false)?, FileType::Directory);
    let own = is_directory && (fs::is_empty_dir(path)? || is_marked(path));
    if own {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`{path}` is in the way: longshore uses this name, and did not make it"
    ))
    .hint(format!("rename or remove it, or choose another output directory with {option}")))
}

/// Returns whether the directory is marked as one that a run made and did not finish.
pub(in crate::ops) fn is_marked(dir: &Utf8Path) -> bool {
    let marker = dir.join(MARKER);
    matches!(fs::file_type(&marker, false), Ok(FileType::File { .. }))
        && fs::read_start(&marker, MAX_MARKER)
            .is_ok_and(|text| text == MARKER_TEXT.as_bytes() || crate::sys::lock::is_mark(&text))
}
