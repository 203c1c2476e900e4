//! A part, and whether it matches its `dist.json`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attestations, Contents, Reasons, join::attested};
use crate::{
    image::oci::check::FoundImage,
    model::{
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

/// What one job made, and what was seen of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is called, as it was named.
    pub name: String,
    /// Its `dist.json`.
    pub dist: Dist,
    /// The existing files that it lists, by path.
    pub files: BTreeMap<String, File>,
    /// The content of the layouts that it lists, by path.
    pub layouts: BTreeMap<String, Seen>,
}

/// A file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// `e_machine`, class and byte order, where it is an ELF file.
    pub machine: Option<(u16, u8, Endian)>,
}

/// A layout that is there.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The digest that its `index.json` points at, where it points at one thing.
    pub root: Option<Digest>,
    /// What is below that.
    pub contents: Contents,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// A file that `dist.json` lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded<'a> {
    pub(super) path: &'a str,
    pub(super) sha256: Digest,
    pub(super) size: u64,
    pub(super) program: bool,
}

/// Whether a path from outside stays below the directory that it is relative to.
pub fn is_below(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    !path.contains(['\0', '\\']) && path.split('/').all(plain)
}

/// The names of a part's paths that lead outside, or that are reserved.
pub fn unread(dist: &Dist) -> BTreeSet<&str> {
    let images = dist.images.iter().map(|image| image.path.as_str());
    let recipes = dist.recipes.iter().map(|recipe| recipe.path.as_str());
    let files = recorded(dist).into_iter().map(|of| of.path);
    let documents = dist.documents.iter().map(|document| document.path.as_str());
    let all = images.chain(recipes).chain(files).chain(documents);
    let reserved = |path: &str| path == FILE || path.split('/').next() == Some("logs");
    all.filter(|path| !is_below(path) || reserved(path)).collect()
}

/// The files to copy from a part: all but layouts and files that are written again.
pub(super) fn recorded(dist: &Dist) -> Vec<Recorded<'_>> {
    let file = |path, sha256, size| Recorded { path, sha256, size, program: false };
    let mut all = Vec::new();
    for of in &dist.artifacts {
        all.push(Recorded { program: true, ..file(of.path.as_str(), of.sha256, of.size) });
        all.extend(of.debug.iter().map(|of| file(&of.path, of.sha256, of.size)));
        all.extend(of.attribution.iter().map(|of| file(&of.path, of.sha256, of.size)));
    }
    all.extend(dist.companions.iter().map(|of| file(&of.path, of.sha256, of.size)));
    all.extend(dist.archives.iter().map(|of| file(&of.path, of.sha256, of.size)));
    let kept = dist.documents.iter().filter(|of| is_kept(of.kind));
    all.extend(kept.map(|of| file(&of.path, of.sha256, of.size)));
    all
}

/// Whether documents of that kind are still valid for a release of more platforms. Checksums are written
/// again, and signatures are those of checksums.
pub(super) fn is_kept(kind: DocumentKind) -> bool {
    match kind {
        DocumentKind::Cyclonedx | DocumentKind::Spdx | DocumentKind::Provenance => true,
        DocumentKind::Checksums | DocumentKind::Minisign | DocumentKind::Sigstore => false,
    }
}

impl Part {
    /// Returns the paths of the listed files, to be checked.
    pub fn paths(dist: &Dist) -> BTreeSet<&str> {
        recorded(dist).into_iter().map(|of| of.path).collect()
    }

    /// What it is for.
    pub fn platforms(&self) -> BTreeSet<Platform> {
        let dist = &self.dist;
        let artifacts = dist.artifacts.iter().map(|of| &of.platform);
        let images = dist.images.iter().flat_map(|of| &of.platforms).map(|of| &of.platform);
        let archives = dist.archives.iter().map(|of| &of.platform);
        artifacts.chain(images).chain(archives).cloned().collect()
    }

    /// The image for `platform` in the layout at `path`.
    pub(super) fn found(&self, path: &str, platform: &Platform) -> Option<&FoundImage> {
        let seen = self.layouts.get(path)?;
        seen.contents.images.iter().find(|of| of.platform == *platform)
    }

