//! The crates of one binary, from the packages that cargo resolved and the units that it compiled.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{
    Dependency, DependencyKind, Metadata, Node, Package, TargetKind, cargo_platform::Cfg,
    semver::VersionReq,
};

use super::{Crate, CrateId, CrateSource, CrateUse, Sbom, lock::Lock, native};
use crate::{
    build::cargo::message::{BuildScript, CompiledUnit},
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        error::{Error, Result},
    },
};

/// The name of the host in the list of units.
const HOST: &str = "host";

/// The values that conditions on dependencies are evaluated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The target's name.
    pub name: String,
    /// The output of `rustc --print cfg`.
    pub cfgs: Vec<Cfg>,
}

impl Platform {
    /// Returns the platform `name`; `text` is the output of `rustc --print cfg`.
    ///
    /// # Errors
    /// A line is not a configuration.
    pub fn new(name: &str, text: &str) -> Result<Self> {
        let cfgs = text.lines().map(str::parse).collect::<std::result::Result<_, _>>();
        let cfgs = cfgs.map_err(|error| {
            Error::tool(format!("what `rustc --print cfg` prints for `{name}` cannot be parsed"))
                .because(error)
        })?;
        Ok(Platform { name: name.to_owned(), cfgs })
    }
}

/// The inputs of all SBOMs.
#[derive(Debug)]
pub struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    nodes: BTreeMap<&'a str, &'a Node>,
    lock: Lock,
    /// The features of every package's units, by package and target.
    units: BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>,
    build_scripts: BTreeSet<&'a str>,
    scripts: &'a [BuildScript],
    /// By their names in `units`.
    platforms: BTreeMap<&'a str, &'a Platform>,
}

/// A package as a part of the target's side of a build, or of the host's.
type GraphNode<'a> = (&'a str, CrateUse);

impl<'a> Graph<'a> {
    /// Combines the packages that cargo resolved (`metadata`, with dependencies, and the content of
    /// `Cargo.lock`), those that it compiled (`compiled`, `scripts`), and the platforms; `host` is that of
    /// build scripts.
    ///
    /// # Errors
    /// The lock file is none.
    pub fn new(
        metadata: &'a Metadata,
        lock: &str,
        (compiled, scripts): (&'a [CompiledUnit], &'a [BuildScript]),
        host: &'a Platform,
        targets: &'a [Platform],
    ) -> Result<Self> {
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let mut units: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for unit in compiled.iter().filter(|unit| !unit.script) {
            let compiled_features =
                units.entry((unit.package.as_str(), unit.target.as_str())).or_default();
            compiled_features.extend(unit.features.iter().map(String::as_str));
        }
        let built = compiled.iter().filter(|unit| unit.script);
        let mut platforms: BTreeMap<&str, &Platform> =
            targets.iter().map(|platform| (platform.name.as_str(), platform)).collect_map();
        platforms.insert(HOST, host);
        Ok(Graph {
            packages: metadata.packages.iter().map(|one| (one.id.repr.as_str(), one)).collect_map(),
            nodes: nodes.map(|node| (node.id.repr.as_str(), node)).collect_map(),
            lock: Lock::parse(lock)?,
            units,
            build_scripts: built.map(|unit| unit.package.as_str()).collect_set(),
            scripts,
            platforms,
        })
    }

    /// Returns the SBOM of the binaries of the package with this manifest, for `target`.
    ///
    /// # Errors
    /// Cargo does not know the package.
    pub fn sbom(&self, manifest: &str, target: &str) -> Result<Sbom> {
        let root = self.packages.values().find(|package| package.manifest_path == manifest);
        let root = root
            .map(|package| package.id.repr.as_str())
            .ok_or_else(|| Error::build(format!("cargo lists no dependencies of `{manifest}`")))?;
        let edges = self.closure(root, target);
        let mut kinds: BTreeMap<&str, CrateUse> = BTreeMap::new();
        for (package, kind) in edges.keys() {
            let known = kinds.entry(*package).or_insert(*kind);
            *known = (*known).max(*kind);
        }
        let mut crates: Vec<(&str, Crate)> = kinds
            .iter()
            .filter_map(|(id, kind)| {
                let package = self.packages.get(id)?;
                Some((*id, self.describe(package, target, *kind, *id == root)))
            })
            .collect();
        crates.sort_stable_by(|a, b| a.1.id.cmp(&b.1.id));
        let locations: BTreeMap<&str, usize> =
            crates.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect_map();
        for (from, to) in &edges {
            let location = locations.get(from.0).and_then(|&at| crates.get_mut(at));
            if let Some((_, from)) = location {
                let to = to.iter().filter_map(|(id, _)| locations.get(id).copied());
                from.dependencies.extend(to);
            }
        }
        Ok(Sbom { crates: crates.into_iter().map(|(_, one)| one).collect() })
    }

    /// Returns the packages that were compiled for the binaries of `root`, each with those that it depends on.
    fn closure(
        &self,
        root: &'a str,
        target: &str,
    ) -> BTreeMap<GraphNode<'a>, BTreeSet<GraphNode<'a>>> {
        let mut edges: BTreeMap<GraphNode<'a>, BTreeSet<GraphNode<'a>>> = BTreeMap::new();
        let mut open = vec![(root, CrateUse::Runtime)];
        while let Some(location) = open.pop() {
            if edges.contains_key(&location) {
                continue;
            }
            let next = self.edges_from(location, target);
            open.extend(next.iter().copied());
            edges.insert(location, next);
        }
        edges
    }

