//! One image of several in a layout or an archive, chosen by its name.

use camino::Utf8Path;

use super::{
    file::{FileOutcome, FileVerifier, rejected_by},
    rules::ImagePolicies,
};
use crate::{image::read::image, ops::image::store, verify::Policy};

impl FileVerifier<'_> {
    /// Returns the verdict on the image `name` of the layout or archive at `run_path`; `text` is both, as
    /// the user wrote them.
    pub(super) fn check_named_image(
        &self,
        text: &Utf8Path,
        run_path: &Utf8Path,
        name: &str,
        policy: &Policy,
    ) -> FileOutcome {
        let _one = self.archives.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let judged = store::open_path(&self.cx.children, run_path, |store, _| {
            let mut found = store::select_named(image::read_images(store)?, run_path, name)?;
            let policies = ImagePolicies::one(policy.clone());
            self.check_images(text.as_str(), store, &mut found, &policies, false)
        });
        judged.unwrap_or_else(|error| FileOutcome::from_checked(rejected_by(text.as_str(), &error)))
    }
}
