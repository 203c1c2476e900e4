//! `merge`: joins the outputs of several jobs, each for some of the platforms, to one release.

mod part;
mod publish;
mod remote;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::publish::dist_and_push;
use super::{image, package, push, verify::rules::PackingPolicies};
use crate::{
    image::oci::layout::{self, INDEX, ImageName, LAYOUT_FILE, blob_path},
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
        event::Event,
        reference::Reference,
        schema::{Dist, Push},
        source::Source as Content,
    },
    ops::{
        image::store,
        output::{
            guard::ProtectedInputs,
            stage::{self, Purpose, Stage},
            summary,
        },
    },
    release::merge::{self, MergeOptions, MergedLayout, MergedRelease, Reasons, SourceFile},
    sys::{Context, file, fs, registry::Settings},
};

/// The inputs and the output of a merge.
#[derive(Clone, Debug)]
pub struct MergeRequest {
    /// Directories with `dist.json`, or images in registries by their digests.
    pub parts: Vec<String>,
    /// The directory of the release.
    pub into: Utf8PathBuf,
    /// The requirements on it.
    pub options: MergeOptions,
    /// The repositories of its image.
    pub push: Vec<Reference>,
    /// Whether the release's documents about the image are attached to it.
    pub attach: bool,
    /// The tags that a policy gives; else those of the references are written.
    pub tagging: Option<push::TagOptions>,
    /// Whether the images in the registries are verified after the push.
    pub verify: bool,
    /// The settings for connections to registries.
    pub registry: Settings,
}

/// The result of a merge.
#[derive(Clone, Debug)]
pub struct MergeOutcome {
    /// The release; `None` if images were joined in a registry.
    pub dist: Option<Dist>,
    /// The result of the push, if there was one.
    pub push: Option<Push>,
}

/// Merges parts to one release, or images in registries to one index.
///
/// # Errors
/// Every reason why they are not parts of one release; or a file cannot be read or written.
pub fn merge(cx: &Context, request: &MergeRequest) -> Result<MergeOutcome> {
    let is_remote = |part: &&String| matches!(store::locate(part), Ok(store::Located::Registry(_)));
    let (remote, here): (Vec<&String>, Vec<&String>) = request.parts.iter().partition(is_remote);
    match (&remote[..], &here[..]) {
        ([], _) => {}
        (_, []) => return remote::merge(cx, request),
        ([one, ..], [other, ..]) => {
            return Err(Error::usage(format!("`{one}` is in a registry, and `{other}` is not"))
                .hint("parts are directories, or images in registries, and not both"));
        }
    }
    let inputs = ProtectedInputs {
        workspace: None,
        parts: request.parts.iter().map(|name| cx.env.dir.join(name)).collect(),
        option: "`--into DIR`",
    };
    stage::check(cx, &request.into, &inputs)?;
    let (mut parts, mut reasons) = (Vec::new(), Reasons::default());
    let mut locations: BTreeMap<String, Utf8PathBuf> = BTreeMap::new();
    let packing = PackingPolicies::new(cx, &request.into)?;
    for name in &request.parts {
        let location = cx.env.dir.join(name);
        // The same directory twice is one part.
        if locations.insert(name.clone(), location.clone()).is_none() {
            parts.extend(part::read(cx, name, &location, &packing, &mut reasons)?);
        }
    }
    let count = parts.len();
    let merged = merge::merge(parts, &request.options, reasons).map_err(merge_error)?;
    if let ([_, ..], [one, other, ..]) = (&request.push[..], &merged.dist.images[..]) {
        let message = format!("there are several images: `{}`, `{}`", one.name, other.name);
        return Err(Error::usage(message)
            .hint("leave `--push` out, and push each by `push --package NAME`"));
    }
    let stage = Stage::begin(cx, &request.into, Purpose::Replace, &inputs)?;
    let dist = write(cx, stage, &locations, merged, count)?;
    let pushed = match &request.push[..] {
        [] => None,
        references => Some(push::push(
            cx,
            &push::PushRequest {
                source: push::PushSource::Dist(request.into.clone(), None),
                references: references.to_vec(),
                mount_from: Vec::new(),
                dry_run: false,
                attach: request.attach,
                tagging: request.tagging.clone(),
                verify: request.verify,
                registry: request.registry.clone(),
            },
        )?),
    };
    Ok(MergeOutcome { dist: Some(dist), push: pushed })
}

/// Returns the error that reports every reason.
fn merge_error(reasons: Reasons) -> Error {
    let all: Vec<&str> = reasons.iter().collect();
    let count = match all.len() {
        1 => "1 reason".to_owned(),
        count => format!("{count} reasons"),
    };
    Error::check(format!("these are not the parts of one release, for {count}"))
        .detail(all.join("\n"))
        .hint("build all parts from the same source with the same longshore; nothing was written")
}

