//! The images of an OCI layout (OCI image specification 1.1, image-layout.md), and its other
//! entries.

use std::{collections::BTreeMap, io::Read as _};

use super::{
    image::{
        AbsentImage, EntryNote, Images, MAX_DOCUMENTS, MAX_MANIFESTS, Store, StoredImage,
        StoredLayer, StoredSet, absent_from, add_names, charge, document, history_warning,
        read_small,
    },
    platform::resolve,
};
use crate::{
    archive::unpack::{stream::Compression, tar::is_tar},
    image::oci::{
        Config, Descriptor, Document, Index, Manifest, MediaType,
        document::Model,
        layout::{IMAGE_NAME, REF_NAME, blob_path},
        walk::{Walk, WalkStep},
    },
    model::error::{Error, Result},
};

/// A layout that is being read.
pub(crate) struct Layout<'a> {
    store: &'a dyn Store,
    found: &'a mut Images,
    remaining: usize,
    /// The number of bytes of documents that may still be read.
    bytes: u64,
    /// The number of the set that is read.
    set: usize,
}

impl<'a> Layout<'a> {
    /// Begins to read a layout, and collects what it has.
    pub(crate) fn new(store: &'a dyn Store, found: &'a mut Images) -> Self {
        Layout { store, found, remaining: MAX_MANIFESTS, bytes: MAX_DOCUMENTS, set: 0 }
    }
}

