//! Archives and packages, from the same verified bytes as images, and their checksums.

pub mod channel;
pub mod checksum;
mod companion;
mod contents;
mod find;
pub(in crate::ops) mod form;
pub mod list;
pub mod publish;
pub mod repo;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

pub(super) use self::{channel::write_channels, companion::companions, find::find_files};
use self::{contents::ArchiveContents, form::ArchiveForm};
use crate::{
    model::{
        bytes::Size,
        collect::{CollectOrdered as _, SortStable as _},
        digest::Digest,
        error::{Error, Result},
        schema::{
            Dist,
            dist::{self, Companion, DocumentKind},
            packaging::Format,
            plan,
        },
    },
    ops::{
        image,
        output::{
            chunks,
            digests::Digests,
            manifest,
            stage::{Purpose, Stage},
        },
        package::checksum::DIRECTORY,
    },
    sys::{Context, fs, parallel},
    verify::VerifiedArtifact,
};

/// The inputs of archives.
pub(super) struct ArchiveInputs<'a> {
    pub(super) cx: &'a Context,
    /// The workspace's directory.
    pub(super) workspace: &'a Utf8Path,
    /// The settings of archives.
    pub(super) plans: &'a [plan::Archive],
    /// Seconds since 1970 that stand for every time in them.
    pub(super) epoch: u64,
    /// The directory that the binaries are in.
    pub(super) root: &'a Utf8Path,
    pub(super) artifacts: &'a [VerifiedArtifact],
    pub(super) companions: &'a [Companion],
    pub(super) digests: &'a Digests,
    pub(super) pieces: &'a chunks::ChunkDirectory,
}

/// Writes the archives to `stage`, those of several targets in parallel.
///
/// # Errors
/// A file is missing, changed or does not fit, or cannot be written.
pub(super) fn write_archives(
    inputs: &ArchiveInputs<'_>,
    stage: &Stage,
) -> Result<Vec<dist::Archive>> {
    fs::create_dir_all(&stage.path(DIRECTORY))?;
    let previous = stage.previous();
    let previous = previous.as_ref();
    let plans = inputs.plans;
    let made: Vec<Result<Vec<dist::Archive>>> =
        parallel::map_on(plans.len(), plans.len(), |index| {
            write_planned(inputs, &plans[index], stage, previous)
        });
    let mut archives = Vec::new();
    for made in made {
        archives.extend(made?);
    }
    let mut paths = BTreeSet::new();
    if let Some(twice) = archives.iter().find(|archive| !paths.insert(&archive.path)) {
        return Err(Error::usage(format!("two archives would be `{}`", twice.path))
            .hint("`deb.name` and `rpm.name` give a package another name"));
    }
    let mut count: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for archive in &archives {
        *count.entry((&archive.package, &archive.version)).or_default() += 1;
    }
    for ((package, version), count) in count {
        let files = if count == 1 { "file" } else { "files" };
        inputs.cx.status("Archived", format!("{package} {version}: {count} {files}"));
    }
    Ok(archives)
}

/// Returns the archives of one package for one target.
fn write_planned(
    inputs: &ArchiveInputs<'_>,
    plan: &plan::Archive,
    stage: &Stage,
    previous: Option<&Dist>,
) -> Result<Vec<dist::Archive>> {
    let contents = ArchiveContents::read(inputs, plan)?;
    let mut archives = Vec::new();
    for kind in ArchiveForm::all(plan) {
        let path = format!("{DIRECTORY}/{}", kind.file_name(plan));
        let packed = contents.packed_entries(&kind)?;
        let record = |size, sha256| dist::Archive {
            kind: kind.kind(),
            package: plan.package.clone(),
            version: plan.version.clone(),
            target: plan.target.clone(),
            platform: plan.platform.clone(),
            path: path.clone(),
            size,
            sha256,
            contents: packed.clone(),
        };
        // Unchanged content is not written again.
        if let Some(old) = previous
            .filter(|dist| is_same_writer(dist, inputs.epoch) && dist.packages.contains(plan))
            .and_then(|dist| dist.archives.iter().find(|old| old.path == path))
            .filter(|old| **old == record(old.size, old.sha256))
            && stage.reuse(&path, &old.sha256, old.size)?
        {
            archives.push(old.clone());
            continue;
        }
        let draft = fs::draft(&stage.path(DIRECTORY))?;
        let draft = contents.write(&kind, &inputs.pieces.at_level(plan.gzip_level), draft)?;
        draft.persist(&stage.path(&path))?;
        let (digest, size) = fs::digest(&stage.path(&path))?;
        warn_about_size(inputs.cx, &kind, &path, size);
        archives.push(record(size, digest));
    }
    Ok(archives)
}

/// Warns of a package that is too large for the usual registry of its format.
fn warn_about_size(cx: &Context, form: &ArchiveForm<'_>, path: &str, size: u64) {
    if let Some(limit) = form.size_limit().filter(|limit| size > limit.bytes) {
        cx.warn(format!(
            "`{path}` has {}, and {} accepts {} by default ({})",
            Size(size),
            limit.registry,
            Size(limit.bytes),
            limit.source
        ));
    }
}

