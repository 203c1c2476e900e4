//! Packages that cargo takes from directories outside the workspace: path dependencies, patches, and
//! members above the root.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::{
    cargo::{invocation::resolution, settings::VendoredSource},
    error::{Error, Result},
    request::Request,
    sys::{Context, cargo, fs},
    workspace::Workspace,
};

/// Returns the directories outside the workspace that replace registries (`cargo vendor`), with the path
/// that stands for each in binaries. Cargo writes such a directory as the configuration does, with `..`
/// in it; build scripts may resolve it.
pub(super) fn vendored(
    sources: &[VendoredSource],
    workspace: &Workspace,
) -> Vec<(Utf8PathBuf, String)> {
    let mut found = Vec::new();
    for source in sources {
        // An unused source need not exist.
        let Ok(real) = fs::real(&source.directory) else { continue };
        if !real.starts_with(&workspace.root) {
            let name = format!("/vendor/{}", source.name);
            found.push((real, name.clone()));
            found.push((source.directory.clone(), name));
        }
    }
    found
}

/// The part of `Cargo.lock` that tells packages of registries and repositories from others
/// (<https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html>).
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    source: Option<String>,
}

/// Returns the directory of each package outside the workspace, with the path that stands for it in
/// binaries. That path does not depend on where the directory is.
///
/// # Errors
/// `Cargo.lock` cannot be read.
pub(super) fn remap(
    cx: &Context,
    workspace: &Workspace,
    request: &Request,
    targets: &[&str],
) -> Result<Vec<(Utf8PathBuf, String)>> {
    let outside = |dir: &Utf8Path| !dir.starts_with(&workspace.root);
    let named = |name: &str, version: &str| format!("/packages/{name}-{version}");
    let mut found = Vec::new();
    for package in &workspace.packages {
        if let Some(dir) = package.manifest.parent().filter(|dir| outside(dir)) {
            found.push((dir.to_owned(), named(&package.name, &package.version)));
        }
    }
    let path = workspace.root.join("Cargo.lock");
    let text = fs::read_to_string_if_there(&path)?.unwrap_or_default();
    let lock: Lock = toml::from_str(&text)
        .map_err(|error| Error::usage(format!("`{path}` cannot be read")).because(error))?;
    let members: BTreeSet<&str> = workspace.packages.iter().map(|p| p.name.as_str()).collect();
    let mut local = lock.package.iter().filter(|package| package.source.is_none());
    // Only then does cargo have to resolve all dependencies once more.
    if local.all(|package| members.contains(package.name.as_str())) {
        return Ok(found);
    }
    let targets = targets.iter().copied().collect();
    let manifest = workspace.root.join("Cargo.toml");
    let metadata = match cargo::resolved(cx, &manifest, &targets, &resolution(request)) {
        Ok(metadata) => metadata,
        Err(error) => {
            cx.warn(format!(
                "the directories of path dependencies outside the workspace are unknown, and may \
                 remain in the binaries: {error}"
            ));
            return Ok(found);
        }
    };
    for package in metadata.packages.iter().filter(|package| package.source.is_none()) {
        if let Some(dir) = package.manifest_path.parent().filter(|dir| outside(dir)) {
            let entry = (dir.to_owned(), named(&package.name, &package.version.to_string()));
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}
