//! Complete images: one platform's, and all platforms' of one name.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    config::{Config, Execution, History, RootFs, timestamp},
    descriptor::{Descriptor, MediaType},
    document::Document,
    index::Index,
    layer::Layer,
    manifest::Manifest,
};
use crate::model::{
    collect::SortStable as _,
    digest::Digest,
    error::{Error, Result},
    platform::Platform,
};

/// The comment of BuildKit in the history of steps from a Dockerfile.
const HISTORY_COMMENT: &str = "buildkit.dockerfile.v0";

/// One instruction of the recipe that an image is made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryStep {
    /// The instruction as BuildKit writes it to the history, its variables expanded.
    pub created_by: String,
    /// The layer it makes, if it makes one.
    pub layer: Option<Layer>,
}

impl HistoryStep {
    /// Returns the entry of an instruction that makes no layer.
    pub fn empty(created_by: impl Into<String>) -> Self {
        HistoryStep { created_by: created_by.into(), layer: None }
    }
}

/// A blob of an image: a descriptor's digest and size, and the bytes of a document. A layer's bytes
/// are where they were written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob<'a> {
    /// The digest.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
    /// The bytes; none for a layer.
    pub bytes: Option<&'a [u8]>,
}

impl<'a> Blob<'a> {
    fn from_document<T>(document: &'a Document<T>) -> Self {
        Blob { digest: document.digest(), size: document.size(), bytes: Some(document.bytes()) }
    }
}

/// The parts of one platform's image.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its platform.
    pub platform: Platform,
    /// Its creation time, in seconds since 1970.
    pub epoch: u64,
    /// The configuration of its containers.
    pub execution: Execution,
    /// Its author (`MAINTAINER`).
    pub author: Option<String>,
    /// Its history.
    pub steps: Vec<HistoryStep>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// One platform's image.
#[derive(Clone, Debug, PartialEq)]
pub struct OciImage {
    platform: Platform,
    manifest: Document<Manifest>,
    config: Document<Config>,
    layers: Vec<Layer>,
}

impl OciImage {
    /// Creates an image of its parts.
    ///
    /// # Errors
    /// The time is after the year 9999.
    pub fn new(description: Description) -> Result<Self> {
        let Description { platform, epoch, execution, author, steps, annotations } = description;
        let created = timestamp(epoch)?;
        let mut layers = Vec::new();
        let mut history = Vec::new();
        for step in steps {
            history.push(History {
                created: Some(created.clone()),
                created_by: Some(step.created_by),
                author: None,
                comment: Some(HISTORY_COMMENT.into()),
                empty_layer: step.layer.is_none(),
            });
            layers.extend(step.layer);
        }
        let config = Document::new(Config {
            architecture: platform.architecture.clone(),
            author,
            config: execution,
            created: Some(created),
            history,
            os: platform.os.clone(),
            rootfs: RootFs {
                kind: "layers".into(),
                diff_ids: layers.iter().map(Layer::diff_id).collect(),
            },
            variant: platform.variant.clone(),
        })?;
        let mut manifest = Manifest::new(
            Descriptor::new(MediaType::Config, config.digest(), config.size()),
            layers.iter().map(|layer| layer.descriptor().clone()).collect(),
        );
        manifest.annotations = annotations;
        Ok(OciImage { platform, manifest: Document::new(manifest)?, config, layers })
    }

    /// Returns its platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Returns its manifest.
    pub fn manifest(&self) -> &Document<Manifest> {
        &self.manifest
    }

    /// Returns its configuration; Docker uses the digest of it as the image id.
    pub fn config(&self) -> &Document<Config> {
        &self.config
    }

    /// Returns its layers, lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns its descriptor in an index.
    pub fn descriptor(&self) -> Descriptor {
        let manifest = &self.manifest;
        let mut descriptor =
            Descriptor::new(MediaType::Manifest, manifest.digest(), manifest.size());
        descriptor.platform = Some(self.platform.clone());
        descriptor
    }

    /// Returns the bytes that a pull transfers: manifest, configuration and compressed layers.
    pub fn size(&self) -> u64 {
        self.manifest.size().saturating_add(self.manifest.content_size())
    }

    /// Returns layers, configuration and manifest, in the order that a registry accepts them in.
    pub fn blobs(&self) -> Vec<Blob<'_>> {
        let layers = self.layers.iter().map(|layer| Blob {
            digest: layer.descriptor().digest,
            size: layer.descriptor().size,
            bytes: None,
        });
        layers
            .chain([Blob::from_document(&self.config), Blob::from_document(&self.manifest)])
            .collect()
    }
}

/// The images of one name, and the index that joins them where they are several.
#[derive(Clone, Debug, PartialEq)]
pub struct OciImageSet {
    images: Vec<OciImage>,
    index: Option<Document<Index>>,
}

impl OciImageSet {
    /// Joins `images`, in any order. `annotations` go to the index; one image has no index.
    ///
    /// # Errors
    /// There is no image, or two for one platform.
    pub fn new(mut images: Vec<OciImage>, annotations: BTreeMap<String, String>) -> Result<Self> {
        images.sort_stable_by(|a, b| a.platform.cmp(&b.platform));
        if let Some(pair) = images.windows(2).find(|w| w[0].platform == w[1].platform) {
            return Err(Error::usage(format!("there are two images for `{}`", pair[0].platform))
                .hint("give one binary for each platform"));
        }
        let index = match images.len() {
            0 => return Err(Error::usage("there is no image to join")),
            1 => None,
            _ => {
                let manifests = images.iter().map(OciImage::descriptor).collect();
                Some(Document::new(Index::new(manifests, annotations))?)
            }
        };
        Ok(OciImageSet { images, index })
    }

    /// Returns the images, sorted by platform.
    pub fn images(&self) -> &[OciImage] {
        &self.images
    }

    /// Returns the index; `None` if there is one image.
    pub fn index(&self) -> Option<&Document<Index>> {
        self.index.as_ref()
    }

    /// Returns the descriptor to pull by: of the index, or of the manifest of the only image, without
    /// its platform.
    pub fn descriptor(&self) -> Descriptor {
        match (&self.index, self.images.first()) {
            (None, Some(image)) => Descriptor { platform: None, ..image.descriptor() },
            (Some(index), _) => Descriptor::new(MediaType::Index, index.digest(), index.size()),
            // `new` rejects it.
            (None, None) => Descriptor::new(MediaType::Index, Digest::sha256(b""), 0),
        }
    }

    /// Returns every blob once, each after those it points at: the order that a registry accepts them
    /// in.
    pub fn blobs(&self) -> Vec<Blob<'_>> {
        let mut seen = BTreeSet::new();
        let images = self.images.iter().flat_map(OciImage::blobs);
        images
            .chain(self.index.as_ref().map(Blob::from_document))
            .filter(|blob| seen.insert(blob.digest))
            .collect()
    }
}
