//! Single values in the metadata of an image, such as its version.

use super::image::{Store, document};
use crate::{
    image::oci::{
        Config, Descriptor, Index, Manifest,
        walk::{Walk, WalkStep},
    },
    model::error::Result,
};

/// Returns the value of `key` for an image, or several under one index: in an annotation, else in a
/// label of the first of them (OCI image specification 1.1, annotations.md, which labels are to follow,
/// too).
///
/// # Errors
/// A manifest or an index on the way is missing or cannot be read.
pub fn annotation_or_label(
    store: &dyn Store,
    root: &Descriptor,
    key: &str,
) -> Result<Option<String>> {
    let mut walk = Walk::new(vec![root.clone()]);
    while let Some(WalkStep::Visit(at)) = walk.next() {
        if at.media_type.is_index() {
            let index = document::<Index>(store, &at)?;
            if let Some(word) = index.annotations.get(key) {
                return Ok(Some(word.clone()));
            }
            // BuildKit puts attestations of an image beside it, for a platform that does not exist.
            let image = |descriptor: &&Descriptor| {
                descriptor.platform.as_ref().is_none_or(|descriptor| descriptor.os != "unknown")
            };
            let first = index.manifests.iter().find(image).cloned();
            walk.descend(at, first.into_iter().collect())?;
        } else if at.media_type.is_manifest() {
            let manifest = document::<Manifest>(store, &at)?;
            if let Some(word) = manifest.annotations.get(key) {
                return Ok(Some(word.clone()));
            }
            let config = document::<Config>(store, &manifest.config)?;
            return Ok(config.config.labels.get(key).cloned());
        } else {
            return Ok(None);
        }
    }
    Ok(None)
}
