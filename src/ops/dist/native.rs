//! Detecting C and C++ in the dependencies of programs, from their build scripts.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{DependencyKind, Metadata, Node, Package, PackageId, TargetKind};

use crate::{
    build::{
        cargo::invocation::resolution_args,
        linker::{
            NativeCode,
            native::{TESTED, builder_in_lock, builds_c, builds_cxx, links_cxx, links_library},
        },
        plan::selection,
        request::BuildRequest,
        workspace::Workspace,
    },
    model::{collect::CollectOrdered as _, error::Result},
    sys::{Context, cargo, fs, parallel, tree},
};

/// The number of bytes of a file that are read.
const MAX_SCRIPT: u64 = 1 << 20;

/// The number of files of a build script, or of a library for it, that are read.
const MAX_FILES: usize = 100;

/// Returns the code of other languages in the programs for each of `targets`. If cargo cannot resolve the
/// dependencies, or only by fetching them and not `provide`, `Cargo.lock` decides.
///
/// # Errors
/// `Cargo.lock` cannot be read, or an interrupt came.
pub(in crate::ops) fn find_native_code(
    cx: &Context,
    workspace: &Workspace,
    request: &BuildRequest,
    targets: &[&str],
    provide: bool,
) -> Result<BTreeMap<String, NativeCode>> {
    let selected: BTreeSet<String> = selection::built_together(workspace, request)?
        .iter()
        .map(|package| package.name.clone())
        .collect_set();
    let mut resolution = resolution_args(request);
    if !provide && !request.offline {
        resolution.push("--offline".to_owned());
    }
    let manifest = workspace.root.join("Cargo.toml");
    let find = |index: usize| -> Result<NativeCode> {
        let one = BTreeSet::from([targets[index]]);
        match cargo::resolved_metadata(cx, &manifest, &one, &resolution) {
            Ok(metadata) => Ok(native_code(&metadata, &selected)),
            Err(_) => {
                cx.children.check()?;
                in_lock(&workspace.root)
            }
        }
    };
    let found = parallel::map_on(targets.len(), targets.len(), find);
    targets.iter().zip(found).map(|(target, code)| Ok(((*target).to_owned(), code?))).collect()
}

fn in_lock(root: &Utf8Path) -> Result<NativeCode> {
    let lock = fs::read_to_string_if_exists(&root.join("Cargo.lock"))?.unwrap_or_default();
    Ok(builder_in_lock(&lock).map_or(NativeCode::None, |name| {
        if builds_cxx(name) {
            NativeCode::Cxx(name.to_owned())
        } else {
            NativeCode::C(name.to_owned())
        }
    }))
}

/// The packages that cargo resolved, by their names and dependencies.
struct Graph<'a> {
    packages: BTreeMap<&'a PackageId, &'a Package>,
    nodes: BTreeMap<&'a PackageId, &'a Node>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Metadata) -> Self {
        let nodes = metadata.resolve.as_ref().map_or(&[][..], |resolve| &resolve.nodes);
        Graph {
            packages: metadata.packages.iter().map(|package| (&package.id, package)).collect_map(),
            nodes: nodes.iter().map(|node| (&node.id, node)).collect_map(),
        }
    }

    /// Returns the dependencies of that kind.
    fn dependencies(&self, id: &PackageId, kind: DependencyKind) -> Vec<&'a PackageId> {
        let all = self.nodes.get(id).map_or(&[][..], |node| &node.deps);
        let of_kind = all
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|found| found.kind == kind));
        of_kind.map(|dependency| &dependency.pkg).collect()
    }

    /// Returns the packages that a build script may call, also by way of others.
    fn build_dependencies(&self, id: &PackageId) -> Vec<&'a Package> {
        let mut waiting = self.dependencies(id, DependencyKind::Build);
        let mut reached: BTreeSet<&PackageId> = waiting.iter().copied().collect_set();
        while let Some(id) = waiting.pop() {
            let more = self.dependencies(id, DependencyKind::Normal);
            waiting.extend(more.into_iter().filter(|id| reached.insert(id)));
        }
        reached.into_iter().filter_map(|id| self.packages.get(id).copied()).collect()
    }

    /// Returns the native code that the build script of a package compiles or links.
    fn of_package(&self, id: &PackageId, package: &Package) -> NativeCode {
        let name = package.name.as_str();
        let called = self.build_dependencies(id);
        let builds = |kind: fn(&str) -> bool| called.iter().any(|one| kind(one.name.as_str()));
        let mut scripts = build_scripts(package);
        if scripts.is_empty() {
            return NativeCode::None;
        }
        // A library for build scripts may print the lines for cargo. Its own dependencies are for other work, and
        // a crate that compiles every language says nothing about this one.
        let direct = self.dependencies(id, DependencyKind::Build);
        let direct = direct.into_iter().filter_map(|id| self.packages.get(id));
        let direct =
            direct.filter(|package| !builds_c(&package.name) && !builds_cxx(&package.name));
        let libraries = direct.flat_map(|package| library_sources(package));
        scripts.extend(libraries.filter(|text| links_library(text)));
        if builds_cxx(name) || builds(builds_cxx) || scripts.iter().any(|text| links_cxx(text)) {
            NativeCode::Cxx(name.to_owned())
        } else if builds(builds_c) || scripts.iter().any(|text| links_library(text)) {
            NativeCode::C(name.to_owned())
        } else {
            NativeCode::None
        }
    }
}

