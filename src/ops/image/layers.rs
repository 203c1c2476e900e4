//! The cache of compressed layers: compressing is nearly all the work of making an image, and unchanged layers
//! are not compressed again.

use std::{collections::BTreeMap, io::Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::context::BuildContext;
use crate::{
    archive::tree::{ContentSource, Node, Tree},
    image::oci::Layer,
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
        schema::packaging::{Compressor, GzipLevel},
    },
    ops::output::{
        chunks,
        digests::{DigestedFile, Digests},
    },
    sys::{Context, fs},
};

/// The version of the tar writer; it changes whenever another tar is made of the same tree.
const WRITER_VERSION: &str = "ustar 1";

/// The minimum number of blobs that are kept.
const MIN_CACHED: usize = 64;

/// A build context with its digests.
#[derive(Clone, Copy)]
pub(super) struct ContextDigests<'a> {
    pub(super) context: &'a BuildContext,
    pub(super) digests: &'a Digests,
}

impl ContextDigests<'_> {
    /// Returns the content of the file of that name.
    ///
    /// # Errors
    /// It cannot be read, or changed since the context was listed.
    pub(super) fn get(&self, name: &str) -> Result<DigestedFile> {
        self.digests.get(&self.context.root, name, self.context.stamp(name))
    }
}

/// The known properties of a layer, by the tree that it was made of.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LayerRecord {
    diff_id: Digest,
    digest: Digest,
    size: u64,
}

/// A directory of compressed layers.
pub(super) struct LayerCache<'a> {
    cx: &'a Context,
    pieces: &'a chunks::ChunkDirectory,
    dir: Utf8PathBuf,
}

impl<'a> LayerCache<'a> {
    pub(super) fn new(
        cx: &'a Context,
        target_directory: &Utf8Path,
        pieces: &'a chunks::ChunkDirectory,
    ) -> Self {
        LayerCache { cx, pieces, dir: target_directory.join("layers") }
    }

    /// Returns the path of the blob of a layer.
    pub(super) fn path(&self, digest: Digest) -> Utf8PathBuf {
        self.dir.join(format!("{}.blob", digest.hex()))
    }

    /// Returns the layer of `tree`, with its blob in this store.
    ///
    /// # Errors
    /// A file cannot be read, changed meanwhile, or does not fit into a tar; the blob cannot be
    /// written.
    pub(super) fn layer(
        &self,
        tree: &Tree,
        contents: &ContextDigests<'_>,
        compression: (Compressor, GzipLevel),
    ) -> Result<Layer> {
        let (compressor, level) = compression;
        let key = layer_key(tree, contents, &compressor.identity(level))?;
        let record = self.dir.join(format!("{}.json", key.hex()));
        if let Some(layer) = self.cached_layer(&record, compression) {
            return Ok(layer);
        }
        fs::create_dir_all(&self.dir)?;
        let draft = fs::draft(&self.dir)?;
        let chunks = self.pieces.at_level(level);
        let (layer, draft) = Layer::write(tree, contents.context, compressor, &chunks, draft)?;
        let descriptor = layer.descriptor();
        draft.persist_in_cache(&self.path(descriptor.digest))?;
        let known = LayerRecord {
            diff_id: layer.diff_id(),
            digest: descriptor.digest,
            size: descriptor.size,
        };
        let text = serde_json::to_vec(&known)
            .map_err(|error| Error::build("cannot note a layer down").because(error))?;
        let mut draft = fs::draft(&self.dir)?;
        draft.write_all(&text).map_err(|error| fs::file_error("write", &record, error))?;
        draft.persist_in_cache(&record)?;
        Ok(layer)
    }

    /// Returns the layer of `record`, if its blob is unchanged.
    fn cached_layer(
        &self,
        record: &Utf8Path,
        compression: (Compressor, GzipLevel),
    ) -> Option<Layer> {
        let text = fs::read(record).ok()?;
        let known: LayerRecord = serde_json::from_slice(&text).ok()?;
        let path = self.path(known.digest);
        fs::stamp(&path)?;
        if !fs::digest(&path).is_ok_and(|found| found == (known.digest, known.size)) {
            self.cx.warn(format!("`{path}` is damaged; the layer is compressed again"));
            let _ = fs::remove_file(&path);
            return None;
        }
        Some(Layer::new(known.diff_id, compression, known.digest, known.size))
    }

    /// Removes the oldest blobs, if there are many more than the `used` ones of one run.
    ///
    /// # Errors
    /// The directory cannot be read, or a file in it not be removed.
    pub(super) fn prune(&self, used: usize) -> Result<()> {
        chunks::prune(&self.dir, ".blob", MIN_CACHED.max(4 * used))
    }
}

/// Returns the digest of everything that a blob depends on, with files by their digests: with it, the tar of an
/// unchanged layer need not even be hashed.
fn layer_key(tree: &Tree, contents: &ContextDigests<'_>, compressor: &str) -> Result<Digest> {
    let mut hasher = Hasher::default();
    let mut first: BTreeMap<u64, usize> = BTreeMap::new();
    let mut line = |text: String| {
        // The length first, so that no text can pass for two.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    line(WRITER_VERSION.to_owned());
    line(compressor.to_owned());
    for (at, (path, entry)) in tree.iter().enumerate() {
        let meta = entry.meta;
        line(path.join("/"));
        line(format!("{:o} {} {} {}", meta.mode, meta.uid, meta.gid, meta.mtime));
        line(match &entry.node {
            Node::Directory => "directory".to_owned(),
            Node::Symlink(target) => format!("link {target}"),
            Node::File(content) => {
                let digest = match &content.source {
                    ContentSource::Bytes(bytes) => Digest::sha256(bytes),
                    ContentSource::Named(name) => contents.get(name)?.digest,
                };
                let first = content.link.map_or(at, |link| *first.entry(link).or_insert(at));
                format!("file {} {digest} {}", content.size, at - first)
            }
        });
    }
    Ok(hasher.finish().0)
}
