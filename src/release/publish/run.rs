//! The steps of a publication, one after the other. The state is read again after each failure and before the
//! release is published, so that a request that was carried out before its response was lost is not repeated.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use super::{
    Destination, Download, DraftOrigin, Goal, Listing, Protocol, Rank, RemoteRelease, Transport,
    WriteError, destination::tag_version, plan, plan::Step, protocol,
};
use crate::{
    image::tags::VersionLine,
    model::{
        bytes::Size,
        collect::{CollectOrdered as _, SortStable as _},
        error::{Error, Result, Status},
        http::ApiResponse,
    },
};

/// The number of times that a file is sent, if what the forge stores differs.
const MAX_UPLOADS: u32 = 3;

/// The number of conflicts in a row: a list may be out of date for a while.
const MAX_CONFLICTS: u32 = 3;

/// The result of a publication.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The release as it is at the forge.
    pub release: RemoteRelease,
    /// Whether it was published here.
    pub published: bool,
    /// The indexes of the files that were sent.
    pub uploaded: BTreeSet<usize>,
    /// Whether it is the latest release, if that was decided.
    pub latest: Option<bool>,
}

/// The result of a publication in advance.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The release with the tag, if there is one.
    pub release: Option<RemoteRelease>,
    /// The indexes of the files that would be sent.
    pub uploads: BTreeSet<usize>,
    /// Whether it would become the latest release.
    pub latest: bool,
}

/// Publishes the release, or completes its draft.
///
/// # Errors
/// The tag does not exist or is of a different commit; the forge rejects a request or does not answer; the
/// published release has different files; the draft is not longshore's.
pub fn publish(
    transport: &dyn Transport,
    destination: &Destination,
    goal: &Goal,
) -> Result<Outcome> {
    let protocol = protocol(destination, goal);
    check_tag(transport, &*protocol, goal)?;
    let run = Run {
        transport,
        protocol: &*protocol,
        goal,
        listing: None,
        downloaded: BTreeMap::new(),
        created: None,
        tried: 0,
        conflicts: 0,
        sent: BTreeMap::new(),
        uploaded: BTreeSet::new(),
        published: false,
        latest: None,
    };
    run.run()
}

/// Returns the result of a publication in advance. Nothing is written, and no file is downloaded.
///
/// # Errors
/// As [`publish`].
pub fn preview(
    transport: &dyn Transport,
    destination: &Destination,
    goal: &Goal,
) -> Result<Preview> {
    let protocol = protocol(destination, goal);
    check_tag(transport, &*protocol, goal)?;
    let listing = protocol.list(transport, None)?;
    // Reports what the first step would.
    plan::next_step(goal, &listing.of_tag, &BTreeMap::new(), protocol.replaces())?;
    let latest = rank(goal, &listing).latest;
    let release = listing.of_tag.into_iter().min_by_key(|release| release.draft);
    let is_there = |index: &usize| {
        let file = goal.files.get(*index);
        let assets = release.iter().flat_map(|release| &release.assets);
        file.is_some_and(|file| {
            assets.into_iter().any(|asset| {
                asset.name == file.name
                    && !matches!(
                        plan::compare(file, asset, &BTreeMap::new()),
                        plan::Comparison::Different(_)
                    )
            })
        })
    };
    let uploads = (0..goal.files.len()).filter(|index| !is_there(index)).collect_set();
    Ok(Preview { release, uploads, latest })
}

/// Downloads every file of the release as everyone does, and compares it. Files that are not public are
/// downloaded with the token; returns their number.
///
/// # Errors
/// A file differs or cannot be downloaded.
pub fn verify_public(
    transport: &dyn Transport,
    goal: &Goal,
    release: &RemoteRelease,
) -> Result<usize> {
    let mut hidden = 0;
    let mut differences = Vec::new();
    for file in &goal.files {
        transport.check()?;
        let Some(asset) = release.assets.iter().find(|asset| asset.name == file.name) else {
            differences.push(format!("{}: it is missing", file.name));
            continue;
        };
        let public = Download {
            url: asset.public_url.clone(),
            with_token: false,
            what: asset.download.what.clone(),
        };
        let mut found = Err(404);
        if !release.draft && !public.url.is_empty() {
            found = transport.download(&public, file.size)?;
        }
        if matches!(found, Err(401 | 403 | 404)) {
            hidden += 1;
            found = transport.download(&asset.download, file.size)?;
        }
        match found {
            Ok((digest, size)) if (digest, size) == (file.sha256, file.size) => {}
            Ok((digest, size)) => differences.push(format!(
                "{}: expected {} bytes with {}, found {size} with {digest}",
                file.name, file.size, file.sha256
            )),
            Err(status) => differences.push(format!("{}: status {status}", file.name)),
        }
    }
    if differences.is_empty() {
        return Ok(hidden);
    }
    Err(Error::check(format!("downloads of `{}` differ from `dist.json`", goal.tag))
        .detail(differences.join("\n")))
}

