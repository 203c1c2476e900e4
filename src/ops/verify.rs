//! `verify`: verdicts on files.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    ops::{plan::Planned, stage::Stage},
    schema::dist::{Artifact, Verdict},
    sys::{Context, fs},
    target::Targets,
    verify::{Policy, VerifiedArtifact},
};

/// One file and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// The file, as it was named.
    pub path: String,
    /// The verdict on it.
    pub verdict: Verdict,
}

/// Verdicts on `paths`: against the policy of `target`, else by what each file says of itself.
///
/// # Errors
/// A file cannot be read, or the target is unknown.
pub fn verify(
    _cx: &Context,
    paths: &[Utf8PathBuf],
    targets: &Targets,
    target: Option<&str>,
) -> Result<Vec<Checked>> {
    let policy = match target {
        Some(name) => Policy::for_target(targets.get(name)?),
        None => Policy::for_any(),
    };
    let check = |path: &Utf8PathBuf| -> Result<Checked> {
        // What could not be looked at is never fine: status 1.
        let bytes = fs::read(path).map_err(|error| Error::check(error.to_string()))?;
        let verdict = crate::verify::verify(&bytes, &policy);
        Ok(Checked { path: path.to_string(), verdict })
    };
    paths.iter().map(check).collect()
}

/// Verifies every artifact in the stage. The order is kept.
///
/// # Errors
/// At least one is refused: every finding on each, with evidence and hint.
pub fn artifacts(
    cx: &Context,
    planned: &Planned,
    stage: &Stage,
    artifacts: Vec<Artifact>,
) -> Result<Vec<VerifiedArtifact>> {
    let mut verified = Vec::new();
    let mut refused = Vec::new();
    for artifact in artifacts {
        let target = planned.targets.get(&artifact.target)?;
        let policy = Policy::for_target(target).with_build_paths(build_paths(cx, planned));
        let bytes = fs::read(&stage.path(&artifact.path))?;
        let name = format!("{} {}", artifact.platform, artifact.name);
        match VerifiedArtifact::new(artifact, &bytes, &policy) {
            Ok(artifact) => {
                let verdict = artifact.artifact().verdict.as_ref();
                for finding in verdict.into_iter().flat_map(|verdict| &verdict.findings) {
                    let found = &finding.evidence;
                    cx.warn(format!("{name}: {} ({}: {found})", finding.message, finding.lint));
                }
                let lints = verdict.map_or(0, |verdict| verdict.lints.len());
                cx.status("Verified", format!("{name}: {lints} checks"));
                verified.push(artifact);
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    if refused.is_empty() {
        return Ok(verified);
    }
    let count = refused.len();
    let of = verified.len() + count;
    Err(Error::check(format!("{count} of {of} binaries refused; nothing was packed"))
        .detail(refused.join("\n"))
        .hint(format!("what was built is in `{}`", stage.failed())))
}

/// Directories of this machine that have no business in a binary.
fn build_paths(cx: &Context, planned: &Planned) -> Vec<String> {
    let plan = &planned.plan;
    let mut paths = vec![
        plan.workspace.clone(),
        plan.target_directory.clone(),
        planned.rust.sysroot.to_string(),
    ];
    paths.extend(cx.env.cargo_home().map(Utf8PathBuf::into_string));
    // `/root` and the like are in many a binary for reasons of their own; a home of more than one
    // part is somebody's.
    let home = cx.env.home().filter(|home| home.components().count() > 2);
    paths.extend(home.map(Utf8Path::to_string));
    paths
}
