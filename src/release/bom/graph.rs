//! From what cargo resolved and what it compiled to the crates of one binary.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{
    Dependency, DependencyKind, Metadata, Node, Package, TargetKind, cargo_platform::Cfg,
    semver::VersionReq,
};

use super::{Bill, Crate, Id, Kind, Source, lock::Lock, native};
use crate::{
    build::cargo::message::{Compiled, Script},
    model::error::{Error, Result},
};

/// The host, as the ledger of units calls it.
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
            Error::tool(format!("what `rustc --print cfg` says of `{name}` is not understood"))
                .because(error)
        })?;
        Ok(Platform { name: name.to_owned(), cfgs })
    }
}

/// Everything that bills are made of.
#[derive(Debug)]
pub struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    nodes: BTreeMap<&'a str, &'a Node>,
    lock: Lock,
    /// The features of every package's units, by package and target.
    units: BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>,
    build_scripts: BTreeSet<&'a str>,
    scripts: &'a [Script],
    /// By what they are called in `units`.
    platforms: BTreeMap<&'a str, &'a Platform>,
}

/// A package as a part of the target's side of a build, or of the host's.
type Place<'a> = (&'a str, Kind);

impl<'a> Graph<'a> {
    /// Brings together what cargo resolved (`metadata`, with dependencies, and the text of
    /// `Cargo.lock`), what it did (`compiled`, `scripts`), and the platforms, `host` being what
    /// build scripts run on.
    ///
    /// # Errors
    /// The lock file is none.
    pub fn new(
        metadata: &'a Metadata,
        lock: &str,
        (compiled, scripts): (&'a [Compiled], &'a [Script]),
        host: &'a Platform,
        targets: &'a [Platform],
    ) -> Result<Self> {
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let mut units: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for unit in compiled.iter().filter(|unit| !unit.script) {
            let of = units.entry((unit.package.as_str(), unit.target.as_str())).or_default();
            of.extend(unit.features.iter().map(String::as_str));
        }
        let built = compiled.iter().filter(|unit| unit.script);
        let mut platforms: BTreeMap<&str, &Platform> =
            targets.iter().map(|platform| (platform.name.as_str(), platform)).collect();
        platforms.insert(HOST, host);
        Ok(Graph {
            packages: metadata.packages.iter().map(|one| (one.id.repr.as_str(), one)).collect(),
            nodes: nodes.map(|node| (node.id.repr.as_str(), node)).collect(),
            lock: Lock::read(lock)?,
            units,
            build_scripts: built.map(|unit| unit.package.as_str()).collect(),
            scripts,
            platforms,
        })
    }

    /// The bill of the binaries that the package with this manifest has, for `target`.
    ///
    /// # Errors
    /// Cargo does not know the package.
    pub fn bill(&self, manifest: &str, target: &str) -> Result<Bill> {
        let root = self.packages.values().find(|package| package.manifest_path == manifest);
        let root = root.map(|package| package.id.repr.as_str()).ok_or_else(|| {
            Error::build(format!("cargo says nothing of the dependencies of `{manifest}`"))
        })?;
        let edges = self.closure(root, target);
        let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
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
        crates.sort_by(|a, b| a.1.id.cmp(&b.1.id));
        let places: BTreeMap<&str, usize> =
            crates.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        for (from, to) in &edges {
            let place = places.get(from.0).and_then(|&at| crates.get_mut(at));
            if let Some((_, from)) = place {
                let to = to.iter().filter_map(|(id, _)| places.get(id).copied());
                from.dependencies.extend(to);
            }
        }
        Ok(Bill { crates: crates.into_iter().map(|(_, one)| one).collect() })
    }

    /// What was compiled for the binaries of `root`, and which of it needs which.
    fn closure(&self, root: &'a str, target: &str) -> BTreeMap<Place<'a>, BTreeSet<Place<'a>>> {
        let mut edges: BTreeMap<Place<'a>, BTreeSet<Place<'a>>> = BTreeMap::new();
        let mut open = vec![(root, Kind::Runtime)];
        while let Some(place) = open.pop() {
            if edges.contains_key(&place) {
                continue;
            }
            let next = self.next(place, target);
            open.extend(next.iter().copied());
            edges.insert(place, next);
        }
        edges
    }

