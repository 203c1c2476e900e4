//! The files of container images, as a container sees them: in OCI layouts (OCI image
//! specification 1.1, image-layout.md) and in what `docker save` writes. Every blob is held against
//! the digest that names it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use serde::Deserialize;

pub use super::layers::{OPAQUE, WHITEOUT, WasRead, read};
use crate::{
    error::{Error, Result},
    oci::{
        Config, Descriptor, Digest, Document, Index, Manifest, MediaType, Platform,
        archive::DOCKER_MANIFEST,
        document::Model,
        layout::{IMAGE_NAME, REF_NAME, blob_path},
    },
};

/// The most bytes of indexes, manifests and configurations of one store, each counted as often as it
/// is read: what is kept of them is in proportion.
const DOCUMENTS: u64 = 64 << 20;

/// Indexes within indexes that are followed; real ones have two.
const DEPTH: usize = 8;

/// The most manifests of one layout.
const MANIFESTS: usize = 1024;

/// The largest configuration or manifest (OCI distribution specification 1.1, "Pushing Manifests").
const DOCUMENT: u64 = 4 << 20;

/// The file that marks a layout, and its index.
pub use crate::oci::layout::{INDEX, MARK};

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
    /// What is no image, and what it is.
    pub others: Vec<Told>,
    /// What is broken, and why.
    pub broken: Vec<Told>,
    /// What a layout's `index.json` points at.
    pub top: Vec<Digest>,
    /// What names stand for: what a layout's `index.json` points at, each once, or what was saved.
    pub sets: Vec<Set>,
    /// The paths of all files of the store that these are made of.
    pub files: BTreeSet<String>,
}

/// What there is to say of a part of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What the part is called.
    pub name: String,
    /// What it is, or why it is broken.
    pub what: String,
    /// The number of the set that it is of.
    pub set: usize,
}

/// The images that go by the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its tags, and whole names with tags.
    pub names: Vec<String>,
    /// What points at it; none in what `docker save` wrote.
    pub descriptor: Option<Descriptor>,
    /// The notes of its index, by name.
    pub annotations: BTreeMap<String, String>,
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
    /// The number of the set that it is of.
    pub set: usize,
    /// What points at its manifest; none in what `docker save` wrote.
    pub manifest: Option<Descriptor>,
    /// Where its configuration is, and its digest.
    pub config: (String, Digest),
}

impl Image {
    /// The digest of its manifest, or where it has none, of its configuration.
    pub fn digest(&self) -> Digest {
        self.manifest.as_ref().map_or(self.config.1, |manifest| manifest.digest)
    }
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
    let marked = store.open(MARK.0)?.is_some();
    let saved = small(store, DOCKER_MANIFEST)?;
    if marked || has_index(store)? {
        found.files.extend([MARK.0, INDEX].map(str::to_owned));
        let bytes = small(store, INDEX)?.ok_or_else(missing)?;
        let index = Document::<Index>::parse(bytes)?;
        found.top = index.manifests.iter().map(|manifest| manifest.digest).collect();
        Layout { store, found: &mut found, left: MANIFESTS, bytes: DOCUMENTS, set: 0 }.top(&index);
        // Tools that load what `docker save` writes read the other file.
        if let Some(bytes) = saved.filter(|bytes| is_saved(bytes)) {
            let mut second = Images::default();
            docker(store, &bytes, &mut second)?;
            found.add_saved(second);
        }
    } else if let Some(bytes) = saved {
        docker(store, &bytes, &mut found)?;
    } else {
        let message = format!("it has neither `{}` nor `{DOCKER_MANIFEST}`", MARK.0);
        return Err(Error::check(message));
    }
    name(&mut found.images);
    Ok(found)
}

