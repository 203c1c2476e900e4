//! The contents of an index or a manifest, read without its layers.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    image::oci::{
        Config, Descriptor, Document, Index, Manifest, MediaType,
        check::FoundImage,
        walk::{Walk, WalkStep},
    },
    model::{collect::CollectOrdered as _, digest::Digest, error::Result},
};

/// The label prefix of the OCI image specification (annotations.md).
const PREDEFINED: &str = "org.opencontainers.image.";

/// The documents below a digest.
#[derive(Clone, Debug, Default)]
pub struct IndexContents {
    /// The images.
    pub images: Vec<FoundImage>,
    /// The attestations that other tools added.
    pub attestations: Vec<Attestation>,
    /// The annotations of the index.
    pub annotations: BTreeMap<String, String>,
    /// The errors, each with the digest that it is about.
    pub faults: Vec<String>,
}

/// An attestation in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The descriptor of its manifest.
    pub descriptor: Descriptor,
    /// The blobs of its manifest.
    pub blobs: Vec<Descriptor>,
}

/// Reads the document `root` and those below it. `get` returns the bytes of a document, which match its
/// digest, or `None` if the caller has reported the reason.
pub fn read(root: &Descriptor, get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>) -> IndexContents {
    let mut contents = IndexContents::default();
    let mut seen = BTreeSet::new();
    let mut walk = Walk::new(vec![root.clone()]);
    while let Some(step) = walk.next() {
        let WalkStep::Visit(descriptor) = step else { continue };
        // Two indexes may list the same.
        if !seen.insert(descriptor.digest) {
            continue;
        }
        if descriptor.media_type.is_index() {
            if let Err(error) = contents.index(descriptor.clone(), &mut walk, get) {
                contents.fault(descriptor.digest, error);
            }
        } else if descriptor.platform.as_ref().is_some_and(|item| item.os == "unknown") {
            contents.attestation(&descriptor, get);
        } else {
            contents.manifest(&descriptor, get);
        }
    }
    contents
}

impl IndexContents {
    fn fault(&mut self, digest: Digest, what: impl std::fmt::Display) {
        self.faults.push(format!("`{digest}`: {what}"));
    }

    fn index(
        &mut self,
        descriptor: Descriptor,
        walk: &mut Walk,
        get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>,
    ) -> Result<()> {
        let Some(bytes) = get(&descriptor) else { return Ok(()) };
        let index = Document::<Index>::parse(bytes)?;
        if walk.enclosing().len() == 0 {
            self.annotations.clone_from(&index.annotations);
        }
        walk.descend(descriptor, index.manifests.clone())
    }

    fn attestation(
        &mut self,
        descriptor: &Descriptor,
        get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>,
    ) {
        let Some(bytes) = get(descriptor) else { return };
        match Document::<Manifest>::parse(bytes) {
            Err(error) => self.fault(descriptor.digest, error),
            Ok(manifest) => {
                let mut blobs = manifest.layers.clone();
                blobs.push(manifest.config.clone());
                self.attestations.push(Attestation { descriptor: descriptor.clone(), blobs });
            }
        }
    }

    fn image(&mut self, image: FoundImage) {
        let platform = &image.platform;
        match self.images.iter().find(|known| known.platform == *platform) {
            None => self.images.push(image),
            Some(known) => {
                let what =
                    format!("it is for `{platform}`, and so is `{}`", known.manifest.digest());
                self.fault(image.manifest.digest(), what);
            }
        }
    }

    fn manifest(&mut self, descriptor: &Descriptor, get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>) {
        if !descriptor.media_type.is_manifest() {
            let kind = &descriptor.media_type;
            return self
                .fault(descriptor.digest, format!("it is of the type `{kind}`, not a manifest"));
        }
        let Some(bytes) = get(descriptor) else { return };
        let manifest = match Document::<Manifest>::parse(bytes) {
            Ok(manifest) => manifest,
            Err(error) => return self.fault(descriptor.digest, error),
        };
        if !matches!(manifest.config.media_type, MediaType::Config | MediaType::DockerConfig) {
            return self.fault(descriptor.digest, "it is an artifact, and no image");
        }
        let Some(bytes) = get(&manifest.config) else { return };
        let config = Document::<Config>::parse(bytes)
            .and_then(|config| config.platform().map(|platform| (config, platform)));
        match config {
            Err(error) => self.fault(manifest.config.digest, error),
            Ok((_, platform))
                if descriptor.platform.as_ref().is_some_and(|reported| *reported != platform) =>
            {
                let reported =
                    descriptor.platform.as_ref().map(ToString::to_string).unwrap_or_default();
                let what = format!("it is for `{platform}`, expected `{reported}` by the index");
                self.fault(manifest.config.digest, what);
            }
            Ok((config, _)) if config.mismatched_history().is_some() => {
                let what = "its history has not one entry for each layer";
                self.fault(manifest.config.digest, what);
            }
            Ok((config, platform)) => self.image(FoundImage { platform, manifest, config }),
        }
    }
}

/// Returns the properties of the release in the labels of an image, which must be equal in all images of one
/// release.
pub fn labels(image: &FoundImage) -> BTreeMap<&str, &str> {
    let names = ["title", "version", "revision", "created"];
    let labels = &image.config.config.labels;
    let reported = |name| labels.get(&format!("{PREDEFINED}{name}")).map_or("none", String::as_str);
    names.into_iter().map(|name| (name, reported(name))).collect_map()
}
