//! `verify`: verdicts on files, archives and images.

mod archived;
mod attestation;
mod base;
mod container;
mod coverage;
mod execution;
mod file;
mod find;
pub(in crate::ops) mod kind;
mod named_image;
mod packed;
mod platforms;
mod release;
pub(in crate::ops) mod rules;
mod signature;

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::{
    build::{
        config::{self, WorkspaceSettings},
        target::Targets,
    },
    model::{
        error::{Error, Result},
        platform::Platform,
        schema::{
            dist::{Artifact, Finding, Level},
            verify::{SCHEMA, Verification},
        },
        source::Source,
    },
    ops::{
        dist::planned::{Planned, Product},
        output::{
            digests::{DigestedFile, Digests},
            stage::Stage,
        },
    },
    sys::{Context, clock, fs, parallel, registry},
    verify::{self, Day, Policy, Settings, VerifiedArtifact},
};
use base::BaseSizes;
use file::{FileOutcome, FileVerifier};
use find::{FoundJobs, VerifyJob};
use rules::{ImagePolicies, PolicyRules};
pub use signature::RequestedSignatures;

/// The items to verify, and the options.
#[derive(Clone, Debug, Default)]
pub struct VerifyRequest {
    /// Files, archives, images, directories, `dist.json`, and images in registries.
    pub paths: Vec<Utf8PathBuf>,
    /// The target with the policy to apply; else each file is verified separately, and each artifact of
    /// a `dist.json` by the policy of its target.
    pub target: Option<String>,
    /// A policy file.
    pub policy: Option<Utf8PathBuf>,
    /// Whether the policies and targets of the workspace in the current directory are left out.
    pub no_workspace: bool,
    /// The `dist.json` that sizes are compared with.
    pub base: Option<Utf8PathBuf>,
    /// The levels of lints, by their names.
    pub levels: Vec<(String, Level)>,
    /// The settings of the runs, if programs are run.
    pub run: Option<RunOptions>,
    /// The platforms with images to check; all if there are none.
    pub platforms: Vec<Platform>,
    /// Whether unread content that may have programs is rejected: archives in archives and in other formats,
    /// and platforms that an index names and a layout does not have.
    pub deny_unchecked: bool,
    /// Whether facts are requested beside verdicts.
    pub facts: bool,
    /// Whether digests of files are requested.
    pub digests: bool,
    /// The signatures that all of it must have.
    pub signature: RequestedSignatures,
    /// The settings for connections to registries.
    pub registry: registry::Settings,
}

/// The settings for running programs.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Their arguments.
    pub args: Vec<String>,
    /// The time limit.
    pub limit: Duration,
}

/// Returns verdicts on all requested items. Items that cannot be read are rejected, and all others are
/// verified just the same.
///
/// # Errors
/// The target or a lint is unknown, or the policy, the base, or a file of the workspace's `targets`
/// is broken.
pub fn verify(cx: &Context, request: &VerifyRequest) -> Result<Verification> {
    let rules = PolicyRules::new(cx, request)?;
    let keys = request.signature.read()?;
    let mut found = FoundJobs::default();
    for path in &request.paths {
        platforms::check_unselected(path, request)?;
        found.add_path(path, &rules)?;
    }
    let policies = found.jobs.iter().map(|job| job_policy(job, &rules));
    let policies = policies.collect::<Result<Vec<_>>>()?;
    let base = request.base.as_deref().map(BaseSizes::read).transpose()?;
    let targets = Targets::new([])?;
    let looker = FileVerifier::new(cx, request, &targets, base.as_ref());
    let jobs = &found.jobs;
    let outcomes =
        parallel::map(jobs.len(), |index| match (jobs.get(index), policies.get(index)) {
            (Some(VerifyJob::Done(checked)), _) => FileOutcome::from_checked(checked.clone()),
            (Some(VerifyJob::Artifact(path, artifact)), _) => {
                looker.check_artifact(path, &artifact.0, &artifact.1)
            }
            (Some(VerifyJob::Archive(path, recorded)), _) => looker.check_archive(path, recorded),
            (Some(VerifyJob::Recorded(path, recorded)), _) => looker.check_recorded(path, recorded),
            (Some(VerifyJob::Named(path)), Some(Some(policy))) => {
                looker.check_path(path, policy, false)
            }
            (Some(VerifyJob::Listed(path, kind)), Some(Some(policy))) => {
                looker.check_listed(path, *kind, policy)
            }
            (Some(VerifyJob::Image(path, digest, policies)), _) => {
                looker.check_layout(path, Some(*digest), policies)
            }
            (Some(VerifyJob::Layout(path)), Some(Some(policy))) => {
                looker.check_layout(path, None, &ImagePolicies::one(policy.clone()))
            }
            (Some(VerifyJob::Chosen(text, run_path, name)), Some(Some(policy))) => {
                looker.check_named_image(text, run_path, name, policy)
            }
            (Some(VerifyJob::Remote(path, reference)), Some(Some(policy))) => {
                looker.check_remote(path, reference, policy)
            }
            _ => FileOutcome::default(),
        });
    cx.children.check()?;
    let attestations = attestation::check(cx, &keys, &found)?;
    let mut signed = signature::check(cx, request, &outcomes, &attestations.signed)?;
    signed.extend(attestations.checked);
    let mut all =
        FileOutcome { not_checked: found.not_checked, checked: signed, ..FileOutcome::default() };
    for outcome in outcomes {
        all.checked.extend(outcome.checked);
        all.not_checked.extend(outcome.not_checked);
    }
    let FileOutcome { mut checked, mut not_checked, .. } = all;
    if request.deny_unchecked {
        let unread = not_checked.extract_if(.., |file| kind::may_hold_programs(&file.reason));
        checked.extend(unread.map(|file| file::rejected(&file.path, &file.reason)));
    }
    for checked in &checked {
        if let Some(finding) = verify::missing_input(&checked.verdict) {
            let Finding { lint, evidence, hint, .. } = finding;
            let path = checked.path.escape_debug();
            let message = format!("lint `{lint}` cannot be applied to `{path}`: {evidence}");
            return Err(Error::usage(message).hint(hint.clone()));
        }
    }
    let accepted = checked.iter().all(|checked| checked.verdict.accepted);
    let policies = rules.sources(&found.used);
    Ok(Verification { schema: SCHEMA, accepted, checked, not_checked, policies })
}

