//! `verify`: verdicts on files, archives and images.

mod archived;
mod base;
mod chosen;
mod coverage;
mod find;
mod inside;
pub(in crate::ops) mod kind;
mod look;
mod packed;
mod platforms;
mod release;
pub(in crate::ops) mod rules;
mod signature;
mod trial;

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
            digests::{Digests, File},
            stage::Stage,
        },
    },
    sys::{Context, clock, fs, parallel, registry},
    verify::{self, Day, Policy, Settings, VerifiedArtifact},
};
use base::Base;
use find::{Found, Job};
use look::{Looker, Outcome};
use rules::{ImagePolicies, Rules};
pub use signature::Signature;

/// The items to verify, and the options.
#[derive(Clone, Debug, Default)]
pub struct Request {
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
    pub run: Option<Trial>,
    /// The platforms with images to check; all if there are none.
    pub platforms: Vec<Platform>,
    /// Whether what may hold programs and is not read is rejected: archives in archives and in other
    /// formats, and platforms that an index names and a layout does not have.
    pub deny_unchecked: bool,
    /// Whether facts are requested beside verdicts.
    pub facts: bool,
    /// Whether digests of files are requested.
    pub digests: bool,
    /// The signatures that all of it must have.
    pub signature: Signature,
    /// The settings for connections to registries.
    pub registry: registry::Settings,
}

/// The settings of the runs of programs.
#[derive(Clone, Debug)]
pub struct Trial {
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
pub fn verify(cx: &Context, request: &Request) -> Result<Verification> {
    let rules = Rules::new(cx, request)?;
    request.signature.read()?;
    let mut found = Found::default();
    for path in &request.paths {
        platforms::check(path, request)?;
        found.path(path, &rules)?;
    }
    let policies = found.jobs.iter().map(|job| policy(job, &rules));
    let policies = policies.collect::<Result<Vec<_>>>()?;
    let base = request.base.as_deref().map(Base::read).transpose()?;
    let targets = Targets::new([])?;
    let looker = Looker::new(cx, request, &targets, base.as_ref());
    let jobs = &found.jobs;
    let outcomes =
        parallel::map(jobs.len(), |index| match (jobs.get(index), policies.get(index)) {
            (Some(Job::Done(checked)), _) => Outcome::of(checked.clone()),
            (Some(Job::Artifact(path, of)), _) => looker.artifact(path, &of.0, &of.1),
            (Some(Job::Archive(path, of)), _) => looker.archived(path, of),
            (Some(Job::Recorded(path, of)), _) => looker.recorded(path, of),
            (Some(Job::Named(path)), Some(Some(policy))) => looker.file(path, policy, false),
            (Some(Job::Listed(path, kind)), Some(Some(policy))) => {
                looker.listed(path, *kind, policy)
            }
            (Some(Job::Image(path, digest, policies)), _) => {
                looker.layout(path, Some(*digest), policies)
            }
            (Some(Job::Layout(path)), Some(Some(policy))) => {
                looker.layout(path, None, &ImagePolicies::one(policy.clone()))
            }
            (Some(Job::Chosen(text, place, name)), Some(Some(policy))) => {
                looker.chosen(text, place, name, policy)
            }
            (Some(Job::Remote(path, reference)), Some(Some(policy))) => {
                looker.remote(path, reference, policy)
            }
            _ => Outcome::default(),
        });
    cx.children.check()?;
    let signed = signature::check(cx, request, &outcomes)?;
    let mut all = Outcome { not_checked: found.not_checked, checked: signed, ..Outcome::default() };
    for outcome in outcomes {
        all.checked.extend(outcome.checked);
        all.not_checked.extend(outcome.not_checked);
    }
    let Outcome { mut checked, mut not_checked, .. } = all;
    if request.deny_unchecked {
        let unread = not_checked.extract_if(.., |file| kind::may_hold_programs(&file.reason));
        checked.extend(unread.map(|file| look::refused(&file.path, &file.reason)));
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
fn policy(job: &Job, rules: &Rules<'_>) -> Result<Option<Policy>> {
    match job {
        Job::Done(_)
        | Job::Artifact(..)
        | Job::Archive(..)
        | Job::Recorded(..)
        | Job::Image(..) => Ok(None),
        Job::Named(path) | Job::Listed(path, _) | Job::Layout(path) | Job::Remote(path, _) => {
            rules.of_file(path).map(Some)
        }
        Job::Chosen(_, place, _) => rules.of_file(place).map(Some),
    }
}

pub(in crate::ops) fn today() -> Result<Day> {
    clock::today().parse().map_err(|why: String| Error::usage(format!("the clock is wrong: {why}")))
}

pub(in crate::ops) fn policy_file(path: &Utf8Path) -> Result<Settings> {
    match fs::read_to_string_if_there(path)? {
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
    let Some(text) = fs::read_to_string_if_there(&path)? else {
        return Ok(None);
    };
    let wrong = |error| Error::usage(format!("`{path}` is wrong")).because(error);
    let manifest: Manifest = toml::from_str(&text).map_err(wrong)?;
    let Some(metadata) = manifest.workspace.and_then(|workspace| workspace.metadata) else {
        return Ok(None);
    };
    let place = format!("`[workspace.metadata.longshore]` in `{path}`");
    config::settings::<WorkspaceSettings>(&metadata, &place).map(|settings| Some(settings.verify))
}

/// Verifies every artifact in the stage. The order is kept.
///
/// # Errors
/// At least one is rejected: every finding on each, with evidence and hint.
pub(in crate::ops) fn artifacts<'p>(
    cx: &Context,
    planned: &Planned,
    stage: &Stage,
    digests: &Digests,
    products: Vec<Product<'p, Artifact>>,
) -> Result<Vec<Product<'p, VerifiedArtifact>>> {
    let mut verified = Vec::new();
    let mut refused = Vec::new();
    for Product { job, artifact } in products {
        let target = planned.targets.get(&artifact.target)?;
        let policy = target
            .policy()
            .with_build_paths(build_paths(cx, planned))
            .with_today(today()?)
            .with_settings(&planned.verify)?;
        let (file, File { digest, .. }) = digests.open(&stage.root, &artifact.path)?;
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
    // `/root` and the like occur in many binaries for other reasons; a home of more than one part is a
    // user's.
    let home = cx.env.home().filter(|home| home.components().count() > 2);
    paths.extend(home.map(Utf8Path::to_string));
    paths
}
