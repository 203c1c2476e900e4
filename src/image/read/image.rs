//! The files of container images, as a container sees them: in OCI layouts (OCI image specification
//! 1.1, image-layout.md) and in the output of `docker save`. Every blob is compared with the digest
//! that names it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

pub use super::layers::{LayerSummary, OPAQUE, WHITEOUT, read};
use super::{
    layout::Layout,
    saved::{self, is_saved},
};
use crate::{
    image::oci::{
        Config, Descriptor, Document, Index, Manifest, archive::DOCKER_MANIFEST, document::Model,
        layout::blob_path,
    },
    model::{
        digest::Digest,
        error::{Error, Result},
        platform::Platform,
    },
};

/// The most bytes of indexes, manifests and configurations of one store, each counted as often as it
/// is read: what is kept of them is in proportion.
pub(crate) const MAX_DOCUMENTS: u64 = 64 << 20;

/// The largest configuration or manifest (OCI distribution specification 1.1, "Pushing Manifests").
const MAX_DOCUMENT: u64 = 4 << 20;

/// The file that marks a layout, and its index.
pub use crate::image::oci::layout::{INDEX, LAYOUT_FILE};
pub(crate) use crate::image::oci::walk::MAX_MANIFESTS;

/// The files that an image is stored in.
pub trait Store {
    /// Returns the content of the file at a relative path; `None` if it is absent.
    ///
    /// # Errors
    /// It cannot be read.
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>>;

    /// Returns the word for this kind of store in messages.
    fn noun(&self) -> &'static str {
        "layout"
    }
}

/// The images of a store.
#[derive(Debug, Default)]
pub struct Images {
    /// Those that can be read.
    pub images: Vec<StoredImage>,
    /// Entries that are not images, and their types.
    pub others: Vec<EntryNote>,
    /// Broken entries, each with the reason.
    pub broken: Vec<EntryNote>,
    /// The platforms that an index names, and the store does not have.
    pub absent: Vec<AbsentImage>,
    /// The descriptors in a layout's `index.json`.
    pub top: Vec<Digest>,
    /// The targets of names: the descriptors in a layout's `index.json`, each once, or the saved
    /// images.
    pub sets: Vec<StoredSet>,
    /// The paths of all files of the store that these are made of.
    pub files: BTreeSet<String>,
}

/// A note about a part of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryNote {
    /// The name of the part.
    pub name: String,
    /// Its type, or the reason for which it is broken.
    pub description: String,
    /// The number of the set that it is of.
    pub set: usize,
    /// The platform that its descriptor names.
    pub platform: Option<Platform>,
}

/// A platform of an index with an image that is not in the store: `docker save` of an image that was
/// pulled for one platform writes the complete index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentImage {
    /// The platform.
    pub platform: Platform,
    /// The digest of its manifest.
    pub digest: Digest,
    /// One sentence without a capital or a full stop.
    pub reason: String,
    /// The number of the set that it is of.
    pub set: usize,
}

/// Returns whether this is the reason of an [`AbsentImage`] of a layout.
pub fn is_absent(reason: &str) -> bool {
    reason.ends_with(&absent_from("layout"))
}

pub(crate) fn absent_from(noun: &str) -> String {
    format!(" is not in the {noun}")
}

/// The images that go by the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSet {
    /// Its tags, and complete names with tags.
    pub names: Vec<String>,
    /// The descriptor that points at it; `None` in the output of `docker save`.
    pub descriptor: Option<Descriptor>,
    /// The notes of its index, by name.
    pub annotations: BTreeMap<String, String>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// Its platform; with its digest where the store has several for that platform.
    pub name: String,
    /// The platform of its index and its configuration, the more specific one.
    pub platform: Platform,
    /// The bytes that a pull transfers; none in what `docker save` wrote, where layers are not
    /// compressed.
    pub size: Option<u64>,
    /// Its layers, lowest first.
    pub layers: Vec<StoredLayer>,
    /// The number of the set that it is of.
    pub set: usize,
    /// The descriptor that points at its manifest; `None` in the output of `docker save`.
    pub manifest: Option<Descriptor>,
    /// The path of its configuration, and its digest.
    pub config: (String, Digest),
    /// Inconsistencies of its metadata that engines accept, one sentence each.
    pub warnings: Vec<String>,
}

