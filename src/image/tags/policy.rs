//! The tag settings of a package, and the resulting tags.

use std::collections::BTreeSet;

use semver::Version;

use crate::model::{
    error::{Error, Result},
    schema::tags::{TagKind, TagPolicy},
};

/// The longest tag (OCI distribution specification 1.1, "Pulling manifests").
const MAX_LENGTH: usize = 128;

/// The number of characters of a revision in a tag.
const REVISION_DIGITS: usize = 12;

impl TagKind {
    /// Returns whether such a tag follows the highest version.
    pub fn moves(self) -> bool {
        matches!(self, TagKind::Minor | TagKind::Major | TagKind::Latest | TagKind::Next)
    }

    /// Returns the version as it is written in `Cargo.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            TagKind::Version => "version",
            TagKind::Minor => "minor",
            TagKind::Major => "major",
            TagKind::Latest => "latest",
            TagKind::Next => "next",
            TagKind::Sha => "sha",
            TagKind::Branch => "branch",
        }
    }
}

/// The kind of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushKind {
    /// A release, or a prerelease where its version is one.
    Release,
    /// A build that is not a release.
    Snapshot,
}

/// The metadata of the image to tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageMetadata {
    /// Its version, if it declares one.
    pub version: Option<Version>,
    /// The commit it was built from, if it declares one.
    pub revision: Option<String>,
    /// Whether files differed from that.
    pub dirty: bool,
}

/// A requested tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedTag {
    /// The tag.
    pub tag: String,
    /// Its kind.
    pub kind: TagKind,
    /// The rule by which it may move.
    pub rule: TagRule,
}

/// The rule by which a tag may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagRule {
    /// Never.
    Fixed,
    /// To a higher version of its line.
    Follows(VersionLine),
    /// Whenever it is written.
    Free,
}

/// The versions among which a tag is at the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionLine {
    /// Releases `X.Y.*`.
    Minor(u64, u64),
    /// Releases `X.*`.
    Major(u64),
    /// All releases.
    Releases,
    /// All prereleases.
    Prereleases,
    /// Releases and prereleases.
    All,
}

impl VersionLine {
    /// Returns whether a version is of it.
    pub fn contains(self, version: &Version) -> bool {
        let release = version.pre.is_empty();
        match self {
            VersionLine::Minor(major, minor) => {
                release && version.major == major && version.minor == minor
            }
            VersionLine::Major(major) => release && version.major == major,
            VersionLine::Releases => release,
            VersionLine::Prereleases => !release,
            VersionLine::All => true,
        }
    }
}

impl TagPolicy {
    /// Returns whether it is the default policy.
    pub fn is_default(&self) -> bool {
        *self == TagPolicy::default()
    }

