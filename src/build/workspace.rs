//! The workspace as the plan needs it: packages, binaries, settings.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use cargo_metadata::{Metadata, Package as CargoPackage, TargetKind};

use crate::{
    build::config::{self, PackageSettings, WorkspaceSettings},
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        error::Result,
    },
};

/// A workspace, from `cargo metadata`.
#[derive(Clone, Debug, PartialEq)]
pub struct Workspace {
    /// The directory of its `Cargo.toml`.
    pub root: Utf8PathBuf,
    /// The directory that cargo builds in.
    pub target_directory: Utf8PathBuf,
    /// The name of the package in the root directory, if there is one.
    pub root_package: Option<String>,
    /// `[workspace.metadata.longshore]`.
    pub settings: WorkspaceSettings,
    /// Whether its member `xtask` depends on longshore.
    pub xtask: bool,
    /// Its members, sorted by name.
    pub packages: Vec<Package>,
    /// The names of the members in `workspace.default-members`, if the manifest sets it.
    pub default_members: Option<BTreeSet<String>>,
}

/// One member.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its `Cargo.toml`.
    pub manifest: Utf8PathBuf,
    /// Its binaries, sorted by name.
    pub bins: Vec<Bin>,
    /// The `default-run` binary.
    pub default_run: Option<String>,
    /// Its dependencies: the name in its manifest, and the name of the package.
    pub dependencies: Vec<(String, String)>,
    /// The features that each feature enables.
    pub features: BTreeMap<String, Vec<String>>,
    /// Its description in `Cargo.toml`.
    pub about: PackageInfo,
    /// `[package.metadata.longshore]`.
    pub settings: PackageSettings,
}

/// The descriptive fields of a package in `Cargo.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageInfo {
    /// Whether it may be published in a registry: `publish` is not `false`.
    pub published: bool,
    /// One paragraph.
    pub description: Option<String>,
    /// An SPDX expression.
    pub license: Option<String>,
    /// The URL of its source.
    pub repository: Option<String>,
    /// The URL of its home page.
    pub homepage: Option<String>,
    /// The URL of its documentation.
    pub documentation: Option<String>,
    /// Its authors.
    pub authors: Vec<String>,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// Its README, as `Cargo.toml` or cargo itself names it.
    pub readme: Option<Utf8PathBuf>,
    /// The file with its licence that `Cargo.toml` names.
    pub license_file: Option<Utf8PathBuf>,
}

/// One binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Its name.
    pub name: String,
    /// Features without which cargo does not build it.
    pub required_features: Vec<String>,
}

impl Workspace {
    /// Returns the directory of the result.
    pub fn output_directory(&self) -> Utf8PathBuf {
        self.target_directory.join("dist")
    }

    /// Returns the directory in which cargo builds: a separate one, since the host's part of a build with the profile
    /// `dist` goes to `dist` below it, which is the directory of the result; and since different flags than those of
    /// everyday builds would make both compile everything again each time.
    pub fn build_directory(&self) -> Utf8PathBuf {
        self.target_directory.join("longshore")
    }

    /// Returns the workspace that `metadata` (made with `--no-deps`) describes. `root_manifest` is the
    /// content of its `Cargo.toml`: metadata does not show whether `default-members` is set there.
    ///
    /// # Errors
    /// A longshore table with an unknown key or a wrong value.
    pub fn new(metadata: &Metadata, root_manifest: &str) -> Result<Self> {
        let root = metadata.workspace_root.clone();
        let manifest = root.join("Cargo.toml");
        let location = format!("`[workspace.metadata.longshore]` in `{manifest}`");
        let mut packages = Vec::new();
        for package in metadata.workspace_packages() {
            packages.push(Package::new(package)?);
        }
        packages.sort_stable_by(|a, b| a.name.cmp(&b.name));
        let with_longshore = |package: &&CargoPackage| {
            package.name == "xtask"
                && package.dependencies.iter().any(|dependency| dependency.name == "longshore")
        };
        let root_package = packages.iter().find(|package| package.manifest == manifest);
        Ok(Workspace {
            target_directory: metadata.target_directory.clone(),
            root_package: root_package.map(|package| package.name.clone()),
            settings: config::read_settings(&metadata.workspace_metadata, &location)?,
            xtask: metadata.workspace_packages().iter().any(with_longshore),
            default_members: default_members(metadata, root_manifest),
            packages,
            root,
        })
    }

