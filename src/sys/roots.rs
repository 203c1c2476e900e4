//! The directories of the packages of a workspace and of its path dependencies.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::{
    build::workspace::Workspace,
    model::{collect::CollectOrdered as _, command::Command, error::Result},
    sys::Context,
};

/// Returns the directories of the packages without a registry or a repository in the workspace and its
/// dependencies, as cargo resolves them: links and `..` are resolved. If dependencies were not
/// downloaded yet, dependencies by path are followed from manifest to manifest, without those in
/// `[patch]`.
///
/// # Errors
/// An interrupt.
pub fn own_packages(cx: &Context, workspace: &Workspace) -> Result<BTreeSet<Utf8PathBuf>> {
    let manifest = workspace.root.join("Cargo.toml");
    let mut directories = BTreeSet::from([workspace.root.clone()]);
    if let Some(all) = metadata(cx, &manifest, &["--offline", "--locked"])? {
        let own = all.packages.iter().filter(|package| package.source.is_none());
        directories
            .extend(own.filter_map(|package| Some(package.manifest_path.parent()?.to_owned())));
    } else {
        let mut open = vec![manifest];
        let mut seen = BTreeSet::new();
        while let Some(manifest) = open.pop() {
            let Some(all) = metadata(cx, &manifest, &["--no-deps"])? else { continue };
            let root = &all.workspace_root;
            for package in &all.packages {
                let Some(directory) = package.manifest_path.parent() else { continue };
                // Of another workspace, only the packages that are depended on.
                if *root != workspace.root && !seen.contains(directory) {
                    continue;
                }
                directories.insert(directory.to_owned());
                for path in
                    package.dependencies.iter().filter_map(|dependency| dependency.path.as_ref())
                {
                    if seen.insert(path.clone()) {
                        open.push(path.join("Cargo.toml"));
                    }
                }
            }
        }
    }
    Ok(directories.iter().filter_map(|directory| directory.canonicalize_utf8().ok()).collect_set())
}

/// Returns cargo's metadata of `manifest`; `None` if it has none.
fn metadata(cx: &Context, manifest: &Utf8Path, args: &[&str]) -> Result<Option<Metadata>> {
    let command = Command::new(cx.env.cargo())
        .args(["metadata", "--format-version", "1", "--manifest-path", manifest.as_str()])
        .args(args.iter().copied())
        .dir(&cx.env.dir);
    let output = cx.children.output(&command)?;
    cx.children.check()?;
    let text = output.text();
    Ok(if output.success() { MetadataCommand::parse(text).ok() } else { None })
}