impl Images {
    /// Adds what `docker save` wrote beside a layout, unless it is an image of the layout.
    fn add_saved(&mut self, saved: Images) {
        self.files.extend(saved.files);
        let layers = |image: &Image| {
            image.layers.iter().map(|layer| (layer.path.clone(), layer.diff_id)).collect::<Vec<_>>()
        };
        let is_known = |known: &[Image], image: &Image| {
            let same =
                |known: &Image| known.config.1 == image.config.1 && layers(known) == layers(image);
            known.iter().any(same)
        };
        let first = self.images.len();
        for (at, set) in saved.sets.into_iter().enumerate() {
            let number = self.sets.len();
            let known = self.images.get(..first).unwrap_or_default();
            let of_set = saved.images.iter().filter(|image| image.set == at);
            let new = of_set.filter(|image| !is_known(known, image)).cloned();
            let new: Vec<_> = new.map(|image| Image { set: number, ..image }).collect();
            let broken = saved.broken.iter().filter(|broken| broken.set == at).cloned();
            let broken: Vec<_> = broken.map(|broken| Told { set: number, ..broken }).collect();
            if !new.is_empty() || !broken.is_empty() {
                self.sets.push(set);
                self.images.extend(new);
                self.broken.extend(broken);
            }
        }
    }
}

/// Whether there is an index of images. Not all tools ask for the mark of a layout.
fn has_index(store: &dyn Store) -> Result<bool> {
    let index = small(store, INDEX)?.and_then(|bytes| Document::<Index>::parse(bytes).ok());
    Ok(index.is_some_and(|index| !index.manifests.is_empty()))
}

/// Whether these bytes list the images that `docker save` wrote.
fn is_saved(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Vec<Saved>>(bytes).is_ok_and(|saved| !saved.is_empty())
}

/// Whether the store holds images: by the mark of a layout, an index of images, or what `docker
/// save` writes. Other archives have a `manifest.json`, too.
///
/// # Errors
/// The files that decide cannot be read.
pub fn is_image(store: &dyn Store) -> Result<bool> {
    if store.open(MARK.0)?.is_some() || has_index(store)? {
        return Ok(true);
    }
    Ok(small(store, DOCKER_MANIFEST)?.is_some_and(|bytes| is_saved(&bytes)))
}

/// Tells images of one platform apart.
fn name(images: &mut [Image]) {
    let platforms: Vec<_> = images.iter().map(|image| image.platform.clone()).collect();
    for image in images {
        image.name = image.platform.to_string();
        if platforms.iter().filter(|platform| **platform == image.platform).count() > 1 {
            image.name = format!("{}@{}", image.name, image.digest().short());
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

pub(super) fn document<T: Model>(
    store: &dyn Store,
    descriptor: &Descriptor,
) -> Result<Document<T>> {
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
    /// How many bytes of documents may still be read.
    bytes: u64,
    /// The number of the set that is read.
    set: usize,
}

/// What is left of `room` after so many bytes of documents.
fn less(room: u64, bytes: u64) -> Result<u64> {
    let message = || format!("its manifests and the like have more than {DOCUMENTS} bytes");
    room.checked_sub(bytes).ok_or_else(|| Error::check(message()))
}

impl Layout<'_> {
    fn document<T: Model>(&mut self, descriptor: &Descriptor) -> Result<Document<T>> {
        self.bytes = less(self.bytes, descriptor.size)?;
        self.found.files.insert(blob_path(descriptor.digest));
        document(self.store, descriptor)
    }

    /// What is in `index.json`. What has several names is there several times.
    fn top(&mut self, index: &Index) {
        for descriptor in &index.manifests {
            let notes = &descriptor.annotations;
            let names = [IMAGE_NAME, REF_NAME].into_iter().filter_map(|key| notes.get(key));
            let same = |set: &&mut Set| {
                let plain =
                    |of: &Descriptor| Descriptor { annotations: BTreeMap::new(), ..of.clone() };
                set.descriptor.as_ref().is_some_and(|known| plain(known) == plain(descriptor))
            };
            if let Some(set) = self.found.sets.iter_mut().find(same) {
                add_names(set, names);
                continue;
            }
            let mut set = Set {
                names: Vec::new(),
                descriptor: Some(descriptor.clone()),
                annotations: BTreeMap::new(),
            };
            add_names(&mut set, names);
            self.set = self.found.sets.len();
            self.found.sets.push(set);
            self.index(std::slice::from_ref(descriptor), 0);
        }
    }

    fn index(&mut self, manifests: &[Descriptor], depth: usize) {
        for descriptor in manifests {
            let name = match (&descriptor.platform, descriptor.annotations.get(REF_NAME)) {
                (Some(platform), _) => platform.to_string(),
                (None, Some(name)) => name.clone(),
                (None, None) => descriptor.digest.short(),
            };
            let Some(left) = self.left.checked_sub(1) else {
                let what = format!("it has more than {MANIFESTS} manifests");
                return self.found.broken.push(Told { name, what, set: self.set });
            };
            self.left = left;
            if let Err(error) = self.descriptor(&name, descriptor, depth) {
                let what = error.to_string();
                self.found.broken.push(Told { name, what, set: self.set });
            }
        }
    }

    fn other(&mut self, name: String, what: String) {
        self.found.others.push(Told { name, what, set: self.set });
    }

    fn descriptor(&mut self, name: &str, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let unknown = descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown");
        if descriptor.media_type.is_index() {
            if depth == DEPTH {
                return Err(Error::check("it is an index too deep within indexes"));
            }
            let inner = self.document::<Index>(descriptor)?;
            if depth == 0
                && let Some(set) = self.found.sets.get_mut(self.set)
            {
                set.annotations.clone_from(&inner.annotations);
            }
            self.index(&inner.manifests, depth + 1);
        } else if !descriptor.media_type.is_manifest() {
            let kind = &descriptor.media_type;
            return Err(Error::check(format!("it is of the type `{kind}`, and no manifest")));
        } else if unknown {
            let other = "an attestation, and no image".to_owned();
            self.other(format!("{name}@{}", descriptor.digest.short()), other);
        } else {
            let manifest = self.document::<Manifest>(descriptor)?;
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
            self.other(name.to_owned(), other);
            return Ok(());
        }
        let config = self.document::<Config>(&manifest.config)?;
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
        self.found.files.extend(manifest.layers.iter().map(|layer| blob_path(layer.digest)));
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
            set: self.set,
            manifest: Some(descriptor.clone()),
            config: (blob_path(manifest.config.digest), manifest.config.digest),
        });
        Ok(())
    }
}

