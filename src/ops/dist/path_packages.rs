//! Packages that cargo takes from directories outside the workspace: path dependencies, patches, and
//! members above the root.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, Node};
use serde::Deserialize;

use crate::{
    build::{
        cargo::{invocation::resolution_args, settings::VendoredSource},
        request::BuildRequest,
        workspace::Workspace,
    },
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result},
    },
    sys::{Context, cargo, fs},
};

/// Returns the directories outside the workspace that replace registries (`cargo vendor`), with the path
/// that stands for each in binaries. Cargo writes such a directory as the configuration does, with `..`
/// in it; build scripts may resolve it.
pub(in crate::ops) fn vendored_remap(
    sources: &[VendoredSource],
    workspace: &Workspace,
) -> Vec<(Utf8PathBuf, String)> {
    let mut found = Vec::new();
    for source in sources {
        // An unused source need not exist.
        let Ok(real) = fs::canonicalize(&source.directory) else { continue };
        if !real.starts_with(&workspace.root) {
            let name = format!("/vendor/{}", source.name);
            found.push((real, name.clone()));
            found.push((source.directory.clone(), name));
        }
    }
    found
}

/// The part of `Cargo.lock` that distinguishes packages of registries and repositories from others
/// (<https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html>).
#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    source: Option<String>,
}

/// The packages outside the workspace, and all that depend on them.
#[derive(Default)]
pub(in crate::ops) struct OutsidePackages {
    /// The directory of each, with the path that replaces it in binaries. That path does not depend on
    /// where the directory is.
    pub(in crate::ops) remap: Vec<(Utf8PathBuf, String)>,
    /// The names of these and of all packages that depend on them, by directory, for
    /// [`crate::build::cargo::identity`].
    pub(in crate::ops) names: BTreeMap<Utf8PathBuf, String>,
}

/// Returns the packages outside the workspace.
///
/// # Errors
/// `Cargo.lock` cannot be read.
pub(in crate::ops) fn outside_packages(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    targets: &[&str],
) -> Result<OutsidePackages> {
    let path = workspace.root.join("Cargo.lock");
    let text = fs::read_to_string_if_exists(&path)?.unwrap_or_default();
    let lock: LockFile = toml::from_str(&text)
        .map_err(|error| Error::usage(format!("`{path}` cannot be read")).because(error))?;
    let is_outside = |dir: &Utf8Path| !dir.starts_with(&workspace.root);
    let members: BTreeSet<&str> = workspace.packages.iter().map(|p| p.name.as_str()).collect_set();
    let mut local = lock.package.iter().filter(|package| package.source.is_none());
    let mut dirs = workspace.packages.iter().filter_map(|package| package.manifest.parent());
    // Only otherwise does cargo have to resolve all dependencies once more.
    if local.all(|package| members.contains(package.name.as_str())) && !dirs.any(is_outside) {
        return Ok(OutsidePackages::default());
    }
    let targets = targets.iter().copied().collect_set();
    let manifest = workspace.root.join("Cargo.toml");
    match cargo::resolved_metadata(cx, &manifest, &targets, &resolution_args(request)) {
        Ok(metadata) => Ok(name_outside_packages(&metadata, &workspace.root)),
        Err(error) => {
            cx.warn(format!(
                "the directories of path dependencies outside the workspace are unknown, and may \
                 remain in the binaries: {error}"
            ));
            Ok(OutsidePackages::default())
        }
    }
}

/// Names the packages of `metadata` that are outside of `root`, and those that depend on them.
fn name_outside_packages(metadata: &Metadata, root: &Utf8Path) -> OutsidePackages {
    let mut outside = OutsidePackages::default();
    let mut reached = BTreeSet::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_none()) {
        let dir = package.manifest_path.parent().filter(|dir| !dir.starts_with(root));
        let Some(dir) = dir else { continue };
        let path = format!("/packages/{}-{}", package.name, package.version);
        outside.names.insert(dir.to_owned(), path.clone());
        outside.remap.push((dir.to_owned(), path));
        reached.insert(&package.id);
    }
    let nodes = metadata.resolve.as_ref().map_or(&[][..], |resolve| &resolve.nodes);
    loop {
        let before = reached.len();
        let depends = |node: &&Node| node.dependencies.iter().any(|id| reached.contains(id));
        let more: Vec<_> = nodes.iter().filter(depends).map(|node| &node.id).collect();
        reached.extend(more);
        if reached.len() == before {
            break;
        }
    }
    for package in metadata.packages.iter().filter(|package| reached.contains(&package.id)) {
        let Some(dir) = package.manifest_path.parent() else { continue };
        let name = match (&package.source, dir.strip_prefix(root)) {
            (Some(_), _) => package.id.repr.clone(),
            (None, Ok(inside)) => format!("{inside} {} {}", package.name, package.version),
            // Named above.
            (None, Err(_)) => continue,
        };
        outside.names.insert(dir.to_owned(), name);
    }
    outside
}
