//! A part that is pushed to a registry: its image, by its digest, without a tag.

use camino::Utf8PathBuf;

use crate::{
    build::request::BuildRequest,
    model::{
        error::{Error, Result},
        reference::Reference,
        schema::{Dist, Push},
    },
    ops::{
        dist::{self, plan},
        push,
    },
    sys::{Context, registry::Settings},
};

/// Runs `dist`, and pushes its only image to `repository` by its digest: it is there for `merge`, and
/// is not visible by a tag before that.
///
/// # Errors
/// `repository` has a tag or a digest, or the plan has not one image; or as for `dist` and `push`.
pub fn dist_and_push(
    cx: &Context,
    request: &BuildRequest,
    repository: &Reference,
    registry: &Settings,
) -> Result<(Dist, Push)> {
    if repository.tag.is_some() || repository.digest.is_some() {
        return Err(Error::usage(format!("`{repository}` has a tag or a digest"))
            .hint(format!("name the repository: `{}`", repository.name())));
    }
    // Before anything is built.
    let plan = plan::plan(cx, request)?.plan;
    if plan.images.len() != 1 {
        let names: Vec<String> =
            plan.images.iter().map(|image| format!("`{}`", image.name)).collect();
        let message =
            format!("`--push-by-digest` pushes one image, and the plan has {}", names.len());
        return Err(Error::usage(message).hint(match &names[..] {
            [] => "the workspace has no binaries".to_owned(),
            names => format!("choose one with `--package`: {}", names.join(", ")),
        }));
    }
    let output = Utf8PathBuf::from(plan.output);
    let made = dist::dist(cx, request)?;
    let digest = made.images.first().map(|image| image.digest);
    // With a digest alone, no tag is written.
    let reference = Reference { tag: None, digest, ..repository.clone() };
    let pushed = push::push(
        cx,
        &push::PushRequest {
            source: push::PushSource::Dist(output, None),
            references: vec![reference],
            mount_from: Vec::new(),
            dry_run: false,
            attach: true,
            tagging: None,
            verify: false,
            registry: registry.clone(),
        },
    )?;
    Ok((made, pushed))
}
