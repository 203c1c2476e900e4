//! Archives that people download: a tree of files as one file, the same bytes for the same tree.

pub mod arch;
mod companion;
pub mod compress;
pub mod deb;
pub mod homebrew;
pub mod installer;
pub mod npm;
pub mod repository;
pub mod rpm;
pub mod tar;
pub mod tree;
pub mod unpack;
pub mod wheel;
#[cfg_attr(not(feature = "xz"), path = "without/xz.rs")]
mod xz;
mod zip;
#[cfg_attr(not(feature = "zstd"), path = "without/zstandard.rs")]
pub(crate) mod zstandard;

use std::{
    fmt,
    io::{self, Write},
};

pub use companion::{companion_path, is_companion_of};

use crate::{
    archive::{
        compress::{ChunkCache, Framing, Gzip},
        tree::{FileStore, Tree},
    },
    model::{
        error::{Error, Result},
        feature::Feature,
        schema::packaging::Format,
    },
};

/// Zstandard's level: above it, time doubles for each percent.
const ZSTD_LEVEL: i32 = 15;

/// The level of xz: that of its command line.
const XZ_LEVEL: u32 = 6;

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::TarGz, Self::TarZst, Self::TarXz, Self::Zip];

    /// Returns the file name extension.
    pub fn ending(self) -> &'static str {
        match self {
            Format::TarGz => "tar.gz",
            Format::TarZst => "tar.zst",
            Format::TarXz => "tar.xz",
            Format::Zip => "zip",
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

    /// Writes the archive of `tree` to `out`, and returns `out`.
    ///
    /// # Errors
    /// A file cannot be read, changed meanwhile or does not fit the format; or `out` failed.
    pub fn write<W: Write>(
        self,
        tree: &Tree,
        files: &dyn FileStore,
        chunks: &dyn ChunkCache,
        out: W,
    ) -> Result<W> {
        match self {
            Format::Zip => zip::write(tree, files, chunks, out),
            Format::TarGz => write_tar_gz(tree, files, chunks, out),
            Format::TarZst => {
                self.require()?;
                let mut zstd = zstandard::Encoder::new(out, ZSTD_LEVEL).map_err(write_error)?;
                tree.write(files, &mut Unflushed(&mut zstd))?;
                zstd.finish().map_err(write_error)
            }
            Format::TarXz => xz::write(out, XZ_LEVEL, |xz| tree.write(files, &mut Unflushed(xz))),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ending())
    }
}

fn write_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::build("cannot write an archive").because(error)
}

/// Writes a tar as one member of gzip, since not every reader continues after the first.
///
/// # Errors
/// As [`Format::write`].
pub(super) fn write_tar_gz<W: Write>(
    tree: &Tree,
    files: &dyn FileStore,
    chunks: &dyn ChunkCache,
    out: W,
) -> Result<W> {
    let mut gzip = Gzip::new(out, Framing::Member, chunks);
    tree.write(files, &mut gzip)?;
    Ok(gzip.finish().map_err(write_error)?.0)
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
        archive::{compress::NoCache, tar::Meta, tree::Content},
        model::digest::Digest,
    };

    struct NoFiles;

    impl FileStore for NoFiles {
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
            tree.add_file(path, meta(mode), meta(0o755), Content::bytes(bytes)).unwrap();
        }
        tree
    }

    fn write_archive(format: Format) -> Vec<u8> {
        format.write(&tree(), &NoFiles, &NoCache, Vec::new()).unwrap()
    }

    #[test]
    fn archives_contain_the_tar() {
        let mut tar = Vec::new();
        tree().write(&NoFiles, &mut tar).unwrap();
        let mut back = Vec::new();
        let gz = write_archive(Format::TarGz);
        flate2::read::GzDecoder::new(&gz[..]).read_to_end(&mut back).unwrap();
        assert!(back == tar);
        assert!(zstd::decode_all(&write_archive(Format::TarZst)[..]).unwrap() == tar);
        let mut back = Vec::new();
        let xz = write_archive(Format::TarXz);
        lzma_rust2::XzReader::new(&xz[..], false).read_to_end(&mut back).unwrap();
        assert!(back == tar);
    }

    // Digests of released archives rest on the compressors. Where this fails, a new identity is due.
    #[test]
    fn identities_name_the_versions_of_the_compressors() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains("name = \"lzma-rust2\"\nversion = \"0.25."));
        let short = |format| Digest::sha256(&write_archive(format)).short();
        let expected = ["376db3990c74", "4eaf601dedc7", "bc4f1f7f6839", "0be99ac05de6"];
        assert_eq!(Format::ALL.map(short), expected);
    }
}
