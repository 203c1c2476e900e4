//! Layers: a tree of files as a tar, and that tar as the blob that registries keep (OCI image
//! specification 1.1, layer.md).

use std::collections::BTreeMap;

use libdeflater::{CompressionLvl, Compressor as Deflate};

use super::{
    Digest,
    descriptor::{Descriptor, MediaType},
    digest::Hasher,
    tar::{Meta, Writer},
};
use crate::error::{Error, Result};

/// How a layer's tar becomes its blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// gzip, which everything can pull.
    #[default]
    Gzip,
    /// Not at all.
    None,
}

/// The level with the best size for its time on stripped executables.
const LEVEL: i32 = 6;

impl Compressor {
    /// Name, version and level. One tar and one identity make one blob, byte for byte.
    pub fn identity(self) -> &'static str {
        match self {
            Compressor::Gzip => "libdeflate-1.26/gzip/6",
            Compressor::None => "none",
        }
    }

    /// The media type of its blobs.
    pub fn media_type(self) -> MediaType {
        match self {
            Compressor::Gzip => MediaType::LayerGzip,
            Compressor::None => MediaType::Layer,
        }
    }

    /// The blob of `tar`. A gzip header has ten bytes: no name, time 0, system 255 ("unknown", RFC
    /// 1952, section 2.3.1), so that nothing but `tar` is in it.
    ///
    /// # Errors
    /// None that is known of: the output has room for the worst case.
    pub fn compress(self, tar: Vec<u8>) -> Result<Vec<u8>> {
        let failed = |why: String| Error::build("failed to compress a layer").because(why);
        match self {
            Compressor::None => Ok(tar),
            Compressor::Gzip => {
                let level = CompressionLvl::new(LEVEL).map_err(|e| failed(format!("{e:?}")))?;
                let mut deflate = Deflate::new(level);
                let mut blob = vec![0; deflate.gzip_compress_bound(tar.len())];
                let len =
                    deflate.gzip_compress(&tar, &mut blob).map_err(|e| failed(e.to_string()))?;
                blob.truncate(len);
                blob.shrink_to_fit();
                Ok(blob)
            }
        }
    }
}

/// The files of a layer and the directories that lead to them.
///
/// An archive of it lists each directory before what it holds, and the names within a directory in
/// the order of their bytes, as BuildKit does.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    // Keyed by the parts of the path, so that `a/b` comes before `a-b`.
    nodes: BTreeMap<Vec<String>, Node<'a>>,
    ancestor: Meta,
}

#[derive(Clone, Copy, Debug)]
enum Node<'a> {
    /// With nothing where it is only known to lead to something.
    Directory(Option<Meta>),
    File(Meta, &'a [u8]),
}

impl<'a> Tree<'a> {
    /// An empty tree. Directories that no one adds, but that lead to what is added, get `ancestor`.
    pub fn new(ancestor: Meta) -> Self {
        Tree { nodes: BTreeMap::new(), ancestor }
    }

    /// Adds the file `path`, absolute in the image: `/usr/local/bin/rg`.
    ///
    /// # Errors
    /// The path is not absolute and plain, is there already, or leads through a file.
    pub fn file(&mut self, path: &str, meta: Meta, content: &'a [u8]) -> Result<()> {
        self.add(path, Node::File(meta, content))
    }

    /// Adds the directory `path`, absolute in the image, with an owner and a mode of its own.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub fn directory(&mut self, path: &str, meta: Meta) -> Result<()> {
        self.add(path, Node::Directory(Some(meta)))
    }

    fn add(&mut self, path: &str, node: Node<'a>) -> Result<()> {
        let bad =
            |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
        let parts: Vec<String> = match path.strip_prefix('/') {
            Some(rest) if !rest.split('/').any(bad) => rest.split('/').map(Into::into).collect(),
            _ => {
                return Err(Error::usage(format!("`{path}` is not a plain absolute path")));
            }
        };
        let there = self.nodes.get(&parts);
        let fits = match (there, &node) {
            (None, _) => true,
            (Some(Node::Directory(None)), Node::Directory(_)) => true,
            (Some(_), _) => false,
        };
        if !fits {
            return Err(Error::usage(format!("`{path}` is in the layer twice")));
        }
        for depth in 1..parts.len() {
            let ancestor = Node::Directory(None);
            let there = self.nodes.entry(parts[..depth].to_vec()).or_insert(ancestor);
            if let Node::File(..) = there {
                let file = parts[..depth].join("/");
                return Err(Error::usage(format!(
                    "`{path}` cannot be in the layer: `/{file}` is a file"
                )));
            }
        }
        self.nodes.insert(parts, node);
        Ok(())
    }

    /// Writes the tar to `out`.
    ///
    /// # Errors
    /// An entry does not fit the format, or `out` failed.
    pub fn write(&self, out: impl std::io::Write) -> Result<()> {
        let mut tar = Writer::new(out);
        for (parts, node) in &self.nodes {
            let path = parts.join("/");
            match *node {
                Node::Directory(meta) => {
                    tar.directory(&path, meta.unwrap_or(self.ancestor))?;
                }
                Node::File(meta, content) => tar.bytes(&path, meta, content)?,
            }
        }
        tar.finish().map(drop)
    }
}

