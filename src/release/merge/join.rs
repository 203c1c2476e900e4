//! The index of images of several platforms.

use std::collections::BTreeMap;

use super::{Attestations, Reasons, agree::Said, image};
use crate::{
    image::oci::{Descriptor, Document, Index, MediaType, check::FoundImage},
    model::{error::Result, platform::Platform},
};

/// What images of several platforms are pulled by.
#[derive(Clone, Debug)]
pub struct Joined {
    /// What points at it: at the index, or at the manifest of the only image.
    pub descriptor: Descriptor,
    /// The index; `None` if there is one image.
    pub index: Option<Document<Index>>,
}

/// Joins images and what is attested of them, in any order, as one `dist` of all platforms does.
///
/// # Errors
/// The index cannot be written.
pub fn join<'a>(
    images: impl IntoIterator<Item = &'a FoundImage>,
    attestations: impl IntoIterator<Item = Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Result<Joined> {
    let mut all: Vec<Descriptor> = images.into_iter().map(FoundImage::descriptor).collect();
    all.extend(attestations);
    if let [only] = &all[..] {
        let descriptor = Descriptor { platform: None, ..only.clone() };
        return Ok(Joined { descriptor, index: None });
    }
    let index = Document::new(Index::new(all, annotations))?;
    let descriptor = Descriptor::new(MediaType::Index, index.digest(), index.size());
    Ok(Joined { descriptor, index: Some(index) })
}

/// One index of what was found in registries, where all that is known of a part is its images.
///
/// # Errors
/// Every reason why they are not images of one release, or not all of it.
pub fn images(
    parts: &[(String, image::Contents)],
    wanted: &super::Wanted,
    mut reasons: Reasons,
) -> std::result::Result<Joined, Reasons> {
    let mut said = Said::default();
    let mut owners: BTreeMap<&Platform, (&str, &FoundImage)> = BTreeMap::new();
    let mut attestations: BTreeMap<_, Descriptor> = BTreeMap::new();
    for (name, contents) in parts {
        for fault in &contents.faults {
            reasons.add(format!("`{name}`: {fault}"));
        }
        for image in &contents.images {
            for (label, value) in image::labels(image) {
                said.add(&format!("label `{label}`"), value, name);
            }
            let platform = &image.platform;
            let (other, owner) = *owners.entry(platform).or_insert((name, image));
            if owner.manifest.digest() != image.manifest.digest() {
                let mut names = [other, name];
                names.sort_unstable();
                let [a, b] = names;
                reasons.add(format!("`{platform}` is in `{a}` and in `{b}`, and differs"));
            }
        }
        if !contents.attestations.is_empty() && wanted.attestations == Attestations::Refuse {
            reasons.add(attested(name, contents.attestations.len()));
        }
        if wanted.attestations == Attestations::Keep {
            let all = contents.attestations.iter().map(|of| of.descriptor.clone());
            attestations.extend(all.map(|of| (of.digest, of)));
        }
    }
    said.tell(&mut reasons);
    for platform in
        super::missing(owners.keys().copied(), &wanted.platforms, std::iter::empty(), &mut reasons)
    {
        reasons.add(format!("no part is for `{platform}`"));
    }
    if owners.is_empty() && reasons.is_empty() {
        reasons.add("the parts have no image");
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let images = owners.values().map(|(_, image)| *image);
    let common = annotations(images.clone());
    join(images, attestations.into_values(), common).map_err(|error| {
        let mut reasons = Reasons::default();
        reasons.add(error.to_string());
        reasons
    })
}

/// The annotations of the index: those that all images have. Those of `dist` are on the index and on
/// each manifest.
pub(super) fn annotations<'a>(
    mut images: impl Iterator<Item = &'a FoundImage>,
) -> BTreeMap<String, String> {
    let mut common =
        images.next().map(|image| image.manifest.annotations.clone()).unwrap_or_default();
    for image in images {
        common.retain(|key, value| image.manifest.annotations.get(key) == Some(value));
    }
    common
}

/// The reason where attestations are in the way.
pub(super) fn attested(name: &str, count: usize) -> String {
    let what = if count == 1 { "an attestation" } else { "attestations" };
    format!("`{name}` has {what}, which are to be kept or dropped: `--attestations keep` or `drop`")
}
