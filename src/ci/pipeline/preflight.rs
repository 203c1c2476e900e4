//! The checks before a release is built: its tag and its secrets.

use crate::model::error::{Error, Result};

/// A tag, and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The tag.
    pub name: String,
    /// The variable or argument that it was read from.
    pub origin: String,
}

/// The event of a run, from the provider's variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// A tag.
    Tag(Tag),
    /// A branch, or an unknown event.
    Other,
}

impl RunEvent {
    /// Reads the variables: `GITHUB_REF_NAME` if `GITHUB_REF_TYPE` is `tag`, `CI_COMMIT_TAG` of GitLab,
    /// `CIRCLE_TAG`.
    pub fn from_variables<'a>(var: impl Fn(&str) -> Option<&'a str>) -> Self {
        let github = var("GITHUB_REF_NAME").filter(|_| var("GITHUB_REF_TYPE") == Some("tag"));
        let found = [
            ("GITHUB_REF_NAME", github),
            ("CI_COMMIT_TAG", var("CI_COMMIT_TAG")),
            ("CIRCLE_TAG", var("CIRCLE_TAG")),
        ];
        let found = found.into_iter().find_map(|(origin, name)| Some((origin, name?)));
        match found {
            Some((origin, name)) => {
                RunEvent::Tag(Tag { name: name.to_owned(), origin: format!("`{origin}`") })
            }
            None => RunEvent::Other,
        }
    }
}

/// Compares the tag with the versions (package and version, of all released packages), and reports every
/// missing secret.
///
/// # Errors
/// A secret is not set, there is no tag, or it is not the version.
pub fn check(trigger: &RunEvent, packages: &[(&str, &str)], missing: &[&str]) -> Result<()> {
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        let one = missing.len() == 1;
        let message = match one {
            true => format!("the secret {} is not set", names.join("")),
            false => format!("the secrets {} are not set", names.join(", ")),
        };
        return Err(Error::usage(message).hint(
            "set them where the CI system keeps secrets, for this repository and its tags; \
             `secrets` in `[workspace.metadata.longshore.ci]` names them",
        ));
    }
    let RunEvent::Tag(tag) = trigger else {
        return Err(Error::check("this run is not for a tag, and a release is")
            .hint("push a tag such as `v1.2.3`, or name it with `--tag`"));
    };
    let expected = |version: &str| format!("v{version}");
    let wrong: Vec<_> =
        packages.iter().filter(|(_, version)| expected(version) != tag.name).collect();
    let [(package, version), ..] = wrong[..] else { return Ok(()) };
    let message = format!(
        "the tag `{}` ({}) is not the version of `{package}`, which is `{version}`",
        tag.name, tag.origin
    );
    let others = wrong.len() - 1;
    let hint = match others {
        0 => format!("set the version in `Cargo.toml`, or tag that commit `{}`", expected(version)),
        _ => format!(
            "{others} more packages differ: all that is released has the version of the tag; \
             `dist = false` leaves a package out"
        ),
    };
    Err(Error::check(message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pairs: &[(&str, &'static str)]) -> RunEvent {
        RunEvent::from_variables(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1))
    }

    #[test]
    fn each_providers_tag_is_read() {
        let tag = |trigger: RunEvent| match trigger {
            RunEvent::Tag(tag) => Some(tag.name),
            RunEvent::Other => None,
        };
        let github = [("GITHUB_REF_NAME", "v1.0.0"), ("GITHUB_REF_TYPE", "tag")];
        assert_eq!(tag(event(&github)), Some("v1.0.0".to_owned()));
        // A branch may be called like a tag.
        assert_eq!(
            tag(event(&[("GITHUB_REF_NAME", "v1.0.0"), ("GITHUB_REF_TYPE", "branch")])),
            None
        );
        assert_eq!(tag(event(&[("CI_COMMIT_TAG", "v1")])), Some("v1".to_owned()));
        assert_eq!(tag(event(&[("CIRCLE_TAG", "v1")])), Some("v1".to_owned()));
        assert_eq!(tag(event(&[])), None);
    }

    #[test]
    fn the_tag_must_match_the_version() {
        let run = |tag: &'static str, packages: &[(&str, &str)]| {
            check(&event(&[("CIRCLE_TAG", tag)]), packages, &[])
        };
        assert!(run("v1.2.3-rc.1", &[("a", "1.2.3-rc.1")]).is_ok());
        let error = run("v1.2.4", &[("a", "1.2.3")]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`v1.2.4`") && text.contains("`1.2.3`"), "{text}");
        assert!(run("1.2.3", &[("a", "1.2.3")]).is_err());
        assert!(run("v1.2.3", &[("a", "1.2.3"), ("b", "0.1.0")]).is_err());
        assert!(check(&RunEvent::Other, &[("a", "1.2.3")], &[]).is_err());
    }
}
