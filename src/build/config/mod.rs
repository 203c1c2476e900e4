//! The settings of a workspace and its packages under `[workspace.metadata.longshore]` and
//! `[package.metadata.longshore]`. Every key is optional.

mod archive;
pub mod ci;
mod formats;
pub mod tool;

use std::collections::{BTreeMap, BTreeSet};

pub use archive::{
    ArchiveSettings, CompanionCommand, Companions, Include, MappedPath, RequiredFile,
};
use camino::Utf8PathBuf;
pub use formats::{
    Access, ArchPackageSettings, DebSettings, FormatSetting, HomebrewSettings, InstallerSettings,
    ModuleSetting, NpmSettings, RepoSettings, RpmSettings, WheelSettings,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    model::{
        error::{Error, Result},
        schema::{
            allocator,
            linker::LinkerSetting,
            memory::MemoryFunctions,
            packaging::{Compressor, Extra, GzipLevel},
            profile::{Preset, Unstable},
            tags::TagPolicy,
        },
        suggest::nearest,
    },
    verify::Settings,
};

/// `[workspace.metadata.longshore]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WorkspaceSettings {
    /// The targets built when none is requested.
    pub targets: Option<Vec<String>>,
    /// Whether each package is built by a separate cargo command, without the features that others
    /// request.
    pub each: bool,
    /// The preset for the profile `dist`.
    pub preset: Option<Preset>,
    /// Another profile than `dist`.
    pub profile: Option<String>,
    /// The level of gzip in layers and archives; that of the preset when absent.
    pub gzip_level: Option<GzipLevel>,
    /// The allocator of all binaries; a target's own setting takes precedence.
    pub allocator: Option<allocator::AllocatorSetting>,
    /// The implementation of memory functions; a target's own setting comes first.
    pub memory_functions: Option<MemoryFunctions>,
    /// The linker of all binaries; a target's own setting takes precedence.
    pub linker: Option<LinkerSetting>,
    /// Unstable switches of rustc, by name.
    pub unstable: Vec<Unstable>,
    /// Whether symbols are kept in separate files.
    pub debug_files: bool,
    /// Whether binaries contain the list of their dependencies; true when absent.
    pub audit: Option<bool>,
    /// The smoke test of binaries; a package's setting takes precedence.
    pub smoke: Option<SmokeSetting>,
    /// Seconds after which a binary that still runs is ended.
    pub smoke_timeout: Option<u64>,
    /// The command that `tune` measures.
    pub tune: TuneSettings,
    /// Whether each downloadable file gets a file with its checksum beside it.
    pub checksum_files: bool,
    /// The policy for the outputs; see `docs/policy.md`.
    pub verify: Settings,
    /// The settings of files for CI systems; see `docs/ci.md`.
    pub ci: crate::build::config::ci::Settings,
}

/// `[package.metadata.longshore]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PackageSettings {
    /// Whether the package is released; true when absent.
    pub dist: Option<bool>,
    /// The smoke test of its binaries.
    pub smoke: Option<SmokeSetting>,
    /// Its image.
    pub image: ImageSettings,
    /// Its archives.
    #[serde(deserialize_with = "archive::switch_or_table")]
    pub archive: ArchiveSettings,
    /// Its shell completions.
    pub completions: Option<Companions>,
    /// Its manual pages.
    pub man: Option<Companions>,
    /// Its package for Debian.
    pub deb: Option<FormatSetting<DebSettings>>,
    /// Its RPM package.
    pub rpm: Option<FormatSetting<RpmSettings>>,
    /// Its package for Arch Linux.
    pub arch: Option<FormatSetting<ArchPackageSettings>>,
    /// Its wheel.
    pub wheel: Option<FormatSetting<WheelSettings>>,
    /// Its packages for npm.
    pub npm: Option<FormatSetting<NpmSettings>>,
    /// Its place in repositories for apt and dnf.
    pub repo: Option<FormatSetting<RepoSettings>>,
    /// Its installation script.
    pub installer: Option<FormatSetting<InstallerSettings>>,
    /// Its formula for Homebrew.
    pub homebrew: Option<FormatSetting<HomebrewSettings>>,
    /// The tags of its image.
    pub tags: TagPolicy,
    /// The commands of `--pgo`.
    pub pgo: PgoSettings,
}

impl PackageSettings {
    /// Returns whether archives or packages are made.
    pub fn makes_archives(&self) -> bool {
        let formats = [
            self.deb.as_ref().map(FormatSetting::is_on),
            self.rpm.as_ref().map(FormatSetting::is_on),
            self.arch.as_ref().map(FormatSetting::is_on),
            self.wheel.as_ref().map(FormatSetting::is_on),
            self.npm.as_ref().map(FormatSetting::is_on),
            self.installer.as_ref().map(FormatSetting::is_on),
            self.homebrew.as_ref().map(FormatSetting::is_on),
        ];
        !self.archive.formats.is_empty() || formats.contains(&Some(true))
    }
}

/// `[package.metadata.longshore.pgo]`. A command is a binary of the package, and its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PgoSettings {
    /// The commands that the profile is made of.
    pub train: Vec<Vec<String>>,
    /// The commands by which the program is compared with the one without a profile: other work than the training.
    pub check: Vec<Vec<String>>,
    /// Seconds after which a command that still runs fails.
    pub timeout: Option<u64>,
}

/// `[workspace.metadata.longshore.tune]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TuneSettings {
    /// A binary of the workspace, and its arguments.
    pub run: Vec<String>,
}

