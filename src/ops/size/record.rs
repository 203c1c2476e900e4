//! The record that `dist` stores of each binary: the crates of its bytes.

use std::{cell::OnceCell, collections::BTreeMap};

use super::native::NativeSymbols;
use crate::{
    archive::compress,
    build::cargo::message::BuildReport,
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            dist::{Artifact, AttributionFile},
            plan::Job,
        },
        source::Source,
    },
    ops::{
        dist::{
            bom::Sboms,
            collect::unstripped,
            planned::{Planned, Product},
        },
        output::{chunks, stage::Stage},
    },
    size::{self, Evidence},
    sys::{Context, file, fs},
};

/// Attributes the bytes of each artifact, unless the previous output has the record, and writes it to the
/// stage. A binary that cannot be attributed has no record, and a warning gives the reason: it is shipped
/// anyway.
///
/// # Errors
/// A file cannot be read or written.
pub(in crate::ops) fn attribute_artifacts(
    cx: &Context,
    planned: &Planned,
    report: &BuildReport,
    bills: &Sboms,
    stage: &Stage,
    products: &mut [Product<'_, Artifact>],
) -> Result<()> {
    let plan = &planned.plan;
    let pieces = chunks::ChunkDirectory::new(plan.target_directory.as_str().into())?;
    let pieces = pieces.at_level(plan.gzip_level());
    let mut natives: BTreeMap<&str, OnceCell<NativeSymbols>> = BTreeMap::new();
    for job in &plan.jobs {
        natives.entry(&job.target).or_default();
    }
    let previous = stage.previous();
    for Product { job, artifact } in products {
        if let Some(previous) = &previous
            && previous.gzip_level() == plan.gzip_level()
            && let Some(kept) = previous_record(previous, artifact, job, stage)?
        {
            artifact.attribution = Some(kept);
            continue;
        }
        let Some(natives) = natives.get(job.target.as_str()) else { continue };
        let natives = natives.get_or_init(|| NativeSymbols::new(report, job));
        let shipped = file::open(&stage.path(&artifact.path))?;
        let symbols = file::open(unstripped(job, report)?)?;
        let shipped = Source::File(&shipped);
        let evidence = Evidence {
            separate: Some(Source::File(&symbols)),
            native: &|name| natives.package(name),
            costs: Some(&|locations| compress::costs(shipped, locations, &pieces)),
        };
        match size::attribute(shipped, &evidence) {
            Ok(found) => {
                let record = size::to_record(&found, artifact.sha256, bills.dependencies(job));
                let file = write_record(stage, &job.attribution, &record)?;
                artifact.attribution =
                    Some(AttributionFile { crates: found.bytes_by_crate(), ..file });
            }
            Err(error) => {
                let name = format!("{} {}", artifact.platform, artifact.name);
                cx.warn(format!("{name}: its size cannot be attributed: {error}"));
            }
        }
    }
    Ok(())
}

/// Returns the record of the previous output for the same bytes with the same symbols, if the same longshore
/// made it.
fn previous_record(
    previous: &crate::model::schema::Dist,
    artifact: &Artifact,
    job: &Job,
    stage: &Stage,
) -> Result<Option<AttributionFile>> {
    let own = env!("CARGO_PKG_VERSION");
    let same = |old: &&Artifact| {
        (old.sha256, &old.unstripped, old.audit)
            == (artifact.sha256, &artifact.unstripped, artifact.audit)
    };
    if previous.release.tools.get("longshore").is_none_or(|version| version != own) {
        return Ok(None);
    }
    let Some(old) = previous.artifacts.iter().find(same).and_then(|old| old.attribution.as_ref())
    else {
        return Ok(None);
    };
    let there = old.path == job.attribution && stage.reuse(&old.path, &old.sha256, old.size)?;
    Ok(there.then(|| old.clone()))
}

fn write_record(
    stage: &Stage,
    path: &str,
    record: &crate::model::schema::size::Attribution,
) -> Result<AttributionFile> {
    let mut text = serde_json::to_string(record)
        .map_err(|error| Error::build(format!("cannot write `{path}`")).because(error))?;
    text.push('\n');
    fs::write_mode(&stage.path(path), text.as_bytes(), 0o644)?;
    Ok(AttributionFile {
        path: path.to_owned(),
        size: text.len() as u64,
        sha256: Digest::sha256(text.as_bytes()),
        crates: BTreeMap::new(),
    })
}
