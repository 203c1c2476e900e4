//! `push`: an image, or several under one index, to registries. Blobs are sent first, then the documents that
//! reference them, and tags last: a client that reads a tag finds all of it.

pub mod attach;
mod check;
mod named_tags;
mod policy_tags;
mod requested_tags;
mod send;
mod source;
mod text;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

pub(in crate::ops) use self::{check::check, requested_tags::RequestedTags};
use self::{
    named_tags::is_tag,
    source::{SourceImage, find_image, find_in_dist},
};
pub use self::{requested_tags::TagOptions, text::format_push};
use crate::{
    image::{
        distribution::{Upload, upload::UploadDocument},
        oci::{Descriptor, layout::REF_NAME},
        read::image::Store,
    },
    model::{
        digest::Digest,
        error::{Error, Result},
        reference::Reference,
        schema::{
            Push,
            push::{Pushed, Repository as Told, SCHEMA, Tag},
        },
    },
    ops::image::store,
    sys::{
        Context,
        registry::{Repository, Session, Settings},
    },
};

/// The source of a push.
#[derive(Clone, Debug)]
pub enum PushSource {
    /// An image that `dist` made: the directory with `dist.json`, and its name if there are several.
    Dist(Utf8PathBuf, Option<String>),
    /// An OCI layout or archive, with `:TAG` or `@DIGEST` behind it if it has several images.
    Path(String),
}

/// The source and the destinations of a push.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The source.
    pub source: PushSource,
    /// The destinations.
    pub references: Vec<Reference>,
    /// Repositories of the same registries that may have some of it already.
    pub mount_from: Vec<String>,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// Whether the release's documents about the image are attached to it.
    pub attach: bool,
    /// The tags that a policy gives; else those of the references are written.
    pub tagging: Option<TagOptions>,
    /// Whether the images in the registries are verified after the push.
    pub verify: bool,
    /// The settings for connections to registries.
    pub registry: Settings,
}

/// Pushes, and returns the results. Existing blobs are not sent again, so that an interrupted push resumes.
///
/// # Errors
/// The image does not exist or is damaged; a registry rejects a request or does not answer; a tag must
/// not be this image; or a tag points at something else right after it was written. In a dry run a
/// rejected tag is not an error: the result contains it.
pub fn push(cx: &Context, request: &PushRequest) -> Result<Push> {
    let (path, name, release, documents) = match &request.source {
        PushSource::Path(text) => {
            let (path, name) = store::split_name(text);
            (path.to_owned(), name.map(str::to_owned), None, Vec::new())
        }
        PushSource::Dist(dir, name) => {
            let (dist, image) = find_in_dist(dir, name.as_deref())?;
            let documents = match request.attach {
                true => attach::documents(dir, &dist, &image)?,
                false => Vec::new(),
            };
            (dir.join(&image.path), None, Some((dist, image)), documents)
        }
    };
    let mut pushed = store::open_path(&cx.children, &path, |store, _| {
        let SourceImage { descriptor: root, left_out } = find_image(store, &path, name.as_deref())?;
        for other in left_out {
            cx.warn(format!("{other}: it is not pushed"));
        }
        let other = release.as_ref().map(|(_, image)| image.digest);
        if let Some(digest) = other.filter(|digest| *digest != root.digest) {
            let message =
                format!("`{path}` holds `{}`, and `dist.json` has `{digest}`", root.digest);
            return Err(Error::check(message).hint("`cargo longshore image` makes it again"));
        }
        let requested = request.tagging.as_ref().map(|tagging| {
            RequestedTags::new(
                tagging,
                &request.references,
                (store, &path, &root),
                release.as_ref(),
            )
        });
        let upload =
            Upload::collect(store, &root).map_err(|error| error.context(format!("`{path}`")))?;
        let content = (&upload, &documents[..], requested.transpose()?);
        let push = Pusher::new(cx, request, store, &path, content, &root)?;
        push.run()
    })?;
    if request.verify && !pushed.dry_run {
        pushed.verification = Some(check(cx, request, &pushed)?);
    }
    Ok(pushed)
}

/// Returns the references with the digest of the image of a release instead of a tag: no tag is written then.
///
/// # Errors
/// There is no such image, or a reference has a tag or another digest.
pub fn by_digest(source: &PushSource, references: &[Reference]) -> Result<Vec<Reference>> {
    let PushSource::Dist(directory, name) = source else {
        return Err(Error::usage("`--by-digest` pushes an image of a release")
            .hint("with `--from`, name the digest: `REFERENCE@sha256:…`"));
    };
    let (_, image) = find_in_dist(directory, name.as_deref())?;
    let with_digest = |reference: &Reference| match &reference.tag {
        None => {
            Ok(Reference { digest: reference.digest.or(Some(image.digest)), ..reference.clone() })
        }
        Some(_) => Err(Error::usage(format!("`{reference}` names a tag, which is not written"))
            .hint(format!("name `{}`", reference.name()))),
    };
    references.iter().map(with_digest).collect()
}

