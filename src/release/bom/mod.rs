//! SBOMs: the crates in a binary, as the list that is embedded in it (`.dep-v0`) and as documents in
//! CycloneDX's and SPDX's JSON.
//!
//! An SBOM combines cargo's resolved graph (`cargo metadata`) with its messages on compiled units: the
//! graph alone contains crates of other features and other targets.

pub mod audit;
pub mod cyclonedx;
mod document;
mod graph;
mod lock;
mod native;
pub mod spdx;

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

pub use document::{Component, SbomBinary, Subject, SubjectKind};
pub use graph::{Graph, Platform};
pub use native::Native;

use crate::model::collect::CollectOrdered as _;

/// The crates of one package's binaries for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sbom {
    /// Sorted by name, version and source. The package itself is among them.
    pub crates: Vec<Crate>,
}

/// A crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    /// Its identity.
    pub id: CrateId,
    /// The sha256 of its package file, in hexadecimal, as `Cargo.lock` has it.
    pub checksum: Option<String>,
    /// The licence in its manifest.
    pub license: Option<String>,
    /// The features that it was compiled with.
    pub features: BTreeSet<String>,
    /// Its use: in the binary, or only to build it.
    pub kind: CrateUse,
    /// Whether it is the package that the binary is of.
    pub root: bool,
    /// The crates that it needs, by their places in the bill.
    pub dependencies: BTreeSet<usize>,
    /// The library in another language that it brings.
    pub native: Option<Native>,
    /// The targets of the binaries.
    pub targets: BTreeSet<String>,
}

/// Name, version and source, which together are one crate's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrateId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its source.
    pub source: CrateSource,
}

/// The source of a crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrateSource {
    /// The default registry of crates.
    CratesIo,
    /// Another registry, by its address.
    Registry(String),
    /// A git repository, by its address with the commit after a `#`.
    Git(String),
    /// A directory; its path is not published.
    Local,
}

/// The use of a crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrateUse {
    /// It ran while the binary was built: a build script, a procedural macro, or a dependency of these.
    Build,
    /// It is in the binary.
    Runtime,
}

impl Sbom {
    /// Merges several SBOMs: each crate once, with all features, edges and targets that it has in one of them.
    pub fn merge<'a>(bills: impl IntoIterator<Item = &'a Sbom>) -> Sbom {
        let mut all: BTreeMap<CrateId, (Crate, BTreeSet<CrateId>)> = BTreeMap::new();
        for bill in bills {
            for one in &bill.crates {
                let ids = one.dependencies.iter().filter_map(|&at| bill.crates.get(at));
                let ids = ids.map(|other| other.id.clone());
                let (into, edges) =
                    all.entry(one.id.clone()).or_insert_with(|| (one.clone(), BTreeSet::new()));
                edges.extend(ids);
                into.features.extend(one.features.iter().cloned());
                into.targets.extend(one.targets.iter().cloned());
                into.kind = into.kind.max(one.kind);
                into.root |= one.root;
                into.native = into.native.take().or_else(|| one.native.clone());
            }
        }
        let locations: BTreeMap<CrateId, usize> = all.keys().cloned().zip(0..).collect_map();
        let crates = all.into_values().map(|(mut one, edges)| {
            one.dependencies =
                edges.iter().filter_map(|id| locations.get(id).copied()).collect_set();
            one
        });
        Sbom { crates: crates.collect() }
    }
}

#[cfg(test)]
mod tests;