    /// Reports what does not match.
    pub(super) fn check(&self, attestations: Attestations, reasons: &mut Reasons) {
        let name = &self.name;
        if self.platforms().is_empty() {
            reasons.add(format!("`{name}` has nothing in it"));
        }
        for of in recorded(&self.dist) {
            match self.files.get(of.path) {
                // The reader has reported the reason.
                None => {}
                Some(file) if file.sha256 == of.sha256 && file.size == of.size => {}
                Some(file) => reasons.add(format!(
                    "`{name}`: `{}` is not what its dist.json says: it has the digest `{}`",
                    of.path, file.sha256
                )),
            }
        }
        for artifact in &self.dist.artifacts {
            self.program(artifact, reasons);
        }
        for image in &self.dist.images {
            self.image(image, attestations, reasons);
        }
    }

    fn program(&self, artifact: &dist::Artifact, reasons: &mut Reasons) {
        let dist::Artifact { path, platform, .. } = artifact;
        let Some(file) = self.files.get(path) else { return };
        let name = &self.name;
        // Changes since then are already reported.
        if file.sha256 == artifact.sha256
            && let Err(refused) =
                VerifiedArtifact::from_record(artifact.clone(), file.sha256, file.size)
        {
            let refused = refused.to_string();
            let first = refused.lines().next().unwrap_or_default();
            reasons.add(format!("`{name}`: {first}"));
        }
        match (
            file.machine,
            Architecture::from_goarch(&platform.architecture).map(Architecture::elf),
        ) {
            (None, _) if platform.os == "linux" => {
                reasons.add(format!("`{name}`: `{path}` is no ELF file"));
            }
            (Some(is), Some(wanted)) if is != wanted => reasons.add(format!(
                "`{name}`: `{path}` is for `{platform}`, and its ELF header says {} with {} bits",
                machine_name(is.0),
                is.1
            )),
            _ => {}
        }
    }

    fn image(&self, image: &dist::Image, attestations: Attestations, reasons: &mut Reasons) {
        let (name, path) = (&self.name, &image.path);
        let Some(seen) = self.layouts.get(path) else { return };
        let mut add = |what: String| reasons.add(format!("`{name}`: `{path}`: {what}"));
        seen.faults.iter().chain(&seen.contents.faults).cloned().for_each(&mut add);
        if let Some(root) = seen.root.filter(|root| *root != image.digest) {
            add(format!("it holds `{root}`, and dist.json says `{}`", image.digest));
        }
        let own: BTreeSet<&Platform> = image.platforms.iter().map(|of| &of.platform).collect();
        for found in seen.contents.images.iter().filter(|of| !own.contains(&of.platform)) {
            add(format!("it is for `{}`, of which dist.json does not speak", found.platform));
        }
        for of in &image.platforms {
            let platform = &of.platform;
            let Some(found) = self.found(path, platform) else {
                // Whatever else is wrong with it explains that.
                if seen.faults.is_empty() && seen.contents.faults.is_empty() {
                    add(format!("it has no image for `{platform}`, and dist.json says so"));
                }
                continue;
            };
            let layers = found.manifest.layers.iter().map(|layer| layer.digest);
            let same = found.manifest.digest() == of.manifest
                && found.config.digest() == of.config
                && layers.eq(of.layers.iter().map(|layer| layer.digest));
            if !same {
                add(format!("its image for `{platform}` is not the one that dist.json speaks of"));
            }
            let here = |sha256: &Digest| {
                let mut artifacts = self.dist.artifacts.iter();
                artifacts.any(|one| one.sha256 == *sha256 && one.platform == *platform)
            };
            for (binary, _) in of.binaries.iter().filter(|(_, sha256)| !here(sha256)) {
                add(format!("`{binary}` for `{platform}` is no binary of the part"));
            }
        }
        if !seen.contents.attestations.is_empty() && attestations == Attestations::Refuse {
            let count = seen.contents.attestations.len();
            reasons.add(attested(&format!("{name}/{path}"), count));
        }
    }
}
