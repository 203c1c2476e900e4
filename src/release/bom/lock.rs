//! `Cargo.lock`, for its checksums
//! (<https://doc.rust-lang.org/cargo/reference/resolver.html#lock-file>).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{
    collect::CollectOrdered as _,
    error::{Error, Result},
};

/// The checksums of packages, by name, version and source.
#[derive(Clone, Debug, Default)]
pub(super) struct Lock(BTreeMap<(String, String, String), String>);

#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    package: Vec<LockPackage>,
}

#[derive(Deserialize)]
struct LockPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl Lock {
    /// Parses a lock file of cargo.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let file: LockFile = toml::from_str(text)
            .map_err(|error| Error::usage("`Cargo.lock` is not understood").because(error))?;
        let known = file.package.into_iter().filter_map(|package| {
            let key = (package.name, package.version, package.source?);
            Some((key, package.checksum?))
        });
        Ok(Lock(known.collect_map()))
    }

    pub(super) fn checksum(&self, name: &str, version: &str, source: &str) -> Option<&str> {
        let key = (name.to_owned(), version.to_owned(), source.to_owned());
        self.0.get(&key).map(String::as_str)
    }
}