    fn next(&self, (id, kind): Place<'a>, target: &str) -> BTreeSet<Place<'a>> {
        let (Some(node), Some(package)) = (self.nodes.get(id), self.packages.get(id)) else {
            return BTreeSet::new();
        };
        let mut next = BTreeSet::new();
        for dep in &node.deps {
            let to = dep.pkg.repr.as_str();
            let Some(other) = self.packages.get(to) else { continue };
            for declared in declared(package, other) {
                if !self.is_on(package, declared, kind, target) {
                    continue;
                }
                // What a build script needs is for the host, and so is a procedural macro.
                let of_host = match declared.kind {
                    DependencyKind::Normal => kind == Kind::Build || is_macro(other),
                    DependencyKind::Build if self.build_scripts.contains(id) => true,
                    _ => continue,
                };
                let kind = if of_host { Kind::Build } else { Kind::Runtime };
                if self.units.contains_key(&(to, side(kind, target))) {
                    next.insert((to, kind));
                }
            }
        }
        next
    }

    /// Whether a dependency is one on this platform, with the features that its package was
    /// compiled with.
    fn is_on(&self, package: &Package, dep: &Dependency, kind: Kind, target: &str) -> bool {
        // Build scripts run on the host, whatever they build for.
        let of_script = dep.kind == DependencyKind::Build;
        let platform = if of_script { HOST } else { side(kind, target) };
        if let (Some(condition), Some(platform)) = (&dep.target, self.platforms.get(platform))
            && !condition.matches(&platform.name, &platform.cfgs)
        {
            return false;
        }
        if !dep.optional {
            return true;
        }
        // And they have the features of what they build for.
        let Some(on) = self.units.get(&(package.id.repr.as_str(), side(kind, target))) else {
            return false;
        };
        let name = dep.rename.as_deref().unwrap_or(&dep.name);
        on.iter().any(|feature| {
            let of = package.features.get(*feature);
            of.is_some_and(|values| values.iter().any(|value| turns_on(value, name)))
        })
    }

    fn describe(&self, package: &Package, target: &str, kind: Kind, root: bool) -> Crate {
        let id = package.id.repr.as_str();
        let features = self.units.get(&(id, side(kind, target))).into_iter().flatten();
        let source = package.source.as_ref();
        let version = package.version.to_string();
        let checksum = source
            .and_then(|source| self.lock.checksum(package.name.as_ref(), &version, &source.repr));
        let native = (kind == Kind::Runtime).then(|| self.native(package, target)).flatten();
        Crate {
            id: Id {
                name: package.name.to_string(),
                version: package.version.clone(),
                source: source.map_or(Source::Local, Source::new),
            },
            checksum: checksum.map(str::to_owned),
            license: package.license.clone(),
            features: features.map(|feature| (*feature).to_owned()).collect(),
            kind,
            root,
            dependencies: BTreeSet::new(),
            native,
            targets: BTreeSet::from([target.to_owned()]),
        }
    }

    fn native(&self, package: &Package, target: &str) -> Option<native::Native> {
        let id = package.id.repr.as_str();
        let of_target = |script: &&Script| script.package == id && script.target == target;
        let libraries = self.scripts.iter().filter(of_target);
        let libraries = libraries.flat_map(|script| &script.libraries).map(String::as_str);
        // The crate that carries the source, where that is another one (`openssl-src`).
        let deps = self.nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let sources = deps.filter_map(|dep| self.packages.get(dep.pkg.repr.as_str()));
        let source = sources.copied().find(|source| {
            source.name.ends_with("-src")
                && self.units.contains_key(&(source.id.repr.as_str(), HOST))
        });
        native::bundled(package, source, libraries)
    }
}

impl Source {
    pub(super) fn new(source: &cargo_metadata::Source) -> Self {
        if source.is_crates_io() {
            return Source::CratesIo;
        }
        match source.repr.split_once('+') {
            Some(("git", url)) => Source::Git(public(url)),
            Some((_, url)) => Source::Registry(public(url)),
            None => Source::Registry(public(&source.repr)),
        }
    }
}

/// Returns a URL without user name and password (RFC 3986, 3.2.1), and without the query, which for git
/// repeats the requested revision.
fn public(url: &str) -> String {
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
fn side(kind: Kind, target: &str) -> &str {
    if kind == Kind::Build { HOST } else { target }
}

fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro))
}

/// The entries of `package`'s manifest that mean `other`. Of two versions of one crate, each has
/// its own.
fn declared<'a>(package: &'a Package, other: &Package) -> Vec<&'a Dependency> {
    let of_name = || package.dependencies.iter().filter(|dep| dep.name == *other.name);
    // `*` is also what a dependency without a version has, and that takes pre-releases.
    let fits = |dep: &&Dependency| dep.req == VersionReq::STAR || dep.req.matches(&other.version);
    let fitting: Vec<_> = of_name().filter(fits).collect();
    // A patch can have a different version than the requested one.
    if fitting.is_empty() { of_name().collect() } else { fitting }
}

/// Whether one value of a feature makes the optional dependency `name` one
/// (<https://doc.rust-lang.org/cargo/reference/features.html#dependency-features>).
fn turns_on(value: &str, name: &str) -> bool {
    match value.split_once('/') {
        Some((dependency, _)) => dependency == name,
        None => value.strip_prefix("dep:") == Some(name),
    }
}