    /// Checks that each kind is possible for its kind of push.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<()> {
        use TagKind::{Latest, Major, Minor, Next, Sha, Version};
        let rows: [(&str, &BTreeSet<TagKind>, &[TagKind]); 3] = [
            ("release", &self.release, &[Version, Minor, Major, Latest, Next, Sha]),
            ("prerelease", &self.prerelease, &[Version, Next, Sha]),
            ("snapshot", &self.snapshot, &[Sha]),
        ];
        for (name, kinds, possible) in rows {
            let Some(kind) = kinds.iter().find(|kind| !possible.contains(kind)) else { continue };
            let kind = kind.as_str();
            let error = Error::usage(format!("tags: `{name}` cannot have `{kind}`"));
            let names: Vec<_> = possible.iter().map(|kind| kind.as_str()).collect();
            return Err(error.hint(match kind {
                "branch" => "`push --branch NAME` writes a branch's tag".to_owned(),
                _ => format!("it can have `{}`", names.join("`, `")),
            }));
        }
        Ok(())
    }

    /// Returns the tags for `subject`: immutable ones first. `branch` is one that was named.
    ///
    /// # Errors
    /// The subject does not say what they are made of, or there are none.
    pub fn requested_tags(
        &self,
        push_kind: PushKind,
        subject: &ImageMetadata,
        branch: Option<&str>,
    ) -> Result<Vec<RequestedTag>> {
        self.check()?;
        let (name, kinds, version) = match (push_kind, &subject.version) {
            (PushKind::Snapshot, version) => ("snapshot", &self.snapshot, version.as_ref()),
            (PushKind::Release, Some(version)) if version.pre.is_empty() => {
                ("release", &self.release, Some(version))
            }
            (PushKind::Release, Some(version)) => ("prerelease", &self.prerelease, Some(version)),
            (PushKind::Release, None) => {
                return Err(Error::usage("the image declares no version that can be released")
                    .hint(
                        "its label `org.opencontainers.image.version` has to be `X.Y.Z`; \
                     `--tags snapshot` needs none",
                    ));
            }
        };
        let mut requested = Vec::new();
        for kind in kinds {
            requested.extend(self.tag(*kind, version, subject)?);
        }
        if let Some(branch) = branch {
            let tag = branch_tag(branch)?;
            requested.push(RequestedTag { tag, kind: TagKind::Branch, rule: TagRule::Free });
        }
        if requested.is_empty() {
            return Err(Error::usage(format!("no tags are configured for a {name}")).hint(
                "`[package.metadata.longshore.tags]` says which; docs/registry.md has them",
            ));
        }
        if let Some(long) = requested.iter().find(|requested| requested.tag.len() > MAX_LENGTH) {
            let message = format!("`{}` has more than {MAX_LENGTH} characters", long.tag);
            return Err(Error::usage(message).hint("no registry takes it as a tag"));
        }
        Ok(requested)
    }

    fn tag(
        &self,
        kind: TagKind,
        version: Option<&Version>,
        subject: &ImageMetadata,
    ) -> Result<Option<RequestedTag>> {
        let (tag, rule) = match (kind, version) {
            (TagKind::Sha, _) => (sha_tag(subject)?, TagRule::Free),
            // Tags take no `+`: what is behind it makes no other version (semver.org, 10).
            (TagKind::Version, Some(version)) => (version_tag(version), TagRule::Fixed),
            (TagKind::Minor, Some(Version { major, minor, .. })) => {
                (format!("{major}.{minor}"), TagRule::Follows(VersionLine::Minor(*major, *minor)))
            }
            (TagKind::Major, Some(Version { major, .. })) if *major > 0 => {
                (major.to_string(), TagRule::Follows(VersionLine::Major(*major)))
            }
            (TagKind::Latest, Some(_)) => {
                ("latest".to_owned(), TagRule::Follows(VersionLine::Releases))
            }
            (TagKind::Next, Some(_)) => {
                let both = self.release.contains(&TagKind::Next);
                let line = if both { VersionLine::All } else { VersionLine::Prereleases };
                ("next".to_owned(), TagRule::Follows(line))
            }
            _ => return Ok(None),
        };
        Ok(Some(RequestedTag { tag, kind, rule }))
    }
}

/// Returns a version as a tag.
pub(super) fn version_tag(version: &Version) -> String {
    let plain = Version { build: semver::BuildMetadata::EMPTY, ..version.clone() };
    plain.to_string()
}

fn sha_tag(subject: &ImageMetadata) -> Result<String> {
    let hint = "it comes from git, or is the label `org.opencontainers.image.revision`";
    let revision = subject.revision.as_deref().ok_or_else(|| {
        Error::usage(
            "the image declares no revision for a tag \
                                     `sha-…`",
        )
        .hint(hint)
    })?;
    let hex = revision
        .get(..REVISION_DIGITS)
        .filter(|_| revision.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| {
        let shown: String = revision.chars().take(100).collect();
        Error::usage(format!("`{}` is not a revision for a tag", shown.escape_debug())).hint(hint)
    })?;
    let dirty = if subject.dirty { "-dirty" } else { "" };
    Ok(format!("sha-{}{dirty}", hex.to_ascii_lowercase()))
}

/// Returns a branch as a tag: `feature/x` is `feature-x`. One that has the form of a release tag would
/// move that without notice.
fn branch_tag(branch: &str) -> Result<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    let tag: String = branch.chars().map(|c| if known(c) { c } else { '-' }).collect();
    let tag = tag.trim_start_matches(['.', '-']);
    let shown = branch.escape_debug();
    if tag.is_empty() {
        return Err(Error::usage(format!("`{shown}` is not a branch for a tag")));
    }
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let version = Version::parse(tag).is_ok() || tag.split('.').all(number);
    if version
        || ["latest", "next"].contains(&tag)
        || tag.starts_with("sha-")
        || is_referrers_tag(tag)
    {
        return Err(Error::usage(format!(
            "`{tag}`, for the branch `{shown}`, has the form of a \
                                         release tag"
        ))
        .hint("use a different branch name"));
    }
    Ok(tag.to_owned())
}

