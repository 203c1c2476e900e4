//! The tag settings of a package, and the resulting tags.

use std::collections::BTreeSet;

use semver::Version;

use crate::model::{
    error::{Error, Result},
    schema::tags::{TagKind, TagPolicy},
};

/// The longest tag (OCI distribution specification 1.1, "Pulling manifests").
const LONGEST: usize = 128;

/// The number of characters of a revision in a tag.
const HEX: usize = 12;

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

/// The properties of a pushed image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A release, or a prerelease where its version is one.
    Release,
    /// Something in between.
    Snapshot,
}

/// The image that is to be tagged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its version, where it says one.
    pub version: Option<Version>,
    /// The commit it was made of, where it says one.
    pub revision: Option<String>,
    /// Whether files differed from that.
    pub dirty: bool,
}

/// A requested tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The tag.
    pub tag: String,
    /// Its kind.
    pub kind: TagKind,
    /// The rule by which it may move.
    pub rule: Rule,
}

/// The rule by which a tag may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Never.
    Fixed,
    /// To a higher version of its line.
    Follows(Line),
    /// Whenever it is written.
    Free,
}

/// The versions among which a tag is at the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
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

impl Line {
    /// Returns whether a version is of it.
    pub fn contains(self, version: &Version) -> bool {
        let release = version.pre.is_empty();
        match self {
            Line::Minor(major, minor) => {
                release && version.major == major && version.minor == minor
            }
            Line::Major(major) => release && version.major == major,
            Line::Releases => release,
            Line::Prereleases => !release,
            Line::All => true,
        }
    }
}

impl TagPolicy {
    /// Returns whether it is the default policy.
    pub fn is_default(&self) -> bool {
        *self == TagPolicy::default()
    }

    /// Checks that each kind is possible on its occasion.
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
    pub fn wanted(
        &self,
        occasion: Occasion,
        subject: &Subject,
        branch: Option<&str>,
    ) -> Result<Vec<Wanted>> {
        self.check()?;
        let (name, kinds, version) = match (occasion, &subject.version) {
            (Occasion::Snapshot, version) => ("snapshot", &self.snapshot, version.as_ref()),
            (Occasion::Release, Some(version)) if version.pre.is_empty() => {
                ("release", &self.release, Some(version))
            }
            (Occasion::Release, Some(version)) => ("prerelease", &self.prerelease, Some(version)),
            (Occasion::Release, None) => {
                return Err(Error::usage("the image says no version that could be released").hint(
                    "its label `org.opencontainers.image.version` has to be `X.Y.Z`; \
                     `--tags snapshot` needs none",
                ));
            }
        };
        let mut wanted = Vec::new();
        for kind in kinds {
            wanted.extend(self.tag(*kind, version, subject)?);
        }
        if let Some(branch) = branch {
            let tag = branch_tag(branch)?;
            wanted.push(Wanted { tag, kind: TagKind::Branch, rule: Rule::Free });
        }
        if wanted.is_empty() {
            return Err(Error::usage(format!("no tags are wanted for a {name}")).hint(
                "`[package.metadata.longshore.tags]` says which; docs/registry.md has them",
            ));
        }
        if let Some(long) = wanted.iter().find(|wanted| wanted.tag.len() > LONGEST) {
            let message = format!("`{}` has more than {LONGEST} characters", long.tag);
            return Err(Error::usage(message).hint("no registry takes it as a tag"));
        }
        Ok(wanted)
    }

    fn tag(
        &self,
        kind: TagKind,
        version: Option<&Version>,
        subject: &Subject,
    ) -> Result<Option<Wanted>> {
        let (tag, rule) = match (kind, version) {
            (TagKind::Sha, _) => (sha(subject)?, Rule::Free),
            // Tags take no `+`: what is behind it makes no other version (semver.org, 10).
            (TagKind::Version, Some(version)) => (text(version), Rule::Fixed),
            (TagKind::Minor, Some(Version { major, minor, .. })) => {
                (format!("{major}.{minor}"), Rule::Follows(Line::Minor(*major, *minor)))
            }
            (TagKind::Major, Some(Version { major, .. })) if *major > 0 => {
                (major.to_string(), Rule::Follows(Line::Major(*major)))
            }
            (TagKind::Latest, Some(_)) => ("latest".to_owned(), Rule::Follows(Line::Releases)),
            (TagKind::Next, Some(_)) => {
                let both = self.release.contains(&TagKind::Next);
                let line = if both { Line::All } else { Line::Prereleases };
                ("next".to_owned(), Rule::Follows(line))
            }
            _ => return Ok(None),
        };
        Ok(Some(Wanted { tag, kind, rule }))
    }
}

/// Returns a version as a tag.
pub(super) fn text(version: &Version) -> String {
    let plain = Version { build: semver::BuildMetadata::EMPTY, ..version.clone() };
    plain.to_string()
}

