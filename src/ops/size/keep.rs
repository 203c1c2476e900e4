//! The data that `dist` keeps of each binary: the owners of its bytes.

use std::{cell::OnceCell, collections::BTreeMap};

use super::native::Natives;
use crate::{
    archive::compress,
    build::cargo::message::Report,
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
            bom::Bills,
            collect::unstripped,
            planned::{Planned, Product},
        },
        output::{pieces, stage::Stage},
    },
    size::{self, Evidence},
    sys::{Context, file, fs},
};

/// Attributes the bytes of each artifact, unless the previous output has it, and writes that to the
/// stage. What cannot be attributed has none, and a warning says why: it ships all the same.
///
/// # Errors
/// A file cannot be read or written.
pub(in crate::ops) fn attribute(
    cx: &Context,
    planned: &Planned,
    report: &Report,
    bills: &Bills,
    stage: &Stage,
    products: &mut [Product<'_, Artifact>],
) -> Result<()> {
    let plan = &planned.plan;
    let pieces = pieces::Store::new(plan.target_directory.as_str().into())?;
    let mut natives: BTreeMap<&str, OnceCell<Natives>> = BTreeMap::new();
    for job in &plan.jobs {
        natives.entry(&job.target).or_default();
    }
    let previous = stage.previous();
    for Product { job, artifact } in products {
        if let Some(previous) = &previous
            && let Some(kept) = kept(previous, artifact, job, stage)?
        {
            artifact.attribution = Some(kept);
            continue;
        }
        let Some(natives) = natives.get(job.target.as_str()) else { continue };
        let natives = natives.get_or_init(|| Natives::new(report, job));
        let shipped = file::open(&stage.path(&artifact.path))?;
        let symbols = file::open(unstripped(job, report)?)?;
        let shipped = Source::File(&shipped);
        let evidence = Evidence {
            separate: Some(Source::File(&symbols)),
            native: &|name| natives.of(name),
            costs: Some(&|places| compress::costs(shipped, places, &pieces)),
        };
        match size::attribute(shipped, &evidence) {
            Ok(found) => {
                let record = size::write(&found, artifact.sha256, bills.dependencies(job));
                let file = write(stage, &job.attribution, &record)?;
                artifact.attribution = Some(AttributionFile { crates: found.by_crate(), ..file });
            }
            Err(error) => {
                let name = format!("{} {}", artifact.platform, artifact.name);
                cx.warn(format!("{name}: its size cannot be attributed: {error}"));
            }
        }
    }
    Ok(())
}

/// Returns the record of the previous output for the same bytes with the same symbols, if the same
/// longshore made it.
fn kept(
    previous: &crate::model::schema::Dist,
    artifact: &Artifact,
    job: &Job,
    stage: &Stage,
) -> Result<Option<AttributionFile>> {
    let ours = env!("CARGO_PKG_VERSION");
    let same = |old: &&Artifact| {
        (old.sha256, &old.unstripped, old.audit)
            == (artifact.sha256, &artifact.unstripped, artifact.audit)
    };
    if previous.release.tools.get("longshore").is_none_or(|version| version != ours) {
        return Ok(None);
    }
    let Some(old) = previous.artifacts.iter().find(same).and_then(|old| old.attribution.as_ref())
    else {
        return Ok(None);
    };
    let there = old.path == job.attribution && stage.keep(&old.path, &old.sha256, old.size)?;
    Ok(there.then(|| old.clone()))
}

fn write(
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
