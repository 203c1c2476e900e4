//! The platforms that images are checked for.

use camino::Utf8Path;

use super::{
    Request,
    look::{Looker, Outcome, refused},
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
pub(super) fn check(path: &Utf8Path, request: &Request) -> Result<()> {
    if request.platforms.is_empty() || release::directory(path).is_none() {
        return Ok(());
    }
    let message = format!("`--platform` selects images, and `{path}` is a release");
    Err(Error::usage(message).hint("verify the release without it, or name one of its images"))
}

/// Rejects platforms that are not there, for a release, which is complete, and for a registry, which
/// may give an engine what it does not give longshore.
pub(super) fn require_all(found: &mut Images) {
    let absent = found.absent.drain(..).map(|of| EntryNote {
        name: of.platform.to_string(),
        description: of.reason,
        set: of.set,
        platform: Some(of.platform),
    });
    found.broken.extend(absent);
}

impl Looker<'_> {
    /// Returns whether images for `platform` are checked.
    fn selects(&self, platform: &Platform) -> bool {
        let selected = &self.request.platforms;
        selected.is_empty() || selected.contains(platform)
    }

    /// Takes the platforms that are not selected out of `found`, and reports them and what is absent.
    pub(super) fn select(&self, path: &str, found: &mut Images) -> Outcome {
        let mut all = Outcome::default();
        let mut skip = |name: &dyn std::fmt::Display, reason: &str| {
            let skipped = Outcome::skip(&format!("{path}!{name}"), reason);
            all.not_checked.extend(skipped.not_checked);
        };
        let mut absent = Vec::new();
        for of in found.absent.drain(..) {
            if self.request.platforms.is_empty() {
                skip(&of.platform, &of.reason);
            } else if self.selects(&of.platform) {
                absent.push(of);
            } else {
                skip(&of.platform, NOT_SELECTED);
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
            let is_broken = found.broken.iter().any(|of| of.platform.as_ref() == Some(platform));
            if is_broken || found.images.iter().any(|image| image.platform == *platform) {
                continue;
            }
            let absent = absent.iter().find(|of| of.platform == *platform);
            let why = match (absent, has.is_empty()) {
                (Some(absent), _) => absent.reason.clone(),
                (None, true) => "it has no image".to_owned(),
                (None, false) => {
                    format!("it has no image for `{platform}`: it has `{}`", has.join("`, `"))
                }
            };
            all.checked.push(refused(&format!("{path}!{platform}"), &why));
        }
        all
    }
}