impl Layout<'_> {
    fn document<T: Model>(&mut self, descriptor: &Descriptor) -> Result<Document<T>> {
        self.bytes = charge(self.bytes, descriptor.size)?;
        self.found.files.insert(blob_path(descriptor.digest));
        document(self.store, descriptor)
    }

    /// Returns the entries of `index.json`. One with several names is there several times.
    pub(crate) fn read_index(&mut self, index: &Index) {
        for descriptor in &index.manifests {
            let descriptor = &self.with_type(descriptor);
            let notes = &descriptor.annotations;
            let names = [IMAGE_NAME, REF_NAME].into_iter().filter_map(|key| notes.get(key));
            let same = |set: &&mut StoredSet| {
                let plain = |entry: &Descriptor| Descriptor {
                    annotations: BTreeMap::new(),
                    ..entry.clone()
                };
                set.descriptor.as_ref().is_some_and(|known| plain(known) == plain(descriptor))
            };
            if let Some(set) = self.found.sets.iter_mut().find(same) {
                add_names(set, names);
                continue;
            }
            let mut set = StoredSet {
                names: Vec::new(),
                descriptor: Some(descriptor.clone()),
                annotations: BTreeMap::new(),
            };
            add_names(&mut set, names);
            self.set = self.found.sets.len();
            self.found.sets.push(set);
            self.walk(descriptor.clone());
        }
    }

    /// Returns the descriptor, with the type of its target if the writer left that out.
    fn with_type(&self, descriptor: &Descriptor) -> Descriptor {
        let mut typed = descriptor.clone();
        if typed.media_type == MediaType::default()
            && let Ok(Some(bytes)) = read_small(self.store, &blob_path(descriptor.digest))
        {
            typed.media_type = MediaType::detect(&bytes);
        }
        typed
    }

    fn walk(&mut self, root: Descriptor) {
        let mut walk = Walk::new(vec![root]);
        while let Some(step) = walk.next() {
            let WalkStep::Visit(descriptor) = step else { continue };
            let descriptor = &self.with_type(&descriptor);
            let name = match (&descriptor.platform, descriptor.annotations.get(REF_NAME)) {
                (Some(platform), _) => platform.to_string(),
                (None, Some(name)) => name.clone(),
                (None, None) => descriptor.digest.short(),
            };
            let platform = descriptor.platform.clone();
            let Some(remaining) = self.remaining.checked_sub(1) else {
                let description = format!("it has more than {MAX_MANIFESTS} manifests");
                return self.found.broken.push(EntryNote {
                    name,
                    description,
                    set: self.set,
                    platform,
                });
            };
            self.remaining = remaining;
            if let Err(error) = self.visit_descriptor(&name, descriptor, &mut walk) {
                let description = error.to_string();
                self.found.broken.push(EntryNote { name, description, set: self.set, platform });
            }
        }
    }

    fn add_other(&mut self, name: String, description: String) {
        self.found.others.push(EntryNote { name, description, set: self.set, platform: None });
    }

    fn visit_descriptor(
        &mut self,
        name: &str,
        descriptor: &Descriptor,
        walk: &mut Walk,
    ) -> Result<()> {
        let is_root = walk.enclosing().len() == 0;
        let unknown = descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown");
        if descriptor.media_type.is_index() {
            let inner = self.document::<Index>(descriptor)?;
            if is_root && let Some(set) = self.found.sets.get_mut(self.set) {
                set.annotations.clone_from(&inner.annotations);
            }
            walk.descend(descriptor.clone(), inner.manifests.clone())?;
        } else if !descriptor.media_type.is_manifest() {
            let kind = &descriptor.media_type;
            return Err(Error::check(format!("it is of the type `{kind}`, not a manifest")));
        } else if !self.has_blob(descriptor)? && (unknown || !is_root) {
            match unknown {
                true => self.add_attestation(name, descriptor),
                false => self.add_absent(descriptor)?,
            }
        } else {
            let manifest = self.document::<Manifest>(descriptor)?;
            if let Some(other) = self.other_than_image(&manifest, descriptor)? {
                match unknown {
                    true => self.add_attestation(name, descriptor),
                    false => self.add_other(name.to_owned(), other),
                }
            } else if unknown && manifest.layers.is_empty() {
                self.add_attestation(name, descriptor);
            } else if !is_root
                && descriptor.platform.is_some()
                && self.lacks_all_layers(&manifest)?
            {
                self.add_absent(descriptor)?;
            } else {
                self.add_manifest(&manifest, descriptor)?;
            }
        }
        Ok(())
    }

    /// Notes an attestation. Its platform marks it as one, and that is trusted only if it is not an
    /// image: podman does not compare the platform of an image that it finds by a name.
    fn add_attestation(&mut self, name: &str, descriptor: &Descriptor) {
        let name = format!("{name}@{}", descriptor.digest.short());
        self.add_other(name, "an attestation, not an image".to_owned());
    }

    fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(self.store.open(&blob_path(descriptor.digest))?.is_some())
    }

    /// Returns whether the manifest has layers, and the store none of them.
    fn lacks_all_layers(&self, manifest: &Manifest) -> Result<bool> {
        for layer in &manifest.layers {
            if self.has_blob(layer)? {
                return Ok(false);
            }
        }
        Ok(!manifest.layers.is_empty())
    }

    /// Records that the store lacks an image of an index. Entries of `index.json` itself must
    /// exist.
    fn add_absent(&mut self, descriptor: &Descriptor) -> Result<()> {
        let Some(platform) = descriptor.platform.clone() else {
            let path = blob_path(descriptor.digest);
            return Err(Error::check(format!("`{path}` is missing")));
        };
        let reason = format!("{platform}{}", absent_from(self.store.noun()));
        let digest = descriptor.digest;
        self.found.absent.push(AbsentImage { platform, digest, reason, set: self.set });
        Ok(())
    }

    /// Returns the type of a manifest that is not an image, if no engine makes a container of it. That
    /// is decided by the content of its layers if their types are unknown: podman unpacks any that is
    /// an archive.
    fn other_than_image(
        &self,
        manifest: &Manifest,
        descriptor: &Descriptor,
    ) -> Result<Option<String>> {
        let kind = &manifest.config.media_type;
        // Engines do not compare the types in Docker's manifests.
        if !kind.is_config() && descriptor.media_type != MediaType::DockerManifest {
            return Ok(Some(format!("an artifact with a configuration of the type `{kind}`")));
        }
        let Some(first) = manifest.layers.first() else {
            return Ok(None);
        };
        for layer in &manifest.layers {
            if layer.media_type.is_layer() || self.is_archive(layer)? {
                return Ok(None);
            }
        }
        let kind = &first.media_type;
        Ok(Some(format!(
            "attached to an image, and not an image: its layers are of the type `{kind}`"
        )))
    }

    /// Returns whether some engine could unpack the blob.
    fn is_archive(&self, blob: &Descriptor) -> Result<bool> {
        const START: u64 = 512;
        let Some(stream) = self.store.open(&blob_path(blob.digest))? else {
            return Ok(false);
        };
        let mut start = Vec::new();
        let failed = |error| Error::check("a layer of it cannot be read").because(error);
        stream.take(START).read_to_end(&mut start).map_err(failed)?;
        let compressed = match start.as_slice() {
            // bzip2; a skippable frame of zstd (RFC 8878), which containerd reads.
            [b'B', b'Z', b'h', ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => true,
            _ => Compression::detect(&start) != Compression::None,
        };
        // A text has no NUL, and a header without a name has one first.
        Ok(compressed || is_tar(&start) || start.first() == Some(&0))
    }

    fn add_manifest(
        &mut self,
        manifest: &Document<Manifest>,
        descriptor: &Descriptor,
    ) -> Result<()> {
        let config = self.document::<Config>(&manifest.config)?;
        let (platform, warning) = resolve(descriptor.platform.as_ref(), &config)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (has, declared) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::check(format!(
                "it has {has} layers, and its configuration {declared}"
            )));
        }
        self.found.files.extend(manifest.layers.iter().map(|layer| blob_path(layer.digest)));
        let layers = manifest.layers.iter().zip(diff_ids).map(|(layer, diff_id)| StoredLayer {
            path: blob_path(layer.digest),
            blob: Some((layer.digest, layer.size)),
            named_digest: None,
            diff_id: *diff_id,
        });
        self.found.images.push(StoredImage {
            name: String::new(),
            platform,
            size: Some(descriptor.size.saturating_add(manifest.content_size())),
            layers: layers.collect(),
            set: self.set,
            manifest: Some(descriptor.clone()),
            config: (blob_path(manifest.config.digest), manifest.config.digest),
            warnings: warning.into_iter().chain(history_warning(&config)).collect(),
        });
        Ok(())
    }
}
