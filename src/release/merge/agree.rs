//! What has to be the same in all parts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Part, Reasons};

/// What is a job's own in the recipe of an image.
const OF_IMAGE: [&str; 1] = ["platforms"];
/// The same of an archive.
const OF_ARCHIVE: [&str; 3] = ["name", "target", "platform"];

/// Reports differences of version, source, tools and recipes, and the parts that they are between.
pub(super) fn agree(parts: &[Part], reasons: &mut Reasons) {
    let mut said = Said::default();
    for part in parts {
        let (dist, name) = (&part.dist, part.name.as_str());
        let release = &dist.release;
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        // The name may be that of the directory of a checkout, which does not matter.
        said.add("version", &known(&release.version), name);
        said.add("revision", &known(&release.revision), name);
        said.add("source-date-epoch", &release.source_date_epoch.to_string(), name);
        let dirty = match release.dirty {
            Some(true) => "dirty",
            Some(false) => "clean",
            None => "unknown",
        };
        said.add("state of the source", dirty, name);
        for (tool, version) in &release.tools {
            said.add(&format!("version of {tool}"), version, name);
        }
        for artifact in &dist.artifacts {
            said.add(&format!("version of `{}`", artifact.package), &artifact.version, name);
        }
        let recipes = dist.recipes.iter().map(|of| of.name.as_str());
        said.add("list of images", &list(recipes), name);
        for recipe in &dist.recipes {
            said.each(&format!("recipe of the image `{}`", recipe.name), recipe, &OF_IMAGE, name);
        }
        let packages = dist.packages.iter().map(|of| of.package.as_str());
        said.add("list of packages", &list(packages), name);
        for plan in &dist.packages {
            // With an archive for each binary, a package has several.
            let what = format!("recipe of the archives of `{}`", list(plan.binaries.iter()));
            let mut plan = plan.clone();
            if let Some(deb) = &mut plan.deb {
                deb.architecture.clear();
            }
            said.each(&what, &plan, &OF_ARCHIVE, name);
        }
    }
    said.tell(reasons);
}

fn list<'a>(names: impl Iterator<Item = impl AsRef<str> + 'a>) -> String {
    let names: BTreeSet<String> = names.map(|name| name.as_ref().to_owned()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The values of each property, with the parts that have them.
#[derive(Default)]
pub(super) struct Said(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Said {
    pub(super) fn add(&mut self, what: &str, value: &str, part: &str) {
        let values = self.0.entry(what.to_owned()).or_default();
        values.entry(value.to_owned()).or_default().insert(part.to_owned());
    }

    /// Each key of `value` but those in `own`.
    fn each(&mut self, what: &str, value: &impl Serialize, own: &[&str], part: &str) {
        let Ok(Value::Object(fields)) = serde_json::to_value(value) else { return };
        for (key, value) in fields.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            // One that is absent stands for nothing, and is not the same as one that is there.
            self.add(&format!("`{key}` in the {what}"), &value.to_string(), part);
        }
        let keys = fields.keys().filter(|key| !own.contains(&key.as_str()));
        self.add(&format!("list of keys in the {what}"), &list(keys), part);
    }

    pub(super) fn tell(self, reasons: &mut Reasons) {
        for (what, values) in self.0.into_iter().filter(|(_, values)| values.len() > 1) {
            let values = values.into_iter().map(|(value, parts)| {
                format!("`{}` in {}", shorten(&value), quoted(parts.iter().map(String::as_str)))
            });
            let values: Vec<String> = values.collect();
            reasons.add(format!("the {what} differs: {}", values.join("; ")));
        }
    }
}

/// Names for a sentence.
pub(super) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A value that fits into a line.
fn shorten(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
