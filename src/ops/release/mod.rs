//! `release`: the files of a finished release, published at a forge. What is published is complete; what is not
//! complete is not public.

mod files;
mod text;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use self::files::LocalFile;
pub use self::text::format_publication;
use crate::{
    model::{
        error::{Error, Result},
        schema::{
            Dist, Publication,
            publication::{ForgeKind, PublicationOutcome, PublishedFile, SCHEMA},
            tags::TagKind,
        },
    },
    ops::output::manifest,
    release::publish::{
        self, Destination, Goal, ReleaseFile, ReleaseText, RequestedDestination, Transport,
    },
    sys::{
        Context, file,
        forge::{self, Settings},
        git,
    },
};

/// The files to publish, and their destination.
#[derive(Clone, Debug, Default)]
pub struct ReleaseRequest {
    /// The directory with `dist.json`.
    pub dist: Utf8PathBuf,
    /// The parts of the destination that are named.
    pub destination: RequestedDestination,
    /// The tag.
    pub tag: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The file of the notes.
    pub notes: Option<Utf8PathBuf>,
    /// Whether it is a prerelease, whatever its version is.
    pub prerelease: bool,
    /// Whether it stays a draft.
    pub draft: bool,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// Whether the public files are downloaded and compared.
    pub verify: bool,
    /// The settings for connections to the server.
    pub server: Settings,
}

/// Publishes the release at the destination of the arguments, the job, or the git remote.
///
/// # Errors
/// The destination is unknown, or as for [`release_to`].
pub fn release(cx: &Context, request: &ReleaseRequest) -> Result<Publication> {
    let named = &request.destination;
    let var = |name: &str| cx.env.var(name);
    let remote = if publish::needs_remote(named, var) {
        git::remote_url(cx, &cx.env.dir, "origin")?
    } else {
        None
    };
    let destination = publish::destination(named, var, remote.as_deref())?;
    if destination.token.is_none() && !request.dry_run {
        let variable = destination.token_variable();
        return Err(Error::usage(format!("there is no token for {}", destination.forge)).hint(
            format!("set `{variable}` or `{}`, with {}", publish::TOKEN, destination.permission()),
        ));
    }
    release_to(cx, request, &destination)
}

/// Publishes the release at `destination`.
///
/// # Errors
/// The files are not those of `dist.json`, were built from uncommitted changes, or do not belong to the tag; the
/// forge rejects a request or does not answer; or a published release has different files.
pub fn release_to(
    cx: &Context,
    request: &ReleaseRequest,
    destination: &Destination,
) -> Result<Publication> {
    let dist = manifest::read_in(&request.dist)?;
    let revision = check_source(&request.dist, &dist)?;
    let packages = dist.artifacts.iter().map(|artifact| (&*artifact.package, &*artifact.version));
    let archives = dist.archives.iter().map(|archive| (&*archive.package, &*archive.version));
    let version = publish::common_version(packages.chain(archives))?;
    let tag = tag(cx, request, &version)?;
    let local = files::read(cx, &request.dist, &dist)?;
    let files: Vec<ReleaseFile> = local.iter().map(|local| local.file.clone()).collect();
    publish::check_names(destination.forge, &files)?;
    let title = request.title.clone().unwrap_or_else(|| tag.clone());
    let notes = notes(cx, request, &dist, &version)?;
    let goal = Goal {
        tag,
        revision,
        text: ReleaseText { title, notes },
        prerelease: request.prerelease || !version.pre.is_empty(),
        may_be_latest: may_be_latest(&dist),
        draft: request.draft,
        package: package_name(&dist.release.name),
        version,
        files,
    };
    let open = |index: usize| open(&local, index);
    let transport = forge::release_transport(cx, &request.server, destination, &goal.files, &open)?;
    let Destination { forge, repository, .. } = destination;
    if request.dry_run {
        return preview(&*transport, destination, &goal);
    }
    let count = goal.files.len();
    cx.status("Releasing", format!("{} with {count} files to {forge}: {repository}", goal.tag));
    let done = publish::publish(&*transport, destination, &goal)?;
    let outcome = match (done.release.draft, done.published) {
        (true, _) => PublicationOutcome::Drafted,
        (false, true) => PublicationOutcome::Published,
        (false, false) => PublicationOutcome::Unchanged,
    };
    let mut publication =
        report(destination, &goal, outcome, |index| done.uploaded.contains(&index));
    publication.latest = done.latest;
    publication.url = done.release.url.clone();
    publication.title = done.release.text.title.clone();
    publication.notes = done.release.text.notes.clone();
    let name = format!("{} of {repository}", goal.tag);
    match outcome {
        PublicationOutcome::Published => cx.status("Published", name),
        PublicationOutcome::Unchanged => {
            cx.status("Unchanged", format!("{name} is published with the same files"));
        }
        PublicationOutcome::Drafted if *forge == ForgeKind::Gitlab => cx.status(
            "Uploaded",
            format!("all files of {name}; GitLab has no drafts, and there is no release yet"),
        ),
        PublicationOutcome::Drafted => cx.status("Drafted", format!("{name}: it is not public")),
    }
    if request.verify {
        let hidden = publish::verify_public(&*transport, &goal, &done.release)?;
        let how = match hidden {
            0 => String::new(),
            _ => format!("; {hidden} are not public, and were read with the token"),
        };
        cx.status("Verified", format!("{count} downloads{how}"));
        publication.files.iter_mut().for_each(|file| file.verified = true);
    }
    Ok(publication)
}

