//! The cache of compressed chunks, shared by images and archives: compressing is nearly all the work of making
//! either, and they have the same programs.

use std::{
    io::{self, Write as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use camino::Utf8Path;

use crate::{
    archive::compress::{self, ChunkCache, Pending},
    model::{
        collect::SortStable as _, digest::Digest, error::Result, schema::packaging::GzipLevel,
    },
    sys::{fs, parallel::Workers},
};

/// The most threads that compress, and the most chunks of one file that wait for them: memory does not depend on
/// the number of processors.
const MAX_THREADS: usize = 4;
const MAX_WAITING: usize = 3;

/// The minimum size of a chunk that is kept.
const MIN_SIZE: usize = 256 << 10;

/// The minimum number of chunks that are kept.
const MIN_CACHED: usize = 64;

/// A directory with a cache of chunks. Each file starts with the digest of the rest.
#[derive(Debug)]
pub(in crate::ops) struct ChunkDirectory {
    dir: Arc<Utf8Path>,
    used: AtomicUsize,
    /// Started for the first chunk that is large enough.
    workers: OnceLock<Workers>,
}

impl ChunkDirectory {
    /// Returns the chunks below that target directory.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub(in crate::ops) fn new(target_directory: &Utf8Path) -> Result<Self> {
        let dir = target_directory.join("pieces");
        fs::create_dir_all(&dir)?;
        let dir = Arc::from(dir);
        Ok(ChunkDirectory { dir, used: AtomicUsize::new(0), workers: OnceLock::new() })
    }

    /// Returns its chunks of that level.
    pub(in crate::ops) fn at_level(&self, level: GzipLevel) -> Chunks<'_> {
        Chunks { directory: self, level }
    }

    /// Removes the oldest chunks, if there are many more than were used.
    ///
    /// # Errors
    /// The directory cannot be read, or a file in it not be removed.
    pub(in crate::ops) fn prune(&self) -> Result<()> {
        prune(&self.dir, ".piece", MIN_CACHED.max(4 * self.used.load(Ordering::Relaxed)))
    }

    fn workers(&self) -> &Workers {
        self.workers.get_or_init(|| Workers::start(MAX_THREADS))
    }
}

/// The chunks of one level.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Chunks<'a> {
    directory: &'a ChunkDirectory,
    level: GzipLevel,
}

impl ChunkCache for Chunks<'_> {
    fn level(&self) -> GzipLevel {
        self.level
    }

    fn depth(&self) -> usize {
        MAX_WAITING
    }

    fn start(&self, plain: Vec<u8>) -> Pending<'_> {
        let level = self.level;
        if plain.len() < MIN_SIZE {
            let packed = compress::compress(&plain, level);
            return Box::new(|| packed);
        }
        self.directory.used.fetch_add(1, Ordering::Relaxed);
        let dir = Arc::clone(&self.directory.dir);
        let result = self.directory.workers().run(move || read_or_compress(&dir, plain, level));
        Box::new(move || {
            let lost = |_| Err(io::Error::other("the compressor panicked"));
            result.recv().unwrap_or_else(lost)
        })
    }
}

/// Returns the compressed form of `plain`, from the cache in `dir` if possible.
fn read_or_compress(dir: &Utf8Path, plain: Vec<u8>, level: GzipLevel) -> io::Result<Vec<u8>> {
    let key = format!("{}\n{}", compress::identity(level), Digest::sha256(&plain));
    let path = dir.join(format!("{}.piece", Digest::sha256(key.as_bytes()).hex()));
    if let Ok(mut known) = fs::read(&path)
        && let Some(digest) = known.first_chunk::<32>().copied()
    {
        known.drain(..digest.len());
        // Else it is damaged, and made again.
        if Digest::sha256(&known).bytes() == &digest {
            return Ok(known);
        }
    }
    let packed = compress::compress(&plain, level)?;
    drop(plain);
    let keep = || -> Result<()> {
        let failed = |error| fs::file_error("write", &path, error);
        let mut draft = fs::draft(dir)?;
        draft.write_all(Digest::sha256(&packed).bytes()).map_err(failed)?;
        draft.write_all(&packed).map_err(failed)?;
        draft.persist_in_cache(&path)
    };
    keep().map_err(io::Error::other)?;
    Ok(packed)
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
