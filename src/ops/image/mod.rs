//! Images: from verified bytes to OCI layouts and archives, without a daemon.

mod assemble;
mod context;
pub mod inspect;
pub mod interrupt;
mod layers;
mod output;
pub mod store;

use std::collections::BTreeMap;

use camino::Utf8Path;

pub use self::{assemble::check, output::Output};
use self::{
    assemble::{BuiltImage, ImageBuilder},
    layers::LayerCache,
};
use crate::{
    image::oci::layout::{self, ImageName},
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
        reference::version_tag,
        schema::{
            Dist,
            dist::{self, Layer, PlatformImage, SCHEMA},
            packaging::{Compressor, Extra},
            plan,
        },
        source::Source,
    },
    ops::{
        output::{
            chunks,
            digests::Digests,
            guard::ProtectedInputs,
            manifest,
            stage::{self, Purpose, Stage},
        },
        package::checksum,
        verify::rules::PackingPolicies,
    },
    sys::{Context, fs, parallel},
    verify::VerifiedArtifact,
};

/// The images to make of a finished `target/dist`.
#[derive(Clone, Debug, Default)]
pub struct ImageRequest {
    /// The directory with `dist.json`.
    pub dist: camino::Utf8PathBuf,
    /// The requested images, by name; all of them if none is named.
    pub names: Vec<String>,
    /// A Dockerfile to use instead of the one that `dist` found.
    pub recipe: Option<camino::Utf8PathBuf>,
    /// Values for the recipe's `ARG`s, which come before those of the metadata.
    pub args: BTreeMap<String, String>,
    /// More labels.
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    pub annotations: BTreeMap<String, String>,
    /// More extras.
    pub extras: Vec<Extra>,
    /// Another compressor.
    pub compression: Option<Compressor>,
    /// Only these platforms.
    pub platforms: Vec<crate::model::platform::Platform>,
    /// The destinations of the images; `dist` if there are none.
    pub outputs: Vec<Output>,
}

/// Makes the images of a plan, in `stage`.
///
/// # Errors
/// A recipe is wrong or requests a missing file, a file cannot be read or written, or an executable
/// file would be packed that was not verified.
pub(super) fn build_images(
    cx: &Context,
    plans: &[plan::Image],
    epoch: u64,
    target_directory: &Utf8Path,
    kept: (&Digests, &chunks::ChunkDirectory),
    stage: &Stage,
    artifacts: &[VerifiedArtifact],
) -> Result<Vec<dist::Image>> {
    // Images of them that are made later have the same modes and times.
    stage.fix_modes()?;
    for artifact in artifacts {
        for path in Utf8Path::new(&artifact.artifact().path).ancestors() {
            stage.set_time(path.as_str(), epoch)?;
        }
    }
    let (digests, pieces) = kept;
    let store = LayerCache::new(cx, target_directory, pieces);
    let maker = ImageBuilder::new(cx, &stage.root, &store, digests, artifacts, epoch);
    let mut images = Vec::new();
    for plan in plans {
        let made = maker.build(plan)?;
        stage_layout(&made, plan, stage, &store)?;
        images.push(image_record(&made, plan));
    }
    store.prune(layer_count(&images))?;
    Ok(images)
}

fn layer_count(images: &[dist::Image]) -> usize {
    images.iter().flat_map(|image| &image.platforms).map(|image| image.layers.len()).sum()
}

