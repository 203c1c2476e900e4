//! Compression of released files, in chunks: memory does not grow with the size, and a chunk that was
//! compressed before, for an image or for an archive, is not compressed again.

mod cost;
mod deflate;
mod gzip;
mod join;

pub use cost::costs;
pub use gzip::{Framing, Gzip, Totals, compress, identity};

use std::io;

use crate::model::schema::packaging::GzipLevel;

/// The result of a compression that may still be running; calling it waits for the end.
pub type Pending<'a> = Box<dyn FnOnce() -> io::Result<Vec<u8>> + 'a>;

/// The compression of chunks, on any number of threads, with or without a cache.
pub trait ChunkCache: Sync {
    /// Returns the level of all chunks.
    fn level(&self) -> GzipLevel {
        GzipLevel::default()
    }

    /// Returns the number of chunks that may wait for their compression.
    fn depth(&self) -> usize {
        0
    }

    /// Begins to compress `plain` as one deflate stream, or to read that from the cache.
    fn start(&self, plain: Vec<u8>) -> Pending<'_>;
}

fn compress_now(plain: &[u8], level: GzipLevel) -> Pending<'static> {
    let packed = compress(plain, level);
    Box::new(|| packed)
}

/// A cache that stores nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoCache;

/// The same for one level.
#[derive(Clone, Copy, Debug)]
pub struct NoCacheAt(pub GzipLevel);

impl ChunkCache for NoCacheAt {
    fn level(&self) -> GzipLevel {
        self.0
    }

    fn start(&self, plain: Vec<u8>) -> Pending<'_> {
        compress_now(&plain, self.0)
    }
}

impl ChunkCache for NoCache {
    fn start(&self, plain: Vec<u8>) -> Pending<'_> {
        compress_now(&plain, self.level())
    }
}