/// Checks that the tag exists, and points at the commit that the files were built from.
fn check_tag(transport: &dyn Transport, protocol: &dyn Protocol, goal: &Goal) -> Result<()> {
    let Goal { tag, revision, .. } = goal;
    match protocol.tag_commit(transport)? {
        Some(commit) if commit == *revision => Ok(()),
        Some(commit) => Err(Error::check(format!(
            "the tag `{tag}` is commit `{}`, and the files were built from `{revision}`",
            commit.escape_debug()
        ))
        .hint("build the tagged commit, or tag the built one")),
        None => Err(Error::check(format!("the forge has no tag `{tag}`"))
            .hint(format!("`git push origin {tag}` sends it"))),
    }
}

/// Returns the place of the release among the others: the latest release is the one with the highest version, as
/// with the tag `latest` of images.
fn rank(goal: &Goal, listing: &Listing) -> Rank {
    let line = VersionLine::Releases;
    let releases = listing.others.iter().filter(|other| !other.prerelease);
    let versions = releases.filter_map(|other| Some((tag_version(&other.tag)?, other)));
    let higher = versions
        .filter(|(version, _)| {
            line.contains(version) && version.cmp_precedence(&goal.version).is_gt()
        })
        .max_by(|(one, _), (two, _)| one.cmp_precedence(two));
    let is_release = line.contains(&goal.version) && !goal.prerelease;
    Rank {
        latest: is_release && goal.may_be_latest && higher.is_none(),
        before: higher.filter(|_| is_release).and_then(|(_, other)| other.date.clone()),
    }
}

struct Run<'a> {
    transport: &'a dyn Transport,
    protocol: &'a dyn Protocol,
    goal: &'a Goal,
    /// The state at the forge; `None` if it has to be read.
    listing: Option<CurrentListing>,
    downloaded: plan::Downloaded,
    /// The draft that was created here.
    created: Option<u64>,
    /// Failures since the last progress.
    tried: u32,
    conflicts: u32,
    /// The number of times that each file was sent.
    sent: BTreeMap<usize, u32>,
    uploaded: BTreeSet<usize>,
    published: bool,
    latest: Option<bool>,
}

struct CurrentListing {
    listing: Listing,
    /// Whether nothing was written since it was read.
    fresh: bool,
}

