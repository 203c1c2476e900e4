//! The settings of a package for each package format.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use camino::Utf8PathBuf;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// The setting of a package format: `wheel = true`, or a table `[package.metadata.longshore.wheel]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatSetting<T> {
    /// A switch: `true` makes the package with the default settings.
    Switch(bool),
    /// The settings of the package.
    Table(Box<T>),
}

impl<T: Clone + Default> FormatSetting<T> {
    /// Returns the settings; `None` if the package is not made.
    pub fn settings(setting: Option<&Self>) -> Option<T> {
        match setting {
            None | Some(FormatSetting::Switch(false)) => None,
            Some(FormatSetting::Switch(true)) => Some(T::default()),
            Some(FormatSetting::Table(table)) => Some(T::clone(table)),
        }
    }
}

impl<T> FormatSetting<T> {
    /// Returns whether the package is made.
    pub fn is_on(&self) -> bool {
        !matches!(self, FormatSetting::Switch(false))
    }
}

/// Not derived as an untagged enum, since the error about a wrong key would not name it.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for FormatSetting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SettingVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SettingVisitor<T> {
            type Value = FormatSetting<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a table")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Self::Value, E> {
                Ok(FormatSetting::Switch(on))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let table = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FormatSetting::Table(Box::new(table)))
            }
        }
        deserializer.deserialize_any(SettingVisitor(PhantomData))
    }
}

/// `[package.metadata.longshore.deb]`, in the words of Debian's policy manual (5.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DebSettings {
    /// Its name; the name of the cargo package when absent.
    pub name: Option<String>,
    /// `Name <mail@example.org>`; the first author when absent.
    pub maintainer: Option<String>,
    /// Its section of the distribution; `utils` when absent.
    pub section: Option<String>,
    /// Its revision; 1 when absent.
    pub revision: Option<String>,
    /// The description after the one line that is in `Cargo.toml`.
    pub extended_description: Option<String>,
    /// The packages that it requires; a static program needs none.
    pub depends: Option<String>,
    /// The packages that it recommends.
    pub recommends: Option<String>,
    /// The packages that it conflicts with.
    pub conflicts: Option<String>,
    /// More files, by their installed paths: `etc/foo.conf`. Files in `etc` are configuration files.
    pub files: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
}

/// `[package.metadata.longshore.rpm]`, in the words of rpm's spec files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RpmSettings {
    /// Its name; the name of the cargo package when absent.
    pub name: Option<String>,
    /// Its release; 1 when absent.
    pub release: Option<String>,
    /// Its licence, an SPDX expression; `license` of `Cargo.toml` when absent.
    pub license: Option<String>,
    /// Its group of the distribution; `Applications/System` when absent.
    pub group: Option<String>,
    /// `Name <mail@example.org>`; the first author when absent.
    pub packager: Option<String>,
    /// The description after the summary, which is in `Cargo.toml`.
    pub description: Option<String>,
    /// The packages that it requires; a static program needs none.
    pub requires: Vec<String>,
    /// The packages that it recommends.
    pub recommends: Vec<String>,
    /// The packages that it conflicts with.
    pub conflicts: Vec<String>,
    /// The packages that it replaces.
    pub obsoletes: Vec<String>,
    /// More files, by their installed paths: `etc/foo.conf`. Files in `etc` are configuration files.
    pub files: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
}

/// `[package.metadata.longshore.wheel]`, in the words of Python's core metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WheelSettings {
    /// Its name on the index; the name of the cargo package when absent.
    pub name: Option<String>,
    /// The module with which `python -m` starts the program; named like the package when absent.
    pub module: Option<ModuleSetting>,
    /// The versions of Python; those that longshore's module runs with when absent.
    pub requires_python: Option<String>,
    /// The classifiers (<https://pypi.org/classifiers/>).
    pub classifiers: Vec<String>,
}

/// `module = false`, or `module = "hello"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`module` is `true`, `false` or a name")]
pub enum ModuleSetting {
    /// `false`: none. `true`: named like the package.
    Switch(bool),
    /// The name.
    Name(String),
}

/// `[package.metadata.longshore.npm]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NpmSettings {
    /// The name of the main package, with its scope; `scope` and the name of the cargo package when absent.
    pub name: Option<String>,
    /// The scope of the packages of the platforms: `@hello`.
    pub scope: Option<String>,
    /// The users that may install a package with a scope; npm's default when absent.
    pub access: Option<Access>,
}

/// `npm.access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// All users.
    Public,
    /// The members of an organisation.
    Restricted,
}

impl Access {
    /// Returns npm's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Access::Public => "public",
            Access::Restricted => "restricted",
        }
    }
}

/// `[package.metadata.longshore.installer]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct InstallerSettings {
    /// The URL of the directory with the archives; `{version}` and `{package}` are replaced. That of a release
    /// on GitHub or Codeberg when absent.
    pub url: Option<String>,
}

/// `[package.metadata.longshore.arch]`, in the words of PKGBUILD(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ArchPackageSettings {
    /// Its name; the name of the cargo package when absent.
    pub name: Option<String>,
    /// Its release (`pkgrel`); 1 when absent.
    pub release: Option<String>,
    /// `Name <mail@example.org>`; the first author when absent.
    pub packager: Option<String>,
    /// The packages that it requires; a static program needs none.
    pub depends: Vec<String>,
    /// The packages that it conflicts with.
    pub conflicts: Vec<String>,
    /// The names that it can be required by.
    pub provides: Vec<String>,
    /// The packages that it replaces.
    pub replaces: Vec<String>,
}

/// `[package.metadata.longshore.repo]`: the flags of `package repo` for the .deb and .rpm of this package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RepoSettings {
    /// The suite of the repository for apt.
    pub suite: Option<String>,
    /// The component of the repository for apt.
    pub component: Option<String>,
    /// The origin of the repository for apt.
    pub origin: Option<String>,
    /// The key of gpg that signs.
    pub gpg_key: Option<String>,
}

/// `[package.metadata.longshore.homebrew]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HomebrewSettings {
    /// The name of the formula; the name of the cargo package when absent.
    pub name: Option<String>,
    /// The URL of the directory with the archives, as for the installation script.
    pub url: Option<String>,
}
