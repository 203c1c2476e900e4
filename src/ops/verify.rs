//! `verify`: verdicts on files.

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::{error::Result, schema::dist::Verdict, sys::Context};

/// One file and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// The file, as it was named.
    pub path: String,
    /// The verdict on it.
    pub verdict: Verdict,
}

/// Verdicts on `paths`.
pub fn verify(
    _cx: &Context,
    _paths: &[Utf8PathBuf],
    _target: Option<&str>,
) -> Result<Vec<Checked>> {
    Ok(Vec::new())
}
