//! Which parts make one release, and which do not: parts are what jobs made, each for some of the
//! platforms.

mod agree;
mod content;
mod image;
mod join;
mod part;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    image::{Attestation, Contents, labels, read},
    join::{Joined, images, join},
    part::{File, Part, Seen, is_below, unread},
};
use crate::model::{
    digest::Digest,
    platform::Platform,
    schema::{Dist, dist},
};

/// What the result has to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
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

/// Why parts are not merged: each a sentence without a capital or a full stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeSet<String>);

impl Reasons {
    /// Adds one.
    pub fn add(&mut self, reason: impl Into<String>) {
        self.0.insert(reason.into());
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each, in an order that does not depend on that of the parts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// One release, made of parts.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Its `dist.json`, without checksums.
    pub dist: Dist,
    /// Where each file comes from, by its path in the release.
    pub files: BTreeMap<String, Source>,
    /// The layouts, in the order of the images in `dist`.
    pub images: Vec<Layout>,
    /// The documents that do not go with it, by their paths in the parts.
    pub dropped: BTreeSet<String>,
}

/// A file of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The part's name.
    pub part: String,
    /// The file's path in it.
    pub path: String,
    /// What it has to be.
    pub sha256: Digest,
    /// Its size.
    pub size: u64,
    /// Whether it is a program.
    pub program: bool,
}

/// An image's layout.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Its directory in the release.
    pub path: String,
    /// The image's name.
    pub name: String,
    /// What it holds.
    pub joined: Joined,
}

/// Merges parts into one release. `reasons` are the errors found while reading: the parts that could be read
/// are checked anyway, so that all errors are reported together.
///
/// # Errors
/// Every reason why they are not the parts of one complete release.
pub fn merge(
    mut parts: Vec<Part>,
    wanted: &Wanted,
    mut reasons: Reasons,
) -> Result<Merged, Reasons> {
    // The first that has a platform gives it; whatever the order that they came in.
    parts.sort_by_cached_key(|part| {
        let text = serde_json::to_string(&part.dist).unwrap_or_default();
        (part.platforms(), text, part.name.clone())
    });
    agree::agree(&parts, &mut reasons);
    for part in &parts {
        part.check(wanted.attestations, &mut reasons);
    }
    let owners = content::owners(&parts, &mut reasons);
    complete(&parts, &owners, wanted, &mut reasons);
    let parts: Vec<&Part> = {
        let needed = |part: &&Part| owners.values().any(|owner| owner.name == part.name);
        parts.iter().filter(needed).collect()
    };
    let merged = content::release(&parts, &owners, wanted, &mut reasons);
    match merged {
        Some(merged) if reasons.is_empty() => Ok(merged),
        _ => Err(reasons),
    }
}

/// Whether all of the plan is there: each platform, and each binary and image for it.
fn complete(
    parts: &[Part],
    owners: &BTreeMap<Platform, &Part>,
    wanted: &Wanted,
    reasons: &mut Reasons,
) {
    for platform in missing(
        owners.keys(),
        &wanted.platforms,
        parts.iter().flat_map(|part| &part.dist.release.platforms),
        reasons,
    ) {
        reasons.add(format!("no part is for `{platform}`"));
    }
    let binaries: BTreeSet<(&str, &str)> = parts
        .iter()
        .flat_map(|part| &part.dist.artifacts)
        .map(|of| (of.package.as_str(), of.name.as_str()))
        .collect();
    let images: BTreeSet<&str> =
        parts.iter().flat_map(|part| &part.dist.images).map(|image| image.name.as_str()).collect();
    let packages: BTreeSet<&str> = parts
        .iter()
        .flat_map(|part| &part.dist.archives)
        .map(|archive| archive.package.as_str())
        .collect();
    for (platform, part) in owners {
        let (dist, name) = (&part.dist, &part.name);
        for (package, binary) in &binaries {
            let is = |of: &dist::Artifact| of.package == *package && of.name == *binary;
            if !dist.artifacts.iter().any(|of| is(of) && of.platform == *platform) {
                reasons.add(format!("`{name}` has no binary `{binary}` for `{platform}`"));
            }
        }
        for image in &images {
            let own = dist.images.iter().filter(|of| of.name == *image);
            if !own.flat_map(|of| &of.platforms).any(|of| of.platform == *platform) {
                reasons.add(format!("`{name}` has no image `{image}` for `{platform}`"));
            }
        }
        for package in &packages {
            let is = |of: &dist::Archive| of.package == *package && of.platform == *platform;
            if !dist.archives.iter().any(is) {
                reasons.add(format!("`{name}` has no archive of `{package}` for `{platform}`"));
            }
        }
    }
}

/// The platforms that have to be there and are not; those that are too many go to `reasons`.
pub fn missing<'a>(
    there: impl Iterator<Item = &'a Platform>,
    wanted: &'a [Platform],
    planned: impl Iterator<Item = &'a Platform>,
    reasons: &mut Reasons,
) -> BTreeSet<&'a Platform> {
    let there: BTreeSet<&Platform> = there.collect();
    let expected: BTreeSet<&Platform> = match wanted {
        [] => planned.collect(),
        wanted => wanted.iter().collect(),
    };
    if !wanted.is_empty() {
        for platform in there.difference(&expected) {
            reasons.add(format!("a part is for `{platform}`, which was not asked for"));
        }
    }
    expected.difference(&there).copied().collect()
}
