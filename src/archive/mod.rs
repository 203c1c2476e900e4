//! Archives that people download: a tree of files as one file, the same bytes for the same tree.

pub mod compress;
pub mod deb;
mod place;
pub mod tar;
pub mod tree;
pub mod unpack;
#[cfg_attr(not(feature = "xz"), path = "without/xz.rs")]
mod xz;
mod zip;
#[cfg_attr(not(feature = "zstd"), path = "without/zstandard.rs")]
pub(crate) mod zstandard;

use std::{
    fmt,
    io::{self, Write},
};

pub use place::{companion, is_companion_of};

use crate::{
    archive::{
        compress::{Framing, Gzip, Pieces},
        tree::{Files, Tree},
    },
    model::{
        error::{Error, Result},
        feature::Feature,
        schema::packaging::Format,
    },
};

/// Zstandard's level: above it, time doubles for each percent.
const ZSTD: i32 = 15;

/// The level of xz: that of its command line.
const XZ: u32 = 6;

impl Format {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::TarGz, Self::TarZst, Self::TarXz, Self::Zip];

    /// What a file's name ends with, after a dot.
    pub fn ending(self) -> &'static str {
        match self {
            Format::TarGz => "tar.gz",
            Format::TarZst => "tar.zst",
            Format::TarXz => "tar.xz",
            Format::Zip => "zip",
        }
    }

    /// Name, version and level of what compresses. One tree and one identity make one file, byte for
    /// byte.
    pub fn identity(self) -> &'static str {
        match self {
            Format::TarGz | Format::Zip => crate::archive::compress::IDENTITY,
            Format::TarZst => "libzstd-1.5.7/15",
            Format::TarXz => "lzma-rust2-0.25/6",
        }
    }

    /// Checks that this build can write it.
    ///
    /// # Errors
    /// It was built without the feature.
    pub fn require(self) -> Result<()> {
        match self {
            Format::TarGz | Format::Zip => Ok(()),
            Format::TarZst => Feature::Zstd.require(),
            Format::TarXz => Feature::Xz.require(),
        }
    }

    /// Writes the archive of `tree` to `out`, and gives that back.
    ///
    /// # Errors
    /// A file cannot be read, changed meanwhile or does not fit the format; or `out` failed.
    pub fn write<W: Write>(
        self,
        tree: &Tree,
        files: &dyn Files,
        pieces: &dyn Pieces,
        out: W,
    ) -> Result<W> {
        match self {
            Format::Zip => zip::write(tree, files, pieces, out),
            Format::TarGz => gzipped(tree, files, pieces, out),
            Format::TarZst => {
                self.require()?;
                let mut zstd = zstandard::Encoder::new(out, ZSTD).map_err(unwritten)?;
                tree.write(files, &mut Unflushed(&mut zstd))?;
                zstd.finish().map_err(unwritten)
            }
            Format::TarXz => xz::write(out, XZ, |xz| tree.write(files, &mut Unflushed(xz))),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ending())
    }
}

fn unwritten(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::build("cannot write an archive").because(error)
}

/// Writes a tar as one member of gzip, since not every reader continues after the first.
///
/// # Errors
/// As [`Format::write`].
pub(super) fn gzipped<W: Write>(
    tree: &Tree,
    files: &dyn Files,
    pieces: &dyn Pieces,
    out: W,
) -> Result<W> {
    let mut gzip = Gzip::new(out, Framing::Member, pieces).map_err(unwritten)?;
    tree.write(files, &mut gzip)?;
    Ok(gzip.finish().map_err(unwritten)?.0)
}

/// A compressor without file boundaries, since its chunks are not cached.
struct Unflushed<W>(W);

impl<W: Write> Write for Unflushed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::{
        archive::{compress::Forget, tar::Meta, tree::Content},
        model::digest::Digest,
    };

    struct NoFiles;

    impl Files for NoFiles {
        fn open(&self, name: &str) -> Result<Box<dyn io::Read + '_>> {
            Err(Error::build(name))
        }
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let meta = |mode| Meta { mode, uid: 0, gid: 0, mtime: 1_700_000_000 };
        let long: Vec<u8> = (0..700_000_u32).map(|n| (n / 7).wrapping_mul(n) as u8).collect();
        for (path, mode, bytes) in
            [("/x-1/x", 0o755, long), ("/x-1/LICENSE", 0o644, b"text".to_vec())]
        {
            tree.file(path, meta(mode), meta(0o755), Content::bytes(bytes)).unwrap();
        }
        tree
    }

    fn written(format: Format) -> Vec<u8> {
        format.write(&tree(), &NoFiles, &Forget, Vec::new()).unwrap()
    }

    #[test]
    fn tars_come_back() {
        let mut tar = Vec::new();
        tree().write(&NoFiles, &mut tar).unwrap();
        let mut back = Vec::new();
        let gz = written(Format::TarGz);
        flate2::read::GzDecoder::new(&gz[..]).read_to_end(&mut back).unwrap();
        assert!(back == tar);
        assert!(zstd::decode_all(&written(Format::TarZst)[..]).unwrap() == tar);
        let mut back = Vec::new();
        let xz = written(Format::TarXz);
        lzma_rust2::XzReader::new(&xz[..], false).read_to_end(&mut back).unwrap();
        assert!(back == tar);
    }

    // Digests of released archives rest on the compressors. Where this fails, a new identity is due.
    #[test]
    fn the_compressors_are_those_they_say() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains("name = \"lzma-rust2\"\nversion = \"0.25."));
        let short = |format| Digest::sha256(&written(format)).short();
        let expected = ["f14938aadcc1", "4eaf601dedc7", "bc4f1f7f6839", "0be99ac05de6"];
        assert_eq!(Format::ALL.map(short), expected);
    }
}
