//! The files of container images, as a container sees them: in OCI layouts (OCI image
//! specification 1.1, image-layout.md) and in what `docker save` writes. Every blob is held against
//! the digest that names it.

use std::io::Read;

use serde::Deserialize;

pub use super::layers::{Fault, files};
use crate::{
    error::{Error, Result},
    oci::{
        Config, Descriptor, Digest, Document, Index, Manifest, MediaType, Platform,
        archive::DOCKER_MANIFEST,
        document::Model,
        layout::{INDEX, REF_NAME, blob_path},
    },
};

/// Indexes within indexes that are followed; real ones have two.
const DEPTH: usize = 8;

/// The most manifests of one layout.
const MANIFESTS: usize = 1024;

/// The largest configuration or manifest (OCI distribution specification 1.1, "Pushing Manifests").
const DOCUMENT: u64 = 4 << 20;

/// The file that marks a layout.
pub use crate::oci::layout::MARK;

/// The files that an image is stored in.
pub trait Store {
    /// The content of the file at a relative path; none where there is no such file.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>>;
}

/// The images of a store.
#[derive(Debug, Default)]
pub struct Images {
    /// Those that can be looked at.
    pub images: Vec<Image>,
    /// What is no image, by name, and what it is.
    pub others: Vec<(String, String)>,
    /// What is broken, by name, and why.
    pub broken: Vec<(String, String)>,
    /// What a layout's `index.json` points at.
    pub top: Vec<Digest>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its platform; with its digest where the store has several for that platform.
    pub name: String,
    /// What its configuration says that it runs on.
    pub platform: Platform,
    /// The bytes that a pull transfers; none in what `docker save` wrote, where layers are not
    /// compressed.
    pub size: Option<u64>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    digest: Digest,
}

/// Where a layer is, and what it must be.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its path in the store.
    pub path: String,
    /// The digest and the size of the blob, where something says them.
    pub blob: Option<(Digest, u64)>,
    /// The digest of its tar.
    pub diff_id: Digest,
}

/// The images of what is a layout, or else of what `docker save` wrote.
///
/// # Errors
/// It is neither, or its first file cannot be read.
pub fn images(store: &dyn Store) -> Result<Images> {
    let mut found = Images::default();
    let missing = || Error::check(format!("`{INDEX}` is missing"));
    if store.open(MARK.0)?.is_some() {
        let bytes = small(store, INDEX)?.ok_or_else(missing)?;
        let index = Document::<Index>::parse(bytes)?;
        found.top = index.manifests.iter().map(|manifest| manifest.digest).collect();
        Layout { store, found: &mut found, left: MANIFESTS }.index(&index, 0);
    } else if let Some(bytes) = small(store, DOCKER_MANIFEST)? {
        docker(store, &bytes, &mut found)?;
    } else {
        let message = format!("it has neither `{}` nor `{DOCKER_MANIFEST}`", MARK.0);
        return Err(Error::check(message));
    }
    name(&mut found.images);
    Ok(found)
}

/// Whether the store is said to hold images: by the mark of a layout, or by what `docker save`
/// writes. Other archives have a `manifest.json`, too.
///
/// # Errors
/// The files that say so cannot be read.
pub fn is_image(store: &dyn Store) -> Result<bool> {
    if store.open(MARK.0)?.is_some() {
        return Ok(true);
    }
    let manifest = small(store, DOCKER_MANIFEST)?;
    let saved = manifest.and_then(|bytes| serde_json::from_slice::<Vec<Saved>>(&bytes).ok());
    Ok(saved.is_some_and(|saved| !saved.is_empty()))
}

/// Tells images of one platform apart.
fn name(images: &mut [Image]) {
    let platforms: Vec<_> = images.iter().map(|image| image.platform.clone()).collect();
    for image in images {
        image.name = image.platform.to_string();
        if platforms.iter().filter(|platform| **platform == image.platform).count() > 1 {
            image.name = format!("{}@{}", image.name, image.digest.short());
        }
    }
}

/// A document, whole.
fn small(store: &dyn Store, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(stream) = store.open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let failed = |error| Error::check(format!("`{path}` cannot be read")).because(error);
    stream.take(DOCUMENT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > DOCUMENT {
        return Err(Error::check(format!("`{path}` has more than {DOCUMENT} bytes")));
    }
    Ok(Some(bytes))
}

fn document<T: Model>(store: &dyn Store, descriptor: &Descriptor) -> Result<Document<T>> {
    let path = blob_path(descriptor.digest);
    let missing = || Error::check(format!("`{path}` is missing"));
    let bytes = small(store, &path)?.ok_or_else(missing)?;
    let is = Digest::of(&bytes);
    if is != descriptor.digest || bytes.len() as u64 != descriptor.size {
        let size = bytes.len();
        let message = format!("`{path}` lies: it has {size} bytes and the digest `{is}`");
        return Err(Error::check(message));
    }
    Document::parse(bytes)
}

struct Layout<'a> {
    store: &'a dyn Store,
    found: &'a mut Images,
    left: usize,
}

