//! The formats of archives, by how they begin.

use super::{Compression, is_deb, is_rpm, is_tar, is_zip};

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// A zip archive.
    Zip,
    /// A package for Debian.
    Deb,
    /// An RPM package.
    Rpm,
    /// A stream: a tar archive, or whatever is compressed.
    Stream(Compression),
}

impl ArchiveFormat {
    /// Returns the format of an archive that begins with `start`, 512 bytes or the complete file;
    /// `None` if it is not an archive.
    pub fn detect(start: &[u8]) -> Option<Self> {
        match Compression::detect(start) {
            Compression::None if is_zip(start) => Some(ArchiveFormat::Zip),
            Compression::None if is_deb(start) => Some(ArchiveFormat::Deb),
            Compression::None if is_rpm(start) => Some(ArchiveFormat::Rpm),
            Compression::None if !is_tar(start) => None,
            compression => Some(ArchiveFormat::Stream(compression)),
        }
    }
}
