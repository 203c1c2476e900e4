//! The settings of a package for its archives and packages.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};

use super::formats::FormatSetting;
use crate::model::schema::packaging::{Format, Shell};

/// `[package.metadata.longshore.archive]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ArchiveSettings {
    /// The formats: one archive for each; none for an empty list.
    pub formats: BTreeSet<Format>,
    /// The files besides the binaries, README, licences, CHANGELOG, completions and manual pages.
    pub include: Vec<Include>,
    /// The files that may be missing without a warning or an error: `license`, `readme`, or an entry of
    /// `include`.
    pub allow_missing: BTreeSet<String>,
    /// The required files: if one is missing, this is an error instead of a warning.
    pub require: BTreeSet<RequiredFile>,
    /// Whether each binary gets a separate archive, instead of one for all of the package.
    pub per_binary: bool,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        ArchiveSettings {
            formats: BTreeSet::from([Format::TarGz]),
            include: Vec::new(),
            allow_missing: BTreeSet::new(),
            require: BTreeSet::new(),
            per_binary: false,
        }
    }
}

/// Reads `archive`, which is a switch or a table as those of packages are.
pub(super) fn switch_or_table<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ArchiveSettings, D::Error> {
    Ok(match FormatSetting::deserialize(deserializer)? {
        FormatSetting::Switch(true) => ArchiveSettings::default(),
        FormatSetting::Switch(false) => {
            ArchiveSettings { formats: BTreeSet::new(), ..ArchiveSettings::default() }
        }
        FormatSetting::Table(table) => *table,
    })
}

/// A file that `archive.require` can list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequiredFile {
    /// The text of the licence.
    License,
    /// The README.
    Readme,
    /// The list of changes.
    Changelog,
}

impl RequiredFile {
    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            RequiredFile::License => "license",
            RequiredFile::Readme => "readme",
            RequiredFile::Changelog => "changelog",
        }
    }
}

/// `"doc/*.md"`, or `{ from = "doc/config.toml", to = "etc/config.toml" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an include is a path, or a table with `from` and `to`")]
pub enum Include {
    /// A file, a directory or a pattern, relative to the package; it keeps its path.
    Same(String),
    /// Another path in the archive.
    Other(MappedPath),
}

/// `{ from = "doc/config.toml", to = "etc/config.toml" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedPath {
    /// A file, a directory or a pattern, relative to the package.
    pub from: String,
    /// Its path in the archive; with a trailing `/`, the directory of what `from` names.
    pub to: String,
}

/// `completions = false`, or `completions = { run = ["completions", "{shell}"] }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "it is `true`, `false` or a table with `run`")]
pub enum Companions {
    /// `true`: those in the build script's `OUT_DIR`. `false`: none.
    Look(bool),
    /// A binary writes them.
    Run(CompanionCommand),
}

/// The command with which a binary writes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CompanionCommand {
    /// Its arguments. `{shell}` stands for each shell's name.
    pub run: Vec<String>,
    /// The shells; bash, zsh and fish when absent.
    #[serde(default)]
    pub shells: Option<BTreeSet<Shell>>,
    /// The binary of the package that is run; the one that an image would start when absent.
    #[serde(default)]
    pub binary: Option<String>,
}
