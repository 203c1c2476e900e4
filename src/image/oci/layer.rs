//! Layers: a tree of files as a tar, and that tar as the blob that registries keep (OCI image
//! specification 1.1, layer.md).

use std::io::{self, Write};

use super::descriptor::{Descriptor, MediaType};
use crate::{
    archive::{
        compress::{ChunkCache, Framing, Gzip},
        tree::{FileStore, Tree},
        zstandard,
    },
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
        feature::Feature,
        schema::packaging::{Compressor, GzipLevel},
    },
};

/// The level with the best size for its time on stripped executables.
const ZSTD_LEVEL: i32 = 9;

impl Compressor {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::None];

    /// Returns the usual name for it.
    pub fn name(self) -> &'static str {
        match self {
            Compressor::Gzip => "gzip",
            Compressor::Zstd => "zstd",
            Compressor::None => "none",
        }
    }

    /// Returns name, version, level (of gzip, that one) and size of a chunk. One tar and one identity make one
    /// blob, byte for byte.
    pub fn identity(self, level: GzipLevel) -> String {
        match self {
            Compressor::Gzip => format!("libdeflate-1.26/gzip/{}/4MiB/cut", level.number()),
            Compressor::Zstd => "libzstd-1.5.7/9".to_owned(),
            Compressor::None => "none".to_owned(),
        }
    }

    /// Checks that this build can compress with it.
    ///
    /// # Errors
    /// It was built without the feature.
    pub fn require(self) -> Result<()> {
        match self {
            Compressor::Gzip | Compressor::None => Ok(()),
            Compressor::Zstd => Feature::Zstd.require(),
        }
    }

    /// Returns the media type of its blobs.
    pub fn media_type(self) -> MediaType {
        match self {
            Compressor::Gzip => MediaType::LayerGzip,
            Compressor::Zstd => MediaType::LayerZstd,
            Compressor::None => MediaType::Layer,
        }
    }

    /// Compresses what is written to it, to `out`.
    ///
    /// # Errors
    /// No error is known: level and library are longshore's.
    pub fn encoder<'p, W: Write>(
        self,
        out: W,
        chunks: &'p dyn ChunkCache,
    ) -> io::Result<Encoder<'p, W>> {
        Ok(Encoder(match self {
            Compressor::None => Inner::None(out),
            Compressor::Zstd => Inner::Zstd(zstandard::Encoder::new(out, ZSTD_LEVEL)?),
            Compressor::Gzip => Inner::Gzip(Gzip::new(out, Framing::Members, chunks)),
        }))
    }
}

/// Writes the compressed form of what is written to it. Memory does not grow with that.
pub struct Encoder<'p, W: Write>(Inner<'p, W>);

enum Inner<'p, W: Write> {
    None(W),
    Zstd(zstandard::Encoder<'static, W>),
    Gzip(Gzip<'p, W>),
}

impl<W: Write> Encoder<'_, W> {
    /// Ends the stream and returns `W`.
    ///
    /// # Errors
    /// `W` failed.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::None(out) => Ok(out),
            Inner::Zstd(encoder) => encoder.finish(),
            Inner::Gzip(gzip) => Ok(gzip.finish()?.0),
        }
    }
}

impl<W: Write> Write for Encoder<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::None(out) => out.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
            Inner::Gzip(gzip) => gzip.write(bytes),
        }
    }

    /// Ends a chunk if there are chunks.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::None(_) | Inner::Zstd(_) => Ok(()),
            Inner::Gzip(gzip) => gzip.flush(),
        }
    }
}

impl<W: Write> std::fmt::Debug for Encoder<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

/// Writes to `out`, and hashes what it writes.
struct HashingWriter<W> {
    hasher: Hasher,
    out: W,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One layer of an image: the metadata of its blob, which is stored elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
    compressor: String,
}

