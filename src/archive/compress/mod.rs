//! Compression of released files, in chunks: memory does not grow with the size, and a chunk that was
//! compressed before, for an image or for an archive, is not compressed again.

mod cost;
mod deflate;
mod gzip;
mod join;

pub use cost::costs;
pub use gzip::{Framing, Gzip, IDENTITY, Totals};

use std::io;

/// The cached chunks.
pub trait Pieces: Sync {
    /// What `compress` makes of `plain`, from before or now.
    ///
    /// # Errors
    /// Those of `compress`.
    fn piece(
        &self,
        plain: &[u8],
        compress: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>>;
}

/// Nothing is kept.
#[derive(Clone, Copy, Debug)]
pub struct Forget;

impl Pieces for Forget {
    fn piece(
        &self,
        plain: &[u8],
        compress: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>> {
        compress(plain)
    }
}
