//! A part of a release, and its comparison with its `dist.json`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attestations, IndexContents, Reasons, join::attestation_error};
use crate::{
    image::oci::check::FoundImage,
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        machine::{Architecture, Endian, machine_name},
        platform::Platform,
        schema::{
            Dist,
            dist::{self, DocumentKind, FILE},
        },
    },
    verify::VerifiedArtifact,
};

/// The output of one job, and the files that were read.
#[derive(Clone, Debug)]
pub struct ReleasePart {
    /// Its name: the argument of the command.
    pub name: String,
    /// Its `dist.json`.
    pub dist: Dist,
    /// The existing files that it lists, by path.
    pub files: BTreeMap<String, PartFile>,
    /// The content of the layouts that it lists, by path.
    pub layouts: BTreeMap<String, PartLayout>,
}

/// A file of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartFile {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// `e_machine`, class and byte order, if it is an ELF file.
    pub machine: Option<(u16, u8, Endian)>,
}

/// An image layout of a part.
#[derive(Clone, Debug, Default)]
pub struct PartLayout {
    /// The digest in its `index.json`, if that has one entry.
    pub root: Option<Digest>,
    /// The documents below that.
    pub contents: IndexContents,
    /// Its errors.
    pub faults: Vec<String>,
}

/// A file that `dist.json` lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordedFile<'a> {
    pub(super) path: &'a str,
    pub(super) sha256: Digest,
    pub(super) size: u64,
    pub(super) program: bool,
}

/// Returns whether a path from outside stays below the directory that it is relative to.
pub fn is_below(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    !path.contains(['\0', '\\']) && path.split('/').all(plain)
}

/// Returns the names of a part's paths that lead outside, or that are reserved.
pub fn rejected_paths(dist: &Dist) -> BTreeSet<&str> {
    let images = dist.images.iter().map(|image| image.path.as_str());
    let recipes = dist.recipes.iter().map(|recipe| recipe.path.as_str());
    let files = recorded_files(dist).into_iter().map(|item| item.path);
    let documents = dist.documents.iter().map(|document| document.path.as_str());
    let all = images.chain(recipes).chain(files).chain(documents);
    let reserved = |path: &str| path == FILE || path.split('/').next() == Some("logs");
    all.filter(|path| !is_below(path) || reserved(path)).collect_set()
}

/// Returns the files to copy from a part: all but layouts and files that are written again.
pub(super) fn recorded_files(dist: &Dist) -> Vec<RecordedFile<'_>> {
    let file = |path, sha256, size| RecordedFile { path, sha256, size, program: false };
    let mut all = Vec::new();
    for artifact in &dist.artifacts {
        all.push(RecordedFile {
            program: true,
            ..file(artifact.path.as_str(), artifact.sha256, artifact.size)
        });
        all.extend(artifact.debug.iter().map(|entry| file(&entry.path, entry.sha256, entry.size)));
        all.extend(
            artifact.attribution.iter().map(|item| file(&item.path, item.sha256, item.size)),
        );
    }
    all.extend(
        dist.companions
            .iter()
            .map(|companion| file(&companion.path, companion.sha256, companion.size)),
    );
    all.extend(
        dist.archives.iter().map(|archive| file(&archive.path, archive.sha256, archive.size)),
    );
    let kept = dist.documents.iter().filter(|document| is_still_valid(document.kind));
    all.extend(kept.map(|document| file(&document.path, document.sha256, document.size)));
    all
}

/// Returns whether documents of that kind are still valid for a release of more platforms. Checksums are
/// written again, and signatures are those of checksums.
pub(super) fn is_still_valid(kind: DocumentKind) -> bool {
    match kind {
        DocumentKind::Cyclonedx | DocumentKind::Spdx | DocumentKind::Provenance => true,
        DocumentKind::Checksums | DocumentKind::Minisign | DocumentKind::Sigstore => false,
    }
}

impl ReleasePart {
    /// Returns the paths of the listed files, to be checked.
    pub fn paths(dist: &Dist) -> BTreeSet<&str> {
        recorded_files(dist).into_iter().map(|item| item.path).collect_set()
    }

    /// Returns its platforms.
    pub fn platforms(&self) -> BTreeSet<Platform> {
        let dist = &self.dist;
        let artifacts = dist.artifacts.iter().map(|artifact| &artifact.platform);
        let images =
            dist.images.iter().flat_map(|image| &image.platforms).map(|image| &image.platform);
        let archives = dist.archives.iter().map(|archive| &archive.platform);
        artifacts.chain(images).chain(archives).cloned().collect_set()
    }

