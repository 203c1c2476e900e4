//! The tags of a policy. No registry writes a tag on a condition, so two pushes at the same time can
//! each overwrite the other's. A push that writes reads again: a version's own tag is there before any
//! that follows it is written, and a push that finds a higher version than its own yields.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::PoisonError,
};

use semver::Version;

use super::{Pusher, requested_tags::VERSION_ANNOTATION};
use crate::{
    image::{
        distribution::{retry, upload::UploadDocument},
        oci::{Descriptor, Document, Index, Manifest},
        tags::{self, HighestVersion, RequestedTag, TagDecision, TagRule, TagTarget, VersionLine},
    },
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result, Status},
        reference::Reference,
        schema::push::{Tag, TagOutcome},
    },
    sys::registry::{Remote, Repository},
};

/// A tag of a policy, and the decision on it.
pub(super) struct PendingTag {
    planned: RequestedTag,
    /// Its first target.
    was: Option<Digest>,
    /// Its current target.
    is: Option<Digest>,
    /// Whether it was written here.
    wrote: bool,
    outcome: TagOutcome,
    reason: String,
}

impl PendingTag {
    /// Sets the decision on it.
    fn set_decision(&mut self, decision: &TagDecision) {
        let (outcome, reason) = match decision {
            TagDecision::Write(why) if self.was.is_none() => (TagOutcome::Written, why),
            TagDecision::Write(why) => (TagOutcome::Moved, why),
            TagDecision::Yield(_, why) => (TagOutcome::Lost, why),
            TagDecision::Keep(why) => (TagOutcome::Kept, why),
            TagDecision::Reject(why) => (TagOutcome::Refused, why),
        };
        (self.outcome, self.reason) = (outcome, reason.clone());
    }

    pub(super) fn into_report(self, repository: &Repository) -> Tag {
        let PendingTag {
            planned: RequestedTag { tag, kind, .. }, was, is, outcome, reason, ..
        } = self;
        Tag { repository: repository.name(), tag, kind, outcome, reason, was, is }
    }
}

/// Returns the error for rejected tags of all repositories, if there are any: nothing is written then.
pub(super) fn rejection(open: &[Vec<PendingTag>]) -> Option<Error> {
    let rejected = open.iter().flatten().filter(|open| open.outcome == TagOutcome::Refused);
    let lines: Vec<String> = rejected
        .map(|PendingTag { planned, is, reason, .. }| {
            let is = is.map_or(String::new(), |is| format!(" is {is}"));
            format!("{}{is}: {reason}", planned.tag)
        })
        .collect();
    (!lines.is_empty()).then(|| {
        Error::check("version tags are immutable; nothing was written")
            .detail(lines.join("\n"))
            .hint("release another version; `--tags snapshot` pushes a snapshot")
    })
}

/// The known tags of a repository at one moment.
#[derive(Default)]
struct ListedTags {
    versions: Vec<Version>,
    digests: BTreeMap<Version, Option<Digest>>,
}

impl ListedTags {
    /// Returns the highest version of a line that is not below `than`. A tag without a target is being
    /// written, and that push writes the tags that follow it later; or the target was deleted.
    fn highest(
        &mut self,
        repository: &Repository,
        line: VersionLine,
        than: &Version,
    ) -> Result<Option<HighestVersion>> {
        for version in &self.versions {
            if !line.contains(version) || version.cmp_precedence(than).is_lt() {
                continue;
            }
            let digest = match self.digests.entry(version.clone()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    *new.insert(repository.digest_of(&version.to_string(), true)?)
                }
            };
            if let Some(digest) = digest {
                return Ok(Some(HighestVersion { version: version.clone(), digest }));
            }
        }
        Ok(None)
    }
}

