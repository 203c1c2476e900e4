//! Compression of released files, in chunks: memory does not grow with the size, and a chunk that was
//! compressed before, for an image or for an archive, is not compressed again.

mod cost;
mod deflate;
mod gzip;
mod join;

pub use cost::costs;
pub use gzip::{Framing, Gzip, IDENTITY, Totals};

use std::io;

/// A cache of compressed chunks.
pub trait ChunkCache: Sync {
    /// Returns the result of `compress` for `plain`, from the cache if possible.
    ///
    /// # Errors
    /// Those of `compress`.
    fn get_or_compress(
        &self,
        plain: &[u8],
        compress: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>>;
}

/// A cache that stores nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoCache;

impl ChunkCache for NoCache {
    fn get_or_compress(
        &self,
        plain: &[u8],
        compress: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>> {
        compress(plain)
    }
}
