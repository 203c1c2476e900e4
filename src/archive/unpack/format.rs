//! The formats of archives, by how they begin.

use super::{Packing, is_deb, is_tar, is_zip};

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A zip archive.
    Zip,
    /// A package for Debian.
    Deb,
    /// A stream: a tar archive, or whatever is compressed.
    Stream(Packing),
}

impl Format {
    /// Returns the format of an archive that begins with `start`, 512 bytes or the complete file;
    /// `None` if it is not an archive.
    pub fn of(start: &[u8]) -> Option<Self> {
        match Packing::of(start) {
            Packing::None if is_zip(start) => Some(Format::Zip),
            Packing::None if is_deb(start) => Some(Format::Deb),
            Packing::None if !is_tar(start) => None,
            packing => Some(Format::Stream(packing)),
        }
    }
}
