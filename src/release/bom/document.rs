//! The parts that both formats of documents share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Crate, CrateId, CrateSource, Sbom};
use crate::model::collect::CollectOrdered as _;

/// The subject of a document.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The package's name, or the image's.
    pub name: String,
    /// Its version, or the image's tag.
    pub version: String,
    /// Its kind.
    pub what: SubjectKind,
    /// Seconds since 1970 that stand for the time at which the document was made.
    pub epoch: u64,
    /// The names of the programs that built it, and their versions.
    pub tools: BTreeMap<String, String>,
    /// Its binaries.
    pub binaries: Vec<SbomBinary>,
    /// Components of these besides crates.
    pub others: Vec<Component>,
    /// The crates.
    pub bill: Sbom,
}

/// The kinds of subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// A package's binaries for one target.
    Binaries {
        /// The target.
        target: String,
    },
    /// An image of one or more platforms.
    Image {
        /// The sha256 of its index or manifest, in hexadecimal.
        digest: String,
        /// The platforms, and the sha256 of each one's manifest.
        platforms: Vec<(String, String)>,
    },
}

/// A binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SbomBinary {
    /// Its path.
    pub path: String,
    /// The package that it is of.
    pub package: String,
    /// Its target.
    pub target: String,
    /// Its sha256, in hexadecimal.
    pub sha256: String,
}

/// A component of a binary that is not a crate among its dependencies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version, if it is known.
    pub version: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
    /// Its origin.
    pub comment: String,
}

impl Component {
    /// Returns Rust's standard library, as it comes with rustc `version`.
    pub fn std(version: &str) -> Self {
        Component {
            name: "rust-std".to_owned(),
            version: Some(version.to_owned()),
            license: Some("MIT OR Apache-2.0".to_owned()),
            purl: Some(generic_purl("rust-std", Some(version))),
            comment: format!("the standard library of rustc {version}"),
        }
    }

    /// Returns musl's libc in `version`, which comes with `source`.
    pub fn musl(version: Option<&str>, source: &str) -> Self {
        Component {
            name: "musl".to_owned(),
            version: version.map(str::to_owned),
            license: Some("MIT".to_owned()),
            purl: Some(generic_purl("musl", version)),
            comment: format!("the libc that {source} brings"),
        }
    }

    /// Returns longshore's memory functions.
    pub fn memory_functions() -> Self {
        Component {
            name: "longshore-memory".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            license: Some(env!("CARGO_PKG_LICENSE").to_owned()),
            purl: Some(generic_purl("longshore-memory", Some(env!("CARGO_PKG_VERSION")))),
            comment: "the memory functions of longshore".to_owned(),
        }
    }

    /// Returns mimalloc, as the crate `libmimalloc-sys` of that version has it.
    pub fn mimalloc(version: &str) -> Self {
        Component {
            name: "libmimalloc-sys".to_owned(),
            version: Some(version.to_owned()),
            license: Some("MIT".to_owned()),
            purl: Some(format!("pkg:cargo/libmimalloc-sys@{version}")),
            comment: "mimalloc, which serves `malloc`".to_owned(),
        }
    }
}

impl CrateId {
    /// Returns the package URL (<https://github.com/package-url/purl-spec>, type `cargo`). A crate that is in
    /// no registry has none: it would name another crate of the same name there.
    pub fn purl(&self) -> Option<String> {
        let plain = format!("pkg:cargo/{}@{}", percent_encode(&self.name), encoded_version(self));
        match &self.source {
            CrateSource::CratesIo => Some(plain),
            CrateSource::Registry(url) => {
                Some(format!("{plain}?repository_url={}", percent_encode(url)))
            }
            CrateSource::Git(url) => {
                let url = format!("git+{}", url.replace('#', "@"));
                Some(format!("{plain}?vcs_url={}", percent_encode(&url)))
            }
            CrateSource::Local => None,
        }
    }
}

fn encoded_version(id: &CrateId) -> String {
    percent_encode(&id.version.to_string())
}

/// Returns the package URL of a component that is in no registry of packages.
pub(super) fn generic_purl(name: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => {
            format!("pkg:generic/{}@{}", percent_encode(name), percent_encode(version))
        }
        None => format!("pkg:generic/{}", percent_encode(name)),
    }
}

/// Returns `text` with every character encoded that is not permitted in a package URL.
fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            out.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Returns a unique reference for each crate of the SBOM.
pub(super) fn references(bill: &Sbom) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let unique = |one: &Crate| {
        let plain = format!("{}@{}", one.id.name, one.id.version);
        let mut name = plain.clone();
        // The same crate from two sources.
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{plain}#{number}");
            number += 1;
        }
        name
    };
    bill.crates.iter().map(unique).collect()
}

/// Formats a time as RFC 3339.
pub(super) fn format_time(epoch: u64) -> String {
    // The year 9999 is the last that RFC 3339 can write.
    let epoch = std::time::Duration::from_secs(epoch.min(253_402_300_799));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + epoch).to_string()
}

/// Returns a UUID for a document that is derived from its content, and so is the same for the same: the first
/// bits of a sha256 in the form of version 8 (RFC 9562, 5.8).
pub(super) fn uuid(document: &Value) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(sorted(document).to_string()) {
        let _ = write!(hex, "{byte:02x}");
    }
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

/// Returns the document as JSON, with its keys sorted, whatever order the map of this build has.
pub(super) fn to_json(document: &Value) -> String {
    let mut text = format!("{:#}", sorted(document));
    text.push('\n');
    text
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<&String, &Value> = map.iter().collect_map();
            map.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Value::Array(all) => all.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
