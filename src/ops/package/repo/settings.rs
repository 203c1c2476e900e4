//! The names and the key of repositories: those of flags, else those of the metadata.

use std::collections::BTreeSet;

use super::RepositoryRequest;
use crate::{
    archive::repository::apt::is_path_part,
    model::{
        error::{Error, Result},
        schema::{
            Dist,
            dist::{Archive, ArchiveKind},
            plan::Repo,
        },
    },
};

/// The suite and the component, if neither a flag nor the metadata names one.
const SUITE: &str = "stable";
const COMPONENT: &str = "main";

/// The names in an apt repository, and the key that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RepositorySettings {
    pub(super) suite: String,
    pub(super) component: String,
    /// The current one, or the name of the release when absent.
    pub(super) origin: Option<String>,
    pub(super) gpg_key: Option<String>,
}

/// Returns the settings for the packages that are added.
///
/// # Errors
/// Two of the packages have different ones and no flag decides, or a name is not valid.
pub(super) fn settings(request: &RepositoryRequest, dist: &Dist) -> Result<RepositorySettings> {
    let mut packages: BTreeSet<&str> = BTreeSet::new();
    for kind in [ArchiveKind::Deb, ArchiveKind::Rpm] {
        let added = dist.archives.iter().filter(|archive| archive.kind == kind);
        packages.extend(
            added.filter(|it| is_added(request, dist, it)).map(|archive| &*archive.package),
        );
    }
    let one = |key: &str, flag: &Option<String>, get: fn(&Repo) -> &Option<String>| {
        if flag.is_some() {
            return Ok(flag.clone());
        }
        let values =
            packages.iter().map(|name| (*name, repo(dist, name).and_then(|it| get(it).as_ref())));
        let values: Vec<(&str, Option<&String>)> = values.collect();
        let Some((first, value)) = values.first().copied() else { return Ok(None) };
        match values.iter().find(|(_, other)| *other != value) {
            None => Ok(value.cloned()),
            Some((other, _)) => Err(Error::usage(format!(
                "the packages `{first}` and `{other}` have different `repo.{key}`"
            ))
            .hint(format!("add one after the other with `--package`, or give `--{key}`"))),
        }
    };
    let settings = RepositorySettings {
        suite: one("suite", &request.suite, |repo| &repo.suite)?
            .unwrap_or_else(|| SUITE.to_owned()),
        component: one("component", &request.component, |repo| &repo.component)?
            .unwrap_or_else(|| COMPONENT.to_owned()),
        origin: one("origin", &request.origin, |repo| &repo.origin)?,
        gpg_key: one("gpg-key", &request.gpg_key, |repo| &repo.gpg_key)?,
    };
    for (flag, name) in [("--suite", &settings.suite), ("--component", &settings.component)] {
        if !is_path_part(name) {
            return Err(Error::usage(format!("`{name}` is not a valid name for `{flag}`"))
                .hint("letters and digits of ASCII, `.`, `_` and `-`"));
        }
    }
    Ok(settings)
}

/// Returns whether an archive is added: its package is named, or no package is and `repo` is not false.
pub(super) fn is_added(request: &RepositoryRequest, dist: &Dist, archive: &Archive) -> bool {
    if request.packages.is_empty() {
        repo(dist, &archive.package).is_none_or(|repo| !repo.excluded)
    } else {
        request.packages.contains(&archive.package)
    }
}

fn repo<'a>(dist: &'a Dist, package: &str) -> Option<&'a Repo> {
    dist.packages.iter().find(|plan| plan.package == package)?.repo.as_ref()
}
