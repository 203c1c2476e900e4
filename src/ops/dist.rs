//! `dist`: everything, in one go.

use crate::{
    error::Result,
    ops::{build, plan, stage::Stage},
    request::Request,
    schema::{Dist, dist::SCHEMA},
    sys::Context,
};

/// Builds, verifies, tries out and packs.
pub fn dist(cx: &Context, request: &Request) -> Result<Dist> {
    build(cx, request)
}

/// Builds and verifies.
pub fn build(cx: &Context, request: &Request) -> Result<Dist> {
    let planned = plan::plan_and_provide(cx, request)?;
    let stage = Stage::begin(cx, planned.plan.output.as_ref())?;
    let built = build::build(cx, &planned, &stage)?;
    let dist = Dist {
        schema: SCHEMA,
        release: planned.plan.release.clone(),
        artifacts: built.artifacts,
        images: Vec::new(),
    };
    stage.finish(&dist)?;
    Ok(dist)
}
