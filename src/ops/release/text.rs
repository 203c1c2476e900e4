//! The notes of a release, and its report for people.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        bytes::Size,
        error::{Error, Result},
        schema::{Publication, publication::PublicationOutcome},
    },
    sys::{access, fs},
};

/// The longest file of notes, and the longest changelog.
const MAX_SIZE: u64 = 16 << 20;

/// The names of changelogs, in lowercase.
const CHANGELOGS: [&str; 7] = [
    "changelog.md",
    "changes.md",
    "history.md",
    "releases.md",
    "news.md",
    "release-notes.md",
    "changelog",
];

/// Returns the changelog in `dir` or in the nearest directory above it, up to the top of the repository.
pub(super) fn find_changelog(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    for dir in dir.ancestors() {
        let names = fs::names(dir).unwrap_or_default();
        for known in CHANGELOGS {
            if let Some(name) = names.iter().find(|name| name.to_lowercase() == known) {
                return Some(dir.join(name));
            }
        }
        if access::exists(&dir.join(".git")) {
            break;
        }
    }
    None
}

/// Reads a text.
///
/// # Errors
/// It cannot be read, is too long, or is not UTF-8.
pub(super) fn read(path: &Utf8Path) -> Result<String> {
    let bytes = fs::read_start(path, MAX_SIZE + 1)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Error::usage(format!("`{path}` has more than {MAX_SIZE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::usage(format!("`{path}` is not UTF-8")))
}

/// Returns the actions of a `release`, for people.
pub fn format_publication(publication: &Publication) -> String {
    let Publication { forge, repository, tag, revision, title, prerelease, latest, .. } =
        publication;
    let mut lines = vec![format!("{tag} of {repository} at {forge}, commit {revision}")];
    for file in &publication.files {
        let what = if file.uploaded { "upload" } else { "keep" };
        let size = Size(file.size);
        lines.push(format!("  {what:<6} {} {} ({size})", file.sha256, file.name));
    }
    let mut kind = String::new();
    if *prerelease {
        kind.push_str(" as a prerelease");
    }
    if *latest == Some(true) {
        kind.push_str(" as the latest release");
    }
    lines.push(match publication.outcome {
        PublicationOutcome::Published => format!("  publish {title:?}{kind}"),
        PublicationOutcome::Unchanged => "  nothing: it is published with these files".to_owned(),
        PublicationOutcome::Drafted => format!("  leave the draft {title:?}{kind}"),
    });
    let notes = publication.notes.lines();
    lines.extend(notes.map(|line| format!("  | {line}").trim_end().to_owned()));
    lines.push(String::new());
    lines.join("\n")
}