/// Makes images of the files in `target/dist`, and returns their names with their digests.
///
/// # Errors
/// As for `dist`; there is no `dist.json`, or what is there is not what it says.
pub fn rebuild_images(cx: &Context, request: &ImageRequest) -> Result<Vec<dist::Image>> {
    let into_dist = request.outputs.is_empty();
    let purpose = if into_dist { Purpose::Replace } else { Purpose::Read };
    let stage = begin_stage(cx, &request.dist, purpose, None)?;
    let mut dist = manifest::read_in(&request.dist)?;
    let plans = selected_plans(&dist, request)?;
    for output in &request.outputs {
        plans.iter().try_for_each(|plan| output::check(cx, output, plan))?;
    }
    let digests = Digests::default();
    let artifacts = verified_artifacts(cx, &dist, &request.dist, &digests)?;
    let pieces = chunks::ChunkDirectory::new(&stage.store())?;
    let store = LayerCache::new(cx, &stage.store(), &pieces);
    let epoch = dist.release.source_date_epoch;
    let maker = ImageBuilder::new(cx, &request.dist, &store, &digests, &artifacts, epoch);
    let mut images = Vec::new();
    for plan in &plans {
        let made = maker.build(plan)?;
        if into_dist {
            stage_layout(&made, plan, &stage, &store)?;
        }
        for output in &request.outputs {
            output::write(cx, output, &made, plan, &store, epoch)?;
        }
        images.push(image_record(&made, plan));
    }
    store.prune(layer_count(&images))?;
    pieces.prune()?;
    if into_dist {
        let stale = outdated_documents(&dist, &images);
        dist.documents.retain(|document| !stale.contains(&document.path));
        let gone = |path: &str| stale.iter().any(|stale| stale == path);
        stage.reuse_all(|path| !gone(path) && !plans.iter().any(|plan| path == plan.path))?;
        dist.images.retain(|old| !images.iter().any(|new| new.name == old.name));
        dist.images.extend(images.clone());
        dist.images.sort_stable_by(|a, b| a.name.cmp(&b.name));
        dist.schema = SCHEMA;
        if !dist.archives.is_empty() || !stale.is_empty() {
            checksum::write_checksums(&mut dist, &stage)?;
        }
        stage.finish(&dist)?;
    } else {
        stage.discard()?;
    }
    Ok(images)
}

/// Begins a new output from the one in `dist`. Nothing is created if there is none.
pub(super) fn begin_stage(
    cx: &Context,
    dist: &Utf8Path,
    purpose: Purpose,
    workspace: Option<&Utf8Path>,
) -> Result<Stage> {
    let location = fs::resolve(&cx.env.dir.join(dist))?;
    if !stage::exists(&location) {
        manifest::read_in(dist)?;
    }
    let option = "the argument `DIST`";
    let workspace = workspace.map(Utf8Path::to_owned);
    Stage::begin(cx, &location, purpose, &ProtectedInputs { workspace, parts: Vec::new(), option })
}

/// Returns the documents about images that changed, and those about all images of the release.
fn outdated_documents(dist: &Dist, images: &[dist::Image]) -> Vec<String> {
    let differs = |old: &&dist::Image| {
        images.iter().any(|new| new.path == old.path && new.digest != old.digest)
    };
    let describes = |document: &&dist::Document, image: &dist::Image| {
        document.subject.as_deref() == Some(image.path.as_str())
    };
    let changed: Vec<&dist::Image> = dist.images.iter().filter(differs).collect();
    let known = |new: &dist::Image| dist.images.iter().any(|old| old.digest == new.digest);
    let same = images.iter().all(known);
    let stale = dist.documents.iter().filter(|one| {
        !same && one.kind.describes_release() || changed.iter().any(|image| describes(one, image))
    });
    stale.map(|document| document.path.clone()).collect()
}

/// Returns the recipes of the requested images, with the changes of the request.
fn selected_plans(dist: &Dist, request: &ImageRequest) -> Result<Vec<plan::Image>> {
    if dist.recipes.is_empty() {
        return Err(Error::build(format!(
            "`{}/dist.json` has no recipe of an image",
            request.dist
        ))
        .hint("run `cargo longshore build` again: another version made it"));
    }
    let known = |name: &String| dist.recipes.iter().any(|plan| plan.is_named(name));
    if let Some(unknown) = request.names.iter().find(|name| !known(name)) {
        let names: Vec<&str> = dist.recipes.iter().map(|plan| plan.name.as_str()).collect();
        return Err(Error::usage(format!("there is no image `{unknown}` in `{}`", request.dist))
            .hint(format!("there are: {}", names.join(", "))));
    }
    let expected = |plan: &&plan::Image| {
        request.names.is_empty() || request.names.iter().any(|name| plan.is_named(name))
    };
    let mut plans: Vec<plan::Image> = dist.recipes.iter().filter(expected).cloned().collect();
    let recipe = request.recipe.as_deref().map(read_recipe).transpose()?;
    for plan in &mut plans {
        if let Some(recipe) = &recipe {
            plan.recipe = Some(recipe.clone());
        }
        plan.args.extend(request.args.clone());
        plan.labels.extend(request.labels.clone());
        plan.annotations.extend(request.annotations.clone());
        plan.extras.extend(request.extras.iter().copied());
        plan.compression = request.compression.unwrap_or(plan.compression);
        for platform in &request.platforms {
            if !plan.platforms.contains(platform) {
                let all: Vec<_> = plan.platforms.iter().map(ToString::to_string).collect();
                return Err(Error::usage(format!(
                    "there is no binary for `{platform}` in `{}`",
                    request.dist
                ))
                .hint(format!("it was built for {}", all.join(", "))));
            }
        }
        if !request.platforms.is_empty() {
            plan.platforms.clone_from(&request.platforms);
        }
    }
    Ok(plans)
}

