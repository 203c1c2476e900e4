//! The features that dependencies are built with, as `cargo tree` reports them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    build::{
        cargo::invocation::resolution_args,
        plan::selection,
        request::BuildRequest,
        workspace::{Package, Workspace},
    },
    model::{collect::CollectOrdered as _, command::Command, error::Result},
    sys::Context,
};

/// The features of each package in a dependency graph, by its name.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Returns the features of each package's dependencies, as `dependency/feature`, if a binary requires
/// one (`required-features = ["dependency/feature"]`).
///
/// # Errors
/// A package is unknown, or cargo cannot be started.
pub(in crate::ops) fn dependency_features(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    target: &str,
) -> Result<Features> {
    let packages = selection::built_together(workspace, request)?;
    let requires = |package: &&Package| {
        let mut features = package.bins.iter().flat_map(|bin| &bin.required_features);
        features.any(|feature| feature.contains('/'))
    };
    if !packages.iter().any(requires) {
        return Ok(Features::new());
    }
    let all = package_features(cx, workspace, request, &packages, target)?;
    let of_package = |package: &Package| {
        let mut features = BTreeSet::new();
        for (name, dependency) in &package.dependencies {
            let on = all.get(dependency).into_iter().flatten();
            features.extend(on.map(|feature| format!("{name}/{feature}")));
        }
        (package.name.clone(), features)
    };
    Ok(packages.iter().map(|package| of_package(package)).collect_map())
}

/// Returns a sentence for each package with dependencies that get more features because other packages
/// are built in the same command
/// (<https://doc.rust-lang.org/cargo/reference/features.html#feature-unification>).
///
/// # Errors
/// As [`of_dependencies`].
pub(in crate::ops) fn unified_feature_notes(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    target: &str,
) -> Result<Vec<String>> {
    let packages = selection::built_together(workspace, request)?;
    if packages.len() < 2 {
        return Ok(Vec::new());
    }
    let together = package_features(cx, workspace, request, &packages, target)?;
    let mut sentences = Vec::new();
    for package in packages {
        let alone = package_features(cx, workspace, request, &[package], target)?;
        let mut more = Vec::new();
        for (name, features) in &alone {
            let all = together.get(name).into_iter().flatten();
            let added = all.filter(|feature| !features.contains(*feature));
            more.extend(added.map(|feature| format!("`{name}/{feature}`")));
        }
        if !more.is_empty() {
            sentences.push(format!(
                "`{}` is built with features that only other packages request: {}; `--each` builds \
                 each package with its own",
                package.name,
                more.join(", ")
            ));
        }
    }
    Ok(sentences)
}

/// Returns the packages that are linked into `packages`, with their features; none if cargo cannot resolve the
/// dependency graph: the build reports that.
fn package_features(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    packages: &[&Package],
    target: &str,
) -> Result<Features> {
    let manifest = workspace.root.join("Cargo.toml");
    let mut command = Command::new(cx.env.cargo())
        .args(["tree", "--manifest-path", manifest.as_str(), "--target", target])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}|{f}"])
        .dir(&cx.env.dir);
    for package in packages {
        command = command.args(["--package", &package.spec()]);
    }
    let output = cx.children.output(&command.args(resolution_args(request)))?;
    let mut all = Features::new();
    if output.success() {
        for line in output.text().lines() {
            let Some((package, features)) = line.split_once('|') else { continue };
            // A package that was printed before ends in ` (*)`.
            let features = features.trim_end_matches("(*)").trim().split(',');
            let name = package.split(' ').next().unwrap_or_default();
            let on = all.entry(name.to_owned()).or_default();
            on.extend(features.filter(|feature| !feature.is_empty()).map(str::to_owned));
        }
    }
    Ok(all)
}