    /// Returns the image for `platform` in the layout at `path`.
    pub(super) fn find_image(&self, path: &str, platform: &Platform) -> Option<&FoundImage> {
        let seen = self.layouts.get(path)?;
        seen.contents.images.iter().find(|image| image.platform == *platform)
    }

    /// Reports everything that does not match `dist.json`.
    pub(super) fn check(&self, attestations: Attestations, reasons: &mut Reasons) {
        let name = &self.name;
        if self.platforms().is_empty() {
            reasons.add(format!("`{name}` is empty"));
        }
        for recorded in recorded_files(&self.dist) {
            match self.files.get(recorded.path) {
                // The reader has reported the reason.
                None => {}
                Some(file) if file.sha256 == recorded.sha256 && file.size == recorded.size => {}
                Some(file) => reasons.add(format!(
                    "`{name}`: `{}` does not match its dist.json: it has the digest `{}`",
                    recorded.path, file.sha256
                )),
            }
        }
        for artifact in &self.dist.artifacts {
            self.check_program(artifact, reasons);
        }
        for image in &self.dist.images {
            self.check_image(image, attestations, reasons);
        }
    }

    fn check_program(&self, artifact: &dist::Artifact, reasons: &mut Reasons) {
        let dist::Artifact { path, platform, .. } = artifact;
        let Some(file) = self.files.get(path) else { return };
        let name = &self.name;
        // Changes since then are already reported.
        if file.sha256 == artifact.sha256
            && let Err(rejected) =
                VerifiedArtifact::from_record(artifact.clone(), file.sha256, file.size)
        {
            let rejected = rejected.to_string();
            let first = rejected.lines().next().unwrap_or_default();
            reasons.add(format!("`{name}`: {first}"));
        }
        match (
            file.machine,
            Architecture::from_goarch(&platform.architecture).map(Architecture::elf),
        ) {
            (None, _) if platform.os == "linux" => {
                reasons.add(format!("`{name}`: `{path}` is not an ELF file"));
            }
            (Some(is), Some(options)) if is != options => reasons.add(format!(
                "`{name}`: `{path}` is for `{platform}`, and its ELF header says {} with {} bits",
                machine_name(is.0),
                is.1
            )),
            _ => {}
        }
    }

    fn check_image(&self, image: &dist::Image, attestations: Attestations, reasons: &mut Reasons) {
        let (name, path) = (&self.name, &image.path);
        let Some(seen) = self.layouts.get(path) else { return };
        let mut add = |what: String| reasons.add(format!("`{name}`: `{path}`: {what}"));
        seen.faults.iter().chain(&seen.contents.faults).cloned().for_each(&mut add);
        if let Some(root) = seen.root.filter(|root| *root != image.digest) {
            add(format!("it has `{root}`, expected `{}` by dist.json", image.digest));
        }
        let own: BTreeSet<&Platform> =
            image.platforms.iter().map(|platform| &platform.platform).collect_set();
        for found in seen.contents.images.iter().filter(|image| !own.contains(&image.platform)) {
            add(format!("it is for `{}`, which dist.json does not list", found.platform));
        }
        for recorded in &image.platforms {
            let platform = &recorded.platform;
            let Some(found) = self.find_image(path, platform) else {
                // Whatever else is wrong with it explains that.
                if seen.faults.is_empty() && seen.contents.faults.is_empty() {
                    add(format!("it has no image for `{platform}`, expected by dist.json"));
                }
                continue;
            };
            let layers = found.manifest.layers.iter().map(|layer| layer.digest);
            let same = found.manifest.digest() == recorded.manifest
                && found.config.digest() == recorded.config
                && layers.eq(recorded.layers.iter().map(|layer| layer.digest));
            if !same {
                add(format!("its image for `{platform}` does not match dist.json"));
            }
            let here = |sha256: &Digest| {
                let mut artifacts = self.dist.artifacts.iter();
                artifacts.any(|one| one.sha256 == *sha256 && one.platform == *platform)
            };
            for (binary, _) in recorded.binaries.iter().filter(|(_, sha256)| !here(sha256)) {
                add(format!("`{binary}` for `{platform}` is not a binary of the part"));
            }
        }
        if !seen.contents.attestations.is_empty() && attestations == Attestations::Refuse {
            let count = seen.contents.attestations.len();
            reasons.add(attestation_error(&format!("{name}/{path}"), count));
        }
    }
}
