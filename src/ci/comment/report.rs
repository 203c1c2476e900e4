//! Detects reports of sizes without changes.

use serde::Deserialize;

use crate::model::{
    error::{Error, Result},
    schema::size::SCHEMA,
};

/// The fields of `size --message-format json` that are read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SizeReport {
    schema: u32,
    accepted: bool,
    base: Option<String>,
    binaries: Vec<SizeReportBinary>,
    #[serde(default)]
    archives: Vec<SizeReportBinary>,
    #[serde(default)]
    images: Vec<SizeReportBinary>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SizeReportBinary {
    size: Option<u64>,
    base_size: Option<u64>,
    #[serde(default)]
    changed_crates: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    changed_dependencies: Vec<serde::de::IgnoredAny>,
}

/// Returns whether the report in `text` has no changes: it has a base, every size equals that of the base, no
/// crate or dependency changed, and no budget is exceeded. `path` is for errors.
///
/// # Errors
/// It is not a report of sizes, or one of a later version.
pub fn is_unchanged(path: &str, text: &[u8]) -> Result<bool> {
    let hint = "`size --base BASE --message-format json` writes one";
    let report: SizeReport = serde_json::from_slice(text).map_err(|error| {
        Error::usage(format!("`{path}` is not a report of sizes")).because(error).hint(hint)
    })?;
    if report.schema > SCHEMA {
        let message =
            format!("`{path}` has schema {}, which is newer than {SCHEMA}", report.schema);
        return Err(Error::usage(message).hint("use the same longshore for both"));
    }
    let same = |part: &SizeReportBinary| {
        part.size.is_some()
            && part.size == part.base_size
            && part.changed_crates.is_empty()
            && part.changed_dependencies.is_empty()
    };
    let mut parts = report.binaries.iter().chain(&report.archives).chain(&report.images);
    Ok(report.accepted && report.base.is_some() && parts.all(same))
}
