//! Images: from verified bytes to OCI layouts, without a daemon.

use std::collections::BTreeMap;

use crate::{
    error::Result,
    oci::{
        Digest, Platform,
        image::{Image, ImageSet},
        layer::Compressor,
        layout::{self, Content, Name, blob_path},
        recipe::{BIN, Recipe},
    },
    ops::stage::Stage,
    schema::{
        dist::{self, Dist, Layer, PlatformImage},
        plan::{self, Plan},
    },
    sys::{Context, fs},
    verify::VerifiedArtifact,
};

/// Makes the image of every package in the plan.
///
/// # Errors
/// A file cannot be read or written, or a name does not fit into an image.
pub fn images(
    cx: &Context,
    plan: &Plan,
    stage: &Stage,
    artifacts: &[VerifiedArtifact],
) -> Result<Vec<dist::Image>> {
    let previous = stage.previous();
    let epoch = plan.release.source_date_epoch;
    let make = |image| one(cx, image, epoch, stage, artifacts, previous.as_ref());
    plan.images.iter().map(make).collect()
}

fn one(
    cx: &Context,
    plan: &plan::Image,
    epoch: u64,
    stage: &Stage,
    artifacts: &[VerifiedArtifact],
    previous: Option<&Dist>,
) -> Result<dist::Image> {
    let recipe = recipe(plan);
    let of_package = |artifact: &&VerifiedArtifact| artifact.artifact().package == plan.name;
    let files: Vec<_> = artifacts.iter().filter(of_package).collect();
    let known =
        |diff_id: Digest, compressor: Compressor| known(previous, stage, plan, diff_id, compressor);
    // Platforms side by side: compression is nearly all of the work.
    let built: Vec<Result<Image>> = std::thread::scope(|scope| {
        let threads: Vec<_> = plan
            .platforms
            .iter()
            .map(|platform| {
                let (recipe, files, known) = (&recipe, &files, &known);
                scope.spawn(move || {
                    let contents = contents(stage, platform, files)?;
                    let bytes = contents.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
                    recipe.image(platform, &bytes.collect(), epoch, Compressor::Gzip, known)
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Image>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let set = ImageSet::new(built.into_iter().collect::<Result<_>>()?, BTreeMap::new())?;
    write(&set, plan, stage)?;
    let platforms: Vec<_> = plan.platforms.iter().map(Platform::to_string).collect();
    cx.status("Packed", format!("image {}:{} for {}", plan.name, plan.tag, platforms.join(", ")));
    Ok(record(&set, plan, &files))
}

/// The built-in recipe with what the plan says.
fn recipe(plan: &plan::Image) -> Recipe {
    let entrypoint = plan.entrypoint.as_ref().map(|name| format!("{BIN}/{name}"));
    Recipe {
        release_labels: plan.labels.clone(),
        user: plan.user.clone(),
        entrypoint: entrypoint.into_iter().collect(),
        ..Recipe::new(plan.binaries.clone())
    }
}

fn contents<'a>(
    stage: &Stage,
    platform: &Platform,
    files: &[&'a VerifiedArtifact],
) -> Result<BTreeMap<&'a str, Vec<u8>>> {
    let of_platform = |file: &&&VerifiedArtifact| file.artifact().platform == *platform;
    let mut contents = BTreeMap::new();
    for file in files.iter().filter(of_platform) {
        let artifact = file.artifact();
        let bytes = fs::read(&stage.path(&artifact.path))?;
        // The verdict was on these very bytes, or they are not packed.
        if Digest::of(&bytes) != file.digest() {
            return Err(crate::Error::build(format!(
                "`{}` changed while it was being packed",
                stage.path(&artifact.path)
            )));
        }
        contents.insert(artifact.name.as_str(), bytes);
    }
    Ok(contents)
}

/// The blob that the previous run made of the same tar by the same compressor, if it is still what
/// it was; it is then taken over into the stage.
fn known(
    previous: Option<&Dist>,
    stage: &Stage,
    plan: &plan::Image,
    diff_id: Digest,
    compressor: Compressor,
) -> Option<(Digest, u64)> {
    let images = previous?.images.iter().filter(|image| image.path == plan.path);
    let mut layers =
        images.flat_map(|image| &image.platforms).flat_map(|platform| &platform.layers);
    let layer = layers
        .find(|layer| layer.diff_id == diff_id && layer.compressor == compressor.identity())?;
    let path = format!("{}/{}", plan.path, blob_path(layer.digest));
    // One that was changed or lost is made again.
    let kept = stage.keep(&path, &layer.digest, layer.size).unwrap_or(false);
    kept.then_some((layer.digest, layer.size))
}

fn write(set: &ImageSet, plan: &plan::Image, stage: &Stage) -> Result<()> {
    let full = format!("{}:{}", plan.name, plan.tag);
    // Versions may hold `+`, tags may not.
    let tag = plan.tag.replace('+', "_");
    let name = Name { tag: &tag, image: Some(&full.replace('+', "_")) };
    for file in layout::files(set, Some(name))? {
        let path = format!("{}/{}", plan.path, file.path);
        match file.content {
            // Taken over when it was found to be known.
            Content::Known(..) => {}
            Content::Bytes(bytes) => {
                if !stage.keep(&path, &Digest::of(&bytes), bytes.len() as u64)? {
                    fs::write(&stage.path(&path), &bytes)?;
                }
            }
        }
    }
    Ok(())
}

fn record(set: &ImageSet, plan: &plan::Image, files: &[&VerifiedArtifact]) -> dist::Image {
    let platform = |image: &Image| {
        let binaries = files.iter().filter(|file| file.artifact().platform == *image.platform());
        PlatformImage {
            platform: image.platform().clone(),
            manifest: image.manifest().digest(),
            config: image.config().digest(),
            layers: image
                .layers()
                .iter()
                .map(|layer| Layer {
                    media_type: layer.descriptor().media_type.as_str().to_owned(),
                    digest: layer.descriptor().digest,
                    size: layer.descriptor().size,
                    diff_id: layer.diff_id(),
                    compressor: layer.compressor().identity().to_owned(),
                })
                .collect(),
            size: image.size(),
            binaries: binaries
                .map(|file| (format!("{BIN}/{}", file.artifact().name), file.digest()))
                .collect(),
        }
    };
    let descriptor = set.descriptor();
    dist::Image {
        name: plan.name.clone(),
        tag: plan.tag.replace('+', "_"),
        path: plan.path.clone(),
        digest: descriptor.digest,
        media_type: descriptor.media_type.as_str().to_owned(),
        platforms: set.images().iter().map(platform).collect(),
    }
}