impl StoredImage {
    /// Returns the digest of its manifest, or if it has none, of its configuration.
    pub fn digest(&self) -> Digest {
        self.manifest.as_ref().map_or(self.config.1, |manifest| manifest.digest)
    }
}

/// The path of a layer, and its expected digest and size.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    /// Its path in the store.
    pub path: String,
    /// The digest and the size of the blob, where something says them.
    pub blob: Option<(Digest, u64)>,
    /// The digest that its file is called by, which is that of the blob or of its tar.
    pub named_digest: Option<Digest>,
    /// The digest of its tar.
    pub diff_id: Digest,
}

/// Returns the images of a layout, or else of the output of `docker save`.
///
/// # Errors
/// It is neither, or its first file cannot be read.
pub fn read_images(store: &dyn Store) -> Result<Images> {
    let mut found = Images::default();
    let missing = || Error::check(format!("`{INDEX}` is missing"));
    let marked = store.open(LAYOUT_FILE.0)?.is_some();
    let saved = read_small(store, DOCKER_MANIFEST)?;
    if marked || has_index(store)? {
        found.files.extend([LAYOUT_FILE.0, INDEX].map(str::to_owned));
        let bytes = read_small(store, INDEX)?.ok_or_else(missing)?;
        let index = Document::<Index>::parse(bytes)?;
        found.top = index.manifests.iter().map(|manifest| manifest.digest).collect();
        Layout::new(store, &mut found).read_index(&index);
        // Tools that load what `docker save` writes read the other file.
        if let Some(bytes) = saved.filter(|bytes| is_saved(bytes)) {
            let mut second = Images::default();
            saved::read(store, &bytes, &mut second)?;
            found.add_saved(second);
        }
    } else if let Some(bytes) = saved {
        saved::read(store, &bytes, &mut found)?;
    } else {
        let message = format!("it has neither `{}` nor `{DOCKER_MANIFEST}`", LAYOUT_FILE.0);
        return Err(Error::check(message));
    }
    name_images(&mut found.images);
    Ok(found)
}

impl Images {
    /// Adds what `docker save` wrote beside a layout, unless it is an image of the layout.
    fn add_saved(&mut self, saved: Images) {
        self.files.extend(saved.files);
        let layers = |image: &StoredImage| {
            image.layers.iter().map(|layer| (layer.path.clone(), layer.diff_id)).collect::<Vec<_>>()
        };
        let is_known = |known: &[StoredImage], image: &StoredImage| {
            let same = |known: &StoredImage| {
                known.config.1 == image.config.1 && layers(known) == layers(image)
            };
            known.iter().any(same)
        };
        let first = self.images.len();
        for (at, set) in saved.sets.into_iter().enumerate() {
            let number = self.sets.len();
            let known = self.images.get(..first).unwrap_or_default();
            let of_set = saved.images.iter().filter(|image| image.set == at);
            let new = of_set.filter(|image| !is_known(known, image)).cloned();
            let new: Vec<_> = new.map(|image| StoredImage { set: number, ..image }).collect();
            let broken = saved.broken.iter().filter(|broken| broken.set == at).cloned();
            let broken: Vec<_> = broken.map(|broken| EntryNote { set: number, ..broken }).collect();
            if !new.is_empty() || !broken.is_empty() {
                self.sets.push(set);
                self.images.extend(new);
                self.broken.extend(broken);
            }
        }
    }
}

/// Returns whether there is an index of images. Not all tools require the mark of a layout.
fn has_index(store: &dyn Store) -> Result<bool> {
    let index = read_small(store, INDEX)?.and_then(|bytes| Document::<Index>::parse(bytes).ok());
    Ok(index.is_some_and(|index| !index.manifests.is_empty()))
}

