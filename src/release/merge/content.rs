//! The part that each platform comes from, and the merged release.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Attestations, Contents, Joined, Layout, Merged, Part, Reasons, Source, Wanted,
    agree::quoted,
    join,
    part::{Recorded, is_kept, recorded},
};
use crate::{
    image::oci::{Descriptor, check::FoundImage, layout::blob_path},
    model::{
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

/// The first part of each platform. Another one that has the same of it is as good.
pub(super) fn owners<'a>(parts: &'a [Part], reasons: &mut Reasons) -> BTreeMap<Platform, &'a Part> {
    let mut owners: BTreeMap<Platform, &Part> = BTreeMap::new();
    for part in parts {
        for platform in part.platforms() {
            let Some(owner) = owners.get(&platform).copied() else {
                owners.insert(platform, part);
                continue;
            };
            let (a, b) = (of_platform(&owner.dist, &platform), of_platform(&part.dist, &platform));
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let differs = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
            let differs: Vec<&str> = differs.map(String::as_str).collect();
            if !differs.is_empty() {
                let (a, b) = (&owner.name, &part.name);
                let (a, b) = (a.min(b), a.max(b));
                let names = quoted(differs.into_iter());
                reasons.add(format!("`{platform}` is in `{a}` and in `{b}`, and differs: {names}"));
            }
        }
    }
    owners
}

/// What people get for a platform, by name.
fn of_platform(dist: &Dist, platform: &Platform) -> BTreeMap<String, Digest> {
    let mut all = BTreeMap::new();
    for of in dist.artifacts.iter().filter(|of| of.platform == *platform) {
        all.insert(of.path.clone(), of.sha256);
        all.extend(of.debug.iter().map(|of| (of.path.clone(), of.sha256)));
        all.extend(of.attribution.iter().map(|of| (of.path.clone(), of.sha256)));
    }
    let archives = dist.archives.iter().filter(|of| of.platform == *platform);
    all.extend(archives.map(|of| (of.path.clone(), of.sha256)));
    let companions = dist.companions.iter().filter(|of| is_of(dist, &of.target, platform));
    all.extend(companions.map(|of| (of.path.clone(), of.sha256)));
    for image in &dist.images {
        let of = image.platforms.iter().filter(|of| of.platform == *platform);
        all.extend(of.map(|of| (format!("image {}", image.name), of.manifest)));
    }
    all
}

fn is_of(dist: &Dist, target: &str, platform: &Platform) -> bool {
    dist.artifacts.iter().any(|of| of.target == target && of.platform == *platform)
}

/// The release of these parts; `None` if something is missing, for which `reasons` has entries.
pub(super) fn release(
    parts: &[&Part],
    owners: &BTreeMap<Platform, &Part>,
    wanted: &Wanted,
    reasons: &mut Reasons,
) -> Option<Merged> {
    let first = parts.first()?;
    let mut dist = Dist {
        schema: dist::SCHEMA,
        release: common(parts),
        units: units(parts),
        sccache: sccache(parts),
        artifacts: Vec::new(),
        recipes: first.dist.recipes.clone(),
        images: Vec::new(),
        companions: Vec::new(),
        packages: Vec::new(),
        archives: Vec::new(),
        documents: Vec::new(),
    };
    // By platform, as one `dist` has them.
    for (platform, part) in owners {
        let of = &part.dist;
        let own = |one: &Platform| one == platform;
        dist.artifacts.extend(of.artifacts.iter().filter(|one| own(&one.platform)).cloned());
        dist.packages.extend(of.packages.iter().filter(|one| own(&one.platform)).cloned());
        dist.archives.extend(of.archives.iter().filter(|one| own(&one.platform)).cloned());
        let companions = of.companions.iter().filter(|one| is_of(of, &one.target, platform));
        dist.companions.extend(companions.cloned());
    }
    for recipe in &mut dist.recipes {
        let for_it = |(platform, part): &(&Platform, &&Part)| {
            let mut of = part.dist.recipes.iter().filter(|of| of.name == recipe.name);
            of.any(|of| of.platforms.contains(platform))
        };
        recipe.platforms =
            owners.iter().filter(for_it).map(|(platform, _)| platform.clone()).collect();
    }
    let mut files = Files { all: BTreeMap::new(), reasons };
    let mut images = Vec::new();
    for image in &first.dist.images {
        let (record, layout) = self::image(image, parts, owners, wanted, &mut files)?;
        dist.images.push(record);
        images.push(layout);
    }
    let mut dropped = BTreeSet::new();
    for part in parts {
        documents(part, parts.len() > 1, owners, &mut dist, &mut dropped, &mut files);
    }
    for (part, of) in
        parts.iter().flat_map(|part| recorded(&part.dist).into_iter().map(move |of| (part, of)))
    {
        let kept = dist.artifacts.iter().any(|one| {
            let debug = one.debug.as_ref().map(|debug| &debug.path);
            let attribution = one.attribution.as_ref().map(|record| &record.path);
            [Some(&one.path), debug, attribution].contains(&Some(&of.path.to_owned()))
        }) || dist.archives.iter().any(|one| one.path == of.path)
            || dist.companions.iter().any(|one| one.path == of.path);
        if kept {
            files.add(of.path.to_owned(), part, of);
        }
    }
    let files = files.all;
    Some(Merged { dist, files, images, dropped })
}

