//! The selected binaries: cargo's selection flags over the workspace.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    build::{
        request::BuildRequest,
        workspace::{Bin, Package, Workspace},
    },
    model::{
        error::{Error, Result},
        schema::plan::Skipped,
        suggest::nearest,
    },
};

/// The chosen binaries.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Packages with the binaries chosen in each, none of them empty.
    pub packages: Vec<(&'a Package, Vec<&'a Bin>)>,
    /// The members that were left out implicitly.
    pub skipped: Vec<Skipped>,
    /// Whether the complete workspace is selected, so that cargo gets `--workspace`.
    pub whole: bool,
}

impl<'a> Selection<'a> {
    /// Returns every chosen binary with its package.
    pub fn bins(&self) -> impl Iterator<Item = (&'a Package, &'a Bin)> {
        self.packages.iter().flat_map(|(package, bins)| bins.iter().map(|bin| (*package, *bin)))
    }
}

/// Selects the binaries that `request` names: by default every one of the default members.
/// `dependency_features` has the features of each package's dependencies, as `dependency/feature`.
///
/// # Errors
/// An unknown package or binary (with the nearest known name), a binary that its features switch
/// off, or nothing left to build.
pub fn select<'a>(
    workspace: &'a Workspace,
    request: &BuildRequest,
    dependency_features: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Selection<'a>> {
    let named = !request.packages.is_empty();
    let mut selection = Selection { packages: Vec::new(), skipped: Vec::new(), whole: false };
    for package in packages(workspace, request)? {
        let mut on = package.enabled_features(&request.features);
        on.extend(dependency_features.get(&package.name).into_iter().flatten().cloned());
        let default = is_default(workspace, request, package);
        let mut bins = Vec::new();
        for bin in &package.bins {
            let asked = request.bins.contains(&bin.name);
            if !request.bins.is_empty() && !asked {
                continue;
            }
            let missing: Vec<_> =
                bin.required_features.iter().filter(|feature| !on.contains(*feature)).collect();
            let reason = if let [feature, ..] = missing[..] {
                format!("it requires the feature `{feature}`; `--features {feature}` builds it")
            } else if named || asked {
                bins.push(bin);
                continue;
            } else if !default {
                format!(
                    "not a default member; `--package {}` or `--workspace` builds it",
                    package.name
                )
            } else if let Some(reason) = package.unreleased_reason() {
                reason.to_owned()
            } else {
                bins.push(bin);
                continue;
            };
            if asked {
                return Err(
                    Error::usage(format!("binary `{}` is not built", bin.name)).hint(reason)
                );
            }
            selection.skipped.push(Skipped {
                package: package.name.clone(),
                binary: bin.name.clone(),
                reason,
            });
        }
        if !bins.is_empty() {
            selection.packages.push((package, bins));
        }
    }
    check_bins(workspace, request)?;
    check_features(workspace, request)?;
    if selection.packages.is_empty() {
        return Err(no_binaries_error(workspace, &selection.skipped));
    }
    Ok(selection)
}

/// Returns whether cargo builds the package when no package is named.
fn is_default(workspace: &Workspace, request: &BuildRequest, package: &Package) -> bool {
    let all = request.workspace || !request.exclude.is_empty();
    let members = workspace.default_members.as_ref().filter(|_| !all);
    members.is_none_or(|members| members.contains(&package.name))
}

/// Returns the packages that cargo builds together, so that their features are unified.
///
/// # Errors
/// As [`select`].
pub fn built_together<'a>(
    workspace: &'a Workspace,
    request: &BuildRequest,
) -> Result<Vec<&'a Package>> {
    let mut packages = packages(workspace, request)?;
    if request.packages.is_empty() {
        packages.retain(|package| {
            is_default(workspace, request, package)
                && package.unreleased_reason().is_none()
                && !package.bins.is_empty()
        });
    }
    Ok(packages)
}

fn packages<'a>(workspace: &'a Workspace, request: &BuildRequest) -> Result<Vec<&'a Package>> {
    let known = || workspace.packages.iter().map(|package| package.name.as_str());
    let spec = |spec: &str| -> Result<&'a Package> {
        let (name, version) = match spec.split_once(['@', ':']) {
            Some((name, version)) => (name, Some(version)),
            None => (spec, None),
        };
        let found = workspace.packages.iter().find(|package| {
            package.name == name && version.is_none_or(|version| package.version == version)
        });
        found.ok_or_else(|| {
            let hint = match nearest(name, known()) {
                Some(near) if near != name => format!("did you mean `{near}`?"),
                _ => format!("its packages: {}", known().collect::<Vec<_>>().join(", ")),
            };
            let location = workspace.root.join("Cargo.toml");
            Error::usage(format!("no package `{spec}` in the workspace `{location}`")).hint(hint)
        })
    };
    if !request.packages.is_empty() {
        let mut chosen = Vec::new();
        for name in &request.packages {
            let package = spec(name)?;
            if !chosen.contains(&package) {
                chosen.push(package);
            }
        }
        return Ok(chosen);
    }
    let excluded = request.exclude.iter().map(|name| spec(name)).collect::<Result<Vec<_>>>()?;
    Ok(workspace.packages.iter().filter(|package| !excluded.contains(package)).collect())
}

fn check_bins(workspace: &Workspace, request: &BuildRequest) -> Result<()> {
    let known = || {
        let bins = workspace.packages.iter().flat_map(|package| &package.bins);
        bins.map(|bin| bin.name.as_str())
    };
    for name in &request.bins {
        if !known().any(|bin| bin == name) {
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its binaries: {}", known().collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::usage(format!("no binary `{name}` in the workspace")).hint(hint));
        }
    }
    Ok(())
}

/// Checks that one of the chosen packages has each feature that is requested. A feature of a dependency
/// (`dependency/feature`) is left to cargo.
fn check_features(workspace: &Workspace, request: &BuildRequest) -> Result<()> {
    let chosen = packages(workspace, request)?;
    let lists = request.features.features.iter();
    let requested = lists.flat_map(|list| list.split([',', ' '])).filter(|name| !name.is_empty());
    for text in requested {
        let (package, feature) = match text.split_once('/') {
            Some((package, feature)) => (Some(package), feature),
            None => (None, text),
        };
        let among: Vec<_> =
            chosen.iter().filter(|one| package.is_none_or(|name| name == one.name)).collect();
        let known = || among.iter().flat_map(|one| one.features.keys()).map(String::as_str);
        if (among.is_empty() && package.is_some()) || known().any(|name| name == feature) {
            continue;
        }
        let names = || known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let hint = match nearest(feature, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known().next().is_none() => "the package has no features".to_owned(),
            None => format!("known features: {}", names()),
        };
        let error = Error::usage(format!("no chosen package has the feature `{text}`"));
        return Err(error.hint(hint));
    }
    Ok(())
}

fn no_binaries_error(workspace: &Workspace, skipped: &[Skipped]) -> Error {
    let location = workspace.root.join("Cargo.toml");
    let error = Error::usage(format!("no binary to build in the workspace `{location}`"));
    match skipped {
        [] if workspace.packages.iter().all(|package| package.bins.is_empty()) => error.hint(
            "its packages are libraries; longshore ships programs: add `src/main.rs` or \
                        `[[bin]]`",
        ),
        [] => error.hint(
            "the selection is empty; `cargo longshore plan` without `--package`, \
                          `--exclude` and `--bin` lists every binary",
        ),
        [first, ..] => error.hint(format!("`{}` was left out: {}", first.binary, first.reason)),
    }
}
