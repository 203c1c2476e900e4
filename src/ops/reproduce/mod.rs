//! `reproduce`: rebuilds a release from its source, and compares every artifact that it records.

mod archives;
mod compare;
mod explain;
mod files;
mod images;
mod rebuild;
mod record;
mod source;

use std::sync::Arc;

use camino::Utf8PathBuf;

use crate::{
    model::{
        error::{Error, Result, Status},
        schema::{
            Reproduction,
            reproduce::{Outcome, ReproducedArtifact, SCHEMA},
        },
    },
    release::reproduce::{RecordedItem, attestation},
    sys::{
        Context, clock, fs, reentry,
        registry::{Session, Settings},
    },
};
use record::ReleaseRecord;

/// The release to reproduce, and the options.
#[derive(Clone, Debug, Default)]
pub struct ReproduceRequest {
    /// A `dist.json`, a directory with one, an image in a registry, or the URL of a `dist.json` or of the
    /// directory that it is in.
    pub release: String,
    /// The directory or URL of the repository; `None` for the one of the current directory.
    pub source: Option<String>,
    /// The commit, if it is not the recorded one.
    pub revision: Option<String>,
    /// The path of the workspace's `Cargo.toml` in the source.
    pub manifest_path: Option<Utf8PathBuf>,
    /// The directory that contains the directory of the rebuild; `None` for the cache directory.
    pub work_dir: Option<Utf8PathBuf>,
    /// The file of the attestation.
    pub attestation: Option<Utf8PathBuf>,
    /// Whether the installed tools are used even if their versions differ from the recorded ones.
    pub any_tools: bool,
    /// Whether a release of a tree with changes is compared with its commit.
    pub allow_dirty: bool,
    /// Whether the recorded `--config` options are used.
    pub allow_config: bool,
    /// Whether nothing is fetched.
    pub offline: bool,
    /// The number of parallel jobs.
    pub jobs: Option<usize>,
    /// The source of std, for targets that rustup does not provide.
    pub rust_src: Option<Utf8PathBuf>,
    /// The profile that the programs were optimised with.
    pub pgo_profile: Option<Utf8PathBuf>,
    /// The number of `--verbose` flags.
    pub verbose: u8,
    /// The settings for connections to registries and servers.
    pub registry: Settings,
}

/// Compares the files of a release with its record, rebuilds it, and compares every recorded artifact.
///
/// # Errors
/// The release cannot be read, or does not record how it was made; the source does not have the commit; a
/// tool of the recorded version is missing; the rebuild fails.
pub fn reproduce(cx: &Context, request: &ReproduceRequest) -> Result<Reproduction> {
    // Before anything is fetched.
    reentry::check(cx)?;
    if let Some(path) = &request.attestation {
        fs::check_replaceable(&cx.env.dir.join(path))?;
    }
    let session = Session::new(cx, &request.registry);
    cx.stage("read the release");
    let record = record::read(cx, &session, &request.release)?;
    check_reproducible(&record, request)?;
    check_profile(cx, &record, request)?;
    let changed = files::check(cx, &record)?;
    if !changed.is_empty() {
        return Ok(changed_release(&record, request, &changed));
    }
    let found = source::find(cx, request, &record)?;
    if request.revision.is_some() && record.release.revision.as_ref() != Some(&found.revision) {
        cx.warn(format!("the release does not record the commit `{}`", found.revision));
    }
    cx.stage("rebuild");
    let rebuild = rebuild::rebuild(cx, request, &record, &found)?;
    cx.stage("compare");
    let comparison = compare::compare(cx, &session, &record, &rebuild)?;
    cx.children.check()?;
    let reproduced = comparison.artifacts.iter().all(|one| !one.outcome.is_failure());
    let kept = if reproduced { None } else { Some(rebuild.keep()?) };
    let release = &record.release;
    let reproduction = Reproduction {
        schema: SCHEMA,
        release: record.shown.clone(),
        name: release.name.clone(),
        version: release.version.clone(),
        revision: found.revision.clone(),
        source: found.shown.clone(),
        reproduced,
        rebuilt: true,
        tools: comparison.tools,
        artifacts: comparison.artifacts,
        unrecorded: comparison.unrecorded,
        causes: comparison.causes,
        rebuild: kept.map(Utf8PathBuf::into_string),
    };
    attest(cx, request, &reproduction)?;
    Ok(reproduction)
}

