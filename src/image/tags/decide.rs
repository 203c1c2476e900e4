//! The decision on one tag, by its target and the other tags.

use semver::Version;

use super::{Rule, Wanted, policy::text};
use crate::model::digest::Digest;

/// The image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Its digest.
    pub digest: Digest,
    /// Its version, where it says one.
    pub version: Option<Version>,
}

/// The target of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no such tag.
    Absent,
    /// It points at this; the version is the one that the image says, where that can be read.
    At(Digest, Option<Version>),
}

impl Standing {
    /// Returns the digest that it points at.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Standing::Absent => None,
            Standing::At(digest, _) => Some(*digest),
        }
    }
}

/// The highest version of a line that has a separate tag, if it is not below the pushed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highest {
    /// The version.
    pub version: Version,
    /// The target of its tag.
    pub digest: Digest,
}

/// The action, and the reason: a clause for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it point at what was pushed.
    Write(String),
    /// The tag that was written here shadows a higher version: let it point at that.
    GiveWay(Digest, String),
    /// Leave it as it is.
    Keep(String),
    /// Leave it as it is, and everything else, too.
    Refuse(String),
}

/// Returns the version that a tag stands for, if it is one of a version.
pub fn version(tag: &str) -> Option<Version> {
    Version::parse(tag).ok().filter(|version| version.build.is_empty())
}

/// Decides on one tag.
///
/// `highest` is searched for after all earlier writes, and `standing` is read after that. Versions' own
/// tags are written before those that follow them. So a push that writes a tag over a higher version's
/// finds that version here when it checks again: `wrote` is set if this push has written the tag, and
/// then it is this push that corrects it. `asked` is set if the user named the tag as one to move.
pub fn decide(
    wanted: &Wanted,
    ours: &Ours,
    standing: &Standing,
    highest: Option<&Highest>,
    (wrote, asked): (bool, bool),
) -> Decision {
    let is = standing.digest();
    if is == Some(ours.digest) && highest.is_none_or(|highest| highest.digest == ours.digest) {
        return Decision::Keep("it is this image".to_owned());
    }
    match wanted.rule {
        Rule::Fixed => match standing {
            Standing::Absent => Decision::Write("it is new".to_owned()),
            Standing::At(_, other) if is != Some(ours.digest) => {
                Decision::Refuse(taken(ours, other.as_ref()))
            }
            Standing::At(..) => Decision::Keep("it is this image".to_owned()),
        },
        Rule::Free if is == Some(ours.digest) => Decision::Keep("it is this image".to_owned()),
        Rule::Free if is.is_none() => Decision::Write("it is new".to_owned()),
        Rule::Free => Decision::Write("it follows each push".to_owned()),
        Rule::Follows(_) if asked => match (wrote, is == Some(ours.digest)) {
            (false, false) => Decision::Write("`--move-tag` names it".to_owned()),
            (_, true) => Decision::Keep("it is this image".to_owned()),
            (true, false) => Decision::Keep("somebody else wrote it right after".to_owned()),
        },
        Rule::Follows(_) => follow(ours, standing, highest, wrote),
    }
}

/// Returns the reason for which a version's tag is not moved to a different image.
fn taken(ours: &Ours, other: Option<&Version>) -> String {
    let builds =
        ours.version.as_ref().zip(other).filter(|(ours, other)| {
            ours.build != other.build && ours.cmp_precedence(other).is_eq()
        });
    match builds {
        Some((ours, other)) => {
            format!("it is `{other}`, and `{ours}` is no other version: builds do not count")
        }
        None => "it is another image, and a version's tag does not move".to_owned(),
    }
}

fn follow(ours: &Ours, standing: &Standing, highest: Option<&Highest>, wrote: bool) -> Decision {
    let Some(version) = &ours.version else {
        return Decision::Keep("this image says no version".to_owned());
    };
    let said = match standing {
        Standing::At(_, said) => said.as_ref(),
        Standing::Absent => None,
    };
    let above = |than: &Version| said.is_some_and(|said| said.cmp_precedence(than).is_gt());
    if let Some(Highest { version: high, digest }) = highest.filter(|h| h.digest != ours.digest) {
        let name = text(high);
        return match high.cmp_precedence(version).is_gt() {
            _ if above(high) => Decision::Keep(higher(said)),
            true if standing.digest() == Some(*digest) => Decision::Keep(higher(Some(high))),
            true if wrote => Decision::GiveWay(*digest, format!("`{name}` came meanwhile")),
            true => Decision::Keep(format!("`{name}` is there, which is higher")),
            false if wrote && standing.digest() == Some(ours.digest) => {
                Decision::GiveWay(*digest, format!("`{name}` is another image"))
            }
            false => Decision::Keep(format!("`{name}` is another image")),
        };
    }
    match (standing, said) {
        (Standing::Absent, _) => Decision::Write("it is new".to_owned()),
        (Standing::At(..), None) => Decision::Keep(
            "the image there says no version; `--move-tag` moves it all the same".to_owned(),
        ),
        (Standing::At(..), Some(said)) => match said.cmp_precedence(version) {
            std::cmp::Ordering::Less => Decision::Write(format!("`{said}` was there, a lower one")),
            std::cmp::Ordering::Greater => Decision::Keep(higher(Some(said))),
            // The image with the version's own tag has those that follow it, too.
            std::cmp::Ordering::Equal if highest.is_some() => {
                Decision::Write(format!("`{}` is this image", text(version)))
            }
            std::cmp::Ordering::Equal => {
                Decision::Keep(format!("it is `{said}`, the same version of another content"))
            }
        },
    }
}

