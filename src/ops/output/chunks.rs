//! The cache of compressed chunks, shared by images and archives: compressing is nearly all the work of making
//! either, and they have the same programs.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicUsize, Ordering},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    archive::compress::{self, ChunkCache},
    model::{collect::SortStable as _, digest::Digest, error::Result},
    sys::fs,
};

/// The minimum size of a chunk that is kept.
const MIN_SIZE: usize = 256 << 10;

/// The minimum number of chunks that are kept.
const MIN_CACHED: usize = 64;

/// A directory with a cache of chunks. Each file starts with the digest of the rest.
#[derive(Debug)]
pub(in crate::ops) struct ChunkDirectory {
    dir: Utf8PathBuf,
    used: AtomicUsize,
}

impl ChunkDirectory {
    /// Returns the chunks below that target directory.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub(in crate::ops) fn new(target_directory: &Utf8Path) -> Result<Self> {
        let dir = target_directory.join("pieces");
        fs::create_dir_all(&dir)?;
        Ok(ChunkDirectory { dir, used: AtomicUsize::new(0) })
    }

    /// Removes the oldest chunks, if there are many more than were used.
    ///
    /// # Errors
    /// The directory cannot be read, or a file in it not be removed.
    pub(in crate::ops) fn prune(&self) -> Result<()> {
        prune(&self.dir, ".piece", MIN_CACHED.max(4 * self.used.load(Ordering::Relaxed)))
    }
}

impl ChunkCache for ChunkDirectory {
    fn get_or_compress(
        &self,
        plain: &[u8],
        compress: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>> {
        if plain.len() < MIN_SIZE {
            return compress(plain);
        }
        self.used.fetch_add(1, Ordering::Relaxed);
        let key = format!("{}\n{}", compress::IDENTITY, Digest::sha256(plain));
        let path = self.dir.join(format!("{}.piece", Digest::sha256(key.as_bytes()).hex()));
        if let Ok(mut known) = fs::read(&path)
            && let Some(digest) = known.first_chunk::<32>().copied()
        {
            known.drain(..digest.len());
            // Else it is damaged, and made again.
            if Digest::sha256(&known).bytes() == &digest {
                return Ok(known);
            }
        }
        let packed = compress(plain)?;
        let keep = || -> Result<()> {
            let failed = |error| fs::file_error("write", &path, error);
            let mut draft = fs::draft(&self.dir)?;
            draft.write_all(Digest::sha256(&packed).bytes()).map_err(failed)?;
            draft.write_all(&packed).map_err(failed)?;
            draft.persist(&path)
        };
        keep().map_err(io::Error::other)?;
        Ok(packed)
    }
}

/// Removes the oldest files with that suffix, so that `keep` are left, and temporary files of processes that
/// were killed.
///
/// # Errors
/// The directory cannot be read, or a file in it not be removed.
pub(in crate::ops) fn prune(dir: &Utf8Path, suffix: &str, keep: usize) -> Result<()> {
    let mut made = Vec::new();
    let own = format!("{}.", std::process::id());
    for name in fs::names(dir)? {
        let path = dir.join(&name);
        // Of a run that was killed: no other runs beside this one.
        if name.ends_with(".tmp") && !name.starts_with(&own) {
            fs::remove_file(&path)?;
        }
        if !name.ends_with(suffix) {
            continue;
        }
        if let Some((_, time, _)) = fs::stamp(&path) {
            made.push((std::cmp::Reverse(time), path));
        }
    }
    made.sort_stable();
    for (_, path) in made.iter().skip(keep) {
        fs::remove_file(path)?;
    }
    Ok(())
}
