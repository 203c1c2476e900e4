//! The tags of a policy. No registry writes a tag on a condition, so two pushes at the same time can
//! each overwrite the other's. A push that writes reads again: a version's own tag is there before any
//! that follows it is written, and a push that finds a higher version than its own yields.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::PoisonError,
};

use semver::Version;

use super::{Pusher, wish::VERSION};
use crate::{
    image::{
        distribution::{retry, upload::UploadDocument},
        oci::{Descriptor, Document, Index, Manifest},
        tags::{self, HighestVersion, RequestedTag, TagDecision, TagRule, TagTarget, VersionLine},
    },
    model::{
        digest::Digest,
        error::{Error, Result, Status},
        reference::Reference,
        schema::push::{Tag, TagOutcome},
    },
    sys::registry::{Remote, Repository},
};

/// A tag on its way to what it will be.
pub(super) struct Open {
    wanted: RequestedTag,
    /// Its first target.
    was: Option<Digest>,
    /// Its current target.
    is: Option<Digest>,
    /// Whether it was written here.
    wrote: bool,
    outcome: TagOutcome,
    reason: String,
}

impl Open {
    /// Records the decision on it.
    fn note(&mut self, decision: &TagDecision) {
        let (outcome, reason) = match decision {
            TagDecision::Write(why) if self.was.is_none() => (TagOutcome::Written, why),
            TagDecision::Write(why) => (TagOutcome::Moved, why),
            TagDecision::Yield(_, why) => (TagOutcome::Lost, why),
            TagDecision::Keep(why) => (TagOutcome::Kept, why),
            TagDecision::Reject(why) => (TagOutcome::Refused, why),
        };
        (self.outcome, self.reason) = (outcome, reason.clone());
    }

    pub(super) fn told(self, repository: &Repository) -> Tag {
        let Open { wanted: RequestedTag { tag, kind, .. }, was, is, outcome, reason, .. } = self;
        Tag { repository: repository.name(), tag, kind, outcome, reason, was, is }
    }
}

/// Returns the reason for which nothing is to be written, if there is one: the rejected tags of all
/// repositories.
pub(super) fn refusal(open: &[Vec<Open>]) -> Option<Error> {
    let refused = open.iter().flatten().filter(|open| open.outcome == TagOutcome::Refused);
    let lines: Vec<String> = refused
        .map(|Open { wanted, is, reason, .. }| {
            let is = is.map_or(String::new(), |is| format!(" is {is}"));
            format!("{}{is}: {reason}", wanted.tag)
        })
        .collect();
    (!lines.is_empty()).then(|| {
        Error::check("a version's tag does not become another image; nothing was written")
            .detail(lines.join("\n"))
            .hint("release another version; `--tags snapshot` pushes what is none")
    })
}

/// The known tags of a repository at one moment.
#[derive(Default)]
struct Listed {
    versions: Vec<Version>,
    digests: BTreeMap<Version, Option<Digest>>,
}

impl Listed {
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
    pub(super) fn look(&self, repository: &Repository) -> Result<Vec<Open>> {
        let Some(wish) = &self.wish else { return Ok(Vec::new()) };
        // Immutable tags are handled separately.
        let mut listed = match self.request.dry_run {
            true => self.listed(repository)?.unwrap_or_default(),
            false => Listed::default(),
        };
        let mut all = Vec::new();
        for wanted in &wish.wanted {
            let mut open = Open {
                wanted: wanted.clone(),
                was: None,
                is: None,
                wrote: false,
                outcome: TagOutcome::Kept,
                reason: String::new(),
            };
            // Movable tags are read when they are written.
            if wanted.rule == TagRule::Fixed || self.request.dry_run {
                let (decision, is) = self.decide(repository, &mut listed, &open)?;
                (open.was, open.is) = (is, is);
                open.note(&decision);
            }
            all.push(open);
        }
        Ok(all)
    }

