//! The output directory. A new output is made in a directory beside it, and the two are exchanged in
//! one step when it is complete: a reader sees the old output or the new one.

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    guard::{self, MARKER, MARKER_TEXT, ProtectedInputs},
    manifest,
};
use crate::{
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{Dist, dist::FILE},
    },
    sys::{
        Context, durable, fs,
        lock::{self, OutputLock},
        replace::{self, RenameObstacle},
        tree::{self, EntryKind},
    },
};

/// Compressed layers of an output that is not in a target directory, below the stage.
const LAYER_DIRECTORY: &str = ".longshore-store";

/// The use of the files of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum Purpose {
    /// They replace the output. After a failure they are kept with the logs of the build.
    Build,
    /// They replace the output.
    Replace,
    /// They are removed: the output is only read.
    Read,
}

/// An output that is being made.
#[derive(Debug)]
pub struct Stage {
    /// The directory in which it is being made.
    pub root: Utf8PathBuf,
    output: Utf8PathBuf,
    purpose: Purpose,
    finished: bool,
    cx: Context,
    lock: OutputLock,
}

/// Checks that an output could be made, and changes nothing.
///
/// # Errors
/// As for [`Stage::begin`].
pub(in crate::ops) fn check(
    cx: &Context,
    output: &Utf8Path,
    inputs: &ProtectedInputs,
) -> Result<()> {
    let output = fs::resolve(&cx.env.dir.join(output))?;
    if is_half_copied(&output) { Ok(()) } else { guard::check(cx, &output, inputs) }
}

/// Returns whether a run was killed while it replaced the output by a copy of it, `DIR.old`; see
/// [`make_movable`].
fn is_half_copied(output: &Utf8Path) -> bool {
    let old = lock::sibling(output, "old");
    lock::is_old_marked(output)
        && guard::is_marked(&old)
        && manifest::is_output(&old)
        && !manifest::is_output(output)
}

/// Returns whether there is an output, also one that a run that was killed left as `DIR.old`.
pub(in crate::ops) fn exists(output: &Utf8Path) -> bool {
    manifest::is_output(output)
        || lock::is_old_marked(output) && manifest::is_output(&lock::sibling(output, "old"))
}

impl Stage {
    /// Begins a new output. Waits while another process makes one.
    ///
    /// # Errors
    /// The files at `output` or beside it are not longshore's, cannot be replaced, or are an input; or
    /// a directory cannot be created. Nothing is changed then.
    pub(in crate::ops) fn begin(
        cx: &Context,
        output: &Utf8Path,
        purpose: Purpose,
        inputs: &ProtectedInputs,
    ) -> Result<Self> {
        let output = fs::resolve(&cx.env.dir.join(output))?;
        if purpose != Purpose::Read {
            check(cx, &output, inputs)?;
        }
        let mut lock = fs::lock_output(cx, &output)?;
        let [old, root, failed] =
            ["old", "partial", "failed"].map(|suffix| lock::sibling(&output, suffix));
        if lock.was_replacing() {
            recover(cx, &output, &old)?;
        }
        if purpose != Purpose::Read {
            // Another process may have changed it meanwhile.
            guard::check(cx, &output, inputs)?;
        }
        guard::check_beside(&failed, inputs.option)?;
        if !lock.was_replacing() {
            guard::check_beside(&old, inputs.option)?;
        }
        if !lock.was_interrupted() {
            guard::check_beside(&root, inputs.option)?;
        }
        // Recorded first: from here on, a run that is killed leaves a directory that is known as
        // longshore's.
        lock.mark()?;
        replace::discard(cx, &root);
        replace::discard(cx, &old);
        replace::create_dir(&root)?;
        let mut stage = Stage { root, output, purpose, finished: false, cx: cx.clone(), lock };
        if purpose != Purpose::Read && stage.output.exists() {
            stage.try_replace(&old, inputs)?;
        }
        Ok(stage)
    }

    /// Checks before anything is built that the output can be replaced.
    fn try_replace(&mut self, old: &Utf8Path, inputs: &ProtectedInputs) -> Result<()> {
        let test = self.root.join(MARKER);
        replace::create_dir(&test)?;
        let fixed = replace::try_rename(&self.output, &self.root)?;
        fs::remove_dir_all(&test)?;
        match fixed {
            None => Ok(()),
            Some(RenameObstacle::CopyOnly) => {
                self.lock.mark_old()?;
                make_movable(&self.root, &self.output, old)
            }
            Some(RenameObstacle::MountPoint) => {
                let message = format!("`{}` cannot be replaced: it is a mount point", self.output);
                Err(Error::usage(message).hint(format!(
                    "mount its parent directory, or choose another output directory with {}",
                    inputs.option
                )))
            }
        }
    }