/// Checks that the release records enough to be rebuilt.
fn check_reproducible(record: &ReleaseRecord, request: &ReproduceRequest) -> Result<()> {
    let (release, shown) = (&record.release, &record.shown);
    if record.items.is_empty() || record.targets.is_empty() {
        return Err(Error::check(format!("`{shown}` records no artifacts")));
    }
    if release.revision.is_none() && request.revision.is_none() {
        let reason = release.no_revision.as_deref().unwrap_or("it has no revision");
        return Err(Error::check(format!("`{shown}` does not record its commit: {reason}"))
            .hint("`--revision COMMIT` names it"));
    }
    if release.dirty == Some(true) && !request.allow_dirty {
        let changes = release.changes.as_ref();
        let changes = changes.map(|changes| format!(": {changes}")).unwrap_or_default();
        return Err(Error::check(format!(
            "`{shown}` was made of a tree with changes that are not in its commit{changes}"
        ))
        .hint("release from a clean tree; `--allow-dirty` compares with the commit anyway"));
    }
    if !release.request.config.is_empty() && !request.allow_config {
        let config: Vec<String> =
            release.request.config.iter().map(|it| format!("`{}`", it.escape_debug())).collect();
        return Err(Error::usage(format!(
            "`{shown}` was made with `--config` {}, which can name programs that cargo runs",
            config.join(", ")
        ))
        .hint("`--allow-config` uses these options, if you trust the release"));
    }
    Ok(())
}

/// Checks that the profile is there that the release was made with.
fn check_profile(cx: &Context, record: &ReleaseRecord, request: &ReproduceRequest) -> Result<()> {
    let shown = &record.shown;
    match (record.release.request.pgo_profile, &request.pgo_profile) {
        (None, None) => Ok(()),
        (None, Some(file)) => Err(Error::usage(format!(
            "`{shown}` was made without a profile, and `--pgo-profile {file}` names one"
        ))),
        (Some(digest), None) => {
            Err(Error::usage(format!("`{shown}` was optimised with the profile {digest}"))
                .hint("`--pgo-profile FILE` names the file with this digest"))
        }
        (Some(digest), Some(file)) => {
            let (found, _) = fs::digest(&cx.env.dir.join(file))?;
            if found == digest {
                return Ok(());
            }
            Err(Error::usage(format!(
                "`{file}` is not the profile of `{shown}`: expected {digest}, found {found}"
            )))
        }
    }
}

/// Returns the result for a release with files that do not match its own record. Nothing is built: such a
/// release cannot be reproduced.
fn changed_release(
    record: &ReleaseRecord,
    request: &ReproduceRequest,
    changed: &[files::ChangedFile],
) -> Reproduction {
    let artifact = |item: &RecordedItem| {
        let found = changed.iter().find(|changed| changed.path == item.path);
        let outcome = if found.is_some() { Outcome::Changed } else { Outcome::NotCompared };
        ReproducedArtifact {
            difference: found.map(|changed| changed.difference.clone()),
            found: found.and_then(|changed| changed.digest),
            ..compare::artifact(item, outcome)
        }
    };
    let release = &record.release;
    Reproduction {
        schema: SCHEMA,
        release: record.shown.clone(),
        name: release.name.clone(),
        version: release.version.clone(),
        revision: release.revision.clone().or_else(|| request.revision.clone()).unwrap_or_default(),
        source: String::new(),
        reproduced: false,
        rebuilt: false,
        tools: Vec::new(),
        artifacts: record.items.iter().map(artifact).collect(),
        unrecorded: Vec::new(),
        causes: vec![
            "the file was damaged or replaced after the release was made: download it again"
                .to_owned(),
        ],
        rebuild: None,
    }
}

/// Writes the attestation, if it was requested and the release is reproduced.
fn attest(cx: &Context, request: &ReproduceRequest, reproduction: &Reproduction) -> Result<()> {
    let Some(path) = &request.attestation else { return Ok(()) };
    if !reproduction.reproduced {
        cx.warn(format!("`{path}` is not written: the release is not reproduced"));
        return Ok(());
    }
    let bytes = attestation::statement(reproduction, &clock::time())?;
    fs::write(&cx.env.dir.join(path), &bytes)?;
    cx.status("Wrote", path.as_str());
    Ok(())
}

/// Returns the error for a release that does not exist.
fn missing_error(text: &str) -> Error {
    Error::usage(format!("there is no `{text}`")).hint(
        "name a `dist.json` or its directory, an image such as `HOST/NAME:TAG`, or the URL of a release",
    )
}

/// The session of one command, which its readers share.
type SharedSession = Arc<Session>;

/// Returns `error` with the status of a failed check.
fn checked(error: Error) -> Error {
    error.with_status(Status::CheckFailed)
}
