//! The settings of a package for its archives and packages.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::Deserialize;

use crate::model::schema::packaging::{Format, Shell};

/// `[package.metadata.longshore.archive]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ArchiveSettings {
    /// How they are packed: one archive for each; none for an empty list.
    pub formats: BTreeSet<Format>,
    /// What is in them besides the binaries, README, licences, CHANGELOG, completions and manual
    /// pages.
    pub include: Vec<Include>,
    /// What may be missing without a warning or an error: `license`, `readme`, or an entry of
    /// `include`.
    pub allow_missing: BTreeSet<String>,
    /// What must be there: a file that is missing is an error, and not a warning.
    pub require: BTreeSet<Required>,
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

/// A file that `archive.require` can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Required {
    /// The text of the licence.
    License,
    /// The README.
    Readme,
    /// The list of changes.
    Changelog,
}

impl Required {
    /// Returns the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Required::License => "license",
            Required::Readme => "readme",
            Required::Changelog => "changelog",
        }
    }
}

/// `"doc/*.md"`, or `{ from = "doc/config.toml", to = "etc/config.toml" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "an include is a path, or a table with `from` and `to`")]
pub enum Include {
    /// A file, a directory or a pattern, relative to the package; it keeps its path.
    Same(String),
    /// Another place in the archive.
    Other(Other),
}

/// `{ from = "doc/config.toml", to = "etc/config.toml" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// A file, a directory or a pattern, relative to the package.
    pub from: String,
    /// Where it is in the archive; with `/` at its end, what `from` names goes into it.
    pub to: String,
}

/// `completions = false`, or `completions = { run = ["completions", "{shell}"] }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "it is `true`, `false` or a table with `run`")]
pub enum Companions {
    /// `true`: those in the build script's `OUT_DIR`. `false`: none.
    Look(bool),
    /// A binary writes them.
    Run(Run),
}

/// How a binary is run to write them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// Its arguments. `{shell}` stands for each shell's name.
    pub run: Vec<String>,
    /// Which shells; bash, zsh and fish when absent.
    #[serde(default)]
    pub shells: Option<BTreeSet<Shell>>,
    /// Which of the package's binaries; the one that an image would start when absent.
    #[serde(default)]
    pub binary: Option<String>,
}

/// `deb = true`, or `[package.metadata.longshore.deb]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`deb` is `true`, `false` or a table")]
pub enum DebSetting {
    /// Whether there is one.
    Switch(bool),
    /// How it is.
    Table(Box<DebSettings>),
}

impl DebSetting {
    /// Returns whether a package for Debian is made.
    pub fn is_on(&self) -> bool {
        !matches!(self, DebSetting::Switch(false))
    }
}

/// `[package.metadata.longshore.deb]`, in the words of Debian's policy manual (5.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DebSettings {
    /// What it is called; the package's name when absent.
    pub name: Option<String>,
    /// `Name <mail@example.org>`; the first author when absent.
    pub maintainer: Option<String>,
    /// Which part of the distribution it would be in; `utils` when absent.
    pub section: Option<String>,
    /// Its revision; 1 when absent.
    pub revision: Option<String>,
    /// More about it than the one line that is in `Cargo.toml`.
    pub extended_description: Option<String>,
    /// What it does not work without; a static program needs nothing.
    pub depends: Option<String>,
    /// What it works better with.
    pub recommends: Option<String>,
    /// What it cannot be there with.
    pub conflicts: Option<String>,
    /// More files, by where they are when it is installed: `etc/foo.conf`. What is in `etc` is a
    /// configuration file.
    pub files: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
}