    /// Returns the path of the result.
    pub fn output(&self) -> &Utf8Path {
        &self.output
    }

    /// Returns the path at which `path` of the result is written.
    pub fn path(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path)
    }

    /// Returns the directory for compressed layers: in the target directory that the output is in,
    /// where later runs find them, or in the stage, with which they are removed.
    pub(in crate::ops) fn store(&self) -> Utf8PathBuf {
        let parent = self.output.parent().unwrap_or(&self.output);
        // Cargo's mark of a directory that holds what it built (https://bford.info/cachedir/).
        let is_target = parent.file_name() == Some("target")
            || parent.join("CACHEDIR.TAG").is_file()
            || self.cx.env.var("CARGO_TARGET_DIR").is_some_and(|dir| {
                fs::resolve(&self.cx.env.dir.join(dir)).is_ok_and(|dir| dir == parent)
            });
        if is_target { parent.join("longshore") } else { self.root.join(LAYER_DIRECTORY) }
    }

    /// Links or copies `path` from the previous output if it has exactly these bytes, so that unchanged files
    /// are not written again.
    ///
    /// # Errors
    /// It is the same, and cannot be linked or copied.
    pub fn reuse(&self, path: &str, digest: &Digest, size: u64) -> Result<bool> {
        let old = self.output.join(path);
        let same_size = fs::stamp(&old).is_some_and(|(old, ..)| old == size);
        // A file that cannot be read is not kept, but made again.
        if !same_size || !fs::digest(&old).is_ok_and(|(old, _)| old == *digest) {
            return Ok(false);
        }
        fs::link(&old, &self.path(path))?;
        Ok(true)
    }

    /// Links or copies the files of the previous output that `selected` accepts. A directory that is not selected
    /// is left out with everything in it.
    ///
    /// # Errors
    /// Something cannot be read, linked or copied.
    pub fn reuse_all(&self, selected: impl Fn(&str) -> bool) -> Result<()> {
        let skip = |path: &Utf8Path| !selected(path.as_str());
        for entry in tree::walk(&self.output, skip)? {
            let path = entry.path.as_str();
            match entry.kind {
                _ if !selected(path) => {}
                EntryKind::Directory => fs::create_dir_all(&self.path(path))?,
                EntryKind::File(_) => fs::link(&self.output.join(path), &self.path(path))?,
                EntryKind::Link => {
                    let target = fs::read_link(&self.output.join(path))?;
                    fs::symlink(target.as_str().into(), &self.path(path))?;
                }
            }
        }
        Ok(())
    }

    /// Sets the modification time of a file or directory of the stage. A file that is also in the previous
    /// output keeps its time there.
    ///
    /// # Errors
    /// It cannot be changed.
    pub fn set_time(&self, path: &str, epoch: u64) -> Result<()> {
        let path = match path {
            "" => self.root.clone(),
            path => self.path(path),
        };
        if tree::time(&path).is_some_and(|(seconds, rest)| {
            u64::try_from(seconds).is_ok_and(|seconds| seconds == epoch) && rest == 0
        }) {
            return Ok(());
        }
        fs::unshare(&path)?;
        fs::set_time(&path, epoch)
    }

    /// Sets the modes of everything in the stage, whatever the umask is: 0755 for directories and programs,
    /// 0644 for other files. Layers of images have the same.
    ///
    /// # Errors
    /// A mode cannot be changed.
    pub fn fix_modes(&self) -> Result<()> {
        for entry in tree::walk(&self.root, |path| path == LAYER_DIRECTORY)? {
            let expected = match entry.kind {
                EntryKind::Link => continue,
                EntryKind::File(_) if entry.mode & 0o111 == 0 => 0o644,
                EntryKind::File(_) | EntryKind::Directory => 0o755,
            };
            if entry.mode != expected {
                let path = self.root.join(&entry.path);
                fs::unshare(&path)?;
                fs::set_mode(&path, expected)?;
                // The copy is new, and so are the names in its directory.
                tree::set_time(&path, entry.time, true)?;
            }
        }
        Ok(())
    }

    /// Leaves the previous output as it is.
    ///
    /// # Errors
    /// The unfinished output cannot be removed.
    pub fn discard(mut self) -> Result<()> {
        self.finished = true;
        fs::remove_dir_all(&self.root)
    }

    /// Reads the previous output's `dist.json`; `None` when there is none that this version reads.
    pub fn previous(&self) -> Option<Dist> {
        manifest::read_in(&self.output).ok()
    }

    /// Writes `dist.json`, and exchanges the output, after everything was synced to the disk.
    ///
    /// # Errors
    /// It cannot be written; the previous output is intact.
    pub fn finish(mut self, dist: &Dist) -> Result<()> {
        fs::remove_dir_all(&self.root.join(LAYER_DIRECTORY))?;
        self.fix_modes()?;
        durable::sync_tree(&self.root)?;
        manifest::write(&self.root, dist)?;
        self.lock.mark_old()?;
        replace::exchange(&self.root, &self.output, &lock::sibling(&self.output, "old"))?;
        self.finished = true;
        // Nothing can fail any more: the new output is in place.
        let failed = self.failed_path();
        replace::discard(&self.cx, &self.root);
        if failed.exists() {
            self.remove_failed();
        }
        Ok(())
    }

    /// Returns the directory of a failed run's files, such as logs.
    pub fn failed_path(&self) -> Utf8PathBuf {
        lock::sibling(&self.output, "failed")
    }

    /// Removes the directory of an earlier failed run. It gets the name of a temporary one first, so
    /// that it is recognised if this run is killed.
    fn remove_failed(&self) {
        let failed = self.failed_path();
        if failed.symlink_metadata().is_err() {
            return;
        }
        match self.root.symlink_metadata().is_err() && fs::rename(&failed, &self.root).is_ok() {
            true => replace::discard(&self.cx, &self.root),
            false => replace::discard(&self.cx, &failed),
        }
    }

    /// Renames the stage of a failed run to `DIR.failed`; removes it if that fails.
    fn keep_failed(&self) {
        let marker = self.root.join(MARKER);
        // On a full disk, the lock file is a file that already exists.
        let marked = fs::write(&marker, MARKER_TEXT.as_bytes()).is_ok()
            || self.lock.move_to(&marker).is_ok();
        let failed = self.failed_path();
        if failed.exists() {
            replace::discard(&self.cx, &failed);
        }
        if !marked || fs::rename(&self.root, &failed).is_err() {
            replace::discard(&self.cx, &self.root);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // A failure is on its way to the user, which errors of a clean-up would hide.
        let _ = fs::remove_dir_all(&self.root.join(LAYER_DIRECTORY));
        let is_empty = fs::is_empty_dir(&self.root).unwrap_or(false);
        match self.purpose {
            Purpose::Build if !is_empty => self.keep_failed(),
            _ => replace::discard(&self.cx, &self.root),
        }
    }
}