/// Returns the policy of a file that was named or found in a directory; `None` for a job that has its
/// own.
fn job_policy(job: &VerifyJob, rules: &PolicyRules<'_>) -> Result<Option<Policy>> {
    match job {
        VerifyJob::Done(_)
        | VerifyJob::Artifact(..)
        | VerifyJob::Archive(..)
        | VerifyJob::Recorded(..)
        | VerifyJob::Image(..) => Ok(None),
        VerifyJob::Named(path)
        | VerifyJob::Listed(path, _)
        | VerifyJob::Layout(path)
        | VerifyJob::Remote(path, _) => rules.file_policy(path).map(Some),
        VerifyJob::Chosen(_, run_path, _) => rules.file_policy(run_path).map(Some),
    }
}

pub(in crate::ops) fn today() -> Result<Day> {
    clock::today().parse().map_err(|why: String| Error::usage(format!("the clock is wrong: {why}")))
}

pub(in crate::ops) fn read_policy_file(path: &Utf8Path) -> Result<Settings> {
    match fs::read_to_string_if_exists(path)? {
        Some(text) => Settings::parse(path.as_str(), &text),
        None => Err(Error::usage(format!("there is no policy file `{path}`"))
            .hint("docs/policy.md shows one")),
    }
}

/// Reads `[workspace.metadata.longshore.verify]` of the `Cargo.toml` in `root`. Cargo is not run, which
/// would take longer than all else.
pub(in crate::ops) fn workspace_settings(root: &Utf8Path) -> Result<Option<Settings>> {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Option<Table>,
    }
    #[derive(Deserialize)]
    struct Table {
        metadata: Option<serde_json::Value>,
    }
    let path = root.join("Cargo.toml");
    let Some(text) = fs::read_to_string_if_exists(&path)? else {
        return Ok(None);
    };
    let wrong = |error| Error::usage(format!("`{path}` is wrong")).because(error);
    let manifest: Manifest = toml::from_str(&text).map_err(wrong)?;
    let Some(metadata) = manifest.workspace.and_then(|workspace| workspace.metadata) else {
        return Ok(None);
    };
    let run_path = format!("`[workspace.metadata.longshore]` in `{path}`");
    config::read_settings::<WorkspaceSettings>(&metadata, &run_path)
        .map(|settings| Some(settings.verify))
}

/// Verifies every artifact in the stage. The order is kept.
///
/// # Errors
/// At least one is rejected: every finding on each, with evidence and hint.
pub(in crate::ops) fn verify_artifacts<'p>(
    cx: &Context,
    planned: &Planned,
    stage: &Stage,
    digests: &Digests,
    products: Vec<Product<'p, Artifact>>,
) -> Result<Vec<Product<'p, VerifiedArtifact>>> {
    let mut verified = Vec::new();
    let mut rejection = Vec::new();
    for Product { job, artifact } in products {
        let target = planned.targets.get(&artifact.target)?;
        let policy = target
            .policy()
            .with_build_paths(build_paths(cx, planned))
            .with_today(today()?)
            .with_settings(&planned.verify)?;
        let (file, DigestedFile { digest, .. }) = digests.open(&stage.root, &artifact.path)?;
        let name = format!("{} {}", artifact.platform, artifact.name);
        match VerifiedArtifact::new(artifact, Source::File(&file), digest, &policy) {
            Ok(artifact) => {
                let verdict = artifact.artifact().verdict.as_ref();
                for finding in verdict.into_iter().flat_map(|verdict| &verdict.findings) {
                    let Finding { lint, message, evidence, waived, .. } = finding;
                    match waived {
                        None => cx.warn(format!("{name}: {message} ({lint}: {evidence})")),
                        Some(reason) => {
                            let what = format!("{name}: {lint}: {evidence}: {reason}");
                            cx.status("Waived", what);
                        }
                    }
                }
                let lints = verdict.map_or(0, |verdict| verdict.lints.len());
                cx.status("Verified", format!("{name}: {lints} checks"));
                verified.push(Product { job, artifact });
            }
            Err(error) => rejection.push(error.to_string()),
        }
    }
    if rejection.is_empty() {
        return Ok(verified);
    }
    let count = rejection.len();
    let total = verified.len() + count;
    Err(Error::check(format!("{count} of {total} binaries rejected; nothing was packed"))
        .detail(rejection.join("\n"))
        .hint(format!("the binaries are in `{}`", stage.failed_path())))
}

/// Returns the directories of this machine that must not be named in a binary.
fn build_paths(cx: &Context, planned: &Planned) -> Vec<String> {
    let plan = &planned.plan;
    let mut paths = vec![
        plan.workspace.clone(),
        plan.target_directory.clone(),
        planned.rust.sysroot.to_string(),
    ];
    paths.extend(cx.env.cargo_home().map(Utf8PathBuf::into_string));
    // `/root` and the like occur in many binaries for other reasons; a home of more than one part is a
    // user's.
    let home = cx.env.home().filter(|home| home.components().count() > 2);
    paths.extend(home.map(Utf8Path::to_string));
    paths
}
