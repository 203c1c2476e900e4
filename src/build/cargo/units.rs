//! The units of a build: all that cargo compiled or found fresh, each with its duration.

use std::collections::BTreeMap;

use crate::model::{
    collect::SortStable as _,
    schema::units::{Unit, Units},
};

use cargo_metadata::{Artifact, TargetKind};
use serde::Deserialize;

/// A unit that was compiled twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateUnit {
    /// The package and its version.
    pub package: String,
    /// `lib`, `proc-macro`, `custom-build`, `bin`.
    pub kind: String,
    /// The target that it was compiled for, or `host`.
    pub target: String,
    /// The first file of each.
    pub files: [String; 2],
    /// Whether two cargo commands compiled it.
    pub by_two_commands: bool,
}

impl Units {
    /// Adds one artifact of the cargo command number `command`, built for `target`.
    pub(super) fn add(&mut self, artifact: &Artifact, command: usize, target: &str) {
        if artifact.fresh {
            self.fresh += 1;
        } else {
            self.compiled += 1;
        }
        let file = artifact.filenames.first().map(ToString::to_string).unwrap_or_default();
        let kind = artifact.target.kind.first().map(ToString::to_string).unwrap_or_default();
        let (package, version) = name_and_version(&artifact.package_id.repr);
        let identity = format!(
            "{} {kind} {} {target} {:?} {:?}",
            artifact.package_id.repr, artifact.target.name, artifact.features, artifact.profile
        );
        self.each.push(Unit {
            package,
            version,
            kind,
            name: artifact.target.name.clone(),
            target: target.to_owned(),
            fresh: artifact.fresh,
            seconds: None,
            identity,
            file,
            command,
        });
    }

    /// Adds the units in cargo's report of `--timings` for the command number `command`. The page has its
    /// data as JSON, in a format that cargo does not guarantee: what cannot be parsed is left
    /// out.
    pub fn add_timings(&mut self, page: &str, command: usize) {
        let Some((_, data)) = page.split_once("UNIT_DATA = ") else { return };
        let mut values = serde_json::Deserializer::from_str(data).into_iter::<Vec<Timing>>();
        let Some(Ok(mut timings)) = values.next() else { return };
        timings.sort_stable_by(|a, b| a.end().total_cmp(&b.end()));
        if let Some(last) = timings.last() {
            *self.seconds.get_or_insert(0.0) += last.end();
        }
        // The page does not contain the target of a unit; cargo reports units in the order in which it
        // finishes them.
        let mut by_name: BTreeMap<(&str, &str, String), Vec<f64>> = BTreeMap::new();
        for timing in &timings {
            let key = (timing.name.as_str(), timing.version.as_str(), timing.target.clone());
            by_name.entry(key).or_default().push(timing.duration);
        }
        let compiled = |unit: &&mut Unit| unit.command == command && !unit.fresh;
        for unit in self.each.iter_mut().filter(compiled).rev() {
            let key = (unit.package.as_str(), unit.version.as_str(), unit.timings_label());
            unit.seconds = by_name.get_mut(&key).and_then(Vec::pop);
        }
    }

    /// Returns two units of one package, kind, name, target, features and profile that were both compiled.
    pub fn find_duplicate(&self) -> Option<DuplicateUnit> {
        let mut seen: BTreeMap<&str, &Unit> = BTreeMap::new();
        self.each.iter().filter(|unit| !unit.fresh).find_map(|unit| {
            let first = seen.insert(&unit.identity, unit)?;
            Some(DuplicateUnit {
                package: format!("{} {}", unit.package, unit.version),
                kind: unit.kind.clone(),
                target: unit.target.clone(),
                files: [first.file.clone(), unit.file.clone()],
                by_two_commands: first.command != unit.command,
            })
        })
    }

    /// Returns the compiled units with the longest durations, the longest first.
    pub fn slowest(&self, most: usize) -> Vec<(&Unit, f64)> {
        let timed = |unit| Some((unit, Unit::seconds(unit)?));
        let mut units: Vec<(&Unit, f64)> = self.each.iter().filter_map(timed).collect();
        units.sort_stable_by(|a, b| b.1.total_cmp(&a.1));
        units.truncate(most);
        units
    }
}

impl Unit {
    fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    /// Returns the label of the unit on the page of `--timings`, without its package.
    fn timings_label(&self) -> String {
        match self.kind.as_str() {
            kind if kind == TargetKind::CustomBuild.to_string() => " build-script".to_owned(),
            kind if kind == TargetKind::Bin.to_string() => format!(" {} \"bin\"", self.name),
            _ => String::new(),
        }
    }
}

/// One entry of the page.
#[derive(Debug, Deserialize)]
struct Timing {
    name: String,
    version: String,
    target: String,
    start: f64,
    duration: f64,
}

