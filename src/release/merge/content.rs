//! The part that each platform comes from, and the merged release.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Attestations, IndexContents, JoinedImages, MergeOptions, MergedLayout, MergedRelease, Reasons,
    ReleasePart, SourceFile,
    agree::quote_names,
    join,
    part::{RecordedFile, is_still_valid, recorded_files},
};
use crate::{
    image::oci::{Descriptor, check::FoundImage, layout::blob_path},
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        digest::Digest,
        platform::Platform,
        schema::{
            Dist,
            dist::{self, Document, DocumentKind, Sccache},
            units::Units,
        },
    },
    release::provenance,
};

/// Returns the first part of each platform. Another part with the same content is equivalent.
pub(super) fn owners<'a>(
    parts: &'a [ReleasePart],
    reasons: &mut Reasons,
) -> BTreeMap<Platform, &'a ReleasePart> {
    let mut owners: BTreeMap<Platform, &ReleasePart> = BTreeMap::new();
    for part in parts {
        for platform in part.platforms() {
            let Some(owner) = owners.get(&platform).copied() else {
                owners.insert(platform, part);
                continue;
            };
            let (a, b) = (
                platform_downloads(&owner.dist, &platform),
                platform_downloads(&part.dist, &platform),
            );
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect_set();
            let differs = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
            let differs: Vec<&str> = differs.map(String::as_str).collect();
            if !differs.is_empty() {
                let (a, b) = (&owner.name, &part.name);
                let (a, b) = (a.min(b), a.max(b));
                let names = quote_names(differs.into_iter());
                reasons.add(format!("`{platform}` is in `{a}` and in `{b}`, and differs: {names}"));
            }
        }
    }
    owners
}

/// Returns the downloads for a platform, by name.
fn platform_downloads(dist: &Dist, platform: &Platform) -> BTreeMap<String, Digest> {
    let mut all = BTreeMap::new();
    for artifact in dist.artifacts.iter().filter(|artifact| artifact.platform == *platform) {
        all.insert(artifact.path.clone(), artifact.sha256);
        all.extend(artifact.debug.iter().map(|file| (file.path.clone(), file.sha256)));
        all.extend(artifact.attribution.iter().map(|item| (item.path.clone(), item.sha256)));
    }
    let archives = dist.archives.iter().filter(|archive| archive.platform == *platform);
    all.extend(archives.map(|archive| (archive.path.clone(), archive.sha256)));
    let companions =
        dist.companions.iter().filter(|companion| is_for(dist, &companion.target, platform));
    all.extend(companions.map(|companion| (companion.path.clone(), companion.sha256)));
    for image in &dist.images {
        let platforms = image.platforms.iter().filter(|entry| entry.platform == *platform);
        all.extend(platforms.map(|item| (format!("image {}", image.name), item.manifest)));
    }
    all
}

fn is_for(dist: &Dist, target: &str, platform: &Platform) -> bool {
    dist.artifacts
        .iter()
        .any(|artifact| artifact.target == target && artifact.platform == *platform)
}

