//! Cargo's JSON messages (`--message-format=json-render-diagnostics`): where the binaries are, and
//! what was compiled.

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Message, TargetKind};

use super::ledger::Units;
use crate::{bom::Compiled, cache::Unit};

/// What a build's messages add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Every binary, once for each target.
    pub binaries: Vec<Binary>,
    /// Every unit, compiled or fresh.
    pub units: Units,
    /// The targets of each cargo command.
    commands: Vec<Vec<String>>,
    /// What build scripts asked of the linker.
    pub scripts: Vec<Script>,
    /// Every `OUT_DIR`, by the id of its package.
    pub out_dirs: Vec<(String, Utf8PathBuf)>,
    /// What was compiled with which features, for bills of materials.
    pub compiled: Vec<Compiled>,
    /// Everything that cargo spoke of, for a cache.
    pub all: Vec<Unit>,
}

/// What one run of a build script asked of the linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its package, as `cargo tree` takes it
    /// (<https://doc.rust-lang.org/cargo/reference/pkgid-spec.html>).
    pub package: String,
    /// The libraries, as `cargo::rustc-link-lib` names them: `ssl`, `dylib=ssl`, `static=z`.
    pub libraries: Vec<String>,
    /// `OUT_DIR`, in which the target's name is a part, but for the host's.
    pub out_dir: Utf8PathBuf,
}

/// One binary that cargo made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The id of its package.
    pub package: String,
    /// The manifest of its package.
    pub manifest: Utf8PathBuf,
    /// Its name.
    pub name: String,
    /// The file.
    pub path: Utf8PathBuf,
}

impl Report {
    /// Begins with the next cargo command, which builds for `targets`.
    pub fn begin(&mut self, targets: &[String]) {
        self.commands.push(targets.to_vec());
    }

    /// The number of the cargo command that runs, from 0.
    pub fn command(&self) -> usize {
        self.commands.len().saturating_sub(1)
    }

    /// Takes one line of cargo's stdout. A line that is no message is something that a program
    /// printed, and is left alone.
    pub fn line(&mut self, line: &[u8]) {
        let artifact = match serde_json::from_slice(line) {
            Ok(Message::CompilerArtifact(artifact)) => artifact,
            Ok(Message::BuildScriptExecuted(script)) => return self.script(script),
            _ => return,
        };
        let targets = self.commands.last().map_or(&[][..], Vec::as_slice);
        self.units.add(&artifact, self.commands.len().saturating_sub(1), targets);
        let target = self.units.each.last().map_or_else(String::new, |unit| unit.target.clone());
        self.compiled.push(Compiled {
            package: artifact.package_id.repr.clone(),
            target,
            script: artifact.target.kind.contains(&TargetKind::CustomBuild),
            features: artifact.features,
        });
        self.all.push(Unit {
            package: artifact.package_id.repr.clone(),
            root: artifact.manifest_path.parent().map(Utf8Path::to_owned),
            files: artifact.filenames,
            script: false,
        });
        if let Some(path) = artifact.executable
            && artifact.target.kind.contains(&TargetKind::Bin)
            && !artifact.profile.test
        {
            self.binaries.push(Binary {
                package: artifact.package_id.repr,
                manifest: artifact.manifest_path,
                name: artifact.target.name,
                path,
            });
        }
    }

    fn script(&mut self, script: cargo_metadata::BuildScript) {
        self.all.push(Unit {
            package: script.package_id.repr.clone(),
            root: None,
            files: vec![script.out_dir.clone()],
            script: true,
        });
        self.out_dirs.push((script.package_id.repr.clone(), script.out_dir.clone()));
        // Most ask for nothing.
        if !script.linked_libs.is_empty() {
            self.scripts.push(Script {
                package: script.package_id.repr,
                libraries: script.linked_libs.into_iter().map(Utf8PathBuf::into_string).collect(),
                out_dir: script.out_dir,
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
    fn what_build_scripts_link_is_kept() {
        let mut report = Report::default();
        let line = r#"{"reason":"build-script-executed","package_id":"registry+x#openssl-sys@0.9.1",
            "linked_libs":["dylib=ssl"],"linked_paths":["native=/usr/lib"],"cfgs":[],"env":[],
            "out_dir":"/w/target/T/dist/build/openssl-sys-1/out"}"#;
        for line in [line, &line.replace(r#""dylib=ssl""#, "")] {
            report.line(line.replace('\n', "").as_bytes());
        }
        assert_eq!(report.scripts.len(), 1);
        assert_eq!(report.scripts[0].package, "registry+x#openssl-sys@0.9.1");
        assert_eq!(report.scripts[0].libraries, ["dylib=ssl"]);
    }

    #[test]
    fn artifacts_are_counted_and_binaries_found() {
        let mut report = Report::default();
        let line = LINE.replace('\n', "");
        for line in [line.as_str(), &line.replace(r#""fresh":false"#, r#""fresh":true"#), "text"] {
            report.line(line.as_bytes());
        }
        assert_eq!((report.units.compiled, report.units.fresh), (1, 1));
        let found = report.binary(&"/w/Cargo.toml".into(), "rg", "T").unwrap();
        assert_eq!(found.path, "/w/target/T/dist/rg");
        assert_eq!(report.binary(&"/w/Cargo.toml".into(), "rg", "U"), None);
    }
}
