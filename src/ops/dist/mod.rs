//! `dist`: builds, verifies and packs a release.

pub mod allocator;
pub mod blame;
pub mod bom;
pub mod build;
pub mod collect;
pub mod features;
pub mod native;
pub mod path_packages;
pub(super) mod pgo;
pub mod plan;
pub mod planned;
pub mod preflight;
pub mod provenance;
pub mod smoke;
mod source;
pub mod twice;
pub mod warm;

use camino::Utf8PathBuf;
use planned::{Planned, Product};

use crate::{
    build::request::BuildRequest,
    model::{
        error::Result,
        event::Event,
        schema::{
            Dist,
            dist::{Artifact, SCHEMA},
        },
    },
    ops::{
        image,
        output::{
            chunks,
            digests::Digests,
            guard::ProtectedInputs,
            stage::{Purpose, Stage},
            summary,
        },
        package, verify,
    },
    sys::{Context, reentry},
    verify::VerifiedArtifact,
};

/// Builds, verifies, smoke-tests and packs; `target/dist` then holds exactly the requested files.
///
/// # Errors
/// Any stage's; the previous output is then intact.
pub fn dist(cx: &Context, request: &BuildRequest) -> Result<Dist> {
    let (dist, output) = make(cx, request)?;
    cx.emit(Event::Summary { text: summary::summary(cx, &dist, &output) });
    Ok(dist)
}

/// Builds and verifies; `target/dist` then holds the binaries, and no image.
///
/// # Errors
/// Any stage's; the previous output is then intact.
pub fn build(cx: &Context, request: &BuildRequest) -> Result<Dist> {
    dist(cx, &BuildRequest { pack: false, ..request.clone() })
}

/// Does as [`dist`], without a summary: returns the output's directory, which may be moved.
pub(super) fn make(cx: &Context, request: &BuildRequest) -> Result<(Dist, Utf8PathBuf)> {
    make_one(cx, &pgo::train(cx, request)?)
}

/// Does as [`make`], after a training.
fn make_one(cx: &Context, request: &BuildRequest) -> Result<(Dist, Utf8PathBuf)> {
    let pack = request.pack;
    // Before anything is fetched or built, std among it.
    reentry::check(cx)?;
    cx.stage("plan");
    let planned = plan::plan_and_provide(cx, request)?;
    let plan = &planned.plan;
    summary::report_skipped(cx, plan);
    twice::check(&planned)?;
    summary::warn_about_source(cx, &plan.release);
    let inputs = ProtectedInputs::for_build(plan.workspace.as_str().into());
    let stage = Stage::begin(cx, plan.output.as_ref(), Purpose::Build, &inputs)?;
    cx.stage("build");
    let digests = Digests::default();
    let (products, built) = build::build(cx, &planned, &stage, &digests)?;
    cx.stage("verify");
    let verified = verify::verify_artifacts(cx, &planned, &stage, &digests, products)
        .map_err(|error| blame::with_library_sources(cx, plan, &built, &stage, error))?;
    twice::build_again(cx, &planned, &stage, &built)?;
    let packable: Vec<VerifiedArtifact> = verified.iter().map(|one| one.artifact.clone()).collect();
    let companions = package::companions(cx, &planned, &built.report, &packable, &stage)?;
    let (mut images, mut archives) = (Vec::new(), Vec::new());
    if pack {
        cx.stage("pack");
        let (epoch, dir) = (plan.release.source_date_epoch, plan.target_directory.as_str());
        let pieces = chunks::ChunkDirectory::new(dir.into())?;
        let kept = (&digests, &pieces);
        images = image::build_images(cx, &plan.images, epoch, dir.into(), kept, &stage, &packable)?;
        let inputs = package::ArchiveInputs {
            cx,
            workspace: plan.workspace.as_str().into(),
            plans: &plan.archives,
            epoch,
            root: &stage.root,
            artifacts: &packable,
            companions: &companions,
            digests: &digests,
            pieces: &pieces,
        };
        archives = package::write_archives(&inputs, &stage)?;
        pieces.prune()?;
    }
    cx.stage("smoke-test");
    let artifacts = smoke_test(cx, &planned, &stage, verified)?;
    let release = plan.release.clone();
    let recipes = plan.images.clone();
    let documents = match pack {
        true => bom::write_documents(&stage, &planned, &built.bills, &artifacts, &images)?,
        false => Vec::new(),
    };
    let (units, sccache) = (built.report.units, built.sccache);
    let mut dist = Dist {
        schema: SCHEMA,
        release,
        units,
        sccache,
        artifacts,
        recipes,
        images,
        companions,
        packages: plan.archives.clone(),
        archives,
        channels: Vec::new(),
        documents,
    };
    if pack {
        package::write_channels(&mut dist, &stage)?;
        provenance::write(cx, request, &planned, &stage, &mut dist)?;
    }
    package::checksum::write_checksums(&mut dist, &stage)?;
    cx.children.check()?;
    let output = stage.output().to_owned();
    stage.finish(&dist)?;
    Ok((dist, output))
}

/// Runs the smoke test of each program, and records the results.
fn smoke_test(
    cx: &Context,
    planned: &Planned,
    stage: &Stage,
    verified: Vec<Product<'_, VerifiedArtifact>>,
) -> Result<Vec<Artifact>> {
    let log = stage.path("logs/smoke.log");
    let mut artifacts = Vec::new();
    for Product { job, artifact } in verified {
        let mut artifact = artifact.into_artifact();
        let target = planned.targets.get(&job.target)?;
        let path = stage.path(&artifact.path);
        artifact.smoke = smoke::smoke(cx, target, &path, &artifact.name, &job.smoke, &log)?;
        summary::report_smoke_test(cx, &artifact);
        artifacts.push(artifact);
    }
    Ok(artifacts)
}
