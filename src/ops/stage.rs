//! The output directory. What is made goes into a directory beside it, which takes its place in one
//! step when all is done: whoever looks sees the old output or the new one, never half of one.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    error::{Error, Result},
    oci::Digest,
    schema::Dist,
    sys::{
        Context, fs,
        tree::{self, Kind},
    },
};

/// An output that is being made.
#[derive(Debug)]
pub struct Stage {
    /// What is being made.
    pub root: Utf8PathBuf,
    output: Utf8PathBuf,
    finished: bool,
    _lock: fs::Lock,
}

impl Stage {
    /// Begins a new output. Waits while another process makes one.
    ///
    /// # Errors
    /// The directories cannot be made.
    pub fn begin(cx: &Context, output: &Utf8Path) -> Result<Self> {
        let beside = |suffix: &str| Utf8PathBuf::from(format!("{output}.{suffix}"));
        let lock = fs::lock(&beside("lock"), || {
            cx.status("Waiting", format!("for another dist in `{output}`"));
        })?;
        let old = beside("old");
        if !output.exists() && old.exists() {
            // Killed between two renames; see `fs::replace_dir`.
            fs::rename(&old, output)?;
        }
        let root = beside("partial");
        fs::remove_dir_all(&root)?;
        fs::create_dir_all(&root)?;
        Ok(Stage { root, output: output.to_owned(), finished: false, _lock: lock })
    }

    /// Where the result will be.
    pub fn output(&self) -> &Utf8Path {
        &self.output
    }

    /// Where `path` of the result is being made.
    pub fn path(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path)
    }

    /// Takes `path` over from the previous output when it holds exactly these bytes, so that what
    /// did not change is not written again.
    ///
    /// # Errors
    /// It is the same, and cannot be linked or copied.
    pub fn keep(&self, path: &str, digest: &Digest, size: u64) -> Result<bool> {
        let old = self.output.join(path);
        let same_size = fs::stamp(&old).is_some_and(|(old, ..)| old == size);
        // A file that cannot be read is not kept, but made again.
        if !same_size || !fs::digest(&old).is_ok_and(|(old, _)| old == *digest) {
            return Ok(false);
        }
        fs::link(&old, &self.path(path))?;
        Ok(true)
    }

    /// Takes over what of the previous output is wanted: what is in a directory that is not, goes
    /// with it.
    ///
    /// # Errors
    /// Something cannot be read, linked or copied.
    pub fn keep_all(&self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let skip = |path: &Utf8Path| !wanted(path.as_str());
        for entry in tree::walk(&self.output, skip)? {
            let path = entry.path.as_str();
            match entry.kind {
                _ if !wanted(path) => {}
                Kind::Directory => fs::create_dir_all(&self.path(path))?,
                Kind::File(_) => fs::link(&self.output.join(path), &self.path(path))?,
                Kind::Link => {
                    let target = fs::read_link(&self.output.join(path))?;
                    fs::symlink(target.as_str().into(), &self.path(path))?;
                }
            }
        }
        Ok(())
    }

    /// Leaves the previous output as it is.
    ///
    /// # Errors
    /// What was begun cannot be removed.
    pub fn discard(mut self) -> Result<()> {
        self.finished = true;
        fs::remove_dir_all(&self.root)
    }

    /// The previous output's `dist.json`; `None` when there is none that this version reads.
    pub fn previous(&self) -> Option<Dist> {
        let text = fs::read(&self.output.join("dist.json")).ok()?;
        let dist: Dist = serde_json::from_slice(&text).ok()?;
        (dist.schema == crate::schema::dist::SCHEMA).then_some(dist)
    }

    /// Writes `dist.json`, and puts the result in place.
    ///
    /// # Errors
    /// It cannot be written; the previous output is intact.
    pub fn finish(mut self, dist: &Dist) -> Result<()> {
        let mut text = serde_json::to_string_pretty(dist)
            .map_err(|error| Error::build("cannot write `dist.json`").because(error))?;
        text.push('\n');
        fs::write(&self.path("dist.json"), text.as_bytes())?;
        fs::replace_dir(&self.root, &self.output)?;
        self.finished = true;
        fs::remove_dir_all(&self.failed())
    }

    /// Where what was made before a failure is kept, logs above all.
    pub fn failed(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("{}.failed", self.output))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.finished {
            // A failure is on its way to the user; that this did not work would hide it.
            let failed = self.failed();
            let _ = fs::remove_dir_all(&failed);
            let _ = fs::rename(&self.root, &failed);
        }
    }
}