/// Completes the exchange of a run that was killed while it replaced the output.
fn recover(cx: &Context, output: &Utf8Path, old: &Utf8Path) -> Result<()> {
    if is_half_copied(output) {
        fs::remove_dir_all(output)?;
    }
    // Killed between two renames; see `replace::exchange`.
    if output.symlink_metadata().is_err() && manifest::is_output(old) {
        cx.status("Restoring", format!("`{output}`, which a run that was killed left as `{old}`"));
        fs::rename(old, output)?;
    }
    // Killed in `make_movable`, after its last rename.
    if guard::is_marked(output) && manifest::is_output(output) {
        fs::remove_file(&output.join(MARKER))?;
    }
    Ok(())
}

/// Replaces the output by a copy of it that the file system can rename. Readers may see an
/// incomplete output meanwhile; if the program is killed, the next run continues with the copy.
fn make_movable(root: &Utf8Path, output: &Utf8Path, old: &Utf8Path) -> Result<()> {
    if !fs::is_empty_dir(output)? {
        fs::remove_dir_all(root)?;
        replace::copy(output, root)?;
        fs::rename(root, old)?;
        replace::create_dir(root)?;
        // From here on, the copy counts.
        fs::write(&old.join(MARKER), MARKER_TEXT.as_bytes())?;
        fs::remove_file(&output.join(FILE))?;
        fs::remove_dir_all(output)?;
        fs::rename(old, output)?;
        return fs::remove_file(&output.join(MARKER));
    }
    fs::remove_dir_all(output)
}
