//! Cargo's JSON messages (`--message-format=json-render-diagnostics`): the paths of the binaries, and the
//! compiled units.

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Artifact, TargetKind};
use serde::Deserialize;

use super::layout::Layout;
use crate::{build::cache::Unit, model::schema::units::Units};

/// The result of a build, from cargo's messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildReport {
    /// Every binary, once for each target.
    pub binaries: Vec<BuiltBinary>,
    /// Every unit, compiled or fresh.
    pub units: Units,
    /// The directories of each cargo command.
    commands: Vec<Layout>,
    /// The requests of build scripts to the linker.
    pub scripts: Vec<BuildScript>,
    /// The `OUT_DIR` of each run of a build script.
    pub out_dirs: Vec<OutDir>,
    /// The compiled units with their features, for SBOMs.
    pub compiled: Vec<CompiledUnit>,
    /// Every unit that cargo reported, for a cache.
    pub all: Vec<Unit>,
}

/// The requests of one run of a build script to the linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildScript {
    /// Its package, as `cargo tree` takes it
    /// (<https://doc.rust-lang.org/cargo/reference/pkgid-spec.html>).
    pub package: String,
    /// The libraries, as `cargo::rustc-link-lib` names them: `ssl`, `dylib=ssl`, `static=z`.
    pub libraries: Vec<String>,
    /// The target that the package is compiled for, or `host`.
    pub target: String,
}

/// The `OUT_DIR` of one run of a build script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutDir {
    /// The id of its package.
    pub package: String,
    /// The target that the package is compiled for, or `host`.
    pub target: String,
    /// The directory.
    pub path: Utf8PathBuf,
}

/// One binary that cargo made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltBinary {
    /// The id of its package.
    pub package: String,
    /// The manifest of its package.
    pub manifest: Utf8PathBuf,
    /// Its name.
    pub name: String,
    /// The target that it is compiled for.
    pub target: String,
    /// The file.
    pub path: Utf8PathBuf,
}

/// The messages that are read. The compiler's are not: cargo prints them.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    BuildScriptExecuted(cargo_metadata::BuildScript),
    #[serde(other)]
    Other,
}

impl BuildReport {
    /// Starts with the next cargo command, which builds in `layout`.
    pub fn begin_command(&mut self, layout: Layout) {
        self.commands.push(layout);
    }

    /// Returns the target that a file of the current command is for, or `host`.
    fn target(&self, file: &Utf8Path) -> String {
        self.commands.last().map_or_else(String::new, |layout| layout.target(file).to_owned())
    }

    /// Returns the number of the current cargo command, from 0.
    pub fn command_index(&self) -> usize {
        self.commands.len().saturating_sub(1)
    }

    /// Reads one line of cargo's stdout. A line that is not a message was printed by a program, and is
    /// ignored.
    pub fn add_line(&mut self, line: &[u8]) {
        let artifact = match serde_json::from_slice(line) {
            Ok(Message::CompilerArtifact(artifact)) => artifact,
            Ok(Message::BuildScriptExecuted(script)) => return self.add_script(script),
            _ => return,
        };
        let target = artifact.filenames.first().map_or_else(String::new, |file| self.target(file));
        self.units.add(&artifact, self.command_index(), &target);
        self.compiled.push(CompiledUnit {
            package: artifact.package_id.repr.clone(),
            target: target.clone(),
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
            self.binaries.push(BuiltBinary {
                package: artifact.package_id.repr,
                manifest: artifact.manifest_path,
                name: artifact.target.name,
                target,
                path,
            });
        }
    }

    fn add_script(&mut self, script: cargo_metadata::BuildScript) {
        self.all.push(Unit {
            package: script.package_id.repr.clone(),
            root: None,
            files: vec![script.out_dir.clone()],
            script: true,
        });
        let target = self.target(&script.out_dir);
        self.out_dirs.push(OutDir {
            package: script.package_id.repr.clone(),
            target: target.clone(),
            path: script.out_dir,
        });
        // Most ask for nothing.
        if !script.linked_libs.is_empty() {
            self.scripts.push(BuildScript {
                package: script.package_id.repr,
                libraries: script.linked_libs.into_iter().map(Utf8PathBuf::into_string).collect(),
                target,
            });
        }
    }

    /// Returns the binary `name` for `target` of the package with this manifest.
    pub fn find_binary(
        &self,
        manifest: &Utf8PathBuf,
        name: &str,
        target: &str,
    ) -> Option<&BuiltBinary> {
        self.binaries.iter().find(|binary| {
            binary.manifest == *manifest && binary.name == name && binary.target == target
        })
    }
}

/// A unit that cargo compiled or found done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledUnit {
    /// Its package, as `cargo metadata` names it, too.
    pub package: String,
    /// The target that it was compiled for, or `host`.
    pub target: String,
    /// Whether it is a build script.
    pub script: bool,
    /// The enabled features.
    pub features: Vec<String>,
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
    fn libraries_of_build_scripts_are_recorded() {
        let mut report = BuildReport::default();
        let line = r#"{"reason":"build-script-executed","package_id":"registry+x#openssl-sys@0.9.1",
            "linked_libs":["dylib=ssl"],"linked_paths":["native=/usr/lib"],"cfgs":[],"env":[],
            "out_dir":"/w/target/T/dist/build/openssl-sys-1/out"}"#;
        for line in [line, &line.replace(r#""dylib=ssl""#, "")] {
            report.add_line(line.replace('\n', "").as_bytes());
        }
        assert_eq!(report.scripts.len(), 1);
        assert_eq!(report.scripts[0].package, "registry+x#openssl-sys@0.9.1");
        assert_eq!(report.scripts[0].libraries, ["dylib=ssl"]);
    }

    #[test]
    fn artifacts_are_counted_and_binaries_found() {
        let mut report = BuildReport::default();
        report.begin_command(Layout::new(vec!["/w/target".into()], vec!["T".to_owned()]));
        let line = LINE.replace('\n', "");
        for line in [line.as_str(), &line.replace(r#""fresh":false"#, r#""fresh":true"#), "text"] {
            report.add_line(line.as_bytes());
        }
        assert_eq!((report.units.compiled, report.units.fresh), (1, 1));
        let found = report.find_binary(&"/w/Cargo.toml".into(), "rg", "T").unwrap();
        assert_eq!(found.path, "/w/target/T/dist/rg");
        assert_eq!(report.find_binary(&"/w/Cargo.toml".into(), "rg", "U"), None);
    }
}
