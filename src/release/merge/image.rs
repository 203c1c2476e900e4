//! What an index or a manifest holds, read without its layers.

use std::collections::BTreeMap;

use crate::{
    image::oci::{Config, Descriptor, Document, Index, Manifest, MediaType, check::Found},
    model::digest::Digest,
};

/// The label prefix of the OCI image specification (annotations.md).
const PREDEFINED: &str = "org.opencontainers.image.";

/// What was found below a digest.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The images.
    pub images: Vec<Found>,
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
    if !root.media_type.is_index() {
        contents.manifest(root, get);
        return contents;
    }
    let Some(bytes) = get(root) else { return contents };
    match Document::<Index>::parse(bytes) {
        Err(error) => contents.faults.push(format!("`{}`: {error}", root.digest)),
        Ok(index) => {
            contents.annotations.clone_from(&index.annotations);
            for inner in &index.manifests {
                if inner.media_type.is_index() {
                    let why = "an index within an index, which not every engine follows";
                    contents.faults.push(format!("`{}` is {why}", inner.digest));
                } else if inner.platform.as_ref().is_some_and(|of| of.os == "unknown") {
                    contents.attestation(inner, get);
                } else {
                    contents.manifest(inner, get);
                }
            }
        }
    }
    contents
}

impl Contents {
    fn fault(&mut self, digest: Digest, what: impl std::fmt::Display) {
        self.faults.push(format!("`{digest}`: {what}"));
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

    fn manifest(&mut self, of: &Descriptor, get: &dyn Fn(&Descriptor) -> Option<Vec<u8>>) {
        if !of.media_type.is_manifest() {
            let kind = &of.media_type;
            return self.fault(of.digest, format!("it is of the type `{kind}`, and no manifest"));
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
            Ok((config, _)) if config.other_history().is_some() => {
                let what = "its history has not one entry for each layer";
                self.fault(manifest.config.digest, what);
            }
            Ok((config, platform)) => self.images.push(Found { platform, manifest, config }),
        }
    }
}

/// The properties of the release in the labels of an image, which must be equal in all images of one
/// release.
pub fn labels(image: &Found) -> BTreeMap<&str, &str> {
    let names = ["title", "version", "revision", "created"];
    let labels = &image.config.config.labels;
    let said = |name| labels.get(&format!("{PREDEFINED}{name}")).map_or("none", String::as_str);
    names.into_iter().map(|name| (name, said(name))).collect()
}