/// One repository, and its requested content.
struct PushTarget {
    repository: Repository,
    /// The tags, and the previous target of each.
    tags: Vec<(String, Option<Digest>)>,
}

pub(super) struct Pusher<'a> {
    cx: &'a Context,
    request: &'a PushRequest,
    store: &'a (dyn Store + Sync),
    path: &'a Utf8Path,
    upload: &'a Upload,
    documents: &'a [attach::AttachedDocument],
    root: &'a UploadDocument,
    session: Arc<Session>,
    /// The tag of each reference.
    tags: Vec<Option<String>>,
    /// The tags of a policy.
    requested: Option<RequestedTags>,
    /// The versions that images in registries say.
    versions: Mutex<BTreeMap<Digest, Option<Version>>>,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(
        cx: &'a Context,
        request: &'a PushRequest,
        store: &'a (dyn Store + Sync),
        path: &'a Utf8Path,
        (upload, documents, requested): (
            &'a Upload,
            &'a [attach::AttachedDocument],
            Option<RequestedTags>,
        ),
        descriptor: &Descriptor,
    ) -> Result<Self> {
        let root = upload.root().ok_or_else(|| Error::check("there is nothing to push"))?;
        let mut tags = Vec::new();
        for reference in &request.references {
            if let Some(digest) = reference.digest.filter(|digest| *digest != root.digest) {
                let message = format!("`{path}` is `{}`, and not `{digest}`", root.digest);
                return Err(
                    Error::check(message).hint(format!("`{reference}` names another image"))
                );
            }
            // The version, which the image has from `dist`. A `latest` that was not requested would
            // move unnoticed.
            let own = descriptor.annotations.get(REF_NAME).cloned();
            tags.push(match (&reference.tag, reference.digest) {
                _ if requested.is_some() => None,
                (Some(tag), _) => Some(tag.clone()),
                (None, Some(_)) => None,
                (None, None) => {
                    Some(own.filter(|tag| is_tag(reference, tag)).ok_or_else(|| {
                        Error::usage(format!("`{reference}` has no tag, nor has `{path}`"))
                            .hint(format!("name one: `{reference}:TAG`"))
                    })?)
                }
            });
        }
        let session = Session::new(cx, &request.registry);
        let versions = Mutex::default();
        Ok(Pusher {
            cx,
            request,
            store,
            path,
            upload,
            documents,
            root,
            session,
            tags,
            requested,
            versions,
        })
    }

    pub(super) fn run(&self) -> Result<Push> {
        let mut goals: Vec<PushTarget> = Vec::new();
        for (reference, tag) in self.request.references.iter().zip(&self.tags) {
            let repository = self.session.repository(reference)?;
            let at = goals.iter().position(|goal| goal.repository.name() == repository.name());
            let at = at.unwrap_or_else(|| {
                goals.push(PushTarget { repository, tags: Vec::new() });
                goals.len() - 1
            });
            let goal = &mut goals[at];
            if let Some(tag) = tag
                && !goal.tags.iter().any(|(known, _)| known == tag)
            {
                let was = goal.repository.digest_of(tag, true)?;
                goal.tags.push((tag.clone(), was));
            }
        }
        let mut open = Vec::new();
        for goal in &goals {
            open.push(self.plan_tags(&goal.repository)?);
        }
        if let Some(reason) = policy_tags::rejection(&open).filter(|_| !self.request.dry_run) {
            return Err(reason);
        }
        let mut repositories = Vec::new();
        for (at, goal) in goals.iter().enumerate() {
            let mut reported = self.send_content(&goals[..=at], goal)?;
            // Before tags, so that a client that finds a tag finds these, too.
            let (dry_run, repository) = (self.request.dry_run, &goal.repository);
            reported.attached =
                attach::attach(self.cx, repository, self.root, self.documents, dry_run)?;
            repositories.push(reported);
        }
        let mut tags = Vec::new();
        for (goal, open) in goals.iter().zip(open) {
            self.write_named_tags(goal)?;
            tags.extend(match self.request.dry_run {
                true => open.into_iter().map(|open| open.into_report(&goal.repository)).collect(),
                false => self.write_policy_tags(&goal.repository, open)?,
            });
        }
        Ok(self.report(&goals, repositories, tags))
    }

    fn report(&self, goals: &[PushTarget], repositories: Vec<Told>, tags: Vec<Tag>) -> Push {
        let references = self.request.references.iter().zip(&self.tags).map(|(reference, tag)| {
            let goal = goals.iter().find(|goal| goal.repository.name() == reference.name());
            let known = goal
                .zip(tag.as_ref())
                .and_then(|(goal, tag)| goal.tags.iter().find(|(known, _)| known == tag));
            let was = known.and_then(|(_, was)| *was);
            Pushed { repository: reference.name(), tag: tag.clone(), was }
        });
        Push {
            schema: SCHEMA,
            dry_run: self.request.dry_run,
            digest: self.root.digest,
            media_type: self.root.media_type.to_string(),
            references: references.collect(),
            repositories,
            tags,
            verification: None,
        }
    }
}
