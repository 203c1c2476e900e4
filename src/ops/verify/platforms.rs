//! The platforms that images are checked for.

use camino::Utf8Path;

use super::{
    VerifyRequest,
    file::{FileOutcome, FileVerifier, rejected},
    release,
};
use crate::{
    image::read::image::{EntryNote, Images},
    model::{
        error::{Error, Result},
        platform::Platform,
    },
};

/// The reason for images of other platforms than the selected ones.
const NOT_SELECTED: &str = "`--platform` does not select it";

/// Checks that no platforms are selected of a release, which is verified in full.
pub(super) fn check_unselected(path: &Utf8Path, request: &VerifyRequest) -> Result<()> {
    if request.platforms.is_empty() || release::release_directory(path).is_none() {
        return Ok(());
    }
    let message = format!("`--platform` selects images, and `{path}` is a release");
    Err(Error::usage(message).hint("verify the release without it, or name one of its images"))
}

/// Rejects missing platforms of a release, which is complete, and of a registry, which may give an engine what
/// it does not give longshore.
pub(super) fn reject_missing(found: &mut Images) {
    let absent = found.absent.drain(..).map(|absent_image| EntryNote {
        name: absent_image.platform.to_string(),
        description: absent_image.reason,
        set: absent_image.set,
        platform: Some(absent_image.platform),
    });
    found.broken.extend(absent);
}

impl FileVerifier<'_> {
    /// Returns whether images for `platform` are checked.
    fn selects(&self, platform: &Platform) -> bool {
        let selected = &self.request.platforms;
        selected.is_empty() || selected.contains(platform)
    }

    /// Removes the platforms that are not selected from `found`, and reports these and the absent ones.
    pub(super) fn select_platforms(&self, path: &str, found: &mut Images) -> FileOutcome {
        let mut all = FileOutcome::default();
        let mut skip = |name: &dyn std::fmt::Display, reason: &str| {
            let skipped = FileOutcome::skip(&format!("{path}!{name}"), reason);
            all.not_checked.extend(skipped.not_checked);
        };
        let mut absent = Vec::new();
        for absent_platform in found.absent.drain(..) {
            if self.request.platforms.is_empty() {
                skip(&absent_platform.platform, &absent_platform.reason);
            } else if self.selects(&absent_platform.platform) {
                absent.push(absent_platform);
            } else {
                skip(&absent_platform.platform, NOT_SELECTED);
            }
        }
        found.broken.retain(|broken| {
            let selected = broken.platform.as_ref().is_none_or(|platform| self.selects(platform));
            if !selected {
                skip(&broken.name, NOT_SELECTED);
            }
            selected
        });
        let has: Vec<_> = found.images.iter().map(|image| image.platform.to_string()).collect();
        found.images.retain(|image| {
            let selected = self.selects(&image.platform);
            if !selected {
                skip(&image.name, NOT_SELECTED);
            }
            selected
        });
        for platform in &self.request.platforms {
            let is_broken = found
                .broken
                .iter()
                .any(|broken_image| broken_image.platform.as_ref() == Some(platform));
            if is_broken || found.images.iter().any(|image| image.platform == *platform) {
                continue;
            }
            let absent = absent.iter().find(|absent_image| absent_image.platform == *platform);
            let why = match (absent, has.is_empty()) {
                (Some(absent), _) => absent.reason.clone(),
                (None, true) => "it has no image".to_owned(),
                (None, false) => {
                    format!("it has no image for `{platform}`: it has `{}`", has.join("`, `"))
                }
            };
            all.checked.push(rejected(&format!("{path}!{platform}"), &why));
        }
        all
    }
}
