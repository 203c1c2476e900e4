//! The verification of the registries after a push: images are pulled, and checked as by `verify`.

use super::PushRequest;
use crate::{
    model::{
        error::{Error, Result, Status},
        reference::Reference,
        schema::{Push, Verification},
    },
    ops::verify,
    sys::{Context, registry::Session},
    verify::format,
};

/// Verifies each repository's image by its digest, and that each tag points at exactly that image: the targets
/// of tags are read in full, and the content of a digest is always the same.
pub(in crate::ops) fn check(
    cx: &Context,
    request: &PushRequest,
    pushed: &Push,
) -> Result<Verification> {
    // A new session: no cached data may be used.
    let session = Session::new(cx, &request.registry);
    let digest = pushed.digest;
    let named = pushed.references.iter();
    let named = named.filter_map(|item| Some((&item.repository, item.tag.as_ref()?, false)));
    let own_image = pushed.tags.iter().filter(|tag| tag.is == Some(digest));
    let own_image = own_image.map(|tag| (&tag.repository, &tag.tag, tag.kind.moves()));
    for (repository, tag, moves) in named.chain(own_image) {
        let name = format!("{repository}:{tag}");
        let reference: Reference = name.parse().map_err(|error| {
            Error::new(Status::Registry, format!("`{name}` cannot be pulled")).because(error)
        })?;
        let part = session.repository(&reference)?.read(tag)?;
        let is = part.map(|part| part.digest);
        if is == Some(digest) {
            continue;
        }
        let is = is.map_or("nothing".to_owned(), |is| format!("`{is}`"));
        let message = format!("`{name}` was written as `{digest}`, and it is {is}");
        if !moves {
            return Err(Error::new(Status::Registry, message)
                .hint("another client wrote the tag since then"));
        }
        // A higher version may have come.
        cx.warn(message);
    }
    let paths: Vec<_> = pushed
        .repositories
        .iter()
        .map(|repository| format!("docker://{}@{digest}", repository.name).into())
        .collect();
    let names = paths.len();
    let verified = verify::verify(
        cx,
        &verify::VerifyRequest {
            paths,
            digests: true,
            registry: request.registry.clone(),
            ..verify::VerifyRequest::default()
        },
    )?;
    if !verified.accepted {
        let message = format!("`{digest}` is rejected in the registry");
        return Err(Error::check(message)
            .detail(format::human(&verified))
            .hint("the tags are written: `--dry-run` shows them"));
    }
    let count = verified.checked.len();
    let locations = if names == 1 { String::new() } else { format!(" in {names} repositories") };
    cx.status("Verified", format!("{digest}: {count} verdicts{locations}"));
    Ok(verified)
}
