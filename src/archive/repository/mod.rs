//! Indexes of package repositories, as text: apt's, and rpm-md's. Nothing here reads a clock or writes a file.

pub mod apt;
pub mod rpm_md;

use libdeflater::{CompressionLvl, Compressor};

use super::xz;
use crate::model::{
    digest::Digest,
    error::{Error, Result},
};

/// The level of xz for indexes.
const XZ_LEVEL: u32 = 6;

/// A file that an index lists, by its path below the directory of the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedFile {
    /// The path.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// The digest.
    pub sha256: Digest,
}

impl ListedFile {
    /// Creates the entry of a file with this content.
    pub fn new(path: impl Into<String>, content: &[u8]) -> Self {
        ListedFile {
            path: path.into(),
            size: content.len() as u64,
            sha256: Digest::sha256(content),
        }
    }

    /// Checks that a path of an index stays below the directory of the repository.
    ///
    /// # Errors
    /// It does not.
    pub fn check_path(&self) -> Result<()> {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if self.path.split('/').all(is_plain) && !self.path.contains('\0') {
            return Ok(());
        }
        Err(Error::check(format!(
            "the index lists `{}`, which is not a path in the repository",
            self.path.escape_debug()
        )))
    }
}

/// Compresses an index with gzip.
///
/// # Errors
/// The compressor fails.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = Compressor::new(CompressionLvl::best());
    let mut packed = vec![0; gzip.gzip_compress_bound(bytes.len())];
    let len = gzip
        .gzip_compress(bytes, &mut packed)
        .map_err(|error| Error::build(format!("cannot compress an index: {error}")))?;
    packed.truncate(len);
    Ok(packed)
}

/// Compresses an index with xz.
///
/// # Errors
/// This build lacks the feature.
pub fn xz(bytes: &[u8]) -> Result<Vec<u8>> {
    xz::write(Vec::new(), XZ_LEVEL, |xz| {
        xz.write_all(bytes).map_err(|error| Error::build("cannot compress an index").because(error))
    })
}