/// Returns the code of other languages in what the packages `selected` are made of.
fn native_code(metadata: &Metadata, selected: &BTreeSet<String>) -> NativeCode {
    let graph = Graph::new(metadata);
    let is_selected = |id: &&PackageId| {
        graph.packages.get(id).is_some_and(|p| selected.contains(p.name.as_str()))
    };
    let mut waiting: Vec<&PackageId> =
        metadata.workspace_members.iter().filter(is_selected).collect();
    let mut reached: BTreeSet<&PackageId> = waiting.iter().copied().collect_set();
    let (mut c, mut tested) = (None, None);
    while let Some(id) = waiting.pop() {
        let Some(package) = graph.packages.get(id) else { continue };
        if is_procedural_macro(package) {
            // It runs in the compiler, and is not a part of the program.
            continue;
        }
        if TESTED.contains(&package.name.as_str()) {
            tested.get_or_insert(NativeCode::Tested(package.name.to_string()));
        } else {
            match graph.of_package(id, package) {
                NativeCode::None | NativeCode::Tested(_) => {}
                cxx @ NativeCode::Cxx(_) => return cxx,
                found @ NativeCode::C(_) => drop(c.get_or_insert(found)),
            }
        }
        let more = graph.dependencies(id, DependencyKind::Normal);
        waiting.extend(more.into_iter().filter(|id| reached.insert(id)));
    }
    c.or(tested).unwrap_or_default()
}

fn is_procedural_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro))
}

/// Returns the source of a package's library, if it is not a procedural macro.
fn library_sources(package: &Package) -> Vec<String> {
    let is_library = |target: &&cargo_metadata::Target| {
        target.kind.iter().any(|kind| matches!(kind, TargetKind::Lib | TargetKind::RLib))
    };
    let library = package.targets.iter().find(is_library);
    let dir = library.and_then(|library| library.src_path.parent());
    dir.map(|dir| read_all(&sources(dir))).unwrap_or_default()
}

/// Returns the source of the package's build script: its file, and those in a directory for it. A file that cannot
/// be read is an error of the build.
fn build_scripts(package: &Package) -> Vec<String> {
    let is_script =
        |target: &&cargo_metadata::Target| target.kind.contains(&TargetKind::CustomBuild);
    let Some(script) = package.targets.iter().find(is_script) else { return Vec::new() };
    let mut files = vec![script.src_path.clone()];
    let root = package.manifest_path.parent();
    let parent = script.src_path.parent();
    let stem = parent.zip(script.src_path.file_stem()).map(|(dir, stem)| dir.join(stem));
    let own = parent.filter(|parent| Some(*parent) != root).map(Utf8Path::to_owned);
    files.extend(stem.into_iter().chain(own).flat_map(|dir| sources(&dir)));
    read_all(&files)
}

/// Returns the files of Rust below a directory.
fn sources(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = tree::walk(dir, |_: &Utf8Path| false).unwrap_or_default();
    let sources = entries.into_iter().filter(|entry| entry.path.extension() == Some("rs"));
    sources.map(|entry| dir.join(entry.path)).collect()
}

fn read_all(files: &[Utf8PathBuf]) -> Vec<String> {
    let read = |path: &Utf8PathBuf| {
        let bytes = fs::read_start(path, MAX_SCRIPT).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    files.iter().take(MAX_FILES).map(read).collect()
}