/// Returns whether the store holds images: by the mark of a layout, an index of images, or the output
/// of `docker save`. Other archives have a `manifest.json`, too.
///
/// # Errors
/// The files that decide cannot be read.
pub fn is_image(store: &dyn Store) -> Result<bool> {
    if store.open(LAYOUT_FILE.0)?.is_some() || has_index(store)? {
        return Ok(true);
    }
    Ok(read_small(store, DOCKER_MANIFEST)?.is_some_and(|bytes| is_saved(&bytes)))
}

/// Returns whether the store is a directory as skopeo and podman write it for `dir:`
/// (containers-transports(5)), which is not supported.
///
/// # Errors
/// The file that decides cannot be read.
pub fn is_dir(store: &dyn Store) -> Result<bool> {
    const VERSION: &[u8] = b"Directory Transport Version";
    let Some(stream) = store.open("version")? else {
        return Ok(false);
    };
    let mut start = Vec::new();
    let failed = |error| Error::check("`version` cannot be read").because(error);
    stream.take(VERSION.len() as u64).read_to_end(&mut start).map_err(failed)?;
    Ok(start == VERSION && store.open(DOCKER_MANIFEST)?.is_some())
}

/// Distinguishes images of one platform.
fn name_images(images: &mut [StoredImage]) {
    let platforms: Vec<_> = images.iter().map(|image| image.platform.clone()).collect();
    for image in images {
        image.name = image.platform.to_string();
        if platforms.iter().filter(|platform| **platform == image.platform).count() > 1 {
            image.name = format!("{}@{}", image.name, image.digest().short());
        }
    }
}

/// Returns a complete document.
pub(crate) fn read_small(store: &dyn Store, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(stream) = store.open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let failed = |error| Error::check(format!("`{path}` cannot be read")).because(error);
    stream.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(Error::check(format!("`{path}` has more than {MAX_DOCUMENT} bytes")));
    }
    Ok(Some(bytes))
}

pub(crate) fn document<T: Model>(
    store: &dyn Store,
    descriptor: &Descriptor,
) -> Result<Document<T>> {
    let path = blob_path(descriptor.digest);
    let missing = || Error::check(format!("`{path}` is missing"));
    let bytes = read_small(store, &path)?.ok_or_else(missing)?;
    let is = Digest::sha256(&bytes);
    if is != descriptor.digest || bytes.len() as u64 != descriptor.size {
        let size = bytes.len();
        let message = format!("`{path}` is corrupt: it has {size} bytes and the digest `{is}`");
        return Err(Error::check(message));
    }
    Document::parse(bytes)
}

/// Returns the rest of `room` after so many bytes of documents.
pub(crate) fn charge(room: u64, bytes: u64) -> Result<u64> {
    let message = || format!("its manifests and the like have more than {MAX_DOCUMENTS} bytes");
    room.checked_sub(bytes).ok_or_else(|| Error::check(message()))
}

pub(crate) fn add_names<'a>(set: &mut StoredSet, names: impl Iterator<Item = &'a String>) {
    for name in names {
        if !set.names.contains(name) {
            set.names.push(name.clone());
        }
    }
}

/// Returns the manifest of an image, if it has one, and its configuration.
///
/// # Errors
/// They are not what the store had before.
pub fn documents(
    store: &dyn Store,
    image: &StoredImage,
) -> Result<(Option<Document<Manifest>>, Document<Config>)> {
    let manifest = image.manifest.as_ref();
    let manifest =
        manifest.map(|descriptor| document::<Manifest>(store, descriptor)).transpose()?;
    let (path, digest) = &image.config;
    let missing = || Error::check(format!("`{path}` is missing"));
    let config = Document::<Config>::parse(read_small(store, path)?.ok_or_else(missing)?)?;
    if config.digest() != *digest {
        let is = config.digest();
        return Err(Error::check(format!("`{path}` is corrupt: it has the digest `{is}`")));
    }
    Ok((manifest, config))
}

/// Returns a warning if the history of an image has not one entry for each layer.
pub(crate) fn history_warning(config: &Config) -> Option<String> {
    let (count, layers) = (config.mismatched_history()?, config.rootfs.diff_ids.len());
    Some(format!("its history has {count} layers, and its rootfs {layers}"))
}
