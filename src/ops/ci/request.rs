//! Requests for files of CI systems and for checks, and the result of a check, in a build with and without the feature `ci`.

use camino::Utf8PathBuf;

use crate::model::provider::Provider;

/// A request for files of CI systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CiRequest {
    /// The CI systems; those of the settings, else those that have files here, else GitHub, when
    /// empty.
    pub providers: Vec<Provider>,
    /// `--manifest-path`.
    pub manifest_path: Option<Utf8PathBuf>,
}

/// A request for the checks before a release is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreflightRequest {
    /// The tag, if it is not that of the CI system.
    pub tag: Option<String>,
    /// Whether secrets are left out.
    pub without_secrets: bool,
    /// `--manifest-path`.
    pub manifest_path: Option<Utf8PathBuf>,
}

/// A file that differs from the generated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleFile {
    /// Relative to the workspace.
    pub path: String,
    /// Whether it is not there at all.
    pub missing: bool,
    /// The changes, as a unified diff.
    pub difference: String,
}

/// A generated file, with the current content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFile {
    /// Relative to the workspace.
    pub path: String,
    /// The generated text.
    pub new: String,
    /// The current content; `None` if there is no such file.
    pub old: Option<String>,
    /// Whether a current content was generated, too.
    pub generated: bool,
}