    /// Returns the name of the release: that of the root package, else of the only package with binaries,
    /// else of the directory.
    pub fn name(&self) -> &str {
        if let Some(name) = &self.root_package {
            return name;
        }
        let mut with_bins = self.packages.iter().filter(|package| !package.bins.is_empty());
        match (with_bins.next(), with_bins.next()) {
            (Some(only), None) => &only.name,
            _ => self.root.file_name().unwrap_or("workspace"),
        }
    }
}

/// Returns the names in `workspace.default-members`
/// (<https://doc.rust-lang.org/cargo/reference/workspaces.html#the-default-members-field>).
fn default_members(metadata: &Metadata, root_manifest: &str) -> Option<BTreeSet<String>> {
    let manifest = root_manifest.parse::<toml::Table>().ok()?;
    manifest.get("workspace")?.get("default-members")?;
    if metadata.workspace_default_members.is_missing() {
        return None;
    }
    let packages = metadata.workspace_default_packages();
    Some(packages.into_iter().map(|package| package.name.to_string()).collect_set())
}

impl Package {
    fn new(package: &CargoPackage) -> Result<Self> {
        let manifest = package.manifest_path.clone();
        let location = format!("`[package.metadata.longshore]` in `{manifest}`");
        let mut bins: Vec<_> = package
            .targets
            .iter()
            .filter(|target| target.kind.contains(&TargetKind::Bin))
            .map(|target| Bin {
                name: target.name.clone(),
                required_features: target.required_features.clone(),
            })
            .collect();
        bins.sort_stable_by(|a, b| a.name.cmp(&b.name));
        Ok(Package {
            name: package.name.to_string(),
            version: package.version.to_string(),
            settings: config::read_settings(&package.metadata, &location)?,
            manifest,
            bins,
            default_run: package.default_run.clone(),
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| {
                    let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
                    (name.clone(), dependency.name.clone())
                })
                .collect(),
            features: package.features.clone(),
            about: PackageInfo {
                published: package.publish.as_ref().is_none_or(|registries| !registries.is_empty()),
                description: package.description.clone(),
                license: package.license.clone(),
                repository: package.repository.clone(),
                homepage: package.homepage.clone(),
                documentation: package.documentation.clone(),
                authors: package.authors.clone(),
                keywords: package.keywords.clone(),
                readme: package.readme(),
                license_file: package.license_file(),
            },
        })
    }

    /// Returns the package id specification that selects it on cargo's command line.
    pub fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Returns the features that `requested` enables, with all that these enable in this package. A feature may
    /// be named `package/feature`, as on cargo's command line.
    pub fn enabled_features(&self, requested: &FeatureSelection) -> BTreeSet<String> {
        let mut open: Vec<String> = requested
            .features
            .iter()
            .flat_map(|list| list.split([',', ' ']))
            .filter_map(|feature| match feature.split_once('/') {
                Some((package, feature)) => (package == self.name).then(|| feature.to_owned()),
                None => Some(feature.to_owned()),
            })
            .collect();
        if requested.all_features {
            open.extend(self.features.keys().cloned());
        }
        if !requested.no_default_features {
            open.push("default".to_owned());
        }
        let mut on = BTreeSet::new();
        while let Some(feature) = open.pop() {
            if let Some(more) = self.features.get(&feature)
                && on.insert(feature)
            {
                open.extend(more.iter().cloned());
            }
        }
        on
    }

    /// Returns the reason for which the package is left out unless it is requested by name; `None` if it is not
    /// left out.
    pub fn unreleased_reason(&self) -> Option<&'static str> {
        match self.settings.dist {
            Some(false) => Some("`dist = false` in its `[package.metadata.longshore]`"),
            // The convention of github.com/matklad/cargo-xtask: a workspace's own scripts.
            None if self.name == "xtask" => {
                Some("an `xtask` is a tool of the workspace; `--package xtask` builds it")
            }
            _ => None,
        }
    }

    /// Returns the binary that an image of this package starts: that of its settings, else `default-run`,
    /// else the one named like the package, else the only one. `names` are the binaries in the
    /// image.
    pub fn entrypoint<'a>(&'a self, names: &[&'a str]) -> Option<&'a str> {
        let requested = self.settings.image.entrypoint.as_deref();
        match (requested.or(self.default_run.as_deref()), names) {
            (Some(name), _) if names.contains(&name) => Some(name),
            (_, [only]) => Some(only),
            _ => names.contains(&self.name.as_str()).then_some(&self.name),
        }
    }
}

/// The feature flags of cargo's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureSelection {
    /// `--features`, each a list separated by commas or spaces.
    pub features: Vec<String>,
    /// `--all-features`.
    pub all_features: bool,
    /// `--no-default-features`.
    pub no_default_features: bool,
}
