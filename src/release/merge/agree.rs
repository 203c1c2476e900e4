//! The properties that must be the same in all parts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Reasons, ReleasePart};
use crate::model::collect::CollectOrdered as _;

/// The fields in the record of an image that differ between parts.
const IMAGE_FIELDS: [&str; 1] = ["platforms"];
/// The same for an archive.
const ARCHIVE_FIELDS: [&str; 3] = ["name", "target", "platform"];

/// Reports differences of version, source, tools and recipes, each with the parts that have them.
pub(super) fn check_agreement(parts: &[ReleasePart], reasons: &mut Reasons) {
    let mut reported = PropertyValues::default();
    for part in parts {
        let (dist, name) = (&part.dist, part.name.as_str());
        let release = &dist.release;
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        // The name may be that of the directory of a checkout, which does not matter.
        reported.add("version", &known(&release.version), name);
        reported.add("revision", &known(&release.revision), name);
        reported.add("source-date-epoch", &release.source_date_epoch.to_string(), name);
        let dirty = match release.dirty {
            Some(true) => "dirty",
            Some(false) => "clean",
            None => "unknown",
        };
        reported.add("state of the source", dirty, name);
        for (tool, version) in &release.tools {
            reported.add(&format!("version of {tool}"), version, name);
        }
        for artifact in &dist.artifacts {
            reported.add(&format!("version of `{}`", artifact.package), &artifact.version, name);
        }
        let recipes = dist.recipes.iter().map(|recipe| recipe.name.as_str());
        reported.add("list of images", &join_names(recipes), name);
        for recipe in &dist.recipes {
            reported.add_fields(
                &format!("recipe of the image `{}`", recipe.name),
                recipe,
                &IMAGE_FIELDS,
                name,
            );
        }
        let packages = dist.packages.iter().map(|package| package.package.as_str());
        reported.add("list of packages", &join_names(packages), name);
        for plan in &dist.packages {
            // With an archive for each binary, a package has several.
            let what = format!("recipe of the archives of `{}`", join_names(plan.binaries.iter()));
            let mut plan = plan.clone();
            if let Some(deb) = &mut plan.deb {
                deb.architecture.clear();
            }
            if let Some(rpm) = &mut plan.rpm {
                rpm.architecture.clear();
            }
            reported.add_fields(&what, &plan, &ARCHIVE_FIELDS, name);
        }
    }
    reported.report_differences(reasons);
}

fn join_names<'a>(names: impl Iterator<Item = impl AsRef<str> + 'a>) -> String {
    let names: BTreeSet<String> = names.map(|name| name.as_ref().to_owned()).collect_set();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The values of each property, with the parts that have them.
#[derive(Default)]
pub(super) struct PropertyValues(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl PropertyValues {
    pub(super) fn add(&mut self, what: &str, value: &str, part: &str) {
        let values = self.0.entry(what.to_owned()).or_default();
        values.entry(value.to_owned()).or_default().insert(part.to_owned());
    }

    /// Adds each key of `value` except those in `own`.
    fn add_fields(&mut self, what: &str, value: &impl Serialize, own: &[&str], part: &str) {
        let Ok(Value::Object(fields)) = serde_json::to_value(value) else { return };
        for (key, value) in fields.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            // One that is absent stands for nothing, and is not the same as one that is there.
            self.add(&format!("`{key}` in the {what}"), &value.to_string(), part);
        }
        let keys = fields.keys().filter(|key| !own.contains(&key.as_str()));
        self.add(&format!("list of keys in the {what}"), &join_names(keys), part);
    }

    pub(super) fn report_differences(self, reasons: &mut Reasons) {
        for (what, values) in self.0.into_iter().filter(|(_, values)| values.len() > 1) {
            let values = values.into_iter().map(|(value, parts)| {
                format!(
                    "`{}` in {}",
                    shorten(&value),
                    quote_names(parts.iter().map(String::as_str))
                )
            });
            let values: Vec<String> = values.collect();
            reasons.add(format!("the {what} differs: {}", values.join("; ")));
        }
    }
}

/// Returns the names in backticks, for a sentence.
pub(super) fn quote_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Shortens a value so that it fits into a line.
fn shorten(text: &str) -> String {
    const MAX_LENGTH: usize = 80;
    match text.char_indices().nth(MAX_LENGTH) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
