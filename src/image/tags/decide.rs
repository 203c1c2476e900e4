//! The decision on one tag, by its target and the other tags.

use semver::Version;

use super::{RequestedTag, TagRule, policy::version_tag};
use crate::model::digest::Digest;

/// The image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// Its digest.
    pub digest: Digest,
    /// Its version, if it declares one.
    pub version: Option<Version>,
}

/// The target of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagTarget {
    /// There is no such tag.
    Absent,
    /// It points at this digest; the version is the one that the image declares, if that can be
    /// read.
    At(Digest, Option<Version>),
}

impl TagTarget {
    /// Returns the digest that it points at.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            TagTarget::Absent => None,
            TagTarget::At(digest, _) => Some(*digest),
        }
    }
}

/// The highest version of a line that has a separate tag, if it is not below the pushed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighestVersion {
    /// The version.
    pub version: Version,
    /// The target of its tag.
    pub digest: Digest,
}

/// The action, and the reason: a clause for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagDecision {
    /// Point it at the pushed image.
    Write(String),
    /// The tag that this push wrote shadows a higher version: point it at that.
    Yield(Digest, String),
    /// Leave it as it is.
    Keep(String),
    /// Leave it as it is, and write nothing at all.
    Reject(String),
}

/// Parses the version of a version tag; `None` for other tags.
pub fn parse_version_tag(tag: &str) -> Option<Version> {
    Version::parse(tag).ok().filter(|version| version.build.is_empty())
}

/// Decides on one tag.
///
/// `highest` is searched for after all earlier writes, and `target` is read after that. Versions' own
/// tags are written before those that follow them. So a push that writes a tag over a higher version's
/// finds that version here when it checks again: `was_written` is set if this push has written the tag, and
/// then it is this push that corrects it. `is_named` is set if the user named the tag as one to move.
pub fn decide(
    requested: &RequestedTag,
    pushed: &PushedImage,
    target: &TagTarget,
    highest: Option<&HighestVersion>,
    was_written: bool,
    is_named: bool,
) -> TagDecision {
    let is = target.digest();
    if is == Some(pushed.digest) && highest.is_none_or(|highest| highest.digest == pushed.digest) {
        return TagDecision::Keep("it is this image".to_owned());
    }
    match requested.rule {
        TagRule::Fixed => match target {
            TagTarget::Absent => TagDecision::Write("it is new".to_owned()),
            TagTarget::At(_, other) if is != Some(pushed.digest) => {
                TagDecision::Reject(immutable_reason(pushed, other.as_ref()))
            }
            TagTarget::At(..) => TagDecision::Keep("it is this image".to_owned()),
        },
        TagRule::Free if is == Some(pushed.digest) => {
            TagDecision::Keep("it is this image".to_owned())
        }
        TagRule::Free if is.is_none() => TagDecision::Write("it is new".to_owned()),
        TagRule::Free => TagDecision::Write("it follows each push".to_owned()),
        TagRule::Follows(_) if is_named => match (was_written, is == Some(pushed.digest)) {
            (false, false) => TagDecision::Write("`--move-tag` names it".to_owned()),
            (_, true) => TagDecision::Keep("it is this image".to_owned()),
            (true, false) => TagDecision::Keep("a different push wrote it right after".to_owned()),
        },
        TagRule::Follows(_) => decide_moving_tag(pushed, target, highest, was_written),
    }
}

/// Returns the reason for which a version tag is not moved to a different image.
fn immutable_reason(pushed: &PushedImage, other: Option<&Version>) -> String {
    let builds = pushed.version.as_ref().zip(other).filter(|(pushed, other)| {
        pushed.build != other.build && pushed.cmp_precedence(other).is_eq()
    });
    match builds {
        Some((pushed, other)) => {
            format!(
                "it is `{other}`, and `{pushed}` is the same version: build metadata is \
                     ignored"
            )
        }
        None => "it is a different image, and version tags are immutable".to_owned(),
    }
}

