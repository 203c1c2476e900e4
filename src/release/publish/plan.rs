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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::publish::ReleaseText;

    const NAMES: [&str; 3] = ["a.tar.gz", "b.tar.gz", "SHA256SUMS"];

    fn goal(draft: bool) -> Goal {
        let file = |name: &&str| ReleaseFile {
            name: (*name).to_owned(),
            size: name.len() as u64,
            sha256: Digest::sha256(name.as_bytes()),
        };
        Goal {
            tag: "v1.0.0".to_owned(),
            revision: "0".repeat(40),
            text: ReleaseText { title: "v1.0.0".to_owned(), notes: String::new() },
            prerelease: false,
            may_be_latest: true,
            draft,
            package: "hello".to_owned(),
            version: semver::Version::new(1, 0, 0),
            files: NAMES.iter().map(file).collect(),
        }
    }

    fn asset(id: u64, name: &str, content: &str, shown: bool) -> RemoteAsset {
        RemoteAsset {
            id,
            name: name.to_owned(),
            size: Some(content.len() as u64),
            incomplete: None,
            digest: shown.then(|| Digest::sha256(content.as_bytes())),
            download: Download { url: format!("/{id}"), with_token: true, what: String::new() },
            public_url: String::new(),
        }
    }

    fn release(id: u64, draft: bool, assets: Vec<RemoteAsset>) -> RemoteRelease {
        RemoteRelease {
            id,
            text: ReleaseText { title: String::new(), notes: String::new() },
            draft,
            origin: DraftOrigin::Own,
            url: None,
            upload_url: None,
            assets,
        }
    }

    /// Follows the steps from every state of three files in one or two drafts: it ends, with the right files, and
    /// what is deleted was in a draft.
    #[test]
    fn every_state_of_a_draft_leads_to_the_complete_release() {
        for state in 0..5_u32.pow(3) * 4 {
            let (digits, shown, second) = (state / 4, state % 2 == 0, state / 2 % 2 == 0);
            let mut assets = Vec::new();
            for (at, name) in (0..).zip(NAMES) {
                let id = 10 * (at + 1);
                match digits / 5_u32.pow(at as u32) % 5 {
                    0 => {}
                    1 => assets.push(asset(id, name, name, shown)),
                    2 => assets.push(asset(id, name, "a.tar.gx", shown)),
                    3 => {
                        let incomplete = Some("starter".to_owned());
                        assets.push(RemoteAsset { incomplete, ..asset(id, name, "", shown) });
                    }
                    _ => assets
                        .extend([asset(id, name, name, shown), asset(id + 1, name, name, shown)]),
                }
            }
            let goal = goal(false);
            let contents: BTreeMap<u64, String> = assets
                .iter()
                .map(|asset| {
                    let same = asset.size == Some(asset.name.len() as u64);
                    let right = same && digits / 5_u32.pow((asset.id / 10 - 1) as u32) % 5 != 2;
                    (asset.id, if right { asset.name.clone() } else { "a.tar.gx".to_owned() })
                })
                .collect();
            let mut releases = vec![release(1, true, assets)];
            if second {
                releases.push(release(2, true, Vec::new()));
            }
            let mut downloaded = Downloaded::new();
            let mut id = 1000;
            for count in 0.. {
                assert!(count < 30, "{state}");
                match next_step(&goal, &releases, &downloaded, false).unwrap() {
                    Step::Create => releases.push(release(3, true, Vec::new())),
                    Step::DeleteDraft(id) => releases.retain(|one| one.id != id),
                    Step::DeleteAsset(id, _) => {
                        assert!(releases[0].draft, "{state}");
                        releases[0].assets.retain(|one| one.id != id);
                    }
                    Step::Upload(index) => {
                        assert!(releases[0].draft, "{state}");
                        id += 1;
                        let name = NAMES[index];
                        releases[0].assets.push(asset(id, name, name, true));
                    }
                    Step::Download(download, _) => {
                        let id: u64 = download.url[1..].parse().unwrap();
                        let content = contents[&id].as_bytes();
                        downloaded
                            .insert(download.url, (Digest::sha256(content), content.len() as u64));
                    }
                    Step::Publish => releases[0].draft = false,
                    Step::Done => break,
                }
            }
            let names: std::collections::BTreeSet<_> =
                releases[0].assets.iter().map(|asset| asset.name.as_str()).collect();
            assert_eq!(
                (names.len(), releases[0].assets.len(), releases.len()),
                (3, 3, 1),
                "{state}"
            );
            assert!(!releases[0].draft);
        }
    }

    #[test]
    fn a_draft_stays_a_draft_if_that_is_requested() {
        let assets = NAMES.iter().map(|name| asset(name.len() as u64, name, name, true)).collect();
        let releases = [release(1, true, assets)];
        assert_eq!(
            next_step(&goal(true), &releases, &Downloaded::new(), false).unwrap(),
            Step::Done
        );
        assert_eq!(
            next_step(&goal(false), &releases, &Downloaded::new(), false).unwrap(),
            Step::Publish
        );
        assert_eq!(next_step(&goal(false), &[], &Downloaded::new(), false).unwrap(), Step::Create);
    }
}