/// Returns the Dockerfile at `path`, with the ignore file beside it.
///
/// # Errors
/// It cannot be read.
pub fn read_recipe(path: &Utf8Path) -> Result<plan::Recipe> {
    let text = fs::read_to_string_if_exists(path)?
        .ok_or_else(|| Error::usage(format!("there is no recipe `{path}`")))?;
    let beside = format!("{path}.dockerignore");
    let ignore = fs::read_to_string_if_exists(Utf8Path::new(&beside))?;
    Ok(plan::Recipe { path: path.to_string(), text, ignore })
}

/// Returns the binaries of `dist`, each of which has to be the accepted file itself, and is verified
/// again: `dist.json` alone proves nothing.
pub(super) fn verified_artifacts(
    cx: &Context,
    dist: &Dist,
    root: &Utf8Path,
    digests: &Digests,
) -> Result<Vec<VerifiedArtifact>> {
    let packing = PackingPolicies::new(cx, root)?;
    let record = |artifact: &dist::Artifact| {
        let (open, file) = digests.open(root, &artifact.path)?;
        packing.check(artifact, Source::File(&open), file.digest)?;
        VerifiedArtifact::from_record(artifact.clone(), file.digest, file.size)
            .map_err(|rejected| Error::check(rejected.to_string()))
    };
    let artifacts = &dist.artifacts;
    let found: Vec<Result<VerifiedArtifact>> =
        parallel::map_on(artifacts.len(), artifacts.len(), |index| record(&artifacts[index]));
    found.into_iter().collect()
}

/// Returns the tag, and the complete name of the image in layouts and archives. Engines search for a
/// name without a registry under that of Docker's own (distribution/reference, "normalize.go").
fn image_name(plan: &plan::Image) -> (String, String) {
    full_name(&plan.name, &plan.tag)
}

/// Does as [`name`], for an image's name and its tag.
pub(super) fn full_name(name: &str, tag: &str) -> (String, String) {
    let tag = version_tag(tag).unwrap_or_else(|| tag.to_owned());
    let location = match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => "",
        Some(_) => "docker.io/",
        None => "docker.io/library/",
    };
    let full = format!("{location}{name}:{tag}");
    (tag, full)
}

fn stage_layout(
    made: &BuiltImage,
    plan: &plan::Image,
    stage: &Stage,
    store: &LayerCache<'_>,
) -> Result<()> {
    let (tag, full) = image_name(plan);
    let name = ImageName { tag: &tag, image: Some(&full) };
    // Unchanged content is not written again.
    let kept = |path: &str, bytes: &[u8]| {
        stage.reuse(&format!("{}/{path}", plan.path), &Digest::sha256(bytes), bytes.len() as u64)
    };
    output::write_files(layout::files(&made.set, Some(name))?, &stage.path(&plan.path), store, kept)
}

fn image_record(made: &BuiltImage, plan: &plan::Image) -> dist::Image {
    let mut platforms = Vec::new();
    for image in made.set.images() {
        let steps = image.config().history.iter().filter(|step| !step.empty_layer);
        let made_by = steps.map(|step| step.created_by.clone().unwrap_or_default());
        let layers = image.layers().iter().zip(made_by).map(|(layer, created_by)| Layer {
            media_type: layer.descriptor().media_type.as_str().to_owned(),
            digest: layer.descriptor().digest,
            size: layer.descriptor().size,
            diff_id: layer.diff_id(),
            compressor: layer.compressor().to_owned(),
            created_by,
        });
        platforms.push(PlatformImage {
            platform: image.platform().clone(),
            manifest: image.manifest().digest(),
            config: image.config().digest(),
            layers: layers.collect(),
            size: image.size(),
            binaries: made.binaries.get(image.platform()).cloned().unwrap_or_default(),
        });
    }
    let descriptor = made.set.descriptor();
    dist::Image {
        name: plan.name.clone(),
        tag: image_name(plan).0,
        path: plan.path.clone(),
        digest: descriptor.digest,
        media_type: descriptor.media_type.as_str().to_owned(),
        platforms,
    }
}
