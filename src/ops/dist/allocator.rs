//! Detecting programs of a workspace that bring a global allocator.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::{
    build::{
        allocator::{self, OwnAllocator},
        cargo::invocation::resolution_args,
        linker::malloc,
        plan::selection,
        request::BuildRequest,
        workspace::Workspace,
    },
    model::{command::Command, error::Result},
    sys::{
        Context, access,
        directory::{DEPTH, Walk, WalkStep},
        fs,
    },
};

/// Returns the allocator for each of `targets` with programs that bring one: a crate
/// among the dependencies for that target, else a source file of the workspace.
///
/// # Errors
/// `Cargo.lock` or a source file cannot be read.
pub(in crate::ops) fn find_allocators(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    targets: &[&str],
) -> Result<BTreeMap<String, OwnAllocator>> {
    let lock =
        fs::read_to_string_if_exists(&workspace.root.join("Cargo.lock"))?.unwrap_or_default();
    let known: Vec<&str> = allocator::known_crates_in_lock(&lock).collect();
    let mut found = BTreeMap::new();
    if let Some(first) = known.first() {
        for target in targets {
            if let Some(what) = find_in_dependencies(cx, workspace, request, target, first)? {
                found.insert((*target).to_owned(), what);
            }
        }
    }
    if found.len() == targets.len() {
        return Ok(found);
    }
    for package in &workspace.packages {
        let Some(dir) = package.manifest.parent() else { continue };
        if let Some(file) = find_in_sources(&dir.join("src"), &known)? {
            for target in targets {
                found.entry((*target).to_owned()).or_insert_with(|| OwnAllocator {
                    location: format!("`{file}`"),
                    serves_c: false,
                });
            }
            break;
        }
    }
    Ok(found)
}

/// Returns the crate with an allocator among the dependencies for `target`; if cargo cannot resolve
/// them, `known`, which `Cargo.lock` names.
fn find_in_dependencies(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    target: &str,
    known: &str,
) -> Result<Option<OwnAllocator>> {
    let manifest = workspace.root.join("Cargo.toml");
    let mut command = Command::new(cx.env.cargo())
        .args(["tree", "--manifest-path", manifest.as_str(), "--target", target])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .dir(&cx.env.dir);
    for package in selection::built_together(workspace, request)? {
        command = command.args(["--package", &package.spec()]);
    }
    command = command.args(resolution_args(request));
    let output = cx.children.output(&command)?;
    let own = |name, location| OwnAllocator { location, serves_c: malloc::is_known(name) };
    Ok(match allocator::known_crate_in_tree(&output.text()) {
        // The lock file names one: a slower allocator in a rare case is better than two allocators.
        _ if !output.success() => Some(own(
            known,
            format!("crate `{known}`, perhaps: `cargo tree` cannot resolve its targets"),
        )),
        found => found.map(|name| own(name, format!("crate `{name}`"))),
    })
}

/// Returns the first source file that declares a global allocator, other than one of a crate that is
/// known and was searched for among the dependencies.
fn find_in_sources(dir: &Utf8Path, known: &[&str]) -> Result<Option<String>> {
    for step in Walk::new(dir, DEPTH) {
        let path = match step {
            WalkStep::Entry(path, meta) if meta.is_file() && path.extension() == Some("rs") => path,
            WalkStep::Unreadable(path, error) if access::exists(&path) => return Err(error),
            _ => continue,
        };
        let bytes = fs::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let of_known = known.iter().any(|name| text.contains(&name.replace('-', "_")));
        if allocator::declares_global_allocator(&text) && !of_known {
            return Ok(Some(path.into_string()));
        }
    }
    Ok(None)
}