impl Timing {
    fn end(&self) -> f64 {
        self.start + self.duration
    }
}

/// Returns `name` and `version` of a package id: `registry+…#name@1.2.3`, or `path+file:///…/name#1.2.3`
/// (<https://doc.rust-lang.org/cargo/reference/pkgid-spec.html>).
pub fn name_and_version(id: &str) -> (String, String) {
    let (source, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, version)) => (name.to_owned(), version.to_owned()),
        None => {
            let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            (name.to_owned(), fragment.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::cargo::layout::Layout;

    fn artifact(id: &str, kind: &str, file: &str, features: &str, fresh: bool) -> Artifact {
        let json = format!(
            r#"{{"package_id":"{id}","manifest_path":"/w/Cargo.toml","target":{{"kind":["{kind}"],
            "crate_types":["{kind}"],"name":"a","src_path":"/w/a.rs","edition":"2024"}},
            "profile":{{"opt_level":"3","debuginfo":0,"debug_assertions":false,
            "overflow_checks":false,"test":false}},"features":[{features}],
            "filenames":["{file}"],"executable":null,"fresh":{fresh}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn units(artifacts: &[(Artifact, usize)]) -> Units {
        let targets = vec!["T".to_owned(), "U".to_owned()];
        let layout = Layout::new(vec!["/w/target".into()], targets);
        let mut units = Units::default();
        for (artifact, command) in artifacts {
            let file = &artifact.filenames[0];
            units.add(artifact, *command, layout.target(file));
        }
        units
    }

    #[test]
    fn units_have_their_target_and_kind() {
        let id = "registry+https://x#a@1.0.0";
        let all = units(&[
            (artifact(id, "lib", "/w/target/T/dist/deps/liba-1.rlib", "", false), 0),
            (artifact("path+file:///w/b#0.1.0", "lib", "/w/target/dist/libb-1.rlib", "", true), 0),
        ]);
        let [a, b] = &all.each[..] else { panic!("{all:?}") };
        assert_eq!(
            (a.package.as_str(), a.version.as_str(), a.target.as_str()),
            ("a", "1.0.0", "T")
        );
        assert_eq!(
            (b.package.as_str(), b.version.as_str(), b.target.as_str()),
            ("b", "0.1.0", "host")
        );
        assert_eq!((all.compiled, all.fresh), (1, 1));
    }

    #[test]
    fn duplicates_are_equal_units_compiled_again() {
        let id = "registry+https://x#a@1.0.0";
        let one = |file: &str, features: &str, fresh| artifact(id, "lib", file, features, fresh);
        let host = "/w/target/dist/deps/liba-1.rlib";
        let other_target = "/w/target/U/dist/deps/liba-2.rlib";
        let fine = [
            (one(host, "", false), 0),
            (one(other_target, "", false), 0),
            (one(host, "\"f\"", false), 0),
            (one(host, "", true), 1),
        ];
        assert_eq!(units(&fine).find_duplicate(), None);
        let mut again = fine.to_vec();
        again.push((one("/w/target/dist/deps/liba-9.rlib", "", false), 1));
        let twice = units(&again).find_duplicate().unwrap();
        assert_eq!((twice.package.as_str(), twice.target.as_str()), ("a 1.0.0", "host"));
        assert!(twice.by_two_commands);
    }

    #[test]
    fn durations_are_assigned_in_order_of_completion() {
        let id = "registry+https://x#a@1.0.0";
        let mut all = units(&[
            (artifact(id, "custom-build", "/w/target/dist/build/a-1/b", "", false), 0),
            (artifact(id, "lib", "/w/target/T/dist/deps/liba-1.rlib", "", false), 0),
            (artifact(id, "lib", "/w/target/U/dist/deps/liba-2.rlib", "", false), 0),
        ]);
        let page = r#"x const UNIT_DATA = [
            {"name":"a","version":"1.0.0","mode":"todo","target":"","start":1.0,"duration":9.0},
            {"name":"a","version":"1.0.0","mode":"todo","target":"","start":1.0,"duration":4.0},
            {"name":"a","version":"1.0.0","mode":"todo","target":" build-script","start":0.0,
             "duration":1.0}];const CONCURRENCY = []"#;
        all.add_timings(page, 0);
        let seconds: Vec<_> = all.each.iter().map(|unit| unit.seconds).collect();
        assert_eq!(seconds, [Some(1.0), Some(4.0), Some(9.0)]);
        assert_eq!(all.seconds, Some(10.0));
        assert_eq!(all.slowest(1)[0].0.target, "U");
        // A page of another cargo changes nothing.
        let before = all.clone();
        all.add_timings("UNIT_DATA = {\"a\": 1}", 0);
        assert_eq!(all, before);
    }
}