    fn edges_from(&self, (id, kind): GraphNode<'a>, target: &str) -> BTreeSet<GraphNode<'a>> {
        let (Some(node), Some(package)) = (self.nodes.get(id), self.packages.get(id)) else {
            return BTreeSet::new();
        };
        let mut next = BTreeSet::new();
        for dep in &node.deps {
            let to = dep.pkg.repr.as_str();
            let Some(other) = self.packages.get(to) else { continue };
            for declared in declared_dependencies(package, other) {
                if !self.is_enabled(package, declared, kind, target) {
                    continue;
                }
                // What a build script needs is for the host, and so is a procedural macro.
                let of_host = match declared.kind {
                    DependencyKind::Normal => kind == CrateUse::Build || is_macro(other),
                    DependencyKind::Build if self.build_scripts.contains(id) => true,
                    _ => continue,
                };
                let kind = if of_host { CrateUse::Build } else { CrateUse::Runtime };
                if self.units.contains_key(&(to, platform_name(kind, target))) {
                    next.insert((to, kind));
                }
            }
        }
        next
    }

    /// Returns whether a dependency is enabled on this platform, with the features that its package was
    /// compiled with.
    fn is_enabled(
        &self,
        package: &Package,
        dep: &Dependency,
        kind: CrateUse,
        target: &str,
    ) -> bool {
        // Build scripts run on the host, whatever they build for.
        let of_script = dep.kind == DependencyKind::Build;
        let platform = if of_script { HOST } else { platform_name(kind, target) };
        if let (Some(condition), Some(platform)) = (&dep.target, self.platforms.get(platform))
            && !condition.matches(&platform.name, &platform.cfgs)
        {
            return false;
        }
        if !dep.optional {
            return true;
        }
        // And they have the features of what they build for.
        let Some(on) = self.units.get(&(package.id.repr.as_str(), platform_name(kind, target)))
        else {
            return false;
        };
        let name = dep.rename.as_deref().unwrap_or(&dep.name);
        on.iter().any(|feature| {
            let enabled = package.features.get(*feature);
            enabled.is_some_and(|values| values.iter().any(|value| enables_dependency(value, name)))
        })
    }

    fn describe(&self, package: &Package, target: &str, kind: CrateUse, root: bool) -> Crate {
        let id = package.id.repr.as_str();
        let features = self.units.get(&(id, platform_name(kind, target))).into_iter().flatten();
        let source = package.source.as_ref();
        let version = package.version.to_string();
        let checksum = source
            .and_then(|source| self.lock.checksum(package.name.as_ref(), &version, &source.repr));
        let native = (kind == CrateUse::Runtime).then(|| self.native(package, target)).flatten();
        Crate {
            id: CrateId {
                name: package.name.to_string(),
                version: package.version.clone(),
                source: source.map_or(CrateSource::Local, CrateSource::new),
            },
            checksum: checksum.map(str::to_owned),
            license: package.license.clone(),
            features: features.map(|feature| (*feature).to_owned()).collect_set(),
            kind,
            root,
            dependencies: BTreeSet::new(),
            native,
            targets: BTreeSet::from([target.to_owned()]),
        }
    }

    fn native(&self, package: &Package, target: &str) -> Option<native::Native> {
        let id = package.id.repr.as_str();
        let of_target = |script: &&BuildScript| script.package == id && script.target == target;
        let libraries = self.scripts.iter().filter(of_target);
        let libraries = libraries.flat_map(|script| &script.libraries).map(String::as_str);
        // The crate that carries the source, where that is another one (`openssl-src`).
        let deps = self.nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let sources = deps.filter_map(|dep| self.packages.get(dep.pkg.repr.as_str()));
        let source = sources.copied().find(|source| {
            source.name.ends_with("-src")
                && self.units.contains_key(&(source.id.repr.as_str(), HOST))
        });
        native::bundled_library(package, source, libraries)
    }
}

impl CrateSource {
    pub(super) fn new(source: &cargo_metadata::Source) -> Self {
        if source.is_crates_io() {
            return CrateSource::CratesIo;
        }
        match source.repr.split_once('+') {
            Some(("git", url)) => CrateSource::Git(without_credentials(url)),
            Some((_, url)) => CrateSource::Registry(without_credentials(url)),
            None => CrateSource::Registry(without_credentials(&source.repr)),
        }
    }
}

/// Returns a URL without user name and password (RFC 3986, 3.2.1), and without the query, which for git
/// repeats the requested revision.
fn without_credentials(url: &str) -> String {
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let url = url.split('?').next().unwrap_or_default();
    let mut public = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    };
    if !fragment.is_empty() {
        public = format!("{public}#{fragment}");
    }
    public
}

/// Returns the name of the platform that units of this kind are compiled for.
fn platform_name(kind: CrateUse, target: &str) -> &str {
    if kind == CrateUse::Build { HOST } else { target }
}

fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro))
}

/// Returns the entries of `package`'s manifest that mean `other`. Two versions of one crate have separate
/// entries.
fn declared_dependencies<'a>(package: &'a Package, other: &Package) -> Vec<&'a Dependency> {
    let of_name = || package.dependencies.iter().filter(|dep| dep.name == *other.name);
    // `*` is also what a dependency without a version has, and that takes pre-releases.
    let fits = |dep: &&Dependency| dep.req == VersionReq::STAR || dep.req.matches(&other.version);
    let fitting: Vec<_> = of_name().filter(fits).collect();
    // A patch can have a different version than the requested one.
    if fitting.is_empty() { of_name().collect() } else { fitting }
}

/// Returns whether one value of a feature enables the optional dependency `name`
/// (<https://doc.rust-lang.org/cargo/reference/features.html#dependency-features>).
fn enables_dependency(value: &str, name: &str) -> bool {
    match value.split_once('/') {
        Some((dependency, _)) => dependency == name,
        None => value.strip_prefix("dep:") == Some(name),
    }
}
