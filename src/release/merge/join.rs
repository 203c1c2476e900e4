//! The index of images of several platforms.

use std::collections::BTreeMap;

use super::{Attestations, Reasons, agree::PropertyValues, image};
use crate::{
    image::oci::{Descriptor, Document, Index, MediaType, check::FoundImage},
    model::{collect::SortStable as _, error::Result, platform::Platform},
};

/// The reference of images of several platforms.
#[derive(Clone, Debug)]
pub struct JoinedImages {
    /// The descriptor of the index, or of the manifest of the only image.
    pub descriptor: Descriptor,
    /// The index; `None` if there is one image.
    pub index: Option<Document<Index>>,
}

/// Joins images and their attestations, in any order, as one `dist` of all platforms does.
///
/// # Errors
/// The index cannot be written.
pub fn join<'a>(
    images: impl IntoIterator<Item = &'a FoundImage>,
    attestations: impl IntoIterator<Item = Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Result<JoinedImages> {
    let mut all: Vec<Descriptor> = images.into_iter().map(FoundImage::descriptor).collect();
    all.extend(attestations);
    if let [only] = &all[..] {
        let descriptor = Descriptor { platform: None, ..only.clone() };
        return Ok(JoinedImages { descriptor, index: None });
    }
    let index = Document::new(Index::new(all, annotations))?;
    let descriptor = Descriptor::new(MediaType::Index, index.digest(), index.size());
    Ok(JoinedImages { descriptor, index: Some(index) })
}

/// Returns one index of the images in registries, where nothing else is known of a part.
///
/// # Errors
/// Every reason why they are not images of one release, or not all of it.
pub fn join_registry_images(
    parts: &[(String, image::IndexContents)],
    options: &super::MergeOptions,
    mut reasons: Reasons,
) -> std::result::Result<JoinedImages, Reasons> {
    let mut reported = PropertyValues::default();
    let mut owners: BTreeMap<&Platform, (&str, &FoundImage)> = BTreeMap::new();
    let mut attestations: BTreeMap<_, Descriptor> = BTreeMap::new();
    for (name, contents) in parts {
        for fault in &contents.faults {
            reasons.add(format!("`{name}`: {fault}"));
        }
        for image in &contents.images {
            for (label, value) in image::labels(image) {
                reported.add(&format!("label `{label}`"), value, name);
            }
            let platform = &image.platform;
            let (other, owner) = *owners.entry(platform).or_insert((name, image));
            if owner.manifest.digest() != image.manifest.digest() {
                let mut names = [other, name];
                names.sort_stable();
                let [a, b] = names;
                reasons.add(format!("`{platform}` is in `{a}` and in `{b}`, and differs"));
            }
        }
        if !contents.attestations.is_empty() && options.attestations == Attestations::Refuse {
            reasons.add(attestation_error(name, contents.attestations.len()));
        }
        if options.attestations == Attestations::Keep {
            let all =
                contents.attestations.iter().map(|attestation| attestation.descriptor.clone());
            attestations.extend(all.map(|entry| (entry.digest, entry)));
        }
    }
    reported.report_differences(&mut reasons);
    for platform in super::missing_platforms(
        owners.keys().copied(),
        &options.platforms,
        std::iter::empty(),
        &mut reasons,
    ) {
        reasons.add(format!("no part is for `{platform}`"));
    }
    if owners.is_empty() && reasons.is_empty() {
        reasons.add("the parts have no image");
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let images = owners.values().map(|(_, image)| *image);
    let common = common_annotations(images.clone());
    join(images, attestations.into_values(), common).map_err(|error| {
        let mut reasons = Reasons::default();
        reasons.add(error.to_string());
        reasons
    })
}

/// Returns the annotations of the index: those that all images have. Those of `dist` are on the index and on
/// each manifest.
pub(super) fn common_annotations<'a>(
    mut images: impl Iterator<Item = &'a FoundImage>,
) -> BTreeMap<String, String> {
    let mut common =
        images.next().map(|image| image.manifest.annotations.clone()).unwrap_or_default();
    for image in images {
        common.retain(|key, value| image.manifest.annotations.get(key) == Some(value));
    }
    common
}

/// Returns the error about attestations that cannot be merged.
pub(super) fn attestation_error(name: &str, count: usize) -> String {
    let what = if count == 1 { "an attestation" } else { "attestations" };
    format!("`{name}` has {what}, which can be kept or dropped: `--attestations keep` or `drop`")
}