fn higher(version: Option<&Version>) -> String {
    let version = version.map_or(String::new(), text);
    format!("it is `{version}`, which is higher")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::tags::Line, model::schema::tags::TagKind};

    fn digest(of: &str) -> Digest {
        Digest::sha256(of.as_bytes())
    }

    fn parse(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn wanted(rule: Rule) -> Wanted {
        Wanted { tag: "x".to_owned(), kind: TagKind::Latest, rule }
    }

    const FOLLOWS: Rule = Rule::Follows(Line::Releases);

    /// Returns the decision for `1.2.3`: a letter, and the reason. The current tag is a version, `?`
    /// for none that can be read, or nothing; the highest one that is not lower is a version.
    fn of(rule: Rule, standing: &str, highest: &str, flags: (bool, bool)) -> (char, String) {
        let ours = Ours { digest: digest("1.2.3"), version: Some(parse("1.2.3")) };
        let standing = match standing {
            "" => Standing::Absent,
            text => Standing::At(digest(text), Version::parse(text.trim_end_matches('!')).ok()),
        };
        let highest = (!highest.is_empty()).then(|| Highest {
            version: parse(highest.trim_end_matches('!')),
            digest: digest(highest),
        });
        match decide(&wanted(rule), &ours, &standing, highest.as_ref(), flags) {
            Decision::Write(why) => ('W', why),
            Decision::GiveWay(to, why) => {
                assert_eq!(Some(to), highest.map(|highest| highest.digest));
                ('G', why)
            }
            Decision::Keep(why) => ('K', why),
            Decision::Refuse(why) => ('R', why),
        }
    }

    #[test]
    fn a_version_never_moves() {
        let of = |standing| of(Rule::Fixed, standing, "", (false, false));
        assert_eq!(of("").0, 'W');
        assert_eq!(of("1.2.3").0, 'K');
        assert_eq!(of("1.2.3!"), ('R', taken(&ours(), None)));
        assert_eq!(of("?").0, 'R');
        let (what, why) = of("1.2.3+b");
        assert!(what == 'R' && why.contains("builds do not count"), "{why}");
    }

    fn ours() -> Ours {
        Ours { digest: digest("1.2.3"), version: Some(parse("1.2.3")) }
    }

    #[test]
    fn what_follows_only_rises() {
        // The current tag, the highest listed version that is not lower, and whether it was written
        // here before.
        for (standing, highest, wrote, expected) in [
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
            let (what, why) = of(FOLLOWS, standing, highest, (wrote, false));
            assert_eq!(what, expected, "{standing} {highest} {wrote}: {why}");
            assert!(!why.is_empty());
        }
    }

    #[test]
    fn what_is_asked_for_by_name_moves_once() {
        for standing in ["", "?", "2.0.0", "1.2.3!"] {
            assert_eq!(of(FOLLOWS, standing, "2.0.0", (false, true)).0, 'W');
        }
        assert_eq!(of(FOLLOWS, "1.2.3", "2.0.0", (true, true)).0, 'K');
        assert_eq!(of(FOLLOWS, "2.0.0", "2.0.0", (true, true)).0, 'K');
        // A version's own tag does not.
        assert_eq!(of(Rule::Fixed, "1.2.3!", "", (false, true)).0, 'R');
    }

    #[test]
    fn others_move_freely() {
        assert_eq!(of(Rule::Free, "9.0.0", "", (false, false)).0, 'W');
        assert_eq!(of(Rule::Free, "1.2.3", "", (false, false)).0, 'K');
    }

    #[test]
    fn versions_of_tags() {
        assert_eq!(version("1.2.3-rc.1"), Some(parse("1.2.3-rc.1")));
        for tag in ["1.2", "v1.2.3", "latest", "1.2.3+b", "01.2.3", ""] {
            assert_eq!(version(tag), None, "{tag}");
        }
    }
}