fn decide_moving_tag(
    pushed: &PushedImage,
    target: &TagTarget,
    highest: Option<&HighestVersion>,
    was_written: bool,
) -> TagDecision {
    let Some(version) = &pushed.version else {
        return TagDecision::Keep("this image declares no version".to_owned());
    };
    let current = match target {
        TagTarget::At(_, current) => current.as_ref(),
        TagTarget::Absent => None,
    };
    let above =
        |than: &Version| current.is_some_and(|current| current.cmp_precedence(than).is_gt());
    if let Some(HighestVersion { version: high, digest }) =
        highest.filter(|h| h.digest != pushed.digest)
    {
        let name = version_tag(high);
        return match high.cmp_precedence(version).is_gt() {
            _ if above(high) => TagDecision::Keep(higher_reason(current)),
            true if target.digest() == Some(*digest) => {
                TagDecision::Keep(higher_reason(Some(high)))
            }
            true if was_written => TagDecision::Yield(*digest, format!("`{name}` came meanwhile")),
            true => TagDecision::Keep(format!("`{name}` exists, which is higher")),
            false if was_written && target.digest() == Some(pushed.digest) => {
                TagDecision::Yield(*digest, format!("`{name}` is another image"))
            }
            false => TagDecision::Keep(format!("`{name}` is another image")),
        };
    }
    match (target, current) {
        (TagTarget::Absent, _) => TagDecision::Write("it is new".to_owned()),
        (TagTarget::At(..), None) => TagDecision::Keep(
            "the current image declares no version; `--move-tag` moves the tag".to_owned(),
        ),
        (TagTarget::At(..), Some(current)) => match current.cmp_precedence(version) {
            std::cmp::Ordering::Less => {
                TagDecision::Write(format!("`{current}` was there, a lower version"))
            }
            std::cmp::Ordering::Greater => TagDecision::Keep(higher_reason(Some(current))),
            // The image with the version's own tag has those that follow it, too.
            std::cmp::Ordering::Equal if highest.is_some() => {
                TagDecision::Write(format!("`{}` is this image", version_tag(version)))
            }
            std::cmp::Ordering::Equal => TagDecision::Keep(format!(
                "it is `{current}`, the same version with different \
                                           content"
            )),
        },
    }
}