fn is_same_writer(dist: &Dist, epoch: u64) -> bool {
    let own = env!("CARGO_PKG_VERSION");
    dist.release.source_date_epoch == epoch
        && dist.release.tools.get("longshore").is_some_and(|version| version == own)
}

/// Checks that every file that `archive.require` names is there, for each archive that is made.
///
/// # Errors
/// One of them is missing.
pub(in crate::ops) fn check_required(archives: &[plan::Archive]) -> Result<()> {
    for archive in archives.iter().filter(|archive| archive.is_made()) {
        if let Some(missing) = archive.missing.first() {
            let package = &archive.package;
            return Err(Error::usage(format!(
                "package `{package}` cannot be archived: `archive.require` requires its \
                 `{missing}`, which does not exist"
            ))
            .hint(format!(
                "add a file such as `{}` to the package or the workspace",
                missing.to_uppercase()
            )));
        }
    }
    Ok(())
}

/// The archives to make of a finished `target/dist`.
#[derive(Clone, Debug, Default)]
pub struct PackageRequest {
    /// The directory with `dist.json`.
    pub dist: camino::Utf8PathBuf,
    /// The workspace's directory, which README and licences are in.
    pub workspace: camino::Utf8PathBuf,
    /// The requested packages; all of them if none is named.
    pub packages: Vec<String>,
    /// Other formats than those that were planned.
    pub formats: Vec<Format>,
}

/// Makes the archives of the files in `target/dist`, and returns its new contents.
///
/// # Errors
/// There is no `dist.json`, what is there is not what it says, or as for `dist`.
pub fn package(cx: &Context, request: &PackageRequest) -> Result<Dist> {
    let workspace = Some(request.workspace.as_path());
    let stage = image::begin_stage(cx, &request.dist, Purpose::Replace, workspace)?;
    let mut dist = manifest::read_in(&request.dist)?;
    for name in &request.packages {
        if !dist.packages.iter().any(|plan| plan.package == *name) {
            let known: Vec<&str> = dist.packages.iter().map(|p| p.package.as_str()).collect();
            let wrong = Error::usage(format!("`{}` has no package `{name}`", request.dist));
            return Err(match crate::model::suggest::nearest(name, known.iter().copied()) {
                Some(near) => wrong.hint(format!("did you mean `{near}`?")),
                None => wrong.hint(format!("it has {}", known.join(", "))),
            });
        }
    }
    let chosen = |package: &str| {
        request.packages.is_empty() || request.packages.iter().any(|name| name == package)
    };
    let mut plans: Vec<plan::Archive> = dist.packages.clone();
    plans.retain(|plan| chosen(&plan.package));
    check_required(&plans)?;
    if !request.formats.is_empty() {
        plans
            .iter_mut()
            .for_each(|plan| plan.formats = request.formats.iter().copied().collect_set());
    }
    let digests = Digests::default();
    let artifacts = image::verified_artifacts(cx, &dist, &request.dist, &digests)?;
    let pieces = chunks::ChunkDirectory::new(&stage.store())?;
    let inputs = ArchiveInputs {
        cx,
        workspace: &request.workspace,
        plans: &plans,
        epoch: dist.release.source_date_epoch,
        root: &request.dist,
        artifacts: &artifacts,
        companions: &dist.companions,
        digests: &digests,
        pieces: &pieces,
    };
    let made = write_archives(&inputs, &stage)?;
    pieces.prune()?;
    let digests_of = |dist: &Dist| -> BTreeMap<String, Digest> {
        dist.archives.iter().map(|archive| (archive.path.clone(), archive.sha256)).collect_map()
    };
    let before = digests_of(&dist);
    let gone: Vec<dist::Archive> =
        dist.archives.extract_if(.., |archive| chosen(&archive.package)).collect();
    dist.archives.extend(made);
    dist.archives.sort_stable_by(|a, b| a.path.cmp(&b.path));
    // Documents about all archives are out of date when one of those changed.
    let changed = before != digests_of(&dist);
    let is_stale = |document: &dist::Document| {
        let is_there = || request.dist.join(&document.path).is_file();
        document.kind.describes_release() && (changed || !is_there())
    };
    let (stale, kept): (Vec<_>, Vec<_>) = dist.documents.into_iter().partition(is_stale);
    if let Some(provenance) = stale.iter().find(|item| item.kind == DocumentKind::Provenance) {
        cx.warn(format!("`{}` described other archives and was removed", provenance.path));
    }
    dist.documents = kept;
    let channels = std::mem::take(&mut dist.channels);
    let gone: BTreeSet<&str> = gone
        .iter()
        .map(|archive| archive.path.as_str())
        .chain(stale.iter().map(|document| document.path.as_str()))
        .chain(channels.iter().map(|channel| channel.path.as_str()))
        .collect_set();
    stage.reuse_all(|path| !gone.contains(path) && path != dist::FILE)?;
    write_channels(&mut dist, &stage)?;
    checksum::write_checksums(&mut dist, &stage)?;
    stage.finish(&dist)?;
    Ok(dist)
}
