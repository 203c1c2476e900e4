//! Cargo's JSON messages (`--message-format=json-render-diagnostics`): where the binaries are, and
//! what was compiled.

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Message, TargetKind};
use serde::{Deserialize, Serialize};

use crate::cache::Unit;

/// What a build's messages add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Every binary, once for each target.
    pub binaries: Vec<Binary>,
    /// How many units were compiled and how many were fresh.
    pub units: Units,
    /// Everything that cargo spoke of, for a cache.
    pub all: Vec<Unit>,
}

/// One binary that cargo made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The manifest of its package.
    pub manifest: Utf8PathBuf,
    /// Its name.
    pub name: String,
    /// The file.
    pub path: Utf8PathBuf,
}

/// How many units a build compiled, and how many it found done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Units {
    /// Compiled now.
    pub compiled: u64,
    /// Found done.
    pub fresh: u64,
}

impl Report {
    /// Takes one line of cargo's stdout. A line that is no message is something that a program
    /// printed, and is left alone.
    pub fn line(&mut self, line: &[u8]) {
        let artifact = match serde_json::from_slice(line) {
            Ok(Message::CompilerArtifact(artifact)) => artifact,
            Ok(Message::BuildScriptExecuted(script)) => {
                return self.all.push(Unit {
                    package: script.package_id.repr,
                    root: None,
                    files: vec![script.out_dir],
                    script: true,
                });
            }
            _ => return,
        };
        self.all.push(Unit {
            package: artifact.package_id.repr,
            root: artifact.manifest_path.parent().map(Utf8Path::to_owned),
            files: artifact.filenames,
            script: false,
        });
        if artifact.fresh {
            self.units.fresh += 1;
        } else {
            self.units.compiled += 1;
        }
        if let Some(path) = artifact.executable
            && artifact.target.kind.contains(&TargetKind::Bin)
            && !artifact.profile.test
        {
            self.binaries.push(Binary {
                manifest: artifact.manifest_path,
                name: artifact.target.name,
                path,
            });
        }
    }

    /// The binaries `name` of the package with this manifest, by the directory name that marks
    /// the target in cargo's layout (`target/<target>/<profile>/<name>`).
    pub fn binary(&self, manifest: &Utf8PathBuf, name: &str, target: &str) -> Option<&Binary> {
        self.binaries.iter().find(|binary| {
            let of_target = |part: &str| part == target;
            binary.manifest == *manifest && binary.name == name && binary.path.iter().any(of_target)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///w#rg@1.0.0",
        "manifest_path":"/w/Cargo.toml","target":{"kind":["bin"],"crate_types":["bin"],"name":"rg",
        "src_path":"/w/src/main.rs","edition":"2024","doc":true,"doctest":false,"test":true},
        "profile":{"opt_level":"3","debuginfo":0,"debug_assertions":false,"overflow_checks":false,
        "test":false},"features":[],"filenames":["/w/target/T/dist/rg"],
        "executable":"/w/target/T/dist/rg","fresh":false}"#;

    #[test]
    fn artifacts_are_counted_and_binaries_found() {
        let mut report = Report::default();
        let line = LINE.replace('\n', "");
        for line in [line.as_str(), &line.replace(r#""fresh":false"#, r#""fresh":true"#), "text"] {
            report.line(line.as_bytes());
        }
        assert_eq!(report.units, Units { compiled: 1, fresh: 1 });
        let found = report.binary(&"/w/Cargo.toml".into(), "rg", "T").unwrap();
        assert_eq!(found.path, "/w/target/T/dist/rg");
        assert_eq!(report.binary(&"/w/Cargo.toml".into(), "rg", "U"), None);
    }
}
