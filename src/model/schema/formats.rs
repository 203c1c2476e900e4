//! The package formats of a plan: the settings of each, complete, so that a package can be made without the
//! source. Only `deb.architecture` differs between targets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A package for Debian, in the words of its policy manual (5.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Deb {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Architecture`.
    pub architecture: String,
    /// `Maintainer`.
    pub maintainer: String,
    /// `Section`.
    pub section: String,
    /// The first line of `Description`.
    pub synopsis: String,
    /// Its other lines.
    pub description: String,
    /// `Homepage`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub homepage: Option<String>,
    /// `Depends`, `Recommends` and `Conflicts`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub relations: BTreeMap<String, String>,
    /// The holders of the copyright.
    pub authors: Vec<String>,
    /// An SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
    /// More files, by where they are when it is installed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub files: BTreeMap<String, String>,
}

/// A wheel, in the words of Python's core metadata
/// (<https://packaging.python.org/en/latest/specifications/core-metadata/>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Wheel {
    /// `Name`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Summary`.
    pub summary: String,
    /// `Author` and `Author-email`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub authors: Vec<String>,
    /// `License-Expression`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
    /// `Keywords`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub keywords: Vec<String>,
    /// `Classifier`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub classifiers: Vec<String>,
    /// `Requires-Python`.
    pub requires_python: String,
    /// `Project-URL`, by their labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub urls: BTreeMap<String, String>,
    /// The file in the archives that is the long description; the summary if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub readme: Option<String>,
    /// The module that starts the program with `python -m`, and the program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<WheelModule>,
}

/// A module of Python that starts a program of the wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct WheelModule {
    /// The module's name.
    pub name: String,
    /// The program.
    pub binary: String,
}

/// Packages for npm: one for each platform, and a main package that depends on them, in the words of
/// `package.json` (<https://docs.npmjs.com/cli/configuring-npm/package-json>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Npm {
    /// The name of the main package.
    pub name: String,
    /// The name of the packages of platforms, without the platform.
    pub platform_name: String,
    /// `version`.
    pub version: String,
    /// `description`.
    pub description: String,
    /// `license`.
    pub license: String,
    /// `author` and `contributors`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub authors: Vec<String>,
    /// `keywords`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub keywords: Vec<String>,
    /// `homepage`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub homepage: Option<String>,
    /// `repository`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repository: Option<String>,
    /// `publishConfig.access`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access: Option<String>,
    /// The file in the archives that is the README.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub readme: Option<String>,
}

/// An installation script for POSIX shells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Installer {
    /// The name of the program or package: that of the script without its ending.
    pub name: String,
    /// The URL of the directory that has the archives.
    pub url: String,
}

/// A formula for Homebrew (<https://docs.brew.sh/Formula-Cookbook>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Homebrew {
    /// The name of the formula: that of the file without its ending.
    pub name: String,
    /// The URL of the directory that has the archives.
    pub url: String,
    /// `desc`.
    pub description: String,
    /// `homepage`.
    pub homepage: String,
    /// `license`, as an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
}

/// A package for Arch Linux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Arch {
    /// `pkgname`.
    pub name: String,
    /// `pkgver`, without the release.
    pub version: String,
    /// `pkgrel`.
    pub release: String,
    /// `arch`.
    pub architecture: String,
    /// `pkgdesc`.
    pub description: String,
    /// `license`: an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license: Option<String>,
    /// `packager`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub packager: Option<String>,
    /// `url`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// `depends`, `conflicts`, `provides` and `replaces`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub relations: BTreeMap<String, Vec<String>>,
}

/// The settings of packages in repositories for apt and dnf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Repo {
    /// Whether they are added only if the package is named.
    #[serde(default)]
    pub excluded: bool,
    /// The suite of the repository for apt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suite: Option<String>,
    /// The component of the repository for apt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<String>,
    /// The origin of the repository for apt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<String>,
    /// The key of gpg that signs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gpg_key: Option<String>,
}

/// An RPM package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Rpm {
    /// `Name`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Release`.
    pub release: String,
    /// The architecture.
    pub architecture: String,
    /// `Summary`.
    pub summary: String,
    /// `%description`.
    pub description: String,
    /// `License`: an SPDX expression.
    pub license: String,
    /// `Group`.
    pub group: String,
    /// `Packager`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub packager: Option<String>,
    /// `URL`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// `requires`, `recommends`, `conflicts` and `obsoletes`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub relations: BTreeMap<String, Vec<String>>,
    /// More files, by where they are when it is installed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub files: BTreeMap<String, String>,
}
