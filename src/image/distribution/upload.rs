//! The objects to send so that an image, or several under one index, can be pulled: blobs first, then
//! the documents that point at them, and the one that a tag names last.

use std::{collections::BTreeSet, io::Read as _};

use crate::{
    image::{
        oci::{
            Descriptor, Document, Index, Manifest, MediaType,
            document::Model,
            layout::blob_path,
            walk::{Walk, WalkStep},
        },
        read::image::Store,
    },
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
    },
};

/// The most bytes of manifests and indexes together.
const MAX_BYTES: u64 = 64 << 20;

/// The most blobs.
const MAX_BLOBS: usize = 1 << 16;

/// A complete manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadDocument {
    /// Its type.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// All that is sent, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Configurations and layers, the largest first: several uploads at once finish sooner in this
    /// order.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes. What one points at comes before it; the last is the one that tags name.
    pub documents: Vec<UploadDocument>,
}

impl Upload {
    /// Returns the upload of `root`, which is in `store`. All of it is there: a missing blob is
    /// reported before anything is sent.
    ///
    /// # Errors
    /// A manifest or an index is missing, cannot be read, or is not what points at it; or a blob is
    /// missing.
    pub fn collect(store: &dyn Store, root: &Descriptor) -> Result<Self> {
        let mut collector = Collector {
            store,
            seen: BTreeSet::new(),
            bytes: MAX_BYTES,
            open_indexes: Vec::new(),
            upload: Upload { blobs: Vec::new(), documents: Vec::new() },
        };
        let mut walk = Walk::new(vec![root.clone()]);
        while let Some(step) = walk.next() {
            match step {
                WalkStep::Visit(descriptor) => collector.document(&descriptor, &mut walk)?,
                WalkStep::Leave(_) => collector.close_index(),
            }
        }
        let mut upload = collector.upload;
        upload.blobs.sort_stable_by(|a, b| b.size.cmp(&a.size).then(a.digest.cmp(&b.digest)));
        Ok(upload)
    }

    /// Returns the document that tags name.
    pub fn root(&self) -> Option<&UploadDocument> {
        self.documents.last()
    }

    /// Returns how many bytes of blobs there are.
    pub fn size(&self) -> u64 {
        self.blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.size))
    }
}

struct Collector<'a> {
    store: &'a dyn Store,
    seen: BTreeSet<Digest>,
    bytes: u64,
    /// The indexes with content that is being visited.
    open_indexes: Vec<UploadDocument>,
    upload: Upload,
}

impl Collector<'_> {
    fn document(&mut self, descriptor: &Descriptor, walk: &mut Walk) -> Result<()> {
        if !self.seen.insert(descriptor.digest) {
            return Ok(());
        }
        let path = blob_path(descriptor.digest);
        let bytes = self.bytes(descriptor)?;
        // Some writers leave the type out.
        let media_type = match &descriptor.media_type {
            kind if *kind == MediaType::default() => MediaType::detect(&bytes),
            kind => kind.clone(),
        };
        let part = UploadDocument { media_type, digest: descriptor.digest, bytes };
        if part.media_type.is_index() {
            let index: Document<Index> = self.parse(&path, part.bytes.clone())?;
            walk.descend(descriptor.clone(), index.manifests.clone())
                .map_err(|error| error.context(format!("`{path}`")))?;
            self.open_indexes.push(part);
        } else if part.media_type.is_manifest() {
            let manifest: Document<Manifest> = self.parse(&path, part.bytes.clone())?;
            for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                self.blob(blob)?;
            }
            self.upload.documents.push(part);
        } else {
            let kind = &part.media_type;
            let message =
                format!("`{path}` is of the type `{kind}`: neither a manifest nor an index");
            return Err(Error::check(message));
        }
        Ok(())
    }

    /// Adds the innermost index after all of its content was visited.
    fn close_index(&mut self) {
        self.upload.documents.extend(self.open_indexes.pop());
    }

    fn parse<T: Model>(&self, path: &str, bytes: Vec<u8>) -> Result<Document<T>> {
        Document::parse(bytes).map_err(|error| error.context(format!("`{path}`")))
    }

    /// Returns the bytes of a document, which match its descriptor.
    fn bytes(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = blob_path(descriptor.digest);
        let limit = Document::<Manifest>::LIMIT as u64;
        if descriptor.size > limit {
            return Err(Error::check(format!("`{path}` has more than {limit} bytes")));
        }
        let more = || Error::check(format!("the manifests have more than {MAX_BYTES} bytes"));
        self.bytes = self.bytes.checked_sub(descriptor.size).ok_or_else(more)?;
        let stream = self.store.open(&path)?.ok_or_else(|| missing_error(&path))?;
        let mut bytes = Vec::new();
        let failed = |error| Error::check(format!("`{path}` cannot be read")).because(error);
        stream.take(descriptor.size.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        let is = Digest::sha256(&bytes);
        if is != descriptor.digest || bytes.len() as u64 != descriptor.size {
            let expected = descriptor.size;
            let message = format!(
                "`{path}` is corrupt: expected {expected} bytes with that \
                                   digest"
            );
            return Err(Error::check(message).hint("it is damaged: build it again"));
        }
        Ok(bytes)
    }

    fn blob(&mut self, descriptor: &Descriptor) -> Result<()> {
        if !self.seen.insert(descriptor.digest) {
            return Ok(());
        }
        let path = blob_path(descriptor.digest);
        self.store.open(&path)?.ok_or_else(|| missing_error(&path))?;
        if self.upload.blobs.len() == MAX_BLOBS {
            return Err(Error::check(format!("there are more than {MAX_BLOBS} blobs")));
        }
        let Descriptor { media_type, digest, size, .. } = descriptor;
        self.upload.blobs.push(Descriptor::new(media_type.clone(), *digest, *size));
        Ok(())
    }
}