/// Returns the release of these parts; `None` if something is missing, for which `reasons` has entries.
pub(super) fn merge_release(
    parts: &[&ReleasePart],
    owners: &BTreeMap<Platform, &ReleasePart>,
    options: &MergeOptions,
    reasons: &mut Reasons,
) -> Option<MergedRelease> {
    let first = parts.first()?;
    let mut dist = Dist {
        schema: dist::SCHEMA,
        release: common_metadata(parts),
        units: units(parts),
        sccache: sccache(parts),
        artifacts: Vec::new(),
        recipes: first.dist.recipes.clone(),
        images: Vec::new(),
        companions: Vec::new(),
        packages: Vec::new(),
        archives: Vec::new(),
        channels: Vec::new(),
        documents: Vec::new(),
    };
    // By platform, as one `dist` has them.
    for (platform, part) in owners {
        let part_dist = &part.dist;
        let own = |one: &Platform| one == platform;
        dist.artifacts.extend(part_dist.artifacts.iter().filter(|one| own(&one.platform)).cloned());
        dist.packages.extend(part_dist.packages.iter().filter(|one| own(&one.platform)).cloned());
        dist.archives.extend(part_dist.archives.iter().filter(|one| own(&one.platform)).cloned());
        let companions =
            part_dist.companions.iter().filter(|one| is_for(part_dist, &one.target, platform));
        dist.companions.extend(companions.cloned());
    }
    for recipe in &mut dist.recipes {
        let for_it = |(platform, part): &(&Platform, &&ReleasePart)| {
            let mut recipes = part.dist.recipes.iter().filter(|entry| entry.name == recipe.name);
            recipes.any(|item| item.platforms.contains(platform))
        };
        recipe.platforms =
            owners.iter().filter(for_it).map(|(platform, _)| platform.clone()).collect();
    }
    let mut files = MergedFiles { all: BTreeMap::new(), reasons };
    let mut images = Vec::new();
    for image in &first.dist.images {
        let (record, layout) = self::image(image, parts, owners, options, &mut files)?;
        dist.images.push(record);
        images.push(layout);
    }
    let mut dropped = BTreeSet::new();
    for part in parts {
        documents(part, parts.len() > 1, owners, &mut dist, &mut dropped, &mut files);
    }
    for (part, recorded) in parts
        .iter()
        .flat_map(|part| recorded_files(&part.dist).into_iter().map(move |item| (part, item)))
    {
        let kept = dist.artifacts.iter().any(|one| {
            let debug = one.debug.as_ref().map(|debug| &debug.path);
            let attribution = one.attribution.as_ref().map(|record| &record.path);
            [Some(&one.path), debug, attribution].contains(&Some(&recorded.path.to_owned()))
        }) || dist.archives.iter().any(|one| one.path == recorded.path)
            || dist.companions.iter().any(|one| one.path == recorded.path);
        if kept {
            files.add(recorded.path.to_owned(), part, recorded);
        }
    }
    let files = files.all;
    Some(MergedRelease { dist, files, images, dropped })
}

/// Returns the common metadata of the parts.
fn common_metadata(parts: &[&ReleasePart]) -> dist::Release {
    let mut release = parts.first().map(|part| part.dist.release.clone()).unwrap_or_default();
    for part in parts {
        // A target may need a tool that another does not.
        release.tools.extend(part.dist.release.tools.clone());
        release.platforms.extend(part.dist.release.platforms.iter().cloned());
    }
    // Jobs may have changed different files, and the order of the parts must not show.
    if parts.iter().any(|part| part.dist.release.changes != release.changes) {
        release.changes = None;
    }
    release.platforms.sort_stable();
    release.platforms.dedup();
    release
}

fn units(parts: &[&ReleasePart]) -> Units {
    let mut units = Units::default();
    for part in parts {
        let part_units = &part.dist.units;
        units.compiled = units.compiled.saturating_add(part_units.compiled);
        units.fresh = units.fresh.saturating_add(part_units.fresh);
        if let Some(seconds) = part_units.seconds {
            units.seconds = Some(units.seconds.unwrap_or_default() + seconds);
        }
        units.each.extend(part_units.each.iter().cloned());
    }
    units
}

fn sccache(parts: &[&ReleasePart]) -> Option<Sccache> {
    parts.iter().filter_map(|part| part.dist.sccache).reduce(|a, b| Sccache {
        hits: a.hits.saturating_add(b.hits),
        misses: a.misses.saturating_add(b.misses),
    })
}

/// The files of the release. Two for one path must be the same.
struct MergedFiles<'a> {
    all: BTreeMap<String, SourceFile>,
    reasons: &'a mut Reasons,
}

impl MergedFiles<'_> {
    fn add(&mut self, path: String, part: &ReleasePart, recorded: RecordedFile<'_>) {
        let source = SourceFile {
            part: part.name.clone(),
            path: recorded.path.to_owned(),
            sha256: recorded.sha256,
            size: recorded.size,
            program: recorded.program,
        };
        match self.all.get(&path) {
            Some(other) if other.sha256 != source.sha256 => {
                let (a, b) = (&other.part, &source.part);
                self.reasons.add(format!("`{path}` is in `{a}` and in `{b}`, and differs"));
            }
            Some(_) => {}
            None => drop(self.all.insert(path, source)),
        }
    }

    fn blob(&mut self, layout: &str, part: &ReleasePart, digest: Digest, size: u64) {
        let path = format!("{layout}/{}", blob_path(digest));
        let recorded = RecordedFile { path: &path, sha256: digest, size, program: false };
        self.add(path.clone(), part, recorded);
    }
}