/// `[package.metadata.longshore.image]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ImageSettings {
    /// Its repository name; the package's name in the form that engines accept when absent. Not with
    /// `per-binary`.
    pub name: Option<String>,
    /// `uid` or `uid:gid`, in numbers: a scratch image has no names. 65532:65532 when absent.
    pub user: Option<String>,
    /// The binary that the image starts; else the package's `default-run`, the binary named like
    /// the package, or the only one.
    pub entrypoint: Option<String>,
    /// Labels, added to or replacing those made from `Cargo.toml` and git.
    pub labels: BTreeMap<String, String>,
    /// Its Dockerfile, relative to the package. When absent, the package's `Dockerfile.release`, or that of a
    /// workspace in which no other package has an image; without one, binaries go to
    /// `/usr/local/bin`.
    pub recipe: Option<RecipeSetting>,
    /// Values for the recipe's `ARG`s, by name.
    pub args: BTreeMap<String, String>,
    /// The layers below those of the recipe.
    pub extras: BTreeSet<Extra>,
    /// The compression of layers; gzip when absent.
    pub compression: Compressor,
    /// Annotations of the index and of each manifest.
    pub annotations: BTreeMap<String, String>,
    /// Whether each binary gets a separate image, instead of one for all of the package.
    pub per_binary: bool,
}

/// `recipe = "Dockerfile.release"`, or `recipe = false`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`recipe` is a path, or `false`")]
pub enum RecipeSetting {
    /// `false`: the built-in one, whatever files there are. `true`: as when it is absent.
    Look(bool),
    /// This file.
    File(Utf8PathBuf),
}

/// `smoke = ["--version"]`, or `smoke = false`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`smoke` is `true`, `false` or a list of arguments")]
pub enum SmokeSetting {
    /// `false`: not run. `true`: run with the default arguments.
    Run(bool),
    /// Run with these arguments, and it must end with 0.
    Args(Vec<String>),
}

/// Reads the `longshore` table of a metadata value; the default when there is none.
///
/// # Errors
/// An unknown key, with the nearest known one, or a value of the wrong form. `place` names the
/// table and its file.
pub fn read_settings<T>(metadata: &Value, location: &str) -> Result<T>
where
    T: Default + serde::de::DeserializeOwned,
{
    let Some(table) = metadata.get("longshore") else {
        return Ok(T::default());
    };
    T::deserialize(table).map_err(|error| {
        let text = error.to_string();
        let key = match wrong_key::<T>(table, &text) {
            key if key.is_empty() => String::new(),
            key => format!("`{}`: ", key.join(".")),
        };
        let wrong = Error::usage(format!("{location} is wrong: {key}{text}"));
        let mut names = text.split('`').skip(1).step_by(2);
        match names.next().and_then(|given| nearest(given, names)) {
            Some(name) => wrong.hint(format!("did you mean `{name}`?")),
            None => wrong.hint("docs/configuration.md lists every key"),
        }
    })
}

/// Returns the path of the key with the value that `T` rejects with `text`: the longest one that alone is
/// rejected in the same way.
fn wrong_key<T: serde::de::DeserializeOwned>(table: &Value, text: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut inner = table;
    while let Value::Object(keys) = inner {
        let fails_alone = |(key, value): &(&String, &Value)| {
            let alone = path.iter().rev().fold(only(key, value), |inner, key| only(key, &inner));
            T::deserialize(&alone).is_err_and(|error| error.to_string() == text)
        };
        let Some((key, value)) = keys.iter().find(fails_alone) else { break };
        path.push(key.clone());
        inner = value;
    }
    path
}

/// Returns a table of one key.
fn only(key: &str, value: &Value) -> Value {
    Value::Object([(key.to_owned(), value.clone())].into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Default + serde::de::DeserializeOwned>(toml: &str) -> Result<T> {
        let value: Value = toml::from_str(toml).unwrap();
        read_settings(&value, "`[workspace.metadata.longshore]` in `Cargo.toml`")
    }

    #[test]
    fn absent_is_the_default() {
        assert_eq!(read::<WorkspaceSettings>("").unwrap(), WorkspaceSettings::default());
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = read::<WorkspaceSettings>("[longshore]\ntarget = []").unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `targets`?"));
        assert!(error.to_string().contains("workspace.metadata.longshore"), "{error}");
    }

    #[test]
    fn an_unknown_preset_names_the_nearest() {
        let error = read::<WorkspaceSettings>("[longshore]\npreset = 'balance'").unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `balanced`?"));
    }

    #[test]
    fn a_value_of_the_wrong_form_is_named_by_its_key() {
        let message = |toml| read::<PackageSettings>(toml).unwrap_err().to_string();
        let wrong = message("[longshore]\narchive = 'tar.gz'");
        assert!(wrong.contains("is wrong: `archive`: invalid type: string"), "{wrong}");
        let wrong = message("[longshore]\nimage = { user = '1', labels = { a = 1 } }");
        assert!(wrong.contains("is wrong: `image.labels.a`: "), "{wrong}");
    }

    #[test]
    fn archive_is_a_switch_or_a_table() {
        let formats = |toml| read::<PackageSettings>(toml).unwrap().archive.formats.len();
        assert_eq!(formats("[longshore]\narchive = true"), 1);
        assert_eq!(formats("[longshore]\narchive = false"), 0);
        assert_eq!(formats("[longshore]\narchive.per-binary = true"), 1);
        assert_eq!(formats("[longshore]\narchive.formats = ['zip', 'tar.xz']"), 2);
    }

    #[test]
    fn smoke_is_a_switch_or_arguments() {
        let read = |toml| read::<PackageSettings>(toml).unwrap().smoke;
        assert_eq!(read("[longshore]\nsmoke = false"), Some(SmokeSetting::Run(false)));
        let args = SmokeSetting::Args(vec!["-V".into()]);
        assert_eq!(read("[longshore]\nsmoke = ['-V']"), Some(args));
    }
}
