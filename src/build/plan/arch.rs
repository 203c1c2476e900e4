//! The package for Arch Linux of a plan.

use super::formats::FormatPlanner;
use crate::{
    archive::{arch, deb},
    build::config::FormatSetting,
    model::{collect::CollectOrdered as _, error::Result, feature::Feature, schema::plan::Arch},
};

/// The format in messages.
const FORMAT: &str = "a package for Arch Linux";

/// Returns the package for Arch Linux, if one is requested.
///
/// # Errors
/// A required field is missing, or a setting is invalid.
pub(super) fn plan_arch(planner: &FormatPlanner<'_>) -> Result<Option<Arch>> {
    let package = planner.package;
    let Some(settings) = FormatSetting::settings(package.settings.arch.as_ref()) else {
        return Ok(None);
    };
    Feature::Zstd.require()?;
    let wrong = |what: String| planner.error(FORMAT, what);
    let platform = &planner.target.spec.platform;
    let architecture = arch::architecture(platform)
        .ok_or_else(|| wrong(format!("pacman has no architecture for `{platform}`")))?;
    let name = settings.name.unwrap_or_else(|| planner.name.to_ascii_lowercase());
    if !arch::is_name(&name) {
        return Err(wrong(format!("`{name}` is not a valid package name")).hint(
            "`arch.name` has lower-case letters, digits, `@`, `.`, `_`, `+` and `-`, and does not begin with `-` \
             or `.`",
        ));
    }
    let release = settings.release.unwrap_or_else(|| "1".to_owned());
    if !arch::is_release(&release) {
        return Err(wrong(format!("`{release}` is not a valid release"))
            .hint("`arch.release` is a number, or two with `.` between"));
    }
    let relations = [
        ("depends", settings.depends),
        ("conflicts", settings.conflicts),
        ("provides", settings.provides),
        ("replaces", settings.replaces),
    ];
    for (key, relations) in &relations {
        if let Some(text) = relations.iter().find(|text| !arch::is_relation(text)) {
            return Err(wrong(format!("`{text}` of `arch.{key}` is not a dependency"))
                .hint("`NAME`, or `NAME>=VERSION` with `<`, `<=`, `=`, `>=` or `>`"));
        }
    }
    let author = || package.about.authors.iter().find(|author| author.contains('@')).cloned();
    Ok(Some(Arch {
        version: arch::version(&planner.version(FORMAT)?),
        release,
        architecture: architecture.to_owned(),
        description: deb::synopsis(&name, planner.description(FORMAT)?),
        license: package.about.license.clone(),
        packager: settings.packager.or_else(author),
        url: package.about.homepage.clone().or_else(|| package.about.repository.clone()),
        relations: relations
            .into_iter()
            .filter(|(_, relations)| !relations.is_empty())
            .map(|(key, relations)| (key.to_owned(), relations))
            .collect_map(),
        name,
    }))
}