/// Writes the release to its directory, in one step.
fn write(
    cx: &Context,
    stage: Stage,
    locations: &BTreeMap<String, Utf8PathBuf>,
    merged: MergedRelease,
    count: usize,
) -> Result<Dist> {
    let MergedRelease { mut dist, files, images, dropped } = merged;
    let epoch = dist.release.source_date_epoch;
    for (path, source) in &files {
        cx.children.check()?;
        let nowhere = || Error::build(format!("`{}` is not a part", source.part));
        let location = locations.get(&source.part).ok_or_else(nowhere)?;
        copy_file(&stage, path, location, source, epoch)?;
    }
    for layout in &images {
        write_layout(&stage, layout, &dist)?;
    }
    package::write_channels(&mut dist, &stage)?;
    package::checksum::write_checksums(&mut dist, &stage)?;
    cx.children.check()?;
    let what = if count == 1 { "part" } else { "parts" };
    let platforms: Vec<String> = platforms(&dist);
    cx.status("Merged", format!("{count} {what} for {}", platforms.join(", ")));
    if !dropped.is_empty() {
        let names: Vec<&str> = dropped.iter().map(String::as_str).collect();
        let what = format!("{}: true of the parts alone", names.join(", "));
        cx.status("Left out", what);
    }
    if dist.release.dirty == Some(true) {
        cx.warn("all parts are of a source with changes that are not committed");
    }
    let output = stage.output().to_owned();
    stage.finish(&dist)?;
    cx.emit(Event::Summary { text: summary::summary(cx, &dist, &output) });
    Ok(dist)
}

fn platforms(dist: &Dist) -> Vec<String> {
    let artifacts = dist.artifacts.iter().map(|artifact| &artifact.platform);
    let images = dist.images.iter().flat_map(|image| &image.platforms).map(|image| &image.platform);
    let mut all: Vec<_> = artifacts.chain(images).collect();
    all.sort_stable();
    all.dedup();
    all.into_iter().map(ToString::to_string).collect()
}

/// Copies a file of a part to the stage. An unchanged file is not written again.
fn copy_file(
    stage: &Stage,
    path: &str,
    location: &Utf8Path,
    source: &SourceFile,
    epoch: u64,
) -> Result<()> {
    let from = location.join(&source.path);
    let to = stage.path(path);
    if source.program {
        // A transfer of artifacts from job to job may lose executable bits and times.
        if !stage.reuse(path, &source.sha256, source.size)? || !fs::is_program(&to) {
            let file = file::open(&from)?;
            let digest = fs::write_from(&to, Content::File(&file), 0o755, epoch)?;
            check_unchanged(&from, digest, source.sha256)?;
        }
        // The times are those that `dist` sets, for a later image of these files.
        for path in Utf8Path::new(path).ancestors() {
            stage.set_time(path.as_str(), epoch)?;
        }
        return Ok(());
    }
    if !stage.reuse(path, &source.sha256, source.size)? {
        // A link could lead to any path that the part contains.
        match fs::file_type(&from, false)? {
            fs::FileType::File { mode: 0o644, .. } => fs::link(&from, &to)?,
            // The part keeps its mode.
            fs::FileType::File { .. } => {
                fs::copy(&from, &to)?;
                fs::set_mode(&to, 0o644)?;
            }
            _ => return Err(Error::check(format!("`{from}` is not a file"))),
        }
        let (is, _) = fs::digest(&to)?;
        check_unchanged(&from, is, source.sha256)?;
    }
    Ok(())
}

/// Checks that the written file is the one that was checked.
fn check_unchanged(path: &Utf8Path, is: Digest, was: Digest) -> Result<()> {
    if is == was {
        return Ok(());
    }
    Err(Error::check(format!("`{path}` was changed while it was read"))
        .hint("retry when no other process writes there"))
}

/// Writes the files of a layout that are in no part: `oci-layout`, its index, and the documents that reference
/// it.
fn write_layout(stage: &Stage, layout: &MergedLayout, dist: &Dist) -> Result<()> {
    let write = |path: &str, bytes: &[u8]| -> Result<()> {
        let path = format!("{}/{path}", layout.path);
        if !stage.reuse(&path, &Digest::sha256(bytes), bytes.len() as u64)? {
            fs::write(&stage.path(&path), bytes)?;
        }
        Ok(())
    };
    write(LAYOUT_FILE.0, LAYOUT_FILE.1)?;
    if let Some(index) = &layout.joined.index {
        write(&blob_path(index.digest()), index.bytes())?;
    }
    let tag = dist.images.iter().find(|image| image.name == layout.name);
    let (tag, full) = image::full_name(&layout.name, tag.map_or("", |image| &image.tag));
    let name = ImageName { tag: &tag, image: Some(&full) };
    write(INDEX, &layout::index(layout.joined.descriptor.clone(), Some(name))?)
}