/// Returns the report of a dry run.
fn preview(
    transport: &dyn Transport,
    destination: &Destination,
    goal: &Goal,
) -> Result<Publication> {
    let preview = publish::preview(transport, destination, goal)?;
    let release = preview.release.as_ref();
    let public = release.is_some_and(|release| !release.draft);
    let outcome = match (public, goal.draft) {
        (true, _) => PublicationOutcome::Unchanged,
        (false, true) => PublicationOutcome::Drafted,
        (false, false) => PublicationOutcome::Published,
    };
    let mut planned = report(destination, goal, outcome, |index| preview.uploads.contains(&index));
    planned.dry_run = true;
    planned.latest = (outcome == PublicationOutcome::Published).then_some(preview.latest);
    planned.url = release.and_then(|release| release.url.clone());
    Ok(planned)
}

/// Returns a report, without what the forge decides.
fn report(
    destination: &Destination,
    goal: &Goal,
    outcome: PublicationOutcome,
    uploaded: impl Fn(usize) -> bool,
) -> Publication {
    let file = |(index, file): (usize, &ReleaseFile)| PublishedFile {
        name: file.name.clone(),
        size: file.size,
        sha256: file.sha256,
        uploaded: uploaded(index),
        verified: false,
    };
    Publication {
        schema: SCHEMA,
        dry_run: false,
        forge: destination.forge,
        api: destination.api.clone(),
        repository: destination.repository.clone(),
        tag: goal.tag.clone(),
        revision: goal.revision.clone(),
        title: goal.text.title.clone(),
        notes: goal.text.notes.clone(),
        prerelease: goal.prerelease,
        latest: None,
        outcome,
        url: None,
        files: goal.files.iter().enumerate().map(file).collect(),
    }
}

/// Returns the commit that the files were built from.
///
/// # Errors
/// There is none, or files differed from it.
fn check_source(directory: &Utf8Path, dist: &Dist) -> Result<String> {
    let release = &dist.release;
    let Some(revision) = &release.revision else {
        let reason = release.no_revision.as_deref().map(|why| format!(": {why}"));
        return Err(Error::check(format!(
            "the commit that `{directory}` was built from is unknown{}",
            reason.unwrap_or_default()
        ))
        .hint("build in a git repository with all changes committed"));
    };
    match release.dirty {
        Some(false) => Ok(revision.clone()),
        Some(true) => {
            let changes = release.changes.as_ref();
            let changes = changes.map(|changes| format!(": {changes}")).unwrap_or_default();
            Err(Error::check(format!(
                "`{directory}` was built from files that differ from their commit{changes}"
            ))
            .hint("commit, tag that commit, and build again"))
        }
        None => Err(Error::check(format!(
            "`{directory}` does not record whether files differed from their commit"
        ))
        .hint("build it again")),
    }
}

/// Returns the tag: the requested one, that of the job, or that of the version.
///
/// # Errors
/// It is not that of the version.
fn tag(cx: &Context, request: &ReleaseRequest, version: &Version) -> Result<String> {
    let var = |name: &str| cx.env.var(name);
    let github = var("GITHUB_REF_NAME").filter(|_| var("GITHUB_REF_TYPE") == Some("tag"));
    let of_job = [
        ("`GITHUB_REF_NAME`", github),
        ("`CI_COMMIT_TAG`", var("CI_COMMIT_TAG")),
        ("`CIRCLE_TAG`", var("CIRCLE_TAG")),
    ];
    let of_job = of_job.into_iter().find_map(|(origin, tag)| Some((origin, tag?.to_owned())));
    let requested = request.tag.clone().map(|tag| ("`--tag`", tag));
    let Some((origin, tag)) = requested.or(of_job) else { return Ok(format!("v{version}")) };
    if publish::tag_version(&tag).as_ref() == Some(version) {
        return Ok(tag);
    }
    let shown = tag.escape_debug();
    Err(Error::check(format!(
        "the tag `{shown}` ({origin}) is not the version {version} of the files"
    ))
    .hint(format!("expected `v{version}` or `{version}`")))
}

/// Returns whether the tag policy of an image allows `latest` for releases; without images it is allowed.
fn may_be_latest(dist: &Dist) -> bool {
    let mut policies = dist.recipes.iter().map(|recipe| &recipe.tags);
    dist.recipes.is_empty() || policies.any(|policy| policy.release.contains(&TagKind::Latest))
}

/// Returns the name of a package in GitLab's registry (<https://docs.gitlab.com/user/packages/generic_packages/>).
fn package_name(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().map(|c| if allowed(c) { c } else { '-' }).collect()
}

fn open(local: &[LocalFile], index: usize) -> Result<Box<dyn std::io::Read>> {
    let local = local.get(index).ok_or_else(|| Error::check("there is no such file"))?;
    let file = file::open(&local.path)?;
    Ok(Box::new(file.into_reader(0..local.file.size)))
}

/// Returns the notes: those of the file, of the changelog, or generated ones.
fn notes(cx: &Context, request: &ReleaseRequest, dist: &Dist, version: &Version) -> Result<String> {
    if let Some(path) = &request.notes {
        return text::read(&cx.env.dir.join(path));
    }
    if let Some(path) = text::find_changelog(&cx.env.dir) {
        let changelog = text::read(&path)?;
        let section = publish::changelog_section(&changelog, &version.to_string())
            .map_err(|error| error.context(format!("`{path}`")))?;
        if let Some(section) = section {
            return Ok(section);
        }
        cx.warn(format!("`{path}` has no section of version {version}: the notes are generated"));
    }
    Ok(publish::generated_notes(dist, version))
}