impl Run<'_> {
    fn run(mut self) -> Result<Outcome> {
        loop {
            self.transport.check()?;
            let mut current = match self.listing.take() {
                Some(current) => current,
                None => CurrentListing {
                    listing: self.protocol.list(self.transport, self.created)?,
                    fresh: true,
                },
            };
            let releases = &current.listing.of_tag;
            let replaces = self.protocol.replaces();
            let step = plan::next_step(self.goal, releases, &self.downloaded, replaces)?;
            // The state is read right before the release becomes public or something is deleted, and at the end.
            let needs_fresh = matches!(
                step,
                Step::Publish | Step::Done | Step::DeleteAsset(..) | Step::DeleteDraft(_)
            );
            if needs_fresh && !current.fresh {
                continue;
            }
            if step == Step::Done {
                let mut releases = current.listing.of_tag;
                releases.sort_stable_by_key(|release| release.draft);
                let Some(release) = releases.into_iter().next() else { continue };
                let Run { published, uploaded, latest, .. } = self;
                return Ok(Outcome { release, published, uploaded, latest });
            }
            if let Step::Download(download, size) = &step {
                self.download(download, *size)?;
                self.listing = Some(current);
                continue;
            }
            match self.write(&step, &mut current.listing) {
                Ok(()) => {
                    current.fresh = false;
                    self.listing = (step != Step::Publish).then_some(current);
                    // A file that was deleted because its upload failed is not progress.
                    if !matches!(step, Step::DeleteAsset(..)) {
                        (self.tried, self.conflicts) = (0, 0);
                    }
                }
                Err(failure) => self.handle(failure)?,
            }
        }
    }

    /// Handles the failure of a write: the state is read again, unless that makes no sense.
    fn handle(&mut self, failure: WriteError) -> Result<()> {
        self.transport.check()?;
        let failure = match failure {
            WriteError::Conflict(error) => {
                self.conflicts += 1;
                if self.conflicts >= MAX_CONFLICTS {
                    return Err(error);
                }
                WriteError::Again(error, None)
            }
            other => other,
        };
        self.tried += 1;
        self.transport.pause(self.tried, failure)
    }

    fn download(&mut self, download: &Download, size: u64) -> Result<()> {
        match self.transport.download(download, size)? {
            Ok(found) => {
                self.downloaded.insert(download.url.clone(), found);
                Ok(())
            }
            Err(status) => {
                let answer = ApiResponse { status, ..ApiResponse::default() };
                Err(self.transport.status_error(&download.what, &answer))
            }
        }
    }

    /// Carries out a step, and notes its result in `listing`.
    fn write(&mut self, step: &Step, listing: &mut Listing) -> Result<(), WriteError> {
        let transport = self.transport;
        match step {
            Step::Create => {
                let draft = self.protocol.create(transport)?;
                transport.report("Created", format!("a draft of {}", self.goal.tag));
                self.created = Some(draft.id);
                listing.of_tag.push(draft);
            }
            Step::DeleteDraft(id) => {
                self.protocol.delete_draft(transport, *id)?;
                transport.report("Deleted", format!("a second draft of {}", self.goal.tag));
                listing.of_tag.retain(|release| release.id != *id);
            }
            Step::DeleteAsset(id, why) => {
                let Some(draft) = listing.of_tag.first_mut() else { return Ok(()) };
                let Some(at) = draft.assets.iter().position(|asset| asset.id == *id) else {
                    return Ok(());
                };
                self.protocol.delete_asset(transport, draft, &draft.assets[at])?;
                let asset = draft.assets.remove(at);
                transport.report("Deleted", format!("{} from the draft: {why}", asset.name));
            }
            Step::Upload(index) => self.upload(*index, listing)?,
            Step::Publish => self.publish(listing)?,
            Step::Download(..) | Step::Done => {}
        }
        Ok(())
    }

    fn upload(&mut self, index: usize, listing: &mut Listing) -> Result<(), WriteError> {
        let (Some(file), Some(draft)) = (self.goal.files.get(index), listing.of_tag.first_mut())
        else {
            return Ok(());
        };
        let sent = self.sent.entry(index).or_default();
        if *sent >= MAX_UPLOADS {
            let what = format!("upload `{}`", file.name);
            let why = format!("it was sent {sent} times, and the forge has different bytes");
            return Err(self.transport.error(&what, &why).into());
        }
        let asset = self.protocol.upload(self.transport, draft, index)?;
        if asset.name != file.name {
            let message =
                format!("the forge stored `{}` as `{}`", file.name, asset.name.escape_debug());
            return Err(Error::new(Status::Registry, message)
                .hint("the release is not published; delete its draft")
                .into());
        }
        *sent += 1;
        self.uploaded.insert(index);
        let size = Size(file.size);
        self.transport.report("Uploaded", format!("{} ({size})", file.name));
        draft.assets.retain(|old| old.name != file.name);
        draft.assets.push(asset);
        Ok(())
    }

    fn publish(&mut self, listing: &Listing) -> Result<(), WriteError> {
        let Some(draft) = listing.of_tag.first() else { return Ok(()) };
        let text = match draft.origin {
            DraftOrigin::Edited => {
                let tag = &self.goal.tag;
                self.transport.report("Kept", format!("the edited text of the draft of {tag}"));
                &draft.text
            }
            DraftOrigin::Own | DraftOrigin::Foreign => &self.goal.text,
        };
        let rank = rank(self.goal, listing);
        self.latest = Some(rank.latest);
        // Also if the response is lost: the next look shows it.
        self.published = true;
        self.protocol.publish(self.transport, draft, text, &rank)
    }
}

/// Returns the version that all packages of the release have.
///
/// # Errors
/// There is none, or they differ.
pub fn common_version<'a>(packages: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Version> {
    let mut common: Option<(&str, &str)> = None;
    for (package, version) in packages {
        match common {
            Some((first, known)) if known != version => {
                return Err(Error::usage(format!(
                    "`{first}` has version {known}, and `{package}` has {version}"
                ))
                .hint("one release has one version; `dist = false` leaves a package out"));
            }
            _ => common = Some((package, version)),
        }
    }
    let Some((package, version)) = common else {
        return Err(Error::usage("the release has no packages"));
    };
    Version::parse(version).map_err(|error| {
        Error::usage(format!("`{package}` has the version `{}`", version.escape_debug()))
            .because(error)
            .hint("see https://semver.org for valid versions")
    })
}