impl Layer {
    /// Returns the layer with that `diff_id`, with a blob made by `compressor` at `level`.
    pub fn new(
        diff_id: Digest,
        (compressor, level): (Compressor, GzipLevel),
        digest: Digest,
        size: u64,
    ) -> Self {
        let descriptor = Descriptor::new(compressor.media_type(), digest, size);
        Layer { descriptor, diff_id, compressor: compressor.identity(level) }
    }

    /// Creates the layer of `tree` in one pass, and writes its blob to `out`, which is returned.
    ///
    /// # Errors
    /// As [`Tree::write`].
    pub fn write<W: Write>(
        tree: &Tree,
        files: &dyn FileStore,
        compressor: Compressor,
        chunks: &dyn ChunkCache,
        out: W,
    ) -> Result<(Self, W)> {
        let failed = |error: io::Error| Error::build("cannot write a layer").because(error);
        let blob = HashingWriter { hasher: Hasher::default(), out };
        let encoder = compressor.encoder(blob, chunks).map_err(failed)?;
        let mut tar = HashingWriter { hasher: Hasher::default(), out: encoder };
        tree.write(files, &mut tar)?;
        let (diff_id, _) = tar.hasher.finish();
        let blob = tar.out.finish().map_err(failed)?;
        let (digest, size) = blob.hasher.finish();
        Ok((Layer::new(diff_id, (compressor, chunks.level()), digest, size), blob.out))
    }

    /// Returns its descriptor in a manifest.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the digest of its tar.
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// Returns the identity of the compressor that made its blob; see [`Compressor::identity`].
    pub fn compressor(&self) -> &str {
        &self.compressor
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::archive::compress::NoCache;
    use crate::archive::tar::Meta;
    use crate::archive::tree::{Content, ContentSource};

    const META: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

    /// Files of as many bytes as their names say.
    struct Numbers;

    impl FileStore for Numbers {
        fn open(&self, name: &str) -> Result<Box<dyn io::Read + '_>> {
            let size: u32 = name.parse().unwrap();
            let bytes = (0..size.div_ceil(4)).flat_map(|n| (n.wrapping_mul(n) / 7).to_le_bytes());
            Ok(Box::new(io::Cursor::new(bytes.take(size as usize).collect::<Vec<u8>>())))
        }
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        let content = Content { source: ContentSource::Named(size.to_string()), size, link: None };
        tree.add_file("/a", META, META, content).unwrap();
        tree
    }

    fn layer(size: u64, compressor: Compressor) -> (Layer, Vec<u8>) {
        Layer::write(&tree(size), &Numbers, compressor, &NoCache, Vec::new()).unwrap()
    }

    #[test]
    fn blobs_decompress_to_the_tar() {
        let mut tar = Vec::new();
        let size = (8 << 20) + 5;
        tree(size).write(&Numbers, &mut tar).unwrap();
        for compressor in Compressor::ALL {
            let (layer, blob) = layer(size, compressor);
            let mut back = Vec::new();
            match compressor {
                Compressor::None => back.clone_from(&blob),
                Compressor::Zstd => back = zstd::decode_all(&blob[..]).unwrap(),
                Compressor::Gzip => {
                    assert_eq!(&blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
                    flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut back).unwrap();
                }
            }
            assert!(back == tar, "{compressor:?}");
            assert_eq!(layer.diff_id(), Digest::sha256(&tar));
            assert_eq!(layer.descriptor().digest, Digest::sha256(&blob));
            assert_eq!(layer.descriptor().size, blob.len() as u64);
        }
    }

    // Digests of released images rest on the compressor. Where this fails, a new identity is due.
    #[test]
    fn identities_name_the_versions_of_the_compressors() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains("name = \"libdeflate-sys\"\nversion = \"1.26."));
        assert!(lock.contains("name = \"zstd-sys\"\nversion = \"2.1.2+zstd.1.5.7\""));
        let short = |compressor| layer(5_000_000, compressor).0.descriptor().digest.short();
        assert_eq!(short(Compressor::Gzip), "c0ac8119ed03");
        assert_eq!(short(Compressor::Zstd), "a1066d1b0130");
    }
}
