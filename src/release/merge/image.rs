//! What an index or a manifest holds, read without its layers.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    image::oci::{
        Config, Descriptor, Document, Index, Manifest, MediaType,
        check::FoundImage,
        walk::{Walk, WalkStep},
    },
    model::{digest::Digest, error::Result},
};

/// The label prefix of the OCI image specification (annotations.md).
const PREDEFINED: &str = "org.opencontainers.image.";

/// What was found below a digest.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The images.
    pub images: Vec<FoundImage>,
    /// What other tools put beside them.
    pub attestations: Vec<Attestation>,
    /// The annotations of the index.
    pub annotations: BTreeMap<String, String>,
    /// What is wrong, each with the digest it is about.
    pub faults: Vec<String>,
}

/// The properties of an image in its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What points at it.
    pub descriptor: Descriptor,
    /// What it consists of, beside its manifest.
    pub blobs: Vec<Descriptor>,
}

/// Reads the document `root` and those below it. `get` returns the bytes of a document, which match its
/// digest, or `None` if the caller has reported the reason.
pub fn read(root: &Descriptor, get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>) -> Contents {
    let mut contents = Contents::default();
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
        } else if descriptor.platform.as_ref().is_some_and(|of| of.os == "unknown") {
            contents.attestation(&descriptor, get);
        } else {
            contents.manifest(&descriptor, get);
        }
    }
    contents
}

impl Contents {
    fn fault(&mut self, digest: Digest, what: impl std::fmt::Display) {
        self.faults.push(format!("`{digest}`: {what}"));
    }

    fn index(
        &mut self,
        of: Descriptor,
        walk: &mut Walk,
        get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>,
    ) -> Result<()> {
        let Some(bytes) = get(&of) else { return Ok(()) };
        let index = Document::<Index>::parse(bytes)?;
        if walk.enclosing().len() == 0 {
            self.annotations.clone_from(&index.annotations);
        }
        walk.descend(of, index.manifests.clone())
    }

    fn attestation(&mut self, of: &Descriptor, get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>) {
        let Some(bytes) = get(of) else { return };
        match Document::<Manifest>::parse(bytes) {
            Err(error) => self.fault(of.digest, error),
            Ok(manifest) => {
                let mut blobs = manifest.layers.clone();
                blobs.push(manifest.config.clone());
                self.attestations.push(Attestation { descriptor: of.clone(), blobs });
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

    fn manifest(&mut self, of: &Descriptor, get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>) {
        if !of.media_type.is_manifest() {
            let kind = &of.media_type;
            return self.fault(of.digest, format!("it is of the type `{kind}`, not a manifest"));
        }
        let Some(bytes) = get(of) else { return };
        let manifest = match Document::<Manifest>::parse(bytes) {
            Ok(manifest) => manifest,
            Err(error) => return self.fault(of.digest, error),
        };
        if !matches!(manifest.config.media_type, MediaType::Config | MediaType::DockerConfig) {
            return self.fault(of.digest, "it is an artifact, and no image");
        }
        let Some(bytes) = get(&manifest.config) else { return };
        let config = Document::<Config>::parse(bytes)
            .and_then(|config| config.platform().map(|platform| (config, platform)));
        match config {
            Err(error) => self.fault(manifest.config.digest, error),
            Ok((_, platform)) if of.platform.as_ref().is_some_and(|said| *said != platform) => {
                let said = of.platform.as_ref().map(ToString::to_string).unwrap_or_default();
                let what = format!("it is for `{platform}`, and the index says `{said}`");
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

/// The properties of the release in the labels of an image, which must be equal in all images of one
/// release.
pub fn labels(image: &FoundImage) -> BTreeMap<&str, &str> {
    let names = ["title", "version", "revision", "created"];
    let labels = &image.config.config.labels;
    let said = |name| labels.get(&format!("{PREDEFINED}{name}")).map_or("none", String::as_str);
    names.into_iter().map(|name| (name, said(name))).collect()
}