    /// Writes the tags of a policy, and stays until they are what they should be.
    pub(super) fn settle(&self, repository: &Repository, mut all: Vec<Open>) -> Result<Vec<Tag>> {
        let fixed = |open: &&mut Open| open.wanted.rule == TagRule::Fixed;
        for open in all.iter_mut().filter(fixed) {
            self.fix(repository, open)?;
        }
        let follows = all.iter().any(|open| matches!(open.wanted.rule, TagRule::Follows(_)));
        let mut warned = false;
        let mut first = true;
        for tried in 1.. {
            self.cx.children.check()?;
            // Tags that follow no version are not compared with one.
            let listed = match follows {
                true => self.listed(repository)?,
                false => Some(Listed::default()),
            };
            if listed.is_none() && !warned {
                warned = true;
                let name = repository.name();
                self.cx.warn(format!("`{name}` does not list its tags: a push of a higher version at the same time may lose"));
            }
            let mut listed = listed.unwrap_or_default();
            let mut acted = false;
            for open in all.iter_mut().filter(|open| open.wanted.rule != TagRule::Fixed) {
                acted |= self.step(repository, &mut listed, open, first)?;
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
            if open.wanted.rule == TagRule::Fixed {
                open.is = repository.digest_of(&open.wanted.tag, true)?;
            }
            // A tag that follows no version was last written by another push: no rule decides which one
            // is right.
            let other = !matches!(open.wanted.rule, TagRule::Follows(_))
                && open.is != Some(self.root.digest);
            if other && lost.is_none() {
                lost = Some(self.lost(repository, &open.wanted.tag, open.is));
            } else {
                self.tell(&name, open);
            }
        }
        match lost {
            Some(error) => Err(error),
            None => Ok(all.into_iter().map(|open| open.told(repository)).collect()),
        }
    }

    /// Writes a tag that never moves, where it is not there.
    fn fix(&self, repository: &Repository, open: &mut Open) -> Result<()> {
        self.cx.children.check()?;
        let (decision, is) = self.decide(repository, &mut Listed::default(), open)?;
        (open.was, open.is) = (is, is);
        open.note(&decision);
        if let TagDecision::Reject(why) = &decision {
            let name = format!("{}:{}", repository.name(), open.wanted.tag);
            return Err(Error::check(format!("`{name}` came meanwhile: {why}")).hint(format!(
                "what was pushed is `{}@{}`",
                repository.name(),
                self.root.digest
            )));
        }
        if let TagDecision::Write(_) = decision {
            repository.put(&open.wanted.tag, &self.root.media_type, &self.root.bytes)?;
            open.wrote = true;
            open.is = repository.digest_of(&open.wanted.tag, true)?;
            if open.is != Some(self.root.digest) {
                return Err(self.lost(repository, &open.wanted.tag, open.is));
            }
        }
        Ok(())
    }

    /// Reads a tag that may move, and moves it if it should; returns whether it was written.
    fn step(
        &self,
        repository: &Repository,
        listed: &mut Listed,
        open: &mut Open,
        first: bool,
    ) -> Result<bool> {
        self.cx.children.check()?;
        let tag = open.wanted.tag.clone();
        let (decision, is) = self.decide(repository, listed, open)?;
        if first {
            open.was = is;
        }
        open.is = is;
        match &decision {
            // Such tags follow no order: the second time, the tag belongs to the other push.
            TagDecision::Write(_) if open.wrote && open.wanted.rule == TagRule::Free => {
                return Ok(false);
            }
            TagDecision::Write(_) => {
                if open.wrote {
                    let is = is.map_or("nothing".to_owned(), |is| format!("`{is}`"));
                    let name = format!("`{}:{tag}`", repository.name());
                    self.cx.warn(format!("{name} became {is} right after it was written"));
                } else {
                    open.note(&decision);
                }
                repository.put(&tag, &self.root.media_type, &self.root.bytes)?;
                (open.wrote, open.is) = (true, Some(self.root.digest));
            }
            TagDecision::Yield(digest, _) => {
                open.note(&decision);
                let Some(part) = repository.read(&digest.to_string())? else { return Ok(true) };
                repository.put(&tag, &part.media_type, &part.bytes)?;
                open.is = Some(*digest);
            }
            TagDecision::Keep(_) | TagDecision::Reject(_) => {
                // A tag that was written and has not changed keeps its reason.
                let stayed = open.wrote && is == Some(self.root.digest);
                if !stayed && open.outcome != TagOutcome::Lost {
                    open.note(&decision);
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
        listed: &mut Listed,
        open: &Open,
    ) -> Result<(TagDecision, Option<Digest>)> {
        let Some(wish) = &self.wish else {
            return Ok((TagDecision::Keep(String::new()), None));
        };
        let highest = match (open.wanted.rule, &wish.ours.version) {
            (TagRule::Follows(line), Some(version)) => listed.highest(repository, line, version)?,
            _ => None,
        };
        let standing = match repository.read(&open.wanted.tag)? {
            None => TagTarget::Absent,
            Some(part) if part.digest == self.root.digest || open.wanted.rule == TagRule::Free => {
                let version =
                    wish.ours.version.clone().filter(|_| open.wanted.rule != TagRule::Free);
                TagTarget::At(part.digest, version)
            }
            Some(part) => TagTarget::At(part.digest, self.version(repository, &part)?),
        };
        let is_named = wish.asked.contains(&open.wanted.tag);
        let decision = tags::decide(
            &open.wanted,
            &wish.ours,
            &standing,
            highest.as_ref(),
            open.wrote,
            is_named,
        );
        Ok((decision, standing.digest()))
    }

    /// Returns the version that an image in a registry declares; `None` if it declares none that can be
    /// read.
    fn version(&self, repository: &Repository, part: &UploadDocument) -> Result<Option<Version>> {
        let known = || self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known().get(&part.digest) {
            return Ok(version.clone());
        }
        let version = self.said(repository, part)?;
        known().insert(part.digest, version.clone());
        Ok(version)
    }

    fn said(&self, repository: &Repository, part: &UploadDocument) -> Result<Option<Version>> {
        let bytes = || part.bytes.clone();
        let annotated = match part.media_type.is_index() {
            true => {
                Document::<Index>::parse(bytes()).map(|of| of.annotations.get(VERSION).cloned())
            }
            false => {
                Document::<Manifest>::parse(bytes()).map(|of| of.annotations.get(VERSION).cloned())
            }
        };
        let said = match annotated {
            Ok(Some(said)) => Ok(Some(said)),
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
                    crate::image::read::annotation::annotation_or_label(&remote, &root, VERSION)
                        .map_err(|error| remote.failure().unwrap_or(error))
                })
            }
        };
        match said {
            Ok(said) => Ok(said.and_then(|said| Version::parse(&said).ok())),
            // It is broken, or not an image, and so has no version. A registry that does not answer is
            // a different case.
            Err(error) if error.status() == Status::CheckFailed => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the versions that have separate tags, highest first; `None` if the registry does not
    /// list them.
    fn listed(&self, repository: &Repository) -> Result<Option<Listed>> {
        let Some(tags) = repository.tags()? else { return Ok(None) };
        let mut versions: Vec<Version> =
            tags.iter().filter_map(|tag| tags::parse_version_tag(tag)).collect();
        versions.sort_by(|a, b| b.cmp_precedence(a));
        Ok(Some(Listed { versions, digests: BTreeMap::new() }))
    }

    /// Waits before the tags are read once more.
    fn wait(&self, repository: &Repository, tried: u32) -> Result<()> {
        // Two that race are of different content.
        let salt = u64::from_str_radix(self.root.digest.hex().get(..4).unwrap_or("0"), 16);
        let Some(time) = retry::wait_time(tried, None, salt.unwrap_or(0)) else {
            let message = format!("the tags of `{}` do not come to rest", repository.name());
            return Err(Error::new(Status::Registry, message)
                .hint("do others write them again and again? run it again when they are done"));
        };
        self.cx.status("Waiting", format!("{:.1} s for others' tags", time.as_secs_f64()));
        self.cx.children.pause(time)
    }

    fn tell(&self, name: &str, open: &Open) {
        let Open { wanted, was, outcome, reason, .. } = open;
        let was = was.map_or(String::new(), |was| format!(" (it was {was})"));
        let name = format!("{name}:{}", wanted.tag);
        match outcome {
            TagOutcome::Written => self.cx.status("Tagged", format!("{name}: {reason}")),
            TagOutcome::Moved => self.cx.status("Tagged", format!("{name}{was}: {reason}")),
            TagOutcome::Kept => self.cx.status("Kept", format!("{name}: {reason}")),
            TagOutcome::Refused => self.cx.status("Refused", format!("{name}: {reason}")),
            TagOutcome::Lost => {
                self.cx.warn(format!("`{name}` was written, and is another's: {reason}"))
            }
        }
    }
}