/// What the parts have in common, and together.
fn common(parts: &[&Part]) -> dist::Release {
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
    release.platforms.sort();
    release.platforms.dedup();
    release
}

fn units(parts: &[&Part]) -> Units {
    let mut units = Units::default();
    for part in parts {
        let of = &part.dist.units;
        units.compiled = units.compiled.saturating_add(of.compiled);
        units.fresh = units.fresh.saturating_add(of.fresh);
        if let Some(seconds) = of.seconds {
            units.seconds = Some(units.seconds.unwrap_or_default() + seconds);
        }
        units.each.extend(of.each.iter().cloned());
    }
    units
}

fn sccache(parts: &[&Part]) -> Option<Sccache> {
    parts.iter().filter_map(|part| part.dist.sccache).reduce(|a, b| Sccache {
        hits: a.hits.saturating_add(b.hits),
        misses: a.misses.saturating_add(b.misses),
    })
}

/// The files of the release. Two for one path have to be the same.
struct Files<'a> {
    all: BTreeMap<String, Source>,
    reasons: &'a mut Reasons,
}

impl Files<'_> {
    fn add(&mut self, path: String, part: &Part, of: Recorded<'_>) {
        let source = Source {
            part: part.name.clone(),
            path: of.path.to_owned(),
            sha256: of.sha256,
            size: of.size,
            program: of.program,
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

    fn blob(&mut self, layout: &str, part: &Part, digest: Digest, size: u64) {
        let path = format!("{layout}/{}", blob_path(digest));
        let of = Recorded { path: &path, sha256: digest, size, program: false };
        self.add(path.clone(), part, of);
    }
}

/// One image of all platforms, from the layouts of those that have them.
fn image(
    image: &dist::Image,
    parts: &[&Part],
    owners: &BTreeMap<Platform, &Part>,
    wanted: &Wanted,
    files: &mut Files<'_>,
) -> Option<(dist::Image, Layout)> {
    let path = &image.path;
    let mut found: Vec<&FoundImage> = Vec::new();
    let mut platforms = Vec::new();
    for (platform, part) in owners {
        let record = part.dist.images.iter().find(|of| of.name == image.name)?;
        let of = part.found(&record.path, platform)?;
        platforms.push(record.platforms.iter().find(|of| of.platform == *platform)?.clone());
        for blob in of.manifest.layers.iter().chain([&of.manifest.config]) {
            files.blob(path, part, blob.digest, blob.size);
        }
        files.blob(path, part, of.manifest.digest(), of.manifest.size());
        found.push(of);
    }
    let mut attested: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    if wanted.attestations == Attestations::Keep {
        for part in parts {
            let Some(seen) = part.layouts.get(path) else { continue };
            let Contents { attestations, .. } = &seen.contents;
            for of in attestations {
                for blob in of.blobs.iter().chain([&of.descriptor]) {
                    files.blob(path, part, blob.digest, blob.size);
                }
                attested.insert(of.descriptor.digest, of.descriptor.clone());
            }
        }
    }
    let annotations = join::annotations(found.iter().copied());
    let joined = join::join(found.iter().copied(), attested.into_values(), annotations);
    let joined: Joined = match joined {
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
    Some((record, Layout { path: path.clone(), name: image.name.clone(), joined }))
}

/// The documents of a part that are true of the release, too.
fn documents(
    part: &Part,
    several: bool,
    owners: &BTreeMap<Platform, &Part>,
    dist: &mut Dist,
    dropped: &mut BTreeSet<String>,
    files: &mut Files<'_>,
) {
    let own = |platform: &Platform| owners.get(platform).is_some_and(|of| of.name == part.name);
    for document in &part.dist.documents {
        let mut document = document.clone();
        let from = document.path.clone();
        match document.kind {
            DocumentKind::Checksums => continue,
            kind if !is_kept(kind) => {
                dropped.insert(from);
                continue;
            }
            DocumentKind::Provenance => {
                // Each job has its own.
                let plain = format!("archives/{}", provenance::file_name(&part.dist));
                if several && from == plain {
                    document.path = of_targets(&part.dist, &plain);
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
                    let in_it = |of: &&dist::Artifact| of.path.starts_with(&format!("{subject}/"));
                    let mut artifacts = part.dist.artifacts.iter().filter(in_it);
                    if !artifacts.any(|of| own(&of.platform)) {
                        continue;
                    }
                }
            }
        }
        let Document { sha256, size, .. } = document;
        let of = Recorded { path: &from, sha256, size, program: false };
        files.add(document.path.clone(), part, of);
        if !dist.documents.iter().any(|known| known.path == document.path) {
            dist.documents.push(document);
        }
    }
    dist.documents.sort_by(|a, b| a.path.cmp(&b.path));
}

/// The name of a part's provenance among others: with its targets in it.
fn of_targets(dist: &Dist, plain: &str) -> String {
    const END: &str = ".intoto.json";
    let targets: BTreeSet<&str> = dist.artifacts.iter().map(|of| of.target.as_str()).collect();
    let targets: Vec<&str> = targets.into_iter().collect();
    let stem = plain.strip_suffix(END).unwrap_or(plain);
    format!("{stem}-{}{END}", targets.join("-"))
}
