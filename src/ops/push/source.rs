//! The source of a push: found in a `target/dist`, a layout or an archive.

use camino::Utf8Path;

use crate::{
    image::{
        oci::Descriptor,
        read::image::{self, Images, Store, StoredSet},
    },
    model::{
        error::{Error, Result},
        reference::repository_name,
        schema::{
            Dist,
            dist::{FILE, Image},
        },
    },
    ops::{image::store, output::manifest},
};

/// Returns a release, and the selected one of its images.
pub(super) fn find_in_dist(dir: &Utf8Path, name: Option<&str>) -> Result<(Dist, Image)> {
    let path = dir.join(FILE);
    let hint = "`cargo longshore dist` makes images; `--from PATH` names a layout or an archive";
    let dist = manifest::read(&path)?;
    let names: Vec<&str> = dist.images.iter().map(|image| image.name.as_str()).collect();
    let has = || format!("it has `{}`", names.join("`, `"));
    // A package's name is also accepted where its image has another one.
    let is_called = |image: &&Image| {
        name.is_none_or(|name| {
            name == image.name || repository_name(name).as_ref() == Some(&image.name)
        })
    };
    let mut chosen = dist.images.iter().filter(is_called);
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

/// The images of a store to push.
pub(super) struct SourceImage {
    pub(super) descriptor: Descriptor,
    /// The attachments of images in the store, which are not pushed with them.
    pub(super) left_out: Vec<String>,
}

/// Returns the image of a store that is pushed: the only one, or the one with that name.
pub(super) fn find_image(
    store: &dyn Store,
    path: &Utf8Path,
    name: Option<&str>,
) -> Result<SourceImage> {
    let found = image::read_images(store).map_err(|error| error.context(format!("`{path}`")))?;
    // A signature beside its image does not count as a second image.
    let is_other = |at: usize| {
        found.others.iter().any(|other| other.set == at)
            && !found.images.iter().any(|image| image.set == at)
            && !found.broken.iter().any(|broken| broken.set == at)
            && !found.absent.iter().any(|absent| absent.set == at)
    };
    let mut chosen = Vec::new();
    let mut left_out = Vec::new();
    for (at, set) in found.sets.iter().enumerate() {
        match name {
            Some(name) if !store::has_name(set, name) => {}
            None if is_other(at) => {
                let others = found.others.iter().filter(|other| other.set == at);
                let digest =
                    set.descriptor.as_ref().map(|descriptor| descriptor.digest.to_string());
                let digest = digest.unwrap_or_default();
                left_out.extend(
                    others.map(|other| format!("`{path}@{digest}`: {}", other.description)),
                );
            }
            _ => chosen.push((at, set)),
        }
    }
    if let (true, Some(name)) = (chosen.is_empty(), name) {
        let manifests = found.images.iter().filter_map(|image| image.manifest.clone());
        let mut manifests = manifests.filter(|manifest| manifest.digest.to_string() == name);
        return match manifests.next() {
            Some(descriptor) => Ok(SourceImage { descriptor, left_out }),
            None => {
                let message = format!("`{path}` has no image `{name}`");
                Err(Error::usage(message).hint(format_choices(path, found.sets.iter())))
            }
        };
    }
    match chosen.as_slice() {
        [] => Err(Error::check(format!("`{path}` has no image"))),
        [(at, set)] => {
            let Some(descriptor) = set.descriptor.clone() else {
                let message =
                    format!("`{path}` has no manifest: it has the old form of `docker save`");
                return Err(Error::usage(message).hint(
                    "`skopeo copy docker-archive:FILE oci:DIRECTORY:TAG` makes a layout of it",
                ));
            };
            check_complete(path, &found, *at)?;
            Ok(SourceImage { descriptor, left_out })
        }
        _ => Err(Error::usage(format!("`{path}` has several images"))
            .hint(format_choices(path, chosen.iter().map(|(_, set)| *set)))),
    }
}

/// Returns the names of images, or else their digests, for a hint.
fn format_choices<'a>(path: &Utf8Path, sets: impl Iterator<Item = &'a StoredSet>) -> String {
    let (mut names, mut digests) = (Vec::new(), Vec::new());
    for set in sets {
        names.extend(set.names.iter().map(|name| format!("`{name}`")));
        digests.extend(
            set.descriptor.iter().map(|descriptor| format!("`{path}@{}`", descriptor.digest)),
        );
    }
    match names.is_empty() {
        true => format!("its images have no names: name one by its digest, {}", digests.join(", ")),
        false => format!("it has {}; name one as `{path}:TAG`", names.join(", ")),
    }
}

/// Checks that the store has every platform of the set, since a registry takes only complete indexes.
fn check_complete(path: &Utf8Path, found: &Images, set: usize) -> Result<()> {
    let Some(absent) = found.absent.iter().find(|absent| absent.set == set) else {
        return Ok(());
    };
    let there = found.images.iter().filter(|image| image.set == set);
    let there = there.filter_map(|image| Some((&image.platform, image.manifest.as_ref()?.digest)));
    let there: Vec<_> = there
        .map(|(platform, digest)| format!("{platform} alone: `--from {path}@{digest}`"))
        .collect();
    let hint = if there.is_empty() {
        "create the layout again, with all its platforms".to_owned()
    } else {
        format!("push {}", there.join(", or "))
    };
    Err(Error::check(format!("`{path}`: {}", absent.reason)).hint(hint))
}
