//! An artifact that may ship.

use std::fmt;

use super::{FileContext, Policy, Report, verify_with_context};
use crate::model::{
    digest::Digest,
    error::Error,
    schema::dist::{Artifact, Finding, Level, Verdict},
    source::Source,
};

/// An artifact with an accepted verdict on exactly its bytes. Archives and images take nothing else, so
/// that what was not verified cannot ship.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedArtifact {
    artifact: Artifact,
    digest: Digest,
}

impl VerifiedArtifact {
    /// Verifies the file of `artifact`, which is `source` with that digest, under `policy`, and
    /// keeps the verdict in the record.
    ///
    /// # Errors
    /// [`ArtifactError::Mismatch`] where the bytes, the target or the platform are not those of the
    /// record; [`ArtifactError::Denied`] with the verdict where a lint denies them.
    pub fn new(
        mut artifact: Artifact,
        source: Source<'_>,
        digest: Digest,
        policy: &Policy,
    ) -> Result<Self, ArtifactError> {
        compare_record(&artifact, digest, source.size(), policy)
            .map_err(|(path, difference)| ArtifactError::Mismatch { path, difference })?;
        let context =
            FileContext { cpu_flags: artifact.cpu_flags.clone(), ..FileContext::default() };
        let verdict = policy.waive(verify_with_context(source, &context, policy), &artifact.path);
        if !verdict.accepted {
            let path = artifact.path;
            return Err(ArtifactError::Denied { path, verdict });
        }
        artifact.verdict = Some(verdict);
        Ok(VerifiedArtifact { artifact, digest })
    }

    /// Accepts the verdict in the record of an earlier run, for a file of that digest and size.
    ///
    /// # Errors
    /// [`ArtifactError::Mismatch`] where the file is not that of the record; [`ArtifactError::Denied`] where the
    /// verdict is not that it may ship, or there is none.
    pub fn from_record(
        artifact: Artifact,
        digest: Digest,
        size: u64,
    ) -> Result<Self, ArtifactError> {
        compare_file(&artifact, digest, size).map_err(|difference| ArtifactError::Mismatch {
            path: artifact.path.clone(),
            difference,
        })?;
        match artifact.verdict.clone() {
            Some(verdict) if verdict.accepted => Ok(VerifiedArtifact { artifact, digest }),
            verdict => Err(ArtifactError::Denied {
                path: artifact.path,
                verdict: verdict
                    .unwrap_or_else(|| super::reject_unreadable("it was never verified")),
            }),
        }
    }

    /// Returns the record, which includes the verdict.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Returns the digest of the verified bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the record, which includes the verdict, to be written to a file.
    pub fn into_artifact(self) -> Artifact {
        self.artifact
    }
}

/// Returns the verdict on a file of that digest and size if it is not the one that `artifact`
/// describes, or `policy` is not that of its target.
pub fn mismatch(
    artifact: &Artifact,
    digest: Digest,
    size: u64,
    policy: &Policy,
) -> Option<Verdict> {
    let (_, difference) = compare_record(artifact, digest, size, policy).err()?;
    Some(super::rejected(Finding {
        lint: super::RECORD.to_owned(),
        level: Level::Deny,
        message: "the file does not match dist.json".to_owned(),
        evidence: difference,
        hint: "run `cargo longshore build` again; the file was changed since".to_owned(),
        waived: None,
    }))
}

fn compare_file(artifact: &Artifact, digest: Digest, size: u64) -> Result<(), String> {
    if digest != artifact.sha256 {
        return Err(format!("its digest is {digest}, expected {}", artifact.sha256));
    }
    if artifact.size != size {
        return Err(format!("it has {size} bytes, expected {}", artifact.size));
    }
    Ok(())
}

fn compare_record(
    artifact: &Artifact,
    digest: Digest,
    size: u64,
    policy: &Policy,
) -> Result<(), (String, String)> {
    let mismatch_error = |difference| Err((artifact.path.clone(), difference));
    compare_file(artifact, digest, size).or_else(mismatch_error)?;
    let Some(target) = policy.target() else {
        return mismatch_error("the expectations of its target are unknown".to_owned());
    };
    if target.name != artifact.target || target.platform != artifact.platform {
        return mismatch_error(format!(
            "it is recorded as `{}` on `{}`, and verified as `{}` on `{}`",
            artifact.target, artifact.platform, target.name, target.platform
        ));
    }
    Ok(())
}

/// The reason for which an artifact may not ship.
#[derive(Clone, Debug, PartialEq)]
pub enum ArtifactError {
    /// The bytes are not those that the record describes.
    Mismatch {
        /// The artifact's path, from its record.
        path: String,
        /// The difference.
        difference: String,
    },
    /// A lint denies them.
    Denied {
        /// The artifact's path, from its record.
        path: String,
        /// All that was found.
        verdict: Verdict,
    },
}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArtifactError::Mismatch { path, difference } => {
                write!(f, "`{path}` does not match dist.json: {difference}")
            }
            ArtifactError::Denied { path, verdict } => Report::new(path, verdict).fmt(f),
        }
    }
}

impl std::error::Error for ArtifactError {}

impl From<ArtifactError> for Error {
    fn from(artifact_error: ArtifactError) -> Self {
        let error = Error::check(artifact_error.to_string());
        match artifact_error {
            ArtifactError::Mismatch { .. } => {
                error.hint("run `cargo longshore build` again; the file was changed since")
            }
            ArtifactError::Denied { .. } => error,
        }
    }
}
