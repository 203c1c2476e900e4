//! The source of a release: its commit, the files that differ from it, and its time.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    build::{cargo::settings::EnvEntry, plan::Facts, workspace::Workspace},
    model::error::{Error, Result},
    sys::{
        Context, cargo,
        git::{self, RepositoryState},
    },
};

/// Adds the commit of the workspace, the files that differ from it, and the time of the release.
/// Returns the top directory of the repository that the workspace belongs to.
pub(super) fn add_source(
    cx: &Context,
    config: &cargo::Config,
    workspace: &Workspace,
    facts: &mut Facts,
) -> Result<Option<Utf8PathBuf>> {
    // Packages outside of the root directory.
    let manifests = workspace.packages.iter().filter_map(|package| package.manifest.parent());
    let more: Vec<_> =
        manifests.filter(|dir| !dir.starts_with(&workspace.root)).map(Utf8Path::to_owned).collect();
    // Of cargo's home only what cargo downloads: its configuration is source.
    let downloads = ["registry", "git", ".package-cache", ".package-cache-mutate", ".global-cache"];
    let home = cx.env.cargo_home();
    let downloads = downloads.iter().filter_map(|name| Some(home.as_ref()?.join(name)));
    let mut caches = vec![cx.env.cache.clone(), cx.env.zig_cache(), cx.env.zig_local_cache()];
    caches.extend(downloads);
    let excluded = git::Excluded { target: workspace.target_directory.clone(), caches };
    let state = git::state(cx, &workspace.root, &more, &excluded)?;
    facts.no_revision = state.unknown_reason();
    if let (RepositoryState::Outside, Some(reason), Some(_)) =
        (&state, &mut facts.no_revision, cx.env.var("GIT_DIR"))
    {
        reason.push_str(" (`GIT_DIR` is ignored)");
    }
    let top = state.top().map(Utf8Path::to_owned);
    let time = match state {
        RepositoryState::At(revision) => {
            facts.revision = Some((revision.hash, revision.changes.is_some()));
            facts.changes = revision.changes;
            revision.time
        }
        _ => 0,
    };
    let forced = config.env(cx, EPOCH_VARIABLE);
    if let Some(entry) = &forced {
        let (value, file) = (&entry.value, &entry.file);
        facts.notes.push(format!(
            "`{EPOCH_VARIABLE}={value}` of `[env]` in `{file}` is the time of the release"
        ));
    }
    facts.epoch = epoch(cx, forced, time)?;
    Ok(top)
}

/// The last second of the year 9999: RFC 3339 and clang have no later time.
const MAX_EPOCH: u64 = 253_402_300_799;

/// The variable that holds the time of a release (<https://reproducible-builds.org/specs/source-date-epoch/>).
const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Returns `SOURCE_DATE_EPOCH`, be it of `[env]`, else the time of the last commit, else 0.
fn epoch(cx: &Context, entry: Option<EnvEntry>, commit: u64) -> Result<u64> {
    let name = match &entry {
        Some(entry) => format!("{EPOCH_VARIABLE}` of `[env]` in `{}", entry.file),
        None => EPOCH_VARIABLE.to_owned(),
    };
    let expected = format!("expected an integer number of seconds since 1970, at most {MAX_EPOCH}");
    if entry.is_none() && cx.env.is_not_utf8(EPOCH_VARIABLE) {
        return Err(Error::usage(format!("`{name}` is not UTF-8: {expected}")));
    }
    let text =
        entry.map(|entry| entry.value).or_else(|| cx.env.var(EPOCH_VARIABLE).map(str::to_owned));
    let Some(text) = text else {
        if commit > MAX_EPOCH {
            return Err(Error::usage(format!("the commit has the time `{commit}`: {expected}"))
                .hint(format!("set `{name}` to the time of the release")));
        }
        return Ok(commit);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let time = text.parse().ok().filter(|time| digits && *time <= MAX_EPOCH);
    time.ok_or_else(|| {
        Error::usage(format!("`{name}` is `{}`: {expected}", text.escape_debug()))
            .hint("`git log -1 --format=%ct` prints the time of the last commit")
    })
}
