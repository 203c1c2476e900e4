//! What the images of a plan will be.

use std::{collections::BTreeMap, time::Duration};

use super::selection::Selection;
use crate::{
    error::{Error, Result},
    schema::{
        dist::Release,
        plan::{Image, Recipe},
    },
    target::Target,
    workspace::Package,
};

/// The user that an image starts as when nothing is set: `nonroot` of the distroless images, a
/// number that no distribution gives to a person.
pub(super) const USER: &str = "65532:65532";

/// One image for each package, with all its binaries, or for each of them, for every target.
///
/// # Errors
/// A package wants a recipe, and an image for each of several binaries.
pub(super) fn images(
    selection: &Selection<'_>,
    targets: &[&Target],
    release: &Release,
    recipes: &BTreeMap<String, Recipe>,
) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for (package, bins) in &selection.packages {
        let names: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
        let recipe = recipes.get(&package.name);
        let settings = &package.settings.image;
        package.settings.tags.check().map_err(|error| {
            let message = format!("package `{}`: {error}", package.name);
            let hint = error.hint_text().unwrap_or_default();
            Error::usage(message).hint(hint)
        })?;
        let image = |name: &str, names: &[&str]| Image {
            name: name.to_owned(),
            tag: package.version.clone(),
            path: format!("image/{name}"),
            platforms: targets.iter().map(|target| target.spec.platform.clone()).collect(),
            entrypoint: package.entrypoint(names).map(str::to_owned),
            binaries: names.iter().map(|&name| name.to_owned()).collect(),
            user: settings.user.clone().unwrap_or_else(|| USER.to_owned()),
            labels: labels(package, release),
            recipe: recipe.cloned(),
            args: settings.args.clone(),
            extras: settings.extras.clone(),
            compression: settings.compression,
            annotations: settings.annotations.clone(),
            tags: package.settings.tags.clone(),
        };
        if !settings.per_binary {
            images.push(image(&package.name, &names));
            continue;
        }
        if let Some(recipe) = recipe
            && names.len() > 1
        {
            return Err(Error::usage(format!(
                "package `{}` wants an image for each of {} binaries, and `{}` makes one",
                package.name,
                names.len(),
                recipe.path
            ))
            .hint("leave `image.per-binary` out, or remove the recipe"));
        }
        images.extend(names.iter().map(|name| image(name, &[name])));
    }
    Ok(images)
}

/// The pre-defined annotation keys of the OCI image specification (annotations.md) that Cargo.toml
/// and git have an answer for, then the package's own labels.
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
    known.chain(own).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Seconds since 1970 in the form of RFC 3339, which the annotation `created` asks for.
fn created(epoch: u64) -> String {
    // The year 9999 is the last that RFC 3339 can write.
    let epoch = Duration::from_secs(epoch.min(253_402_300_799));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + epoch).to_string()
}