impl Pusher<'_> {
    /// Returns the decisions on the tags of a policy for the current state.
    pub(super) fn plan_tags(&self, repository: &Repository) -> Result<Vec<PendingTag>> {
        let Some(requested) = &self.requested else { return Ok(Vec::new()) };
        // Immutable tags are handled separately.
        let mut listed = match self.request.dry_run {
            true => self.list_versions(repository)?.unwrap_or_default(),
            false => ListedTags::default(),
        };
        let mut all = Vec::new();
        for planned in &requested.planned {
            let mut open = PendingTag {
                planned: planned.clone(),
                was: None,
                is: None,
                wrote: false,
                outcome: TagOutcome::Kept,
                reason: String::new(),
            };
            // Movable tags are read when they are written.
            if planned.rule == TagRule::Fixed || self.request.dry_run {
                let (decision, is) = self.decide(repository, &mut listed, &open)?;
                (open.was, open.is) = (is, is);
                open.set_decision(&decision);
            }
            all.push(open);
        }
        Ok(all)
    }

    /// Writes the tags of a policy, and repeats that until they are as requested.
    pub(super) fn write_policy_tags(
        &self,
        repository: &Repository,
        mut all: Vec<PendingTag>,
    ) -> Result<Vec<Tag>> {
        let fixed = |open: &&mut PendingTag| open.planned.rule == TagRule::Fixed;
        for open in all.iter_mut().filter(fixed) {
            self.write_fixed_tag(repository, open)?;
        }
        let follows = all.iter().any(|open| matches!(open.planned.rule, TagRule::Follows(_)));
        let mut warned = false;
        let mut first = true;
        for tried in 1.. {
            self.cx.children.check()?;
            // Tags that follow no version are not compared with one.
            let listed = match follows {
                true => self.list_versions(repository)?,
                false => Some(ListedTags::default()),
            };
            if listed.is_none() && !warned {
                warned = true;
                let name = repository.name();
                self.cx.warn(format!(
                    "`{name}` does not list its tags: a push of a higher version \
                                      at the same time may lose"
                ));
            }
            let mut listed = listed.unwrap_or_default();
            let mut acted = false;
            for open in all.iter_mut().filter(|open| open.planned.rule != TagRule::Fixed) {
                acted |= self.update_moving_tag(repository, &mut listed, open, first)?;
            }
            first = false;
            if !acted {
                break;
            }
            // The first check follows immediately, to read the written tags; later ones wait
            // increasingly longer.
            if tried > 2 {
                self.wait(repository, tried - 2)?;
            }
        }
        let name = repository.name();
        let mut lost = None;
        for open in &mut all {
            if open.planned.rule == TagRule::Fixed {
                open.is = repository.digest_of(&open.planned.tag, true)?;
            }
            // A tag that follows no version was last written by another push: no rule decides which one
            // is right.
            let other = !matches!(open.planned.rule, TagRule::Follows(_))
                && open.is != Some(self.root.digest);
            if other && lost.is_none() {
                lost = Some(self.race_error(repository, &open.planned.tag, open.is));
            } else {
                self.report_tag(&name, open);
            }
        }
        match lost {
            Some(error) => Err(error),
            None => Ok(all.into_iter().map(|open| open.into_report(repository)).collect()),
        }
    }

    /// Writes an immutable tag, unless it exists.
    fn write_fixed_tag(&self, repository: &Repository, open: &mut PendingTag) -> Result<()> {
        self.cx.children.check()?;
        let (decision, is) = self.decide(repository, &mut ListedTags::default(), open)?;
        (open.was, open.is) = (is, is);
        open.set_decision(&decision);
        if let TagDecision::Reject(why) = &decision {
            let name = format!("{}:{}", repository.name(), open.planned.tag);
            return Err(Error::check(format!("`{name}` came meanwhile: {why}")).hint(format!(
                "the pushed image is `{}@{}`",
                repository.name(),
                self.root.digest
            )));
        }
        if let TagDecision::Write(_) = decision {
            repository.put(&open.planned.tag, &self.root.media_type, &self.root.bytes)?;
            open.wrote = true;
            open.is = repository.digest_of(&open.planned.tag, true)?;
            if open.is != Some(self.root.digest) {
                return Err(self.race_error(repository, &open.planned.tag, open.is));
            }
        }
        Ok(())
    }

    /// Reads a moving tag, and writes it if it should move; returns whether it was written.
    fn update_moving_tag(
        &self,
        repository: &Repository,
        listed: &mut ListedTags,
        open: &mut PendingTag,
        first: bool,
    ) -> Result<bool> {
        self.cx.children.check()?;
        let tag = open.planned.tag.clone();
        let (decision, is) = self.decide(repository, listed, open)?;
        if first {
            open.was = is;
        }
        open.is = is;
        match &decision {
            // Such tags follow no order: the second time, the tag belongs to the other push.
            TagDecision::Write(_) if open.wrote && open.planned.rule == TagRule::Free => {
                return Ok(false);
            }
            TagDecision::Write(_) => {
                if open.wrote {
                    let is = is.map_or("nothing".to_owned(), |is| format!("`{is}`"));
                    let name = format!("`{}:{tag}`", repository.name());
                    self.cx.warn(format!("{name} became {is} right after it was written"));
                } else {
                    open.set_decision(&decision);
                }
                repository.put(&tag, &self.root.media_type, &self.root.bytes)?;
                (open.wrote, open.is) = (true, Some(self.root.digest));
            }
            TagDecision::Yield(digest, _) => {
                open.set_decision(&decision);
                let Some(part) = repository.read(&digest.to_string())? else { return Ok(true) };
                repository.put(&tag, &part.media_type, &part.bytes)?;
                open.is = Some(*digest);
            }
            TagDecision::Keep(_) | TagDecision::Reject(_) => {
                // A tag that was written and has not changed keeps its reason.
                let stayed = open.wrote && is == Some(self.root.digest);
                if !stayed && open.outcome != TagOutcome::Lost {
                    open.set_decision(&decision);
                    if open.wrote {
                        open.outcome = TagOutcome::Lost;
                    }
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the decision on a tag, and its current target.
    fn decide(
        &self,
        repository: &Repository,
        listed: &mut ListedTags,
        open: &PendingTag,
    ) -> Result<(TagDecision, Option<Digest>)> {
        let Some(requested) = &self.requested else {
            return Ok((TagDecision::Keep(String::new()), None));
        };
        let highest = match (open.planned.rule, &requested.own_image.version) {
            (TagRule::Follows(line), Some(version)) => listed.highest(repository, line, version)?,
            _ => None,
        };
        let current = match repository.read(&open.planned.tag)? {
            None => TagTarget::Absent,
            Some(part) if part.digest == self.root.digest || open.planned.rule == TagRule::Free => {
                let version = requested
                    .own_image
                    .version
                    .clone()
                    .filter(|_| open.planned.rule != TagRule::Free);
                TagTarget::At(part.digest, version)
            }
            Some(part) => TagTarget::At(part.digest, self.image_version(repository, &part)?),
        };
        let is_named = requested.requested.contains(&open.planned.tag);
        let decision = tags::decide(
            &open.planned,
            &requested.own_image,
            &current,
            highest.as_ref(),
            open.wrote,
            is_named,
        );
        Ok((decision, current.digest()))
    }

    /// Returns the version that an image in a registry declares; `None` if it declares none that can be
    /// read.
    fn image_version(
        &self,
        repository: &Repository,
        part: &UploadDocument,
    ) -> Result<Option<Version>> {
        let known = || self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known().get(&part.digest) {
            return Ok(version.clone());
        }
        let version = self.declared_version(repository, part)?;
        known().insert(part.digest, version.clone());
        Ok(version)
    }

    fn declared_version(
        &self,
        repository: &Repository,
        part: &UploadDocument,
    ) -> Result<Option<Version>> {
        let bytes = || part.bytes.clone();
        let annotated = match part.media_type.is_index() {
            true => Document::<Index>::parse(bytes())
                .map(|item| item.annotations.get(VERSION_ANNOTATION).cloned()),
            false => Document::<Manifest>::parse(bytes())
                .map(|item| item.annotations.get(VERSION_ANNOTATION).cloned()),
        };
        let reported = match annotated {
            Ok(Some(reported)) => Ok(Some(reported)),
            Err(_) => Ok(None),
            Ok(None) => {
                let reference = Reference {
                    registry: repository.host().to_owned(),
                    repository: repository.path().to_owned(),
                    tag: None,
                    digest: Some(part.digest),
                };
                let size = part.bytes.len() as u64;
                let root = Descriptor::new(part.media_type.clone(), part.digest, size);
                Remote::open(&self.session, &reference).and_then(|remote| {
                    crate::image::read::annotation::annotation_or_label(
                        &remote,
                        &root,
                        VERSION_ANNOTATION,
                    )
                    .map_err(|error| remote.failure().unwrap_or(error))
                })
            }
        };
        match reported {
            Ok(reported) => Ok(reported.and_then(|reported| Version::parse(&reported).ok())),
            // It is broken, or not an image, and so has no version. A registry that does not answer is
            // a different case.
            Err(error) if error.status() == Status::CheckFailed => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the versions that have separate tags, highest first; `None` if the registry does not
    /// list them.
    fn list_versions(&self, repository: &Repository) -> Result<Option<ListedTags>> {
        let Some(tags) = repository.tags()? else { return Ok(None) };
        let mut versions: Vec<Version> =
            tags.iter().filter_map(|tag| tags::parse_version_tag(tag)).collect();
        versions.sort_stable_by(|a, b| b.cmp_precedence(a));
        Ok(Some(ListedTags { versions, digests: BTreeMap::new() }))
    }

    /// Waits before the tags are read once more.
    fn wait(&self, repository: &Repository, tried: u32) -> Result<()> {
        // Two that race are of different content.
        let salt = u64::from_str_radix(self.root.digest.hex().get(..4).unwrap_or("0"), 16);
        let Some(time) = retry::wait_time(tried, None, salt.unwrap_or(0)) else {
            let message = format!("the tags of `{}` keep changing", repository.name());
            return Err(Error::new(Status::Registry, message)
                .hint("do others write them repeatedly? retry when they are done"));
        };
        self.cx.status("Waiting", format!("{:.1} s for others' tags", time.as_secs_f64()));
        self.cx.children.pause(time)
    }

    fn report_tag(&self, name: &str, open: &PendingTag) {
        let PendingTag { planned, was, outcome, reason, .. } = open;
        let was = was.map_or(String::new(), |was| format!(" (it was {was})"));
        let name = format!("{name}:{}", planned.tag);
        match outcome {
            TagOutcome::Written => self.cx.status("Tagged", format!("{name}: {reason}")),
            TagOutcome::Moved => self.cx.status("Tagged", format!("{name}{was}: {reason}")),
            TagOutcome::Kept => self.cx.status("Kept", format!("{name}: {reason}")),
            TagOutcome::Refused => self.cx.status("Refused", format!("{name}: {reason}")),
            TagOutcome::Lost => {
                self.cx.warn(format!("`{name}` was written, and now has another image: {reason}"))
            }
        }
    }
}
