//! The first difference of two images.

use camino::Utf8Path;

use super::{SharedSession, record::ReleaseRecord};
use crate::{
    model::{
        digest::Digest,
        error::Result,
        schema::{
            image::{Change, FileChange, ImageDiff, PlatformDiff},
            reproduce::{ArtifactKind, Difference},
        },
    },
    ops::image::inspect::{self, DiffRequest},
    release::reproduce::{RecordedItem, difference::show},
    sys::Context,
};

/// Returns the first difference of a recorded image, or of one of its manifests, and the recorded digest of
/// the file that differs.
///
/// # Errors
/// One of the images cannot be read.
pub(super) fn find(
    cx: &Context,
    session: &SharedSession,
    record: &ReleaseRecord,
    output: &Utf8Path,
    item: &RecordedItem,
) -> Result<(Difference, Option<Digest>)> {
    let layout = item.path.split('@').next().unwrap_or(&item.path);
    let before = match (&record.image, record.file(layout)) {
        (Some(image), _) => image.clone(),
        (None, Some(path)) => path.into_string(),
        (None, None) => {
            let note = "the recorded image is not there, so that only its digest is compared";
            return Ok((Difference { note: Some(note.to_owned()), ..Difference::default() }, None));
        }
    };
    let platform = item.platform.clone().filter(|_| item.kind == ArtifactKind::Manifest);
    let request = DiffRequest {
        before,
        after: output.join(layout).into_string(),
        platform,
        times: true,
        registry: Default::default(),
    };
    let diff = inspect::diff_in(cx, session, &request)?;
    Ok(first_difference(&diff))
}

fn first_difference(diff: &ImageDiff) -> (Difference, Option<Digest>) {
    if let Some(platform) = diff.only_before.first() {
        return (noted("platforms", &format!("only the recorded image has {platform}")), None);
    }
    if let Some(platform) = diff.only_after.first() {
        return (noted("platforms", &format!("only the rebuilt image has {platform}")), None);
    }
    if let Some(found) = diff.platforms.iter().find_map(platform_difference) {
        return found;
    }
    if let Some(change) = diff.annotations.first() {
        return (field("index", change), None);
    }
    let note =
        "the files and the configuration are equal, and the layers are compressed differently";
    (noted("compression", note), None)
}

fn platform_difference(diff: &PlatformDiff) -> Option<(Difference, Option<Digest>)> {
    let file = |path: &str, difference: Difference| Difference {
        file: Some(format!("{path} ({})", diff.platform)),
        ..difference
    };
    if let Some(FileChange { path, changes }) = diff.files.changed.first() {
        // The content says more than the size.
        let content = changes.iter().find(|change| change.field == "sha256");
        let change = content.or(changes.first())?;
        let digest = content.and_then(|change| change.before.as_ref()?.as_str()?.parse().ok());
        return Some((file(path, field("", change)), digest));
    }
    if let Some(removed) = diff.files.removed.first() {
        return Some((file(&removed.path, noted("", "only the recorded image has it")), None));
    }
    if let Some(added) = diff.files.added.first() {
        return Some((file(&added.path, noted("", "only the rebuilt image has it")), None));
    }
    let groups = [("config", &diff.config), ("", &diff.annotations), ("", &diff.history)];
    let changed = groups.iter().find_map(|(group, changes)| Some((group, changes.first()?)));
    if let Some((group, change)) = changed {
        return Some((field(group, change), None));
    }
    if diff.layers.before != diff.layers.after {
        let (before, after) = (diff.layers.before, diff.layers.after);
        return Some((
            noted("layers", &format!("there were {before} layers, and are {after}")),
            None,
        ));
    }
    (diff.layers.same != diff.layers.after)
        .then(|| (noted("layers", "the files are equal, and stored differently"), None))
}

fn noted(field: &str, note: &str) -> Difference {
    Difference {
        field: Some(field.to_owned()).filter(|field| !field.is_empty()),
        note: Some(note.to_owned()),
        ..Difference::default()
    }
}

/// Returns a changed field of the group, such as the configuration.
fn field(group: &str, change: &Change) -> Difference {
    // The time of creation is not in the configuration of containers.
    let group = if change.field == "created" { "" } else { group };
    let names = [Some(group), Some(&change.field), change.key.as_deref()];
    let names: Vec<&str> = names.into_iter().flatten().filter(|name| !name.is_empty()).collect();
    Difference {
        field: Some(names.join(".")),
        recorded: change.before.as_ref().map(show),
        rebuilt: change.after.as_ref().map(show),
        ..Difference::default()
    }
}
