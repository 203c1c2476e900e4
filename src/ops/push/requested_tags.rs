//! The tags that a policy gives to the pushed image.

use std::collections::BTreeSet;

use camino::Utf8Path;
use semver::Version;

use crate::{
    image::{
        oci::Descriptor,
        read::{annotation::annotation_or_label, image::Store},
        tags::{ImageMetadata, PushKind, PushedImage, RequestedTag, TagRule},
    },
    model::{
        collect::CollectOrdered as _,
        error::{Error, Result},
        reference::Reference,
        schema::{
            Dist,
            dist::{Image, Release},
            tags::TagPolicy,
        },
    },
};

/// The annotation with the version of an image (OCI image specification 1.1, annotations.md).
pub(super) const VERSION_ANNOTATION: &str = "org.opencontainers.image.version";

/// The annotation with the revision of its source.
const REVISION_ANNOTATION: &str = "org.opencontainers.image.revision";

/// The inputs of a tag policy.
#[derive(Clone, Debug)]
pub struct TagOptions {
    /// The kind of push.
    pub release_kind: PushKind,
    /// A branch with a tag to be written, too.
    pub branch: Option<String>,
    /// Tags that move even to a version that is not higher.
    pub moves: Vec<String>,
    /// Whether a release may be of files that differ from their commit.
    pub allow_dirty: bool,
}

/// The requested tags of each repository.
pub(in crate::ops) struct RequestedTags {
    pub(super) planned: Vec<RequestedTag>,
    pub(super) own_image: PushedImage,
    /// Tags that the user named as ones to move.
    pub(super) requested: BTreeSet<String>,
}

impl RequestedTags {
    /// Applies the policy to the image at `root` in the store at `path`, and to the metadata of its
    /// release.
    pub(in crate::ops) fn new(
        tagging: &TagOptions,
        references: &[Reference],
        (store, path, root): (&dyn Store, &Utf8Path, &Descriptor),
        dist_image: Option<&(Dist, Image)>,
    ) -> Result<Self> {
        let whole = |reference: &&Reference| reference.tag.is_some() || reference.digest.is_some();
        if let Some(reference) = references.iter().find(whole) {
            let message =
                format!("`{reference}` names a tag or a digest, which `--tags` determines");
            return Err(Error::usage(message).hint(format!("name `{}`", reference.name())));
        }
        let word = |key| {
            annotation_or_label(store, root, key)
                .map_err(|error| error.context(format!("`{path}`")))
        };
        let reported = word(VERSION_ANNOTATION)?;
        let version = reported.as_deref().and_then(|reported| Version::parse(reported).ok());
        if let (PushKind::Release, Some(reported), None) =
            (tagging.release_kind, &reported, &version)
        {
            let shown = reported.escape_debug();
            let message = format!("`{path}`: its version `{shown}` is none that can be released");
            return Err(Error::usage(message)
                .hint(format!("its label `{VERSION_ANNOTATION}` has to be `X.Y.Z` (semver.org)")));
        }
        let release = dist_image.map(|(dist, _)| &dist.release);
        let revision = word(REVISION_ANNOTATION)?;
        // As `dist` writes it.
        let clean = revision.as_deref().and_then(|text| text.strip_suffix("-dirty"));
        let dirty = clean.is_some() || release.and_then(|release| release.dirty) == Some(true);
        let revision = clean.map(str::to_owned).or(revision);
        let revision = revision.or_else(|| release.and_then(|release| release.revision.clone()));
        let subject = ImageMetadata { version, revision, dirty };
        let recipe = dist_image
            .and_then(|(dist, image)| dist.recipes.iter().find(|recipe| recipe.name == image.name));
        let policy = recipe.map_or_else(TagPolicy::default, |recipe| recipe.tags.clone());
        let planned =
            policy.requested_tags(tagging.release_kind, &subject, tagging.branch.as_deref())?;
        for tag in &tagging.moves {
            let found = planned.iter().find(|planned| planned.tag == *tag);
            let tags: Vec<_> = planned.iter().map(|planned| planned.tag.as_str()).collect();
            match found.map(|planned| planned.rule) {
                Some(TagRule::Fixed) => {
                    return Err(Error::usage(format!(
                        "`{tag}` is a version's tag: it never moves"
                    ))
                    .hint("release another version"));
                }
                None => {
                    return Err(Error::usage(format!("`{tag}` is none of the tags of this image"))
                        .hint(format!("it gets `{}`", tags.join("`, `"))));
                }
                Some(_) => {}
            }
        }
        if tagging.release_kind == PushKind::Release && !tagging.allow_dirty {
            check_commit(path, subject.revision.as_deref(), dirty, release)?;
        }
        let own_image = PushedImage { digest: root.digest, version: subject.version };
        Ok(RequestedTags {
            planned,
            own_image,
            requested: tagging.moves.iter().cloned().collect_set(),
        })
    }
}

/// Checks that the image at `path` is made of the files of a commit.
fn check_commit(
    path: &Utf8Path,
    revision: Option<&str>,
    dirty: bool,
    release: Option<&Release>,
) -> Result<()> {
    if dirty {
        let changes = release.and_then(|release| release.changes.as_ref());
        let changes = changes.map(|changes| format!(": {changes}")).unwrap_or_default();
        let message =
            format!("`{path}` is built from files that differ from their commit{changes}");
        return Err(Error::check(message).hint(
            "commit and build again; `--tags snapshot` tags it as a snapshot; `--allow-dirty` \
             releases it",
        ));
    }
    // A label without `-dirty` names a clean commit; `dist.json` has a field for it.
    let unknown =
        release.is_some_and(|release| release.revision.is_some() && release.dirty.is_none());
    if revision.is_none() || unknown {
        let reason = release.and_then(|release| release.no_revision.as_deref());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let message = format!("the commit that `{path}` is built from is unknown{reason}");
        return Err(Error::check(message).hint(
            "build in a git repository with all changes committed; `--allow-dirty` releases it \
             without a commit",
        ));
    }
    Ok(())
}
