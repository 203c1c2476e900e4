//! The list of dependencies that a binary carries, in the format of cargo-auditable: JSON,
//! compressed as zlib does (RFC 1950), in the section `.dep-v0`
//! (<https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>).

use std::io::Read as _;

use auditable_serde::{DependencyKind, Package, Source as AuditSource, VersionInfo};
use libdeflater::{CompressionLvl, Compressor};

use super::{Crate, CrateSource, CrateUse, Sbom};
use crate::model::error::{Error, Result};

/// The revision of the format in which procedural macros are dependencies of the build. The list has only what
/// was compiled, which no revision promises for a stable cargo.
const FORMAT: u32 = 1;

/// Returns the content of the section for `bill`.
///
/// # Errors
/// It cannot be compressed.
pub fn encode_section(bill: &Sbom) -> Result<Vec<u8>> {
    let failed = || Error::build("the list of dependencies cannot be written");
    let packages = bill.crates.iter().map(package).collect();
    let json = serde_json::to_vec(&VersionInfo { packages, format: FORMAT })
        .map_err(|error| failed().because(error))?;
    // The same version at the same level gives the same bytes; both are pinned.
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut out = vec![0; compressor.zlib_compress_bound(json.len())];
    let len = compressor
        .zlib_compress(&json, &mut out)
        .map_err(|error| failed().because(error.to_string()))?;
    out.truncate(len);
    Ok(out)
}

/// The maximum size of a list that is read, in bytes: that of a thousand crates has some 100 kB.
const MAX_LENGTH: u64 = 16 << 20;

/// Returns the names and versions of the crates in a binary, from its section. Returns `None` if it cannot be
/// read: only the build of the binary vouches for it.
pub fn decode_section(section: &[u8]) -> Vec<(String, String)> {
    let mut json = Vec::new();
    let unpacked = flate2::read::ZlibDecoder::new(section).take(MAX_LENGTH).read_to_end(&mut json);
    let list = unpacked.ok().and_then(|_| serde_json::from_slice::<VersionInfo>(&json).ok());
    let packages = list.into_iter().flat_map(|list| list.packages);
    packages
        .filter(|package| package.kind == DependencyKind::Runtime)
        .map(|package| (package.name, package.version.to_string()))
        .collect()
}

fn package(one: &Crate) -> Package {
    Package {
        name: one.id.name.clone(),
        version: one.id.version.clone(),
        // Addresses may be private, and the format has no place for them.
        source: match one.id.source {
            CrateSource::CratesIo => AuditSource::CratesIo,
            CrateSource::Registry(_) => AuditSource::Registry,
            CrateSource::Git(_) => AuditSource::Git,
            CrateSource::Local => AuditSource::Local,
        },
        kind: match one.kind {
            CrateUse::Build => DependencyKind::Build,
            CrateUse::Runtime => DependencyKind::Runtime,
        },
        dependencies: one.dependencies.iter().copied().collect(),
        root: one.root,
    }
}