/// Returns one image of all platforms, from the layouts of the parts that have them.
fn image(
    image: &dist::Image,
    parts: &[&ReleasePart],
    owners: &BTreeMap<Platform, &ReleasePart>,
    options: &MergeOptions,
    files: &mut MergedFiles<'_>,
) -> Option<(dist::Image, MergedLayout)> {
    let path = &image.path;
    let mut found: Vec<&FoundImage> = Vec::new();
    let mut platforms = Vec::new();
    for (platform, part) in owners {
        let record = part.dist.images.iter().find(|entry| entry.name == image.name)?;
        let part_image = part.find_image(&record.path, platform)?;
        platforms.push(record.platforms.iter().find(|entry| entry.platform == *platform)?.clone());
        for blob in part_image.manifest.layers.iter().chain([&part_image.manifest.config]) {
            files.blob(path, part, blob.digest, blob.size);
        }
        files.blob(path, part, part_image.manifest.digest(), part_image.manifest.size());
        found.push(part_image);
    }
    let mut attested: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    if options.attestations == Attestations::Keep {
        for part in parts {
            let Some(seen) = part.layouts.get(path) else { continue };
            let IndexContents { attestations, .. } = &seen.contents;
            for attestation in attestations {
                for blob in attestation.blobs.iter().chain([&attestation.descriptor]) {
                    files.blob(path, part, blob.digest, blob.size);
                }
                attested.insert(attestation.descriptor.digest, attestation.descriptor.clone());
            }
        }
    }
    let annotations = join::common_annotations(found.iter().copied());
    let joined = join::join(found.iter().copied(), attested.into_values(), annotations);
    let joined: JoinedImages = match joined {
        Ok(joined) => joined,
        Err(error) => {
            files.reasons.add(format!("the image `{}`: {error}", image.name));
            return None;
        }
    };
    let record = dist::Image {
        name: image.name.clone(),
        tag: image.tag.clone(),
        path: path.clone(),
        digest: joined.descriptor.digest,
        media_type: joined.descriptor.media_type.as_str().to_owned(),
        platforms,
    };
    Some((record, MergedLayout { path: path.clone(), name: image.name.clone(), joined }))
}

/// Adds the documents of a part that are also valid for the release.
fn documents(
    part: &ReleasePart,
    several: bool,
    owners: &BTreeMap<Platform, &ReleasePart>,
    dist: &mut Dist,
    dropped: &mut BTreeSet<String>,
    files: &mut MergedFiles<'_>,
) {
    let own =
        |platform: &Platform| owners.get(platform).is_some_and(|owner| owner.name == part.name);
    for document in &part.dist.documents {
        let mut document = document.clone();
        let from = document.path.clone();
        match document.kind {
            DocumentKind::Checksums => continue,
            kind if !is_still_valid(kind) => {
                dropped.insert(from);
                continue;
            }
            DocumentKind::Provenance => {
                // Each job has its own.
                let plain = format!("archives/{}", provenance::file_name(&part.dist));
                if several && from == plain {
                    document.path = provenance_name(&part.dist, &plain);
                }
            }
            _ => {
                let subject = document.subject.clone().unwrap_or_default();
                let of_image = |all: &[dist::Image]| {
                    all.iter().find(|image| image.path == subject).map(|image| image.digest)
                };
                if let Some(digest) = of_image(&part.dist.images) {
                    if of_image(&dist.images) != Some(digest) {
                        dropped.insert(from);
                        continue;
                    }
                } else {
                    let in_it = |artifact: &&dist::Artifact| {
                        artifact.path.starts_with(&format!("{subject}/"))
                    };
                    let mut artifacts = part.dist.artifacts.iter().filter(in_it);
                    if !artifacts.any(|artifact| own(&artifact.platform)) {
                        continue;
                    }
                }
            }
        }
        let Document { sha256, size, .. } = document;
        let recorded = RecordedFile { path: &from, sha256, size, program: false };
        files.add(document.path.clone(), part, recorded);
        if !dist.documents.iter().any(|known| known.path == document.path) {
            dist.documents.push(document);
        }
    }
    dist.documents.sort_stable_by(|a, b| a.path.cmp(&b.path));
}

/// Returns the name of a part's provenance in the release: with its targets in it.
fn provenance_name(dist: &Dist, plain: &str) -> String {
    const SUFFIX: &str = ".intoto.json";
    let targets: BTreeSet<&str> =
        dist.artifacts.iter().map(|artifact| artifact.target.as_str()).collect_set();
    let targets: Vec<&str> = targets.into_iter().collect();
    let stem = plain.strip_suffix(SUFFIX).unwrap_or(plain);
    format!("{stem}-{}{SUFFIX}", targets.join("-"))
}
