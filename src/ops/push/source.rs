//! What is pushed: found in a `target/dist`, a layout or an archive.

use camino::Utf8Path;

use crate::{
    error::{Error, Result},
    oci::{Descriptor, reference::repository_name},
    ops::store,
    schema::{Dist, dist::Image},
    sys::fs,
    unpack::image::{self, Store},
};

pub(super) fn named(path: &Utf8Path, error: &Error) -> Error {
    let named = Error::new(error.status(), format!("`{path}`: {error}"));
    match error.hint_text() {
        Some(hint) => named.hint(hint),
        None => named,
    }
}

/// A release, and the one of its images that is meant.
pub(super) fn of_dist(dir: &Utf8Path, name: Option<&str>) -> Result<(Dist, Image)> {
    let path = dir.join("dist.json");
    let hint = "`cargo longshore dist` makes images; `--from PATH` names a layout or an archive";
    let text = fs::read_to_string_if_there(&path)?
        .ok_or_else(|| Error::usage(format!("there is no `{path}`")).hint(hint))?;
    let wrong = |error| Error::check(format!("`{path}` is no release manifest")).because(error);
    let dist: Dist = serde_json::from_str(&text).map_err(wrong)?;
    let names: Vec<&str> = dist.images.iter().map(|image| image.name.as_str()).collect();
    let has = || format!("it has `{}`", names.join("`, `"));
    // A package's name is also accepted where its image has another one.
    let is_named = |image: &&Image| {
        name.is_none_or(|name| {
            name == image.name || repository_name(name).as_ref() == Some(&image.name)
        })
    };
    let mut chosen = dist.images.iter().filter(is_named);
    let image = match (chosen.next(), chosen.next(), name) {
        (Some(image), None, _) => image.clone(),
        (Some(_), Some(_), _) => {
            return Err(Error::usage(format!("`{path}` has several images"))
                .hint(format!("choose one with `--package NAME`: {}", has())));
        }
        (None, _, Some(name)) if !names.is_empty() => {
            return Err(Error::usage(format!("`{path}` has no image `{name}`")).hint(has()));
        }
        (None, ..) => return Err(Error::usage(format!("`{path}` has no images")).hint(hint)),
    };
    Ok((dist, image))
}

/// What is to be pushed of a store: the one thing in it, or what goes by that name.
pub(super) fn root(store: &dyn Store, path: &Utf8Path, name: Option<&str>) -> Result<Descriptor> {
    let found = image::images(store).map_err(|error| named(path, &error))?;
    let mut chosen: Vec<Descriptor> = Vec::new();
    let mut names = Vec::new();
    for set in &found.sets {
        names.extend(set.names.iter().map(|name| format!("`{name}`")));
        if name.is_none_or(|name| store::is_called(set, name)) {
            let descriptor = set.descriptor.clone().ok_or_else(|| {
                Error::usage(format!(
                    "`{path}` has no manifest: it is of the old form of `docker save`"
                ))
                .hint("`skopeo copy docker-archive:FILE oci:DIRECTORY:TAG` makes a layout of it")
            })?;
            chosen.push(descriptor);
        }
    }
    if let (true, Some(name)) = (chosen.is_empty(), name) {
        let manifests = found.images.iter().filter_map(|image| image.manifest.clone());
        chosen.extend(manifests.filter(|of| of.digest.to_string() == name).take(1));
    }
    let has = || match names.is_empty() {
        true => "its images have no names: name one as `PATH@DIGEST`".to_owned(),
        false => format!("it has {}", names.join(", ")),
    };
    match (chosen.len(), name) {
        (1, _) => Ok(chosen.remove(0)),
        (0, Some(name)) => Err(Error::usage(format!("`{path}` has no image `{name}`")).hint(has())),
        (0, None) => Err(Error::check(format!("`{path}` has no image"))),
        _ => Err(Error::usage(format!("`{path}` has several images"))
            .hint(format!("name one as `PATH:TAG`: {}", has()))),
    }
}
