//! The RPM package of a plan.

use super::formats::FormatPlanner;
use crate::{
    archive::{deb, rpm},
    build::config::FormatSetting,
    model::{collect::CollectOrdered as _, error::Result, schema::plan::Rpm},
};

/// The format in messages.
const FORMAT: &str = "an `.rpm`";

/// Returns the RPM package, if one is requested.
///
/// # Errors
/// A field that rpm requires is missing, or a setting is invalid.
pub(super) fn plan_rpm(planner: &FormatPlanner<'_>) -> Result<Option<Rpm>> {
    let package = planner.package;
    let Some(settings) = FormatSetting::settings(package.settings.rpm.as_ref()) else {
        return Ok(None);
    };
    let wrong = |what: String| planner.error(FORMAT, what);
    let platform = &planner.target.spec.platform;
    let architecture = rpm::architecture(platform)
        .ok_or_else(|| wrong(format!("rpm has no architecture for `{platform}`")))?;
    let name = settings.name.unwrap_or_else(|| planner.name.to_owned());
    if !rpm::is_name(&name) {
        return Err(wrong(format!("`{name}` is not a valid package name"))
            .hint("`rpm.name` has letters and digits of ASCII, `.`, `_`, `-` and `+`"));
    }
    let release = settings.release.unwrap_or_else(|| "1".to_owned());
    if !rpm::is_release(&release) {
        return Err(wrong(format!("`{release}` is not a valid release"))
            .hint("`rpm.release` has letters and digits of ASCII, `.`, `_`, `+`, `~` and `^`"));
    }
    let version = rpm::version(&planner.version(FORMAT)?);
    let about = planner.description(FORMAT)?;
    let license = settings.license.or_else(|| package.about.license.clone()).ok_or_else(|| {
        wrong("it has no licence".to_owned())
            .hint("add `license` to its `Cargo.toml`, or `rpm.license` with an SPDX expression")
    })?;
    let author = || package.about.authors.iter().find(|author| author.contains('@')).cloned();
    let programs = planner.binaries.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let description = settings
        .description
        .unwrap_or_else(|| deb::description(about, &deb::synopsis(&name, about), &programs));
    let relations = [
        ("requires", settings.requires),
        ("recommends", settings.recommends),
        ("conflicts", settings.conflicts),
        ("obsoletes", settings.obsoletes),
    ];
    for (key, relations) in &relations {
        if let Some(text) = relations.iter().find(|text| rpm::relation(text).is_none()) {
            return Err(wrong(format!("`{text}` of `rpm.{key}` is not a dependency"))
                .hint("`NAME`, or `NAME >= VERSION` with `<`, `<=`, `=`, `>=` or `>`"));
        }
    }
    Ok(Some(Rpm {
        version,
        release,
        architecture: architecture.to_owned(),
        summary: rpm::summary(&name, about),
        description,
        license,
        group: settings.group.unwrap_or_else(|| "Applications/System".to_owned()),
        packager: settings.packager.or_else(author),
        url: package.about.homepage.clone().or_else(|| package.about.repository.clone()),
        relations: relations
            .into_iter()
            .filter(|(_, relations)| !relations.is_empty())
            .map(|(key, relations)| (key.to_owned(), relations))
            .collect_map(),
        files: planner.found.rpm.clone(),
        name,
    }))
}
