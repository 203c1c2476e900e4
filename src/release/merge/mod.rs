//! Merging of parts, which jobs built for some of the platforms each, to one release; or the reasons against
//! it.

mod agree;
mod content;
mod image;
mod join;
mod part;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    image::{Attestation, IndexContents, labels, read},
    join::{JoinedImages, join, join_registry_images},
    part::{PartFile, PartLayout, ReleasePart, is_below, rejected_paths},
};
use crate::model::{
    collect::CollectOrdered as _,
    digest::Digest,
    platform::Platform,
    schema::{Dist, dist},
};

/// The properties of the requested release.
#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// Its platforms, exactly; if absent, all platforms that the parts record, and additional ones are
    /// accepted.
    pub platforms: Vec<Platform>,
    /// The handling of attestations.
    pub attestations: Attestations,
}

/// The handling of attestations that other tools added to an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    /// They are an error.
    #[default]
    Refuse,
    /// They go with their images.
    Keep,
    /// They are left out.
    Drop,
}

/// The reasons for which parts are not merged: each a sentence without a capital or a full stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeSet<String>);

impl Reasons {
    /// Adds one.
    pub fn add(&mut self, reason: impl Into<String>) {
        self.0.insert(reason.into());
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns each, in an order that does not depend on that of the parts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// One release, merged from parts.
#[derive(Clone, Debug)]
pub struct MergedRelease {
    /// Its `dist.json`, without checksums.
    pub dist: Dist,
    /// The source of each file, by its path in the release.
    pub files: BTreeMap<String, SourceFile>,
    /// The layouts, in the order of the images in `dist`.
    pub images: Vec<MergedLayout>,
    /// The documents that do not go with it, by their paths in the parts.
    pub dropped: BTreeSet<String>,
}

/// A file of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The part's name.
    pub part: String,
    /// The file's path in it.
    pub path: String,
    /// Its expected digest.
    pub sha256: Digest,
    /// Its size.
    pub size: u64,
    /// Whether it is a program.
    pub program: bool,
}

/// An image's layout.
#[derive(Clone, Debug)]
pub struct MergedLayout {
    /// Its directory in the release.
    pub path: String,
    /// The image's name.
    pub name: String,
    /// Its content.
    pub joined: JoinedImages,
}

/// Merges parts into one release. `reasons` are the errors found while reading: the parts that could be read
/// are checked anyway, so that all errors are reported together.
///
/// # Errors
/// Every reason why they are not the parts of one complete release.
pub fn merge(
    mut parts: Vec<ReleasePart>,
    options: &MergeOptions,
    mut reasons: Reasons,
) -> Result<MergedRelease, Reasons> {
    // The first that has a platform gives it; whatever the order that they came in.
    parts.sort_by_cached_key(|part| {
        // In the layout of the file, since its writer is compiled anyway.
        let text = serde_json::to_string_pretty(&part.dist).unwrap_or_default();
        (part.platforms(), text, part.name.clone())
    });
    agree::check_agreement(&parts, &mut reasons);
    for part in &parts {
        part.check(options.attestations, &mut reasons);
    }
    let owners = content::owners(&parts, &mut reasons);
    check_complete(&parts, &owners, options, &mut reasons);
    let parts: Vec<&ReleasePart> = {
        let needed = |part: &&ReleasePart| owners.values().any(|owner| owner.name == part.name);
        parts.iter().filter(needed).collect()
    };
    let merged = content::merge_release(&parts, &owners, options, &mut reasons);
    match merged {
        Some(merged) if reasons.is_empty() => Ok(merged),
        _ => Err(reasons),
    }
}

/// Checks that the complete plan was built: each platform, and each binary and image for it.
fn check_complete(
    parts: &[ReleasePart],
    owners: &BTreeMap<Platform, &ReleasePart>,
    options: &MergeOptions,
    reasons: &mut Reasons,
) {
    for platform in missing_platforms(
        owners.keys(),
        &options.platforms,
        parts.iter().flat_map(|part| &part.dist.release.platforms),
        reasons,
    ) {
        reasons.add(format!("no part is for `{platform}`"));
    }
    let binaries: BTreeSet<(&str, &str)> = parts
        .iter()
        .flat_map(|part| &part.dist.artifacts)
        .map(|part| (part.package.as_str(), part.name.as_str()))
        .collect_set();
    let images: BTreeSet<&str> = parts
        .iter()
        .flat_map(|part| &part.dist.images)
        .map(|image| image.name.as_str())
        .collect_set();
    let packages: BTreeSet<&str> = parts
        .iter()
        .flat_map(|part| &part.dist.archives)
        .map(|archive| archive.package.as_str())
        .collect_set();
    for (platform, part) in owners {
        let (dist, name) = (&part.dist, &part.name);
        for (package, binary) in &binaries {
            let is = |artifact: &dist::Artifact| {
                artifact.package == *package && artifact.name == *binary
            };
            if !dist.artifacts.iter().any(|artifact| is(artifact) && artifact.platform == *platform)
            {
                reasons.add(format!("`{name}` has no binary `{binary}` for `{platform}`"));
            }
        }
        for image in &images {
            let own = dist.images.iter().filter(|entry| entry.name == *image);
            if !own.flat_map(|own| &own.platforms).any(|own| own.platform == *platform) {
                reasons.add(format!("`{name}` has no image `{image}` for `{platform}`"));
            }
        }
        for package in &packages {
            let is = |archive: &dist::Archive| {
                archive.package == *package && archive.platform == *platform
            };
            if !dist.archives.iter().any(is) {
                reasons.add(format!("`{name}` has no archive of `{package}` for `{platform}`"));
            }
        }
    }
}

/// Returns the missing platforms, and reports those that were not requested.
pub fn missing_platforms<'a>(
    there: impl Iterator<Item = &'a Platform>,
    options: &'a [Platform],
    planned: impl Iterator<Item = &'a Platform>,
    reasons: &mut Reasons,
) -> BTreeSet<&'a Platform> {
    let there: BTreeSet<&Platform> = there.collect_set();
    let expected: BTreeSet<&Platform> = match options {
        [] => planned.collect_set(),
        options => options.iter().collect_set(),
    };
    if !options.is_empty() {
        for platform in there.difference(&expected) {
            reasons.add(format!("a part is for `{platform}`, which was not requested"));
        }
    }
    expected.difference(&there).copied().collect_set()
}