fn add_names<'a>(set: &mut Set, names: impl Iterator<Item = &'a String>) {
    for name in names {
        if !set.names.contains(name) {
            set.names.push(name.clone());
        }
    }
}

/// The manifest of an image, where it has one, and its configuration.
///
/// # Errors
/// They are not what the store had before.
pub fn documents(
    store: &dyn Store,
    image: &Image,
) -> Result<(Option<Document<Manifest>>, Document<Config>)> {
    let manifest = image.manifest.as_ref();
    let manifest =
        manifest.map(|descriptor| document::<Manifest>(store, descriptor)).transpose()?;
    let (path, digest) = &image.config;
    let missing = || Error::check(format!("`{path}` is missing"));
    let config = Document::<Config>::parse(small(store, path)?.ok_or_else(missing)?)?;
    if config.digest() != *digest {
        let is = config.digest();
        return Err(Error::check(format!("`{path}` lies: it has the digest `{is}`")));
    }
    Ok((manifest, config))
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
    let mut bytes = DOCUMENTS;
    found.files.insert(DOCKER_MANIFEST.to_owned());
    for saved in saved {
        found.files.insert(saved.config.clone());
        found.files.extend(saved.layers.iter().cloned());
        let name = saved.repo_tags.iter().flatten().next().unwrap_or(&saved.config).clone();
        let mut own = Set { names: Vec::new(), descriptor: None, annotations: BTreeMap::new() };
        add_names(&mut own, saved.repo_tags.iter().flatten());
        let set = found.sets.len();
        found.sets.push(own);
        match docker_image(store, &saved, set, &mut bytes) {
            Ok(image) => found.images.push(image),
            Err(error) => found.broken.push(Told { name, what: error.to_string(), set }),
        }
    }
    Ok(())
}

fn docker_image(store: &dyn Store, saved: &Saved, set: usize, left: &mut u64) -> Result<Image> {
    let path = &saved.config;
    let missing = || Error::check(format!("`{path}` is missing"));
    let bytes = small(store, path)?.ok_or_else(missing)?;
    *left = less(*left, bytes.len() as u64)?;
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
        set,
        manifest: None,
        config: (path.clone(), digest),
    })
}
