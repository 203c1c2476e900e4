//! The source of a release: a repository and a commit.

use camino::{Utf8Path, Utf8PathBuf};

use super::{ReproduceRequest, record::ReleaseRecord};
use crate::{
    model::error::{Error, Result},
    sys::{
        Context, fs,
        git::{self, Checkout},
    },
};

/// The repository, and the commit in it.
#[derive(Debug)]
pub(super) struct Source {
    /// The full hash of the commit.
    pub(super) revision: String,
    /// The repository, for people: without credentials.
    pub(super) shown: String,
    /// Its location.
    location: Location,
}

#[derive(Debug)]
enum Location {
    /// A directory in a repository.
    Directory(Utf8PathBuf),
    /// A repository that is cloned.
    Url(String),
}

/// A commit that is checked out. It is removed when this value is dropped.
pub(super) struct SourceTree<'a> {
    /// The directory in it that the source names.
    pub(super) dir: Utf8PathBuf,
    _checkout: Option<Checkout<'a>>,
}

/// Finds the repository and the commit of a release.
///
/// # Errors
/// There is no such repository, or it does not have the commit.
pub(super) fn find(
    cx: &Context,
    request: &ReproduceRequest,
    record: &ReleaseRecord,
) -> Result<Source> {
    let named = request.revision.as_deref().or(record.release.revision.as_deref());
    let named = named.unwrap_or_default();
    if request.revision.is_none() && !is_hash(named) {
        let shown = named.escape_debug();
        return Err(Error::check(format!("`{}` records the commit `{shown}`", record.shown))
            .hint("a commit has 40 or 64 hex digits; `--revision COMMIT` names another"));
    }
    let text = request.source.as_deref().unwrap_or(".");
    let dir = cx.env.dir.join(text);
    if !dir.is_dir() && is_url(text) {
        if !is_hash(named) {
            return Err(Error::usage(format!("`{named}` is not the hash of a commit"))
                .hint("`--revision` with the URL of a repository is a complete hash"));
        }
        let shown = without_credentials(text);
        let revision = named.to_owned();
        return Ok(Source { revision, shown, location: Location::Url(text.to_owned()) });
    }
    if !dir.is_dir() {
        return Err(Error::usage(format!("there is no directory `{text}`"))
            .hint("`--source` names the directory or the URL of the repository"));
    }
    if git::repository(cx, &dir)?.is_none() {
        return Err(Error::usage(format!("`{dir}` is not in a git repository"))
            .hint("`--source` names the directory or the URL of the repository of the release"));
    }
    let dir = fs::canonicalize(&dir)?;
    let commit = git::find_commit(cx, &dir, named)?;
    let revision =
        commit.ok_or_else(|| git::gone_error(dir.as_str(), &named.escape_debug().to_string()))?;
    Ok(Source { revision, shown: dir.to_string(), location: Location::Directory(dir) })
}

/// Returns whether `text` is the complete hash of a commit: SHA-1 or SHA-256, as git writes it.
fn is_hash(text: &str) -> bool {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex && [40, 64].contains(&text.len())
}

/// Returns whether `text` is the address of a repository elsewhere: a URL, or `HOST:PATH` (git-clone(1),
/// "Git URLs").
fn is_url(text: &str) -> bool {
    let (before, _) = text.split_once(':').unwrap_or_default();
    text.contains("://") || !before.is_empty() && !before.contains('/')
}

/// Returns a URL without user and password.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

impl Source {
    /// Checks the commit out at `tree`.
    ///
    /// # Errors
    /// It cannot be fetched, or is not complete.
    pub(super) fn check_out<'a>(&self, cx: &'a Context, tree: &Utf8Path) -> Result<SourceTree<'a>> {
        let short = self.revision.get(..12).unwrap_or(&self.revision);
        cx.status("Checking out", format!("{short} of {}", self.shown));
        match &self.location {
            Location::Directory(dir) => {
                let checkout = git::check_out(cx, dir, tree, &self.revision)?;
                let dir = checkout.dir.clone();
                Ok(SourceTree { dir, _checkout: Some(checkout) })
            }
            Location::Url(url) => {
                fs::remove_dir_all(tree)?;
                git::clone(cx, url, &self.shown, tree, &self.revision)?;
                Ok(SourceTree { dir: tree.to_owned(), _checkout: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_credentials() {
        let shown = without_credentials("https://me:secret@example.org/x@y.git");
        assert_eq!(shown, "https://example.org/x@y.git");
        assert_eq!(without_credentials("git@example.org:x.git"), "git@example.org:x.git");
        for url in ["https://example.org/x", "git@example.org:x.git", "host:x", "file:///x"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["x", "./a:b", "/a:b/c", ":x", ""] {
            assert!(!is_url(path), "{path}");
        }
        assert!(is_hash(&"0a".repeat(20)) && is_hash(&"0a".repeat(32)));
        for text in ["", "HEAD", "--upload-pack=x", &"0A".repeat(20), &"0".repeat(41)] {
            assert!(!is_hash(text), "{text}");
        }
    }
}