fn higher_reason(version: Option<&Version>) -> String {
    let version = version.map_or(String::new(), version_tag);
    format!("it is `{version}`, which is higher")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::tags::VersionLine, model::schema::tags::TagKind};

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    fn parse(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn requested(rule: TagRule) -> RequestedTag {
        RequestedTag { tag: "x".to_owned(), kind: TagKind::Latest, rule }
    }

    const FOLLOWS: TagRule = TagRule::Follows(VersionLine::Releases);

    /// Returns the decision for `1.2.3`: a letter, and the reason. The current tag is a version, `?`
    /// for none that can be read, or nothing; the highest one that is not lower is a version.
    fn decision(
        rule: TagRule,
        target: &str,
        highest: &str,
        was_written: bool,
        is_named: bool,
    ) -> (char, String) {
        let pushed = PushedImage { digest: digest("1.2.3"), version: Some(parse("1.2.3")) };
        let target = match target {
            "" => TagTarget::Absent,
            text => TagTarget::At(digest(text), Version::parse(text.trim_end_matches('!')).ok()),
        };
        let highest = (!highest.is_empty()).then(|| HighestVersion {
            version: parse(highest.trim_end_matches('!')),
            digest: digest(highest),
        });
        match decide(&requested(rule), &pushed, &target, highest.as_ref(), was_written, is_named) {
            TagDecision::Write(why) => ('W', why),
            TagDecision::Yield(to, why) => {
                assert_eq!(Some(to), highest.map(|highest| highest.digest));
                ('G', why)
            }
            TagDecision::Keep(why) => ('K', why),
            TagDecision::Reject(why) => ('R', why),
        }
    }

    #[test]
    fn version_tags_are_immutable() {
        let fixed = |target| decision(TagRule::Fixed, target, "", false, false);
        assert_eq!(fixed("").0, 'W');
        assert_eq!(fixed("1.2.3").0, 'K');
        assert_eq!(fixed("1.2.3!"), ('R', immutable_reason(&pushed(), None)));
        assert_eq!(fixed("?").0, 'R');
        let (what, why) = fixed("1.2.3+b");
        assert!(what == 'R' && why.contains("build metadata is ignored"), "{why}");
    }

    fn pushed() -> PushedImage {
        PushedImage { digest: digest("1.2.3"), version: Some(parse("1.2.3")) }
    }

    #[test]
    fn moving_tags_only_move_to_higher_versions() {
        // The current tag, the highest listed version that is not lower, and whether it was written
        // here before.
        for (target, highest, wrote, expected) in [
            ("", "", false, 'W'),
            ("", "1.2.3", false, 'W'),
            ("1.2.2", "1.2.3", false, 'W'),
            ("1.2.3", "1.2.3", true, 'K'),
            ("1.2.3", "", false, 'K'),
            ("1.3.0", "1.2.3", false, 'K'),
            ("2.0.0-rc.1", "1.2.3", false, 'K'),
            // Its own tag is not written yet, or is not visible yet: the push that writes it moves
            // this.
            ("", "1.3.0", false, 'K'),
            ("1.2.2", "1.3.0", false, 'K'),
            ("1.3.0", "1.3.0", false, 'K'),
            // Lost, and noticed: the current image is this one, or that of a lower version's push.
            ("1.2.3", "1.3.0", true, 'G'),
            ("1.2.2", "1.3.0", true, 'G'),
            ("", "1.3.0", true, 'G'),
            ("1.3.0", "1.3.0", true, 'K'),
            ("1.4.0", "1.3.0", true, 'K'),
            // An earlier push of this image was interrupted before it yielded; now it only reads.
            ("1.2.3", "1.3.0", false, 'K'),
            // The push of a lower version overwrote this one's.
            ("1.2.2", "1.2.3", true, 'W'),
            // The same version, of another content: its own tag decides.
            ("1.2.3!", "1.2.3", false, 'W'),
            ("1.2.3+b", "", false, 'K'),
            ("1.2.3", "1.2.3!", true, 'G'),
            ("1.2.3!", "1.2.3!", true, 'K'),
            ("1.2.2", "1.2.3!", false, 'K'),
            // The version of the current image is unknown.
            ("?", "", false, 'K'),
            ("?", "1.2.3", true, 'K'),
        ] {
            let (what, why) = decision(FOLLOWS, target, highest, wrote, false);
            assert_eq!(what, expected, "{target} {highest} {wrote}: {why}");
            assert!(!why.is_empty());
        }
    }

    #[test]
    fn tags_requested_by_name_move_once() {
        for target in ["", "?", "2.0.0", "1.2.3!"] {
            assert_eq!(decision(FOLLOWS, target, "2.0.0", false, true).0, 'W');
        }
        assert_eq!(decision(FOLLOWS, "1.2.3", "2.0.0", true, true).0, 'K');
        assert_eq!(decision(FOLLOWS, "2.0.0", "2.0.0", true, true).0, 'K');
        // A version's own tag does not.
        assert_eq!(decision(TagRule::Fixed, "1.2.3!", "", false, true).0, 'R');
    }

    #[test]
    fn free_tags_always_move() {
        assert_eq!(decision(TagRule::Free, "9.0.0", "", false, false).0, 'W');
        assert_eq!(decision(TagRule::Free, "1.2.3", "", false, false).0, 'K');
    }

    #[test]
    fn versions_of_tags() {
        assert_eq!(parse_version_tag("1.2.3-rc.1"), Some(parse("1.2.3-rc.1")));
        for tag in ["1.2", "v1.2.3", "latest", "1.2.3+b", "01.2.3", ""] {
            assert_eq!(parse_version_tag(tag), None, "{tag}");
        }
    }
}