/// Finds the digest and the size of the blob that an earlier run made of the tar with this digest,
/// by this compressor. Whoever answers has that blob, or knows that the registry has it.
pub type Known<'a> = dyn Fn(Digest, Compressor) -> Option<(Digest, u64)> + Sync + 'a;

/// For the first run: nothing is known.
pub fn nothing_known(_: Digest, _: Compressor) -> Option<(Digest, u64)> {
    None
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
    compressor: Compressor,
    blob: Option<Vec<u8>>,
}

impl Layer {
    /// Makes the layer of `tree`. The tar is hashed first, and is compressed only if `known` has no
    /// blob for it: hashing is some ten times as fast.
    ///
    /// # Errors
    /// An entry does not fit the format.
    pub fn new(tree: &Tree<'_>, compressor: Compressor, known: &Known<'_>) -> Result<Self> {
        let mut hasher = Hasher::default();
        tree.write(&mut hasher)?;
        let (diff_id, tar_size) = hasher.finish();
        let (digest, size, blob) = match known(diff_id, compressor) {
            Some((digest, size)) => (digest, size, None),
            None => {
                let mut tar = Vec::with_capacity(usize::try_from(tar_size).unwrap_or_default());
                tree.write(&mut tar)?;
                let blob = compressor.compress(tar)?;
                (Digest::of(&blob), blob.len() as u64, Some(blob))
            }
        };
        Ok(Layer {
            descriptor: Descriptor::new(compressor.media_type(), digest, size),
            diff_id,
            compressor,
            blob,
        })
    }

    /// What a manifest says of it.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The digest of its tar.
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// What made its blob.
    pub fn compressor(&self) -> Compressor {
        self.compressor
    }

    /// Its blob; nothing where the blob was known.
    pub fn blob(&self) -> Option<&[u8]> {
        self.blob.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

    fn tree() -> Tree<'static> {
        let mut tree = Tree::new(META);
        for path in ["/a-b", "/a/c", "/a/B"] {
            tree.file(path, META, path.as_bytes()).unwrap();
        }
        tree
    }

    #[test]
    fn sorted_by_parts_with_each_directory_once() {
        let mut tar = Vec::new();
        tree().write(&mut tar).unwrap();
        let names: Vec<&str> = tar
            .chunks_exact(512)
            .filter(|block| &block[257..262] == b"ustar")
            .map(|block| std::str::from_utf8(&block[..4]).unwrap())
            .collect();
        assert_eq!(names, ["a/\0\0", "a/B\0", "a/c\0", "a-b\0"]);
    }

    #[test]
    fn refused() {
        for path in ["", "/", "a", "/a", "/a/c", "/a/c/d", "/a/", "/../a"] {
            assert!(tree().file(path, META, b"").is_err(), "{path}");
        }
    }

    #[test]
    fn a_directory_may_come_before_or_after_what_it_holds() {
        let own = Meta { mode: 0o700, ..META };
        let mut early = Tree::new(META);
        early.directory("/a", own).unwrap();
        early.file("/a/b", META, b"").unwrap();
        let mut late = Tree::new(META);
        late.file("/a/b", META, b"").unwrap();
        late.directory("/a", own).unwrap();
        let tar = |tree: &Tree<'_>| {
            let mut tar = Vec::new();
            tree.write(&mut tar).map(|()| tar).unwrap()
        };
        assert_eq!(tar(&early), tar(&late));
        assert_eq!(&tar(&late)[100..107], b"0000700");
        assert!(late.directory("/a", own).is_err());
        assert!(late.file("/a", own, b"").is_err());
    }

    #[test]
    fn gzip_gives_the_tar_back() {
        let layer = Layer::new(&tree(), Compressor::Gzip, &nothing_known).unwrap();
        let blob = layer.blob().unwrap();
        assert_eq!(&blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let mut tar = Vec::new();
        tree().write(&mut tar).unwrap();
        let mut out = vec![0; tar.len()];
        let len = libdeflater::Decompressor::new().gzip_decompress(blob, &mut out).unwrap();
        assert_eq!(out[..len], tar);
        assert_eq!(Digest::of(&tar), layer.diff_id());
        assert_eq!(Digest::of(blob), layer.descriptor().digest);
    }

    #[test]
    fn a_known_blob_is_not_made_again() {
        let layer = Layer::new(&tree(), Compressor::Gzip, &nothing_known).unwrap();
        let d = layer.descriptor();
        let known = |diff_id: Digest, compressor: Compressor| {
            (diff_id == layer.diff_id() && compressor == Compressor::Gzip)
                .then_some((d.digest, d.size))
        };
        let again = Layer::new(&tree(), Compressor::Gzip, &known).unwrap();
        assert_eq!(again.blob(), None);
        assert_eq!(again.descriptor(), layer.descriptor());
        let plain = Layer::new(&tree(), Compressor::None, &known).unwrap();
        assert_eq!(plain.descriptor().digest, plain.diff_id());
    }

    // Digests of released images rest on the compressor. Where this fails, a new identity is due.
    #[test]
    fn the_compressor_is_the_one_it_says() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains("name = \"libdeflate-sys\"\nversion = \"1.26."));
        let tar: Vec<u8> =
            (0..200_000_u32).flat_map(|n| (n.wrapping_mul(n) / 7).to_le_bytes()).collect();
        let blob = Compressor::Gzip.compress(tar).unwrap();
        assert_eq!(Digest::of(&blob).short(), "1dd1223fffe1");
    }
}
