//! One image of several in a layout or an archive, chosen by its name.

use camino::Utf8Path;

use super::{
    look::{Looker, Outcome, refused_by},
    rules::ImagePolicies,
};
use crate::{image::read::image, ops::image::store, verify::Policy};

impl Looker<'_> {
    /// Returns the verdict on the image `name` of the layout or archive at `place`; `text` is both, as
    /// the user wrote them.
    pub(super) fn chosen(
        &self,
        text: &Utf8Path,
        place: &Utf8Path,
        name: &str,
        policy: &Policy,
    ) -> Outcome {
        let _one = self.archives.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let judged = store::open_path(&self.cx.children, place, |store, _| {
            let mut found = store::only(image::read_images(store)?, place, name)?;
            let policies = ImagePolicies::one(policy.clone());
            self.images_of(text.as_str(), store, &mut found, &policies, false)
        });
        judged.unwrap_or_else(|error| Outcome::of(refused_by(text.as_str(), &error)))
    }
}
