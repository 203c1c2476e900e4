//! Named tags: they are written to point at the pushed image, whatever they pointed at before.

use super::{PushTarget, Pusher};
use crate::{
    model::{
        digest::Digest,
        error::{Error, Result, Status},
        reference::Reference,
    },
    sys::registry::Repository,
};

impl Pusher<'_> {
    /// Writes the tags, and checks that they point at the pushed image.
    pub(super) fn write_named_tags(&self, goal: &PushTarget) -> Result<()> {
        let (repository, digest) = (&goal.repository, self.root.digest);
        for (tag, was) in &goal.tags {
            let name = format!("{}:{tag}", repository.name());
            if *was == Some(digest) {
                self.cx.status("Unchanged", format!("{name} is {digest}"));
                continue;
            }
            if self.request.dry_run {
                continue;
            }
            self.cx.children.check()?;
            repository.put(tag, &self.root.media_type, &self.root.bytes)?;
            let is = repository.digest_of(tag, true)?;
            if is != Some(digest) {
                return Err(self.race_error(repository, tag, is));
            }
            let was = was.map_or(String::new(), |was| format!(" (it was {was})"));
            self.cx.status("Tagged", format!("{name}{was}"));
        }
        Ok(())
    }

    /// Returns the error for a tag that another client wrote at the same time, while no rule decides which of
    /// the two is right.
    pub(super) fn race_error(
        &self,
        repository: &Repository,
        tag: &str,
        is: Option<Digest>,
    ) -> Error {
        let (name, digest) = (repository.name(), self.root.digest);
        let is = is.map_or("nothing".to_owned(), |is| format!("`{is}`"));
        let message =
            format!("`{name}:{tag}` was written as `{digest}`, and right after that it is {is}");
        Error::new(Status::Registry, message).hint(format!(
            "another client wrote the tag at the same time; the pushed image is `{name}@{digest}`"
        ))
    }
}

pub(super) fn is_tag(reference: &Reference, tag: &str) -> bool {
    let known = Reference { tag: Some(tag.to_owned()), digest: None, ..reference.clone() };
    known.to_string().parse() == Ok(known)
}
