//! The next step of a publication, from the state at the forge.

use std::collections::BTreeMap;

use super::{Download, DraftOrigin, Goal, ReleaseFile, RemoteAsset, RemoteRelease};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
};

/// The digests and sizes of files that were downloaded, by their addresses.
pub(super) type Downloaded = BTreeMap<String, (Digest, u64)>;

/// A step of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Create a draft.
    Create,
    /// Delete a second draft, which a lost response left behind.
    DeleteDraft(u64),
    /// Delete a file of the draft, for this reason.
    DeleteAsset(u64, String),
    /// Send a file to the draft.
    Upload(usize),
    /// Download a file of that size, since the forge does not report its digest.
    Download(Download, u64),
    /// Publish the draft.
    Publish,
    /// It is done: the release is public, or a complete draft.
    Done,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The file is the same.
    Same,
    /// It differs, for this reason.
    Different(String),
    /// It has to be downloaded.
    Unknown,
}

/// Compares a file with the one at the forge.
pub(super) fn compare(
    file: &ReleaseFile,
    asset: &RemoteAsset,
    downloaded: &Downloaded,
) -> Comparison {
    if let Some(state) = &asset.incomplete {
        return Comparison::Different(format!(
            "its upload is incomplete (`{}`)",
            state.escape_debug()
        ));
    }
    let known = downloaded.get(&asset.download.url);
    if let Some(size) =
        known.map(|(_, size)| *size).or(asset.size).filter(|size| *size != file.size)
    {
        return Comparison::Different(format!("expected {} bytes, found {size}", file.size));
    }
    match asset.digest.or(known.map(|(digest, _)| *digest)) {
        Some(digest) if digest == file.sha256 => Comparison::Same,
        Some(digest) => Comparison::Different(format!("expected {}, found {digest}", file.sha256)),
        None => Comparison::Unknown,
    }
}

/// Returns the next step towards `goal`. `replaces` is set if a file that is sent again replaces the earlier one.
///
/// # Errors
/// The published release has other files, or the draft has a file that longshore did not send, or is not
/// longshore's.
pub(super) fn next_step(
    goal: &Goal,
    releases: &[RemoteRelease],
    downloaded: &Downloaded,
    replaces: bool,
) -> Result<Step> {
    if let Some(published) = releases.iter().find(|release| !release.draft) {
        return match check_published(goal, published, downloaded)? {
            Some(download) => Ok(download),
            None => Ok(Step::Done),
        };
    }
    if releases.iter().any(|release| release.origin == DraftOrigin::Foreign) {
        return Err(Error::check(format!(
            "there is a draft of `{}` that longshore did not create",
            goal.tag
        ))
        .hint("delete that draft; `--title` and `--notes` set the text"));
    }
    let Some(draft) = releases.first() else { return Ok(Step::Create) };
    if let Some(second) = releases.get(1) {
        return Ok(Step::DeleteDraft(second.id));
    }
    let unknown: Vec<&str> = draft
        .assets
        .iter()
        .map(|asset| asset.name.as_str())
        .filter(|name| !goal.files.iter().any(|file| file.name == *name))
        .collect();
    if !unknown.is_empty() {
        let names: Vec<String> =
            unknown.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
        return Err(Error::check(format!(
            "the draft of `{}` has files that `dist.json` does not name: {}",
            goal.tag,
            names.join(", ")
        ))
        .hint("delete these files, or the draft"));
    }
    for (index, file) in goal.files.iter().enumerate() {
        let mut there = draft.assets.iter().filter(|asset| asset.name == file.name);
        let Some(asset) = there.next() else { return Ok(Step::Upload(index)) };
        match compare(file, asset, downloaded) {
            Comparison::Unknown => {
                return Ok(Step::Download(asset.download.clone(), file.size));
            }
            Comparison::Different(_) if replaces => return Ok(Step::Upload(index)),
            Comparison::Different(why) => return Ok(Step::DeleteAsset(asset.id, why)),
            Comparison::Same => {}
        }
        // A repeated upload can leave a second file of one name.
        if let Some(second) = there.next() {
            return Ok(Step::DeleteAsset(second.id, "it is there twice".to_owned()));
        }
    }
    if goal.draft { Ok(Step::Done) } else { Ok(Step::Publish) }
}

/// Compares the files of a published release; returns a file to download.
fn check_published(
    goal: &Goal,
    release: &RemoteRelease,
    downloaded: &Downloaded,
) -> Result<Option<Step>> {
    let mut differences = Vec::new();
    for file in &goal.files {
        let mut there = release.assets.iter().filter(|asset| asset.name == file.name).peekable();
        if there.peek().is_none() {
            differences.push(format!("{}: it is missing", file.name));
        }
        for asset in there {
            match compare(file, asset, downloaded) {
                Comparison::Same => {}
                Comparison::Unknown => {
                    return Ok(Some(Step::Download(asset.download.clone(), file.size)));
                }
                Comparison::Different(why) => differences.push(format!("{}: {why}", file.name)),
            }
        }
    }
    for asset in &release.assets {
        if !goal.files.iter().any(|file| file.name == asset.name) {
            differences
                .push(format!("{}: `dist.json` does not name it", asset.name.escape_debug()));
        }
    }
    if differences.is_empty() {
        return Ok(None);
    }
    Err(Error::check(format!(
        "the release `{}` is published with different files; nothing was changed",
        goal.tag
    ))
    .detail(differences.join("\n"))
    .hint("release a new version; a published release is not changed"))
}