fn sha(subject: &Subject) -> Result<String> {
    let hint = "it comes from git, or is the label `org.opencontainers.image.revision`";
    let revision = subject
        .revision
        .as_deref()
        .ok_or_else(|| Error::usage("the image says no revision for a tag `sha-…`").hint(hint))?;
    let hex = revision.get(..HEX).filter(|_| revision.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| {
        let shown: String = revision.chars().take(100).collect();
        Error::usage(format!("`{}` is no revision for a tag", shown.escape_debug())).hint(hint)
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
        return Err(Error::usage(format!("`{shown}` is no branch for a tag")));
    }
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let version = Version::parse(tag).is_ok() || tag.split('.').all(number);
    if version || ["latest", "next"].contains(&tag) || tag.starts_with("sha-") || is_list(tag) {
        return Err(Error::usage(format!("`{tag}`, for the branch `{shown}`, is no branch's tag"))
            .hint("it is how releases are tagged: name the branch otherwise"));
    }
    Ok(tag.to_owned())
}

/// Returns whether it is the tag that lists the attachments of an image.
fn is_list(tag: &str) -> bool {
    tag.starts_with("sha256-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(version: &str) -> Subject {
        let revision = Some("0123456789ABCDEF0123456789abcdef01234567".to_owned());
        Subject { version: Version::parse(version).ok(), revision, dirty: false }
    }

    fn tags(policy: &TagPolicy, occasion: Occasion, subject: &Subject) -> String {
        let wanted = policy.wanted(occasion, subject, None).unwrap();
        wanted.into_iter().map(|wanted| wanted.tag).collect::<Vec<_>>().join(" ")
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
            assert_eq!(tags(&policy, Occasion::Release, &subject(version)), expected);
            let snapshot = tags(&policy, Occasion::Snapshot, &subject(version));
            assert_eq!(snapshot, "sha-0123456789ab");
        }
        let dirty = Subject { dirty: true, ..subject("1.0.0") };
        assert_eq!(tags(&policy, Occasion::Snapshot, &dirty), "sha-0123456789ab-dirty");
        let wanted = policy.wanted(Occasion::Snapshot, &dirty, Some("feature/ä")).unwrap();
        assert_eq!(wanted[1].tag, "feature--");
    }

    #[test]
    fn what_is_configured() {
        let read = |text: &str| toml::from_str::<TagPolicy>(text).unwrap();
        let policy = read("release = ['latest', 'sha', 'version', 'next']");
        let of = |version| tags(&policy, Occasion::Release, &subject(version));
        assert_eq!(of("1.2.3"), "1.2.3 latest next sha-0123456789ab");
        let wanted = policy.wanted(Occasion::Release, &subject("1.0.0-a"), None).unwrap();
        assert_eq!(wanted[1].rule, Rule::Follows(Line::All));
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
        let none = read("snapshot = []").wanted(Occasion::Snapshot, &subject("1.0.0"), None);
        assert!(none.unwrap_err().to_string().contains("no tags are wanted for a snapshot"));
    }

    #[test]
    fn what_says_too_little_is_refused() {
        let policy = TagPolicy::default();
        let wanted = |occasion, of: &Subject| policy.wanted(occasion, of, None);
        let nothing = Subject::default();
        for occasion in [Occasion::Release, Occasion::Snapshot] {
            assert!(wanted(occasion, &nothing).unwrap_err().hint_text().is_some());
        }
        for revision in ["", "0123", "0123456789a/../etc", "éééééééééééé"] {
            let of = Subject { revision: Some(revision.to_owned()), ..Subject::default() };
            assert!(wanted(Occasion::Snapshot, &of).is_err(), "{revision}");
        }
        let long = subject(&format!("1.0.0-{}", "x".repeat(130)));
        assert!(wanted(Occasion::Release, &long).is_err());
        for branch in ["", "/", "latest", "1", "1.2", "1.2.3-rc", "sha-1", "next", "sha256-0"] {
            let named = policy.wanted(Occasion::Snapshot, &subject("1.0.0"), Some(branch));
            assert!(named.is_err(), "{branch}");
        }
    }

    #[test]
    fn lines() {
        let of = |line: Line, text: &str| line.contains(&Version::parse(text).unwrap());
        assert!(of(Line::Minor(1, 2), "1.2.9") && !of(Line::Minor(1, 2), "1.3.0"));
        assert!(of(Line::Major(1), "1.9.0") && !of(Line::Major(1), "1.9.0-a"));
        assert!(of(Line::Releases, "9.0.0") && !of(Line::Releases, "9.0.0-a"));
        assert!(of(Line::Prereleases, "9.0.0-a") && !of(Line::Prereleases, "9.0.0"));
    }
}