/// Returns whether it is the tag that lists the attachments of an image.
fn is_referrers_tag(tag: &str) -> bool {
    tag.starts_with("sha256-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(version: &str) -> ImageMetadata {
        let revision = Some("0123456789ABCDEF0123456789abcdef01234567".to_owned());
        ImageMetadata { version: Version::parse(version).ok(), revision, dirty: false }
    }

    fn tags(policy: &TagPolicy, push_kind: PushKind, subject: &ImageMetadata) -> String {
        let requested = policy.requested_tags(push_kind, subject, None).unwrap();
        requested.into_iter().map(|requested| requested.tag).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn defaults() {
        let policy = TagPolicy::default();
        for (version, expected) in [
            ("1.2.3", "1.2.3 1.2 1 latest"),
            ("0.4.1", "0.4.1 0.4 latest"),
            ("0.0.1", "0.0.1 0.0 latest"),
            ("2.0.0-rc.1", "2.0.0-rc.1 next"),
            ("1.2.3+linux", "1.2.3 1.2 1 latest"),
            ("1.0.0-a+b", "1.0.0-a next"),
        ] {
            assert_eq!(tags(&policy, PushKind::Release, &subject(version)), expected);
            let snapshot = tags(&policy, PushKind::Snapshot, &subject(version));
            assert_eq!(snapshot, "sha-0123456789ab");
        }
        let dirty = ImageMetadata { dirty: true, ..subject("1.0.0") };
        assert_eq!(tags(&policy, PushKind::Snapshot, &dirty), "sha-0123456789ab-dirty");
        let requested =
            policy.requested_tags(PushKind::Snapshot, &dirty, Some("feature/ä")).unwrap();
        assert_eq!(requested[1].tag, "feature--");
    }

    #[test]
    fn configured_kinds() {
        let read = |text: &str| toml::from_str::<TagPolicy>(text).unwrap();
        let policy = read("release = ['latest', 'sha', 'version', 'next']");
        let tags_of = |version| tags(&policy, PushKind::Release, &subject(version));
        assert_eq!(tags_of("1.2.3"), "1.2.3 latest next sha-0123456789ab");
        let requested =
            policy.requested_tags(PushKind::Release, &subject("1.0.0-a"), None).unwrap();
        assert_eq!(requested[1].rule, TagRule::Follows(VersionLine::All));
        for (text, why) in [
            ("prerelease = ['latest']", "`prerelease` cannot have `latest`"),
            ("prerelease = ['minor']", "`prerelease` cannot have `minor`"),
            ("snapshot = ['version']", "`snapshot` cannot have `version`"),
            ("release = ['branch']", "`release` cannot have `branch`"),
        ] {
            let error = read(text).check().unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(toml::from_str::<TagPolicy>("release = ['lastest']").is_err());
        let none =
            read("snapshot = []").requested_tags(PushKind::Snapshot, &subject("1.0.0"), None);
        assert!(none.unwrap_err().to_string().contains("no tags are configured for a snapshot"));
    }

    #[test]
    fn images_without_metadata_are_rejected() {
        let policy = TagPolicy::default();
        let requested =
            |push_kind, image: &ImageMetadata| policy.requested_tags(push_kind, image, None);
        let nothing = ImageMetadata::default();
        for push_kind in [PushKind::Release, PushKind::Snapshot] {
            assert!(requested(push_kind, &nothing).unwrap_err().hint_text().is_some());
        }
        for revision in ["", "0123", "0123456789a/../etc", "éééééééééééé"] {
            let image =
                ImageMetadata { revision: Some(revision.to_owned()), ..ImageMetadata::default() };
            assert!(requested(PushKind::Snapshot, &image).is_err(), "{revision}");
        }
        let long = subject(&format!("1.0.0-{}", "x".repeat(130)));
        assert!(requested(PushKind::Release, &long).is_err());
        for branch in ["", "/", "latest", "1", "1.2", "1.2.3-rc", "sha-1", "next", "sha256-0"] {
            let named = policy.requested_tags(PushKind::Snapshot, &subject("1.0.0"), Some(branch));
            assert!(named.is_err(), "{branch}");
        }
    }

    #[test]
    fn lines() {
        let contains =
            |line: VersionLine, text: &str| line.contains(&Version::parse(text).unwrap());
        assert!(
            contains(VersionLine::Minor(1, 2), "1.2.9")
                && !contains(VersionLine::Minor(1, 2), "1.3.0")
        );
        assert!(
            contains(VersionLine::Major(1), "1.9.0") && !contains(VersionLine::Major(1), "1.9.0-a")
        );
        assert!(
            contains(VersionLine::Releases, "9.0.0") && !contains(VersionLine::Releases, "9.0.0-a")
        );
        assert!(
            contains(VersionLine::Prereleases, "9.0.0-a")
                && !contains(VersionLine::Prereleases, "9.0.0")
        );
    }
}