fn missing_error(path: &str) -> Error {
    Error::check(format!("`{path}` is missing"))
        .hint("create the layout again, with all its platforms, or push one by `PATH@DIGEST`")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use super::*;

    #[derive(Default)]
    struct Memory(BTreeMap<String, Vec<u8>>);

    impl Store for Memory {
        fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
            Ok(self.0.get(path).map(|bytes| Box::new(&bytes[..]) as Box<dyn Read>))
        }
    }

    impl Memory {
        fn add(&mut self, kind: MediaType, bytes: &[u8]) -> Descriptor {
            let digest = Digest::sha256(bytes);
            self.0.insert(blob_path(digest), bytes.to_vec());
            Descriptor::new(kind, digest, bytes.len() as u64)
        }

        fn manifest(&mut self, config: &[u8], layers: &[&[u8]]) -> Descriptor {
            let config = self.add(MediaType::Config, config);
            let layers = layers.iter().map(|layer| self.add(MediaType::LayerGzip, layer)).collect();
            let document = Document::new(Manifest::new(config, layers)).unwrap();
            self.add(MediaType::Manifest, document.bytes())
        }

        fn index(&mut self, manifests: Vec<Descriptor>) -> Descriptor {
            let document = Document::new(Index::new(manifests, BTreeMap::new())).unwrap();
            self.add(MediaType::Index, document.bytes())
        }
    }

    #[test]
    fn each_blob_is_sent_once_before_its_referrers() {
        let mut store = Memory::default();
        let a = store.manifest(b"a", &[b"shared layer", b"l"]);
        let b = store.manifest(b"b", &[b"shared layer"]);
        let inner = store.index(vec![b.clone()]);
        let root = store.index(vec![a.clone(), inner.clone(), a.clone()]);
        let upload = Upload::collect(&store, &root).unwrap();
        let digests: Vec<_> = upload.documents.iter().map(|part| part.digest).collect();
        assert_eq!(digests.len(), 4);
        assert_eq!(digests.last(), Some(&root.digest));
        let at = |descriptor: &Descriptor| {
            digests.iter().position(|digest| *digest == descriptor.digest).unwrap()
        };
        assert!(at(&b) < at(&inner));
        assert_eq!(upload.blobs.len(), 4);
        assert_eq!(upload.blobs[0].size, 12);
        assert_eq!(upload.size(), 12 + 3);
        assert_eq!(upload.root().map(|part| part.digest), Some(root.digest));
    }

    #[test]
    fn missing_and_mismatched_blobs_are_found_in_advance() {
        let mut store = Memory::default();
        let manifest = store.manifest(b"config", &[b"layer"]);
        let root = store.index(vec![manifest.clone()]);
        for path in store.0.keys().cloned().collect::<Vec<_>>() {
            let bytes = store.0.remove(&path).unwrap();
            let error = Upload::collect(&store, &root).unwrap_err();
            assert_eq!(error.to_string(), format!("`{path}` is missing"));
            store.0.insert(path, bytes);
        }
        store.0.get_mut(&blob_path(manifest.digest)).unwrap()[3] ^= 1;
        let error = Upload::collect(&store, &root).unwrap_err().to_string();
        assert!(error.contains("is corrupt"), "{error}");
        let other = store.add(MediaType::Config, b"{}");
        let error = Upload::collect(&store, &other).unwrap_err().to_string();
        assert!(error.contains("neither a manifest nor an index"), "{error}");
        let huge = Descriptor { size: u64::MAX, ..root };
        assert!(Upload::collect(&store, &huge).is_err());
    }

    #[test]
    fn indexes_that_are_too_deep_end() {
        let mut store = Memory::default();
        let mut top = store.manifest(b"config", &[]);
        for _ in 0..crate::image::oci::walk::DEPTH {
            top = store.index(vec![top]);
        }
        assert!(Upload::collect(&store, &top).is_ok());
        let top = store.index(vec![top]);
        let error = Upload::collect(&store, &top).unwrap_err().to_string();
        assert!(error.contains("it is nested in 8 indexes"), "{error}");
    }
}