impl Layout<'_> {
    fn index(&mut self, index: &Index, depth: usize) {
        for descriptor in &index.manifests {
            let name = match (&descriptor.platform, descriptor.annotations.get(REF_NAME)) {
                (Some(platform), _) => platform.to_string(),
                (None, Some(name)) => name.clone(),
                (None, None) => descriptor.digest.short(),
            };
            let Some(left) = self.left.checked_sub(1) else {
                let why = format!("it has more than {MANIFESTS} manifests");
                return self.found.broken.push((name, why));
            };
            self.left = left;
            if let Err(error) = self.descriptor(&name, descriptor, depth) {
                self.found.broken.push((name, error.to_string()));
            }
        }
    }

    fn descriptor(&mut self, name: &str, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let unknown = descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown");
        if descriptor.media_type.is_index() {
            if depth == DEPTH {
                return Err(Error::check("it is an index too deep within indexes"));
            }
            let inner = document::<Index>(self.store, descriptor)?;
            self.index(&inner, depth + 1);
        } else if !descriptor.media_type.is_manifest() {
            let kind = &descriptor.media_type;
            return Err(Error::check(format!("it is of the type `{kind}`, and no manifest")));
        } else if unknown {
            let other = "an attestation, and no image".to_owned();
            self.found.others.push((format!("{name}@{}", descriptor.digest.short()), other));
        } else {
            let manifest = document::<Manifest>(self.store, descriptor)?;
            self.manifest(name, &manifest, descriptor)?;
        }
        Ok(())
    }

    fn manifest(
        &mut self,
        name: &str,
        manifest: &Document<Manifest>,
        descriptor: &Descriptor,
    ) -> Result<()> {
        let kind = &manifest.config.media_type;
        if !matches!(kind, MediaType::Config | MediaType::DockerConfig) {
            let other = format!("an artifact with a configuration of the type `{kind}`");
            self.found.others.push((name.to_owned(), other));
            return Ok(());
        }
        let config = document::<Config>(self.store, &manifest.config)?;
        let platform = config.platform()?;
        if descriptor.platform.as_ref().is_some_and(|said| *said != platform) {
            let message = format!("its configuration says that it is for `{platform}`");
            return Err(Error::check(message));
        }
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (has, said) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::check(format!("it has {has} layers, and its configuration {said}")));
        }
        let layers = manifest.layers.iter().zip(diff_ids).map(|(layer, diff_id)| Layer {
            path: blob_path(layer.digest),
            blob: Some((layer.digest, layer.size)),
            diff_id: *diff_id,
        });
        self.found.images.push(Image {
            name: String::new(),
            platform,
            size: Some(descriptor.size.saturating_add(manifest.content_size())),
            layers: layers.collect(),
            digest: descriptor.digest,
        });
        Ok(())
    }
}

/// One image in the `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn docker(store: &dyn Store, manifest: &[u8], found: &mut Images) -> Result<()> {
    let bad = |error| Error::check(format!("`{DOCKER_MANIFEST}` cannot be read")).because(error);
    let saved: Vec<Saved> = serde_json::from_slice(manifest).map_err(bad)?;
    if saved.len() > MANIFESTS {
        return Err(Error::check(format!("it has more than {MANIFESTS} images")));
    }
    for saved in saved {
        let name = saved.repo_tags.iter().flatten().next().unwrap_or(&saved.config).clone();
        match docker_image(store, &saved) {
            Ok(image) => found.images.push(image),
            Err(error) => found.broken.push((name, error.to_string())),
        }
    }
    Ok(())
}

fn docker_image(store: &dyn Store, saved: &Saved) -> Result<Image> {
    let path = &saved.config;
    let missing = || Error::check(format!("`{path}` is missing"));
    let bytes = small(store, path)?.ok_or_else(missing)?;
    let digest = Digest::of(&bytes);
    // It is called by its digest: `<digest>.json`, or as a blob.
    let called = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".json");
    if called != digest.hex() {
        return Err(Error::check(format!("`{path}` lies: it has the digest `{digest}`")));
    }
    let config = Document::<Config>::parse(bytes)?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != saved.layers.len() {
        let (has, said) = (saved.layers.len(), diff_ids.len());
        return Err(Error::check(format!("it has {has} layers, and its configuration {said}")));
    }
    let layers = saved.layers.iter().zip(diff_ids);
    let layer = |(path, diff_id): (&String, &Digest)| Layer {
        path: path.clone(),
        blob: None,
        diff_id: *diff_id,
    };
    Ok(Image {
        name: String::new(),
        platform: config.platform()?,
        size: None,
        layers: layers.map(layer).collect(),
        digest,
    })
}
