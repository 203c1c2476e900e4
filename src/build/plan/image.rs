//! The images of a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::selection::Selection;
use crate::{
    build::{target::Target, workspace::Package},
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result, Status},
        reference::{repository_name, version_tag},
        schema::{
            dist::Release,
            packaging::GzipLevel,
            plan::{Image, Recipe},
        },
    },
};

/// The user that an image starts as when nothing is set: `nonroot` of the distroless images, a
/// number that no distribution gives to a person.
pub(super) const USER: &str = "65532:65532";

/// Returns one image for each package, with all its binaries, or for each of them, for every target.
///
/// # Errors
/// A package wants a recipe, and an image for each of several binaries.
pub(super) fn plan_images(
    selection: &Selection<'_>,
    targets: &[&Target],
    release: &Release,
    recipes: &BTreeMap<String, Recipe>,
    gzip_level: GzipLevel,
) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for (package, bins) in &selection.packages {
        let names: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
        let recipe = recipes.get(&package.name);
        let settings = &package.settings.image;
        package.settings.tags.check().map_err(|error| {
            error.context(format!("package `{}`", package.name)).with_status(Status::Usage)
        })?;
        if version_tag(&package.version).is_none() {
            return Err(Error::usage(format!(
                "package `{}`: its version `{}` cannot be an image tag",
                package.name, package.version
            ))
            .hint("a tag has at most 128 characters"));
        }
        let image = |name: String, names: &[&str]| Image {
            tag: package.version.clone(),
            path: format!("image/{name}"),
            name,
            platforms: targets.iter().map(|target| target.spec.platform.clone()).collect(),
            entrypoint: package.entrypoint(names).map(str::to_owned),
            binaries: names.iter().map(|&name| name.to_owned()).collect(),
            user: settings.user.clone().unwrap_or_else(|| USER.to_owned()),
            labels: labels(package, release),
            recipe: recipe.cloned(),
            args: settings.args.clone(),
            extras: settings.extras.clone(),
            compression: settings.compression,
            gzip_level,
            annotations: settings.annotations.clone(),
            tags: package.settings.tags.clone(),
        };
        if !settings.per_binary {
            images.push(image(image_name(package, &package.name)?, &names));
            continue;
        }
        if let Some(recipe) = recipe
            && names.len() > 1
        {
            return Err(Error::usage(format!(
                "package `{}` requests one image for each of {} binaries, and `{}` makes one",
                package.name,
                names.len(),
                recipe.path
            ))
            .hint("leave `image.per-binary` out, or remove the recipe"));
        }
        for binary in names {
            images.push(image(image_name(package, binary)?, &[binary]));
        }
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = images.iter().find(|image| !names.insert(&image.name)) {
        return Err(Error::usage(format!("two images would be called `{}`", twice.name)).hint(
            "set `image.name` in the `[package.metadata.longshore]` of one of the packages",
        ));
    }
    Ok(images)
}

/// Returns the names of a package's images: one, or one for each of its binaries.
///
/// # Errors
/// No repository name can be made of one of them.
pub fn image_names(package: &Package, binaries: &[&str]) -> Result<Vec<String>> {
    match package.settings.image.per_binary {
        true => binaries.iter().map(|binary| image_name(package, binary)).collect(),
        false => Ok(vec![image_name(package, &package.name)?]),
    }
}

/// Returns the name of an image: the one in the settings, else `default` as engines accept it.
fn image_name(package: &Package, default: &str) -> Result<String> {
    let settings = &package.settings.image;
    let requested = settings.name.as_deref().filter(|_| !settings.per_binary);
    let name = repository_name(requested.unwrap_or(default));
    match (name, requested) {
        (Some(name), None) => Ok(name),
        (Some(name), Some(requested)) if name == requested => Ok(name),
        (near, requested) => {
            let text = requested.unwrap_or(default);
            let error = Error::usage(format!(
                "package `{}`: `{text}` cannot be the name of an image",
                package.name
            ));
            Err(error.hint(match near {
                Some(near) => format!("`{near}` can"),
                None => {
                    "set `image.name` to lowercase letters and digits, with single `.`, `_` or \
                         any number of `-` between them"
                        .to_owned()
                }
            }))
        }
    }
}

/// Returns the pre-defined annotation keys of the OCI image specification (annotations.md) that Cargo.toml and
/// git provide a value for, then the package's own labels.
fn labels(package: &Package, release: &Release) -> BTreeMap<String, String> {
    let about = &package.about;
    let authors = (!about.authors.is_empty()).then(|| about.authors.join(", "));
    let revision = release.revision.as_ref().map(|hash| match release.dirty {
        Some(true) => format!("{hash}-dirty"),
        _ => hash.clone(),
    });
    let known = [
        ("title", Some(package.name.clone())),
        ("version", Some(package.version.clone())),
        ("created", Some(created(release.source_date_epoch))),
        ("description", about.description.as_deref().map(one_line)),
        ("licenses", about.license.clone()),
        ("source", about.repository.clone()),
        ("url", about.homepage.clone()),
        ("documentation", about.documentation.clone()),
        ("authors", authors),
        ("revision", revision),
    ];
    let known = known
        .into_iter()
        .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)));
    let own = package.settings.image.labels.clone();
    known.chain(own).collect_map()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Formats seconds since 1970 as RFC 3339, which the annotation `created` requires.
fn created(epoch: u64) -> String {
    // The year 9999 is the last that RFC 3339 can write.
    let epoch = Duration::from_secs(epoch.min(253_402_300_799));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + epoch).to_string()
}
